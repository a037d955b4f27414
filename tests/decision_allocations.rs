//! A decision allocates nothing, whatever the strategy.

use rhumb::{config, model, routing};

#[path = "../src/routing/tests/fixture.rs"]
mod fixture;

use fixture::{Request, at, country, deployment, header, region_settings, rule, table};
use rhumb::config::{
    Affinity, AffinityMode, Deployment, HeaderMatch, HostPattern, NamedMatch, Objectives, Pattern,
    RankingSettings, Rule, Strategy, TextMatch, TimeWindow, WeekdaySet, WhenAllDown,
};
use rhumb::routing::{
    Conditions, DeploymentHealth, Draws, LatencyTable, Measured, NoTrace, RegionHealth, RegionLoad,
    RegionNumber, choose_endpoint, decide, explain,
};

fn large(strategy: Strategy, when_all_down: WhenAllDown) -> Deployment {
    let ids: Vec<String> = (0..100).map(|n| format!("r{n}")).collect();
    let regions = ids.iter().zip(0..).map(|(id, n)| {
        region_settings(id, at(f64::from(n) - 50.0, f64::from(n)), (n % 3) as i8, n % 5)
    });
    let rules = ids.iter().map(|id| {
        let mut rule = rule(id, &[id, "r1", "r2"], &[]);
        rule.header_conditions = vec![header("x-region", id), header("x-other", "1")];
        rule.source_countries = vec![country("DE")];
        rule
    });
    let rules = rules.collect();
    let objectives = Objectives { latency: 0.6, cost: 0.3, load: 0.1 };
    let ranking =
        RankingSettings { latency_tolerance_ms: 20.0, latency_switch_ms: 20.0, objectives };
    let affinity = Affinity { mode: AffinityMode::Client, ..Affinity::default() };
    let api = deployment("api", strategy, regions.collect());
    Deployment { rules, when_all_down, ranking, affinity, ..api }
}

#[test]
fn a_decision_allocates_nothing() {
    let rows = "client,region,rtt_ms\nDE,r3,10\n192.0.2.0/24,r4,11\n*,r5,12\n";
    let latency = LatencyTable::parse(rows, &|_| true).unwrap();
    let by_rule = Request::default()
        .in_country("DE")
        .at_place(52.0, 13.0)
        .with_header("x-region", "r77")
        .with_header("x-other", "1");
    let requests =
        [by_rule, Request::default().in_country("FR").at_place(48.0, 2.0), Request::default()];
    let told = table(vec![large(Strategy::Failover, WhenAllDown::Refuse)], None);
    let counted = allocation_counter::measure(|| {
        std::hint::black_box(explain(
            &told,
            &requests[0].facts(),
            &Conditions::NONE,
            Draws::default(),
        ));
    });
    assert!(counted.count_total > 0, "the counter counts");
    let load = [RegionLoad { in_flight: 20, spilling: false }; 100];
    let measured = [Measured { ms: 12.0, samples: 50, at: Request::default().now }; 100];
    let busy = Conditions {
        load: &load,
        measured: &measured[..50],
        network: &measured[..20],
        incumbent: Some(RegionNumber(3)),
    };
    for when_all_down in [WhenAllDown::LastResort, WhenAllDown::Refuse] {
        for strategy in Strategy::ALL {
            let healthy = table(vec![large(strategy, when_all_down)], Some(&latency));
            let down = RegionHealth {
                state: model::RegionState::Down,
                endpoints_up: 0,
                ..RegionHealth::HEALTHY
            };
            let down = DeploymentHealth::new(vec![down; 100]);
            let all_down = healthy.with_health(2, routing::DeploymentIndex(0), down);
            for (table, request) in
                [&healthy, &all_down].into_iter().flat_map(|t| requests.iter().map(move |r| (t, r)))
            {
                let (facts, bare) = (request.facts(), &Conditions::NONE);
                let counted = allocation_counter::measure(|| {
                    for n in 0..20 {
                        let draws = Draws { entropy: n, turn: n };
                        let conditions = if n % 2 == 0 { bare } else { &busy };
                        let outcome = decide(table, &facts, conditions, draws, &mut NoTrace);
                        if let Ok(decision) = std::hint::black_box(outcome) {
                            let plan = table.plan.deployment(decision.deployment);
                            let region = plan.and_then(|plan| plan.region(decision.order[0]));
                            let chosen =
                                region.map(|region| choose_endpoint(region, 1, 0, n, |_| 0));
                            std::hint::black_box(chosen);
                        }
                    }
                });
                assert_eq!(counted.count_total, 0, "{strategy:?} {when_all_down:?}");
            }
        }
    }
}

