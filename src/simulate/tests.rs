//! A simulation against what deciding request by request says.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::*;
use crate::config::{Deployment, Strategy};
use crate::geo::{AddressSpace, Databases};
use crate::model::{Client, ClientSource, Country};
use crate::routing::tests::fixture::{
    self, deployment, region_settings, rule, table, three_regions,
};
use crate::routing::{self, Conditions, Draws, NoTrace, Scenario, Shift, Table};
use crate::{config, model};

static DATABASES: LazyLock<Databases> = LazyLock::new(|| Databases::embedded().unwrap());
static SPACE: LazyLock<Arc<AddressSpace>> =
    LazyLock::new(|| Arc::new(AddressSpace::of(&DATABASES)));
const PACE: Pace = Pace { now: 1_700_000_000, rate: None, duration_us: 100_000 };

fn side(table: &Table) -> Side<'_> {
    Side { table, geo: &DATABASES, requests: config::RequestRules::default() }
}

fn population(seed: u64) -> Population {
    let target = Target { host: "api.example.com".to_owned(), path: "/v1".to_owned() };
    Population::new(Arc::clone(&SPACE), vec![vec![target]], seed).unwrap()
}

fn quiet(_: u64) {}

fn report(before: &Table, after: Option<&Table>, pace: Pace, seed: u64, count: u64) -> Report {
    let simulation = Simulation::new(side(before), after.map(side), pace, seed);
    let tally = simulation.population(&population(seed), count, &quiet);
    Report::of(&simulation, &tally, 1_000)
}

fn json(report: &Report) -> serde_json::Value {
    serde_json::to_value(report).unwrap()
}

fn with(strategy: Strategy) -> Vec<Deployment> {
    let mut api = deployment("api", strategy, three_regions());
    let mut germans = rule("germans", &["eu"], &["us"]);
    germans.source_countries = vec!["DE".parse().unwrap()];
    api.rules = vec![germans];
    vec![api]
}

const STRATEGIES: [Strategy; 5] = [
    Strategy::Failover,
    Strategy::Geolocation,
    Strategy::Latency,
    Strategy::Weighted,
    Strategy::RoundRobin,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn it_counts_what_deciding_one_by_one_decides(
        strategy in prop::sample::select(&STRATEGIES),
        seed: u64,
        down in prop::option::of(0_usize..3),
    ) {
        const COUNT: u64 = 400;
        let ids = ["us", "eu", "ap"];
        let scenario =
            Scenario { fail: down.map(|n| ids[n].into()).into_iter().collect(), ..Scenario::default() };
        let table = scenario.applied(&table(with(strategy), None));
        let found = report(&table, None, PACE, seed, COUNT);
        let people = population(seed);
        let mut regions = [0_u64; 3];
        let mut reasons = std::collections::BTreeMap::<&str, u64>::new();
        for number in 0..COUNT {
            let case = people.case(number, &PACE);
            let facts = case.facts(DATABASES.lookup(case.address));
            prop_assert_eq!(facts.client, Client { address: case.address, source: ClientSource::Peer });
            let draws = Draws { turn: number, ..case.draws(seed) };
            let decision =
                routing::decide(&table, &facts, &Conditions::NONE, draws, &mut NoTrace).unwrap();
            regions[decision.order[0].index()] += 1;
            *reasons.entry(decision.reason.as_str()).or_default() += 1;
        }
        let counted: Vec<_> = found.before.regions.iter().map(|region| region.requests).collect();
        prop_assert_eq!(counted, regions);
        prop_assert_eq!(found.before.reasons, reasons);
        prop_assert_eq!(found.requests, COUNT);
    }

    #[test]
    fn the_number_of_threads_makes_no_difference(
        strategy in prop::sample::select(&STRATEGIES),
        seed: u64,
        rate in prop::option::of(1.0_f64..1e5),
    ) {
        let before = table(with(strategy), None);
        let fail = vec!["eu".into()];
        let after = Scenario { fail, ..Scenario::default() }.applied(&before);
        let run = |threads| {
            let simulation =
                Simulation::new(side(&before), Some(side(&after)), Pace { rate, ..PACE }, seed)
                    .on_threads(threads);
            let tally = simulation.population(&population(seed), 30_000, &quiet);
            json(&Report::of(&simulation, &tally, 50))
        };
        prop_assert_eq!(run(1), run(3));
    }

    #[test]
    fn a_failure_moves_what_was_there_and_nothing_else(
        strategy in prop::sample::select(&STRATEGIES[..4]),
        seed: u64,
        down in 0_usize..3,
    ) {
        let id = ["us", "eu", "ap"][down];
        let before = table(with(strategy), None);
        let after = Scenario { fail: vec![id.into()], ..Scenario::default() }.applied(&before);
        let report = report(&before, Some(&after), PACE, seed, 2_000);
        let change = report.change.unwrap();
        prop_assert_eq!(change.moved, report.before.regions[down].requests);
        prop_assert!(change.moves.iter().all(|moved| moved.from == Some(id.into())));
        prop_assert_eq!(report.after.unwrap().regions[down].requests, 0);
        let by_country: u64 = change.countries.iter().map(|country| country.moved).sum();
        prop_assert_eq!(by_country, change.moved);
    }
}