#[cfg(test)]
mod of_rules {
    //! Every condition of a rule.

    use super::*;

    /// The same rules many times over, with every condition; the last of them misses by little and is
    /// met by none.
    fn of_all_conditions() -> Vec<Rule> {
        let text = |name: &str, value| NamedMatch { name: name.into(), value };
        let regex = |text: &str| TextMatch::Regex(Pattern::new(text).unwrap());
        let window = TimeWindow {
            days: WeekdaySet::ALL,
            from: 1320,
            until: 1319,
            zone: jiff::tz::TimeZone::UTC,
        };
        let one = |n: u32| Rule {
            hosts: vec![HostPattern::Wildcard("example.com".to_owned())],
            path_prefixes: vec!["/v1".to_owned(), format!("/p{n}")],
            methods: vec![http::Method::GET],
            source_countries: vec![country("DE")],
            source_continents: vec![model::Continent::Eu],
            source_subdivisions: vec![(country("DE"), model::Subdivision::new("BE").unwrap())],
            source_cidrs: vec!["192.0.2.0/24".parse().unwrap(), "192.0.0.0/8".parse().unwrap()],
            source_asns: vec![64_500, n],
            tenants: vec!["acme".into()],
            header_conditions: vec![
                HeaderMatch {
                    name: http::HeaderName::from_static("x-plan"),
                    value: TextMatch::Prefix("gold".into()),
                },
                HeaderMatch {
                    name: http::HeaderName::from_static("accept"),
                    value: regex(&format!("^application/(json|x{n})")),
                },
            ],
            query_conditions: vec![
                text("a b", TextMatch::Exact("1 2".into())),
                text("a b", TextMatch::Suffix("2".into())),
                text("c", regex("^[a-z %]+$")),
            ],
            cookie_conditions: vec![
                text("s", TextMatch::Present),
                text("s", regex(&format!("x{}", if n == 0 { 1 } else { 2 }))),
            ],
            percent: Some(10_000),
            time_windows: vec![window.clone()],
            ..rule(&format!("all-{n}"), &["r1"], &[])
        };
        (0..200).rev().map(one).collect()
    }

    #[test]
    fn no_condition_of_a_rule_allocates() {
        let mut request = Request::default()
            .to("a.b.example.com", "/v1/users")
            .in_country("DE")
            .with_header("x-plan", "golden")
            .with_header("accept", "application/json")
            .with_header("cookie", "a=b; s=1")
            .with_header("cookie", "s=x1");
        request.query = format!("a+b=1%202&c={}", "%61".repeat(2_500));
        request.tenant = Some("acme".to_owned());
        request.location.subdivision = model::Subdivision::new("BE");
        request.location.asn = Some(64_500);
        let rules = of_all_conditions();
        let deployment = Deployment { rules, ..large(Strategy::Failover, WhenAllDown::Refuse) };
        let table = table(vec![deployment], None);
        let facts = request.facts();
        let decided = || decide(&table, &facts, &Conditions::NONE, Draws::default(), &mut NoTrace);
        // An expression makes itself room when a thread uses it for the first time, and keeps it.
        assert_eq!(
            decided().unwrap().rule,
            Some(routing::RuleIndex(199)),
            "only the last one holds"
        );
        let counted = allocation_counter::measure(|| {
            std::hint::black_box(decided().is_ok());
        });
        assert_eq!(counted.count_total, 0);
    }
}