#[test]
fn the_same_on_both_sides_moves_nothing_whatever_the_strategy() {
    for strategy in STRATEGIES {
        let same = table(with(strategy), None);
        let report = report(&same, Some(&same), PACE, 5, 3_000);
        let (before, change) = (json(&report)["before"].clone(), report.change.as_ref().unwrap());
        assert_eq!(change.moved, 0, "{strategy:?}");
        assert_eq!(json(&report)["after"], before, "{strategy:?}");
    }
}

#[test]
fn clients_are_spread_as_the_address_space_is() {
    const COUNT: u64 = 200_000;
    let people = population(42);
    let space = people.space();
    let mut met = vec![0_u64; Country::COUNT];
    for number in 0..COUNT {
        let address = people.case(number, &PACE).address;
        met[DATABASES.lookup(address).country.unwrap().index()] += 1;
    }
    let mut sum_of_squares = 0.0;
    let mut kinds = 0.0;
    for facts in crate::geo::countries::all() {
        let expected = space.addresses(facts.code) as f64 / space.total() as f64 * COUNT as f64;
        if expected >= 5.0 {
            let found = met[facts.code.index()] as f64;
            sum_of_squares += (found - expected).powi(2) / expected;
            kinds += 1.0;
        }
    }
    // Chi squared with about as many degrees: mean k, variance 2k.
    assert!(kinds > 80.0, "{kinds}");
    assert!(sum_of_squares < kinds + 5.0 * (2.0_f64 * kinds).sqrt(), "{sum_of_squares} {kinds}");
}

#[test]
fn a_population_follows_from_its_seed() {
    let addresses = |seed| -> Vec<_> {
        let people = population(seed);
        (0..100).map(|number| people.case(number, &PACE).address).collect()
    };
    assert_eq!(addresses(1), addresses(1));
    assert_ne!(addresses(1), addresses(2));
    let draws = |seed| population(1).case(9, &PACE).draws(seed);
    assert_ne!(draws(1), draws(2));
}

#[test]
fn tenants_and_writes_come_as_often_as_they_should() {
    let tenants: TenantNames = ["a", "b"].map(String::from).into_iter().collect();
    let people = population(3).with_tenants(tenants).with_writes(2_500);
    let cases = (0..10_000).map(|number| people.case(number, &PACE));
    let writes = cases.clone().filter(|case| !case.method.is_safe()).count();
    assert!((2_300..2_700).contains(&writes), "{writes}");
    let first = cases.filter(|case| case.tenant == Some("a")).count();
    assert!((4_700..5_300).contains(&first), "{first}");
}

/// 1,000 requests a second of 100 ms are 100 in flight; the first region may have 60.
fn limited(limit: u32) -> Table {
    let mut regions = three_regions();
    let limit = std::num::NonZeroU32::new(limit);
    let mut region = (*regions[0].region).clone();
    region.max_in_flight = limit;
    regions[0].region = Arc::new(region);
    table(vec![deployment("api", Strategy::Failover, regions)], None)
}

#[test]
fn a_full_region_spills_and_the_report_says_what_it_would_have_had() {
    let pace = Pace { rate: Some(1_000.0), ..PACE };
    let report = report(&limited(60), None, pace, 1, 20_000);
    let us = &report.before.regions[0];
    let in_flight = us.in_flight.unwrap();
    assert!(in_flight.exceeded && in_flight.limit == Some(60));
    assert!((in_flight.mean - 100.0).abs() < 2.0, "{in_flight:?}");
    // At most 60 at a time, each for a tenth of a second: at most 600 a second.
    assert!((9_000..=12_060).contains(&us.requests), "{us:?}");
    assert_eq!(us.spilled, 20_000 - us.requests);
    assert_eq!(report.before.regions[1].requests, us.spilled);
}

#[test]
fn a_region_with_room_spills_nothing_and_without_a_rate_nothing_is_known() {
    let pace = Pace { rate: Some(1_000.0), ..PACE };
    let roomy = report(&limited(200), None, pace, 1, 5_000);
    let us = &roomy.before.regions[0];
    assert_eq!((us.requests, us.spilled), (5_000, 0));
    assert!(!us.in_flight.unwrap().exceeded);
    let timeless = report(&limited(1), None, PACE, 1, 5_000);
    assert!(timeless.before.regions[0].in_flight.is_none());
    assert_eq!(timeless.before.regions[0].requests, 5_000);
}

#[test]
fn when_all_are_full_requests_are_refused() {
    let regions = three_regions().into_iter().map(|mut settings| {
        let mut region = (*settings.region).clone();
        region.max_in_flight = std::num::NonZeroU32::new(10);
        settings.region = Arc::new(region);
        settings
    });
    let full = table(vec![deployment("api", Strategy::Failover, regions.collect())], None);
    let report = report(&full, None, Pace { rate: Some(1_000.0), ..PACE }, 1, 5_000);
    let refused = &report.before.refused[0];
    assert_eq!(refused.reason, "overloaded");
    let by_country: u64 = refused.countries.iter().map(|(_, count)| count).sum();
    let served: u64 = report.before.regions.iter().map(|region| region.requests).sum();
    assert_eq!((by_country, served), (refused.requests, 5_000 - refused.requests));
    assert_eq!(report.before.regions[0].spilled, 5_000 - report.before.regions[0].requests);
}

#[test]
fn regions_of_two_configurations_meet_by_their_ids() {
    let old = table(vec![deployment("api", Strategy::Failover, three_regions())], None);
    let mut regions = vec![region_settings("new", fixture::at(0.0, 0.0), 0, 1)];
    regions.extend(three_regions().into_iter().rev());
    let new = table(vec![deployment("api", Strategy::Failover, regions)], None);
    let report = report(&old, Some(&new), PACE, 1, 1_000);
    let change = report.change.unwrap();
    let expected = Move { from: Some("us".into()), to: Some("new".into()), requests: 1_000 };
    assert_eq!(change.moves, [expected]);
    let ids: Vec<_> = report.before.regions.iter().map(|region| region.region.as_str()).collect();
    assert_eq!(ids, ["us", "eu", "ap", "new"]);
}

#[test]
fn supposed_drains_shifts_and_ramps_do_what_they_say() {
    let before = table(vec![deployment("api", Strategy::Failover, three_regions())], None);
    let counts = |scenario: &Scenario| -> Vec<u64> {
        scenario.check(&[&before]).unwrap();
        let after = scenario.applied(&before);
        let report = report(&before, Some(&after), PACE, 1, 10_000);
        report.after.unwrap().regions.iter().map(|region| region.requests).collect()
    };
    let drain = Scenario { drain: vec!["us".into()], ..Scenario::default() };
    assert_eq!(counts(&drain), [0, 10_000, 0]);
    let shift = Shift { deployment: "api".into(), regions: vec!["ap".into(), "eu".into()] };
    let shift = Scenario { shift: vec![shift], ..Scenario::default() };
    assert_eq!(counts(&shift), [0, 0, 10_000]);
    let ramp = Scenario { ramp: vec![("us".into(), 2_500)], ..Scenario::default() };
    let [us, eu, ap] = counts(&ramp)[..] else { panic!("three regions") };
    assert!((2_300..2_700).contains(&us) && eu == 10_000 - us && ap == 0, "{us} {eu} {ap}");
}

#[test]
fn names_that_nobody_knows_are_errors_that_list_what_there_is() {
    let table = table(vec![deployment("api", Strategy::Failover, three_regions())], None);
    let check = |scenario: Scenario| scenario.check(&[&table]).unwrap_err().to_string();
    let region = check(Scenario { fail: vec!["mars".into()], ..Scenario::default() });
    assert!(region.contains("mars") && region.contains("ap, eu, us"), "{region}");
    let shift = |deployment: &str, region: &str| {
        let shift = Shift { deployment: deployment.into(), regions: vec![region.into()] };
        check(Scenario { shift: vec![shift], ..Scenario::default() })
    };
    assert!(shift("web", "us").contains("no deployment web; there are api"));
    assert!(shift("api", "mars").contains("api does not use region mars"));
}

#[test]
fn a_log_says_what_the_same_requests_made_up_say() {
    let table = table(with(Strategy::Weighted), None);
    let people = population(9);
    let lines = (0..3_000).map(|number| {
        let case = people.case(number, &PACE);
        serde_json::json!({ "client": case.address, "host": case.host, "path": case.path })
            .to_string()
    });
    let log = lines.collect::<Vec<_>>().join("\n");
    let simulation = Simulation::new(side(&table), None, PACE, 9).on_threads(2);
    let from_log = simulation.log(log.as_bytes(), &quiet).unwrap();
    let made_up = simulation.population(&people, 3_000, &quiet);
    assert_eq!(
        json(&Report::of(&simulation, &from_log, 10)),
        json(&Report::of(&simulation, &made_up, 10))
    );
}

#[test]
fn bad_lines_are_counted_by_number_and_the_rest_goes_on() {
    let table = table(with(Strategy::Geolocation), None);
    let log = "{\"client\":\"1.1.1.1\"}\nnonsense\n\n{}\n{\"client\":\"8.8.8.8\"}";
    let simulation = Simulation::new(side(&table), None, PACE, 0);
    let tally = simulation.log(log.as_bytes(), &quiet).unwrap();
    assert_eq!(tally.requests(), 2);
    let lines: Vec<_> = tally.bad_lines().first.iter().map(|bad| bad.line).collect();
    assert_eq!((tally.bad_lines().count, &lines[..]), (2, &[2, 4][..]));
}

#[test]
fn unknown_hosts_are_refused_on_both_sides_and_that_is_no_move() {
    let mut api = deployment("api", Strategy::Failover, three_regions());
    api.hosts = vec![config::HostPattern::Exact("other.example".to_owned())];
    let table = table(vec![api], None);
    let report = report(&table, Some(&table), PACE, 1, 500);
    assert_eq!(report.before.refused[0].reason, "no_deployment");
    assert_eq!(report.before.refused[0].requests, 500);
    assert_eq!(report.change.unwrap().moved, 0);
    assert_eq!(report.before.latency.known, 0);
}

#[test]
fn expected_round_trips_are_those_of_the_distance() {
    let one = vec![region_settings("far", fixture::at(0.0, 0.0), 0, 1)];
    let table = table(vec![deployment("api", Strategy::Failover, one)], None);
    let simulation = Simulation::new(side(&table), None, PACE, 0);
    let tally = simulation.log(&br#"{"client":"193.99.144.80"}"#[..], &quiet).unwrap();
    let report = Report::of(&simulation, &tally, 1);
    let client = DATABASES.lookup("193.99.144.80".parse().unwrap()).coordinates.unwrap();
    let expected = client.distance_km(model::Coordinates::new(0.0, 0.0).unwrap()) / 100.0 * 1.4;
    let latency = report.before.latency;
    assert!((latency.mean_ms.unwrap() - expected).abs() < 0.01, "{latency:?} {expected}");
    assert!((latency.p95_ms.unwrap() / expected - 1.0).abs() < 0.02, "{latency:?} {expected}");
}

#[test]
fn a_pin_counts_only_where_the_deployment_asks_for_tenants() {
    use crate::config::TenantSource;
    use crate::routing::tests::fixture::{config, continent_of, tenants};
    use crate::routing::{EndpointIds, Plan, Sources};
    let api = deployment("api", Strategy::Failover, three_regions());
    let asks = Deployment { tenant: Some(TenantSource::PathSegment(0)), ..api.clone() };
    let homes = tenants("acme,ap,\n");
    let counts = |api: Deployment| {
        let sources = Sources { tenants: Some(&homes), ..Sources::none(continent_of) };
        let plan = Plan::compile(&config(vec![api]), sources, &mut EndpointIds::default());
        let table = Table::healthy(1, Arc::new(plan));
        let names: TenantNames = ["acme"].map(String::from).into_iter().collect();
        let tally = Simulation::new(side(&table), None, PACE, 1).population(
            &population(1).with_tenants(names),
            100,
            &|_| {},
        );
        tally.before.regions.clone()
    };
    assert_ne!(counts(api), counts(asks));
}
