//! One test for each rule of precedence, named after it.

use super::fixture::{Request, deployment, header, region_settings, rule, table, three_regions};
use super::{outcome, with_down};
use crate::config::{Deployment, HostPattern, RegionSettings, Rule, Strategy, WhenAllDown};
use crate::routing::tests::fixture::{at, country};
use crate::routing::{LatencyTable, Table};

fn failover(rules: Vec<Rule>) -> Table {
    of(Strategy::Failover, rules)
}

fn of(strategy: Strategy, rules: Vec<Rule>) -> Table {
    table(vec![Deployment { rules, ..deployment("api", strategy, three_regions()) }], None)
}

#[track_caller]
fn goes(table: &Table, request: &Request, regions: &[&str], reason: &str) {
    let (ids, why) = outcome(table, request);
    assert_eq!(
        (ids.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), why),
        (regions, reason)
    );
}

fn berlin() -> Request {
    Request::default().in_country("DE").at_place(52.5, 13.4)
}

fn for_countries(mut rule: Rule, countries: &[&str]) -> Rule {
    rule.source_countries = countries.iter().map(|code| country(code)).collect();
    rule
}

fn for_header(mut rule: Rule, name: &str, value: &str) -> Rule {
    rule.header_conditions.push(header(name, value));
    rule
}

#[test]
fn no_deployment_for_the_host_is_refused() {
    let hosts = vec![HostPattern::Exact("other.example".to_owned())];
    let only = Deployment { hosts, ..deployment("api", Strategy::Failover, three_regions()) };
    let table = table(vec![only], None);
    goes(&table, &Request::default(), &[], "no_deployment");
}

#[test]
fn failover_goes_to_the_primary_then_the_replicas_as_listed() {
    goes(&failover(vec![]), &berlin(), &["us", "eu", "ap"], "failover");
}

#[test]
fn geolocation_goes_to_the_nearest() {
    let table = of(Strategy::Geolocation, vec![]);
    goes(&table, &berlin(), &["eu", "us", "ap"], "geolocation");
    let osaka = Request::default().at_place(34.7, 135.5);
    goes(&table, &osaka, &["ap", "eu", "us"], "geolocation");
}

#[test]
fn geolocation_without_a_location_is_failover_and_says_so() {
    let table = of(Strategy::Geolocation, vec![]);
    let request = Request::default().in_country("DE");
    goes(&table, &request, &["us", "eu", "ap"], "location_unknown");
}

#[test]
fn geolocation_scales_distances_by_bias() {
    // 10 and 30 degrees along the equator: 1112 km and 3336 km.
    let client = Request::default().at_place(0.0, 0.0);
    let decided = |near, far| {
        let regions = vec![
            region_settings("near", at(0.0, 10.0), near, 1),
            region_settings("far", at(0.0, 30.0), far, 1),
        ];
        outcome(&table(vec![deployment("api", Strategy::Geolocation, regions)], None), &client).0
    };
    assert_eq!(decided(0, 0), ["near", "far"]);
    assert_eq!(decided(0, 66), ["near", "far"], "3336 x 0.34 = 1134");
    assert_eq!(decided(0, 67), ["far", "near"], "3336 x 0.33 = 1101");
    assert_eq!(decided(-66, 0), ["near", "far"], "1112 / 0.34 = 3271");
    assert_eq!(decided(-67, 0), ["far", "near"], "1112 / 0.33 = 3370");
}

#[test]
fn geolocation_breaks_ties_in_listed_order() {
    for bias in [0, 20] {
        let place = at(10.0, 10.0);
        let regions = ["c", "a", "b"].map(|id| region_settings(id, place, bias, 1));
        let table = table(vec![deployment("api", Strategy::Geolocation, regions.into())], None);
        goes(&table, &berlin(), &["c", "a", "b"], "geolocation");
    }
}

#[test]
fn a_tie_is_in_listed_order_even_at_the_end_of_a_decision() {
    let ids = ["i", "h", "g", "f", "e", "d", "c", "b", "a"];
    // The ninth is nearer by a twentieth of a micrometre, which is a tie; so it is the one left out.
    let place = |id| at(0.0, if id == "a" { 40.0 - 4.5e-13 } else { 40.0 });
    let regions = ids.map(|id| region_settings(id, place(id), 0, 1));
    let table = table(vec![deployment("api", Strategy::Geolocation, regions.into())], None);
    goes(&table, &Request::default().at_place(0.0, 0.0), &ids[..8], "geolocation");
}

fn by_latency(csv: &str) -> Table {
    let text = format!("client,region,rtt_ms\n{csv}");
    let latency = LatencyTable::parse(&text, &|_| true).unwrap();
    table(vec![deployment("api", Strategy::Latency, three_regions())], Some(&latency))
}

#[test]
fn latency_goes_by_the_most_specific_row_of_each_region() {
    let rows = [
        ("*,us,200", "eu"),
        ("continent:EU,us,5", "us"),
        ("DE,us,300", "eu"),
        ("DE-BE,us,4", "us"),
        ("AS64500,us,300", "eu"),
        ("192.0.0.0/16,us,3", "us"),
        ("192.0.2.0/24,us,300", "eu"),
        ("192.0.2.1,us,2", "us"),
    ];
    let mut request = berlin();
    request.location.subdivision = crate::model::Subdivision::new("BE");
    request.location.asn = Some(64500);
    let mut csv = "*,eu,20\n*,ap,250\n".to_owned();
    for (row, first) in rows {
        csv = format!("{csv}{row}\n");
        assert_eq!(outcome(&by_latency(&csv), &request).0[0], first, "after {row}");
    }
}

#[test]
fn latency_without_a_row_goes_by_distance() {
    // Berlin to Dublin is 1315 km: 18.4 ms.
    goes(&by_latency("DE,us,18"), &berlin(), &["us", "eu", "ap"], "latency");
    goes(&by_latency("DE,us,19"), &berlin(), &["eu", "us", "ap"], "latency");
}

#[test]
fn latency_without_anything_known_is_failover_and_says_so() {
    goes(&by_latency("DE,ap,1"), &Request::default(), &["us", "eu", "ap"], "latency_unknown");
}

#[test]
fn latency_puts_regions_of_which_nothing_is_known_last() {
    let request = Request::default().in_country("DE");
    goes(&by_latency("DE,ap,1"), &request, &["ap", "us", "eu"], "latency");
}

#[test]
fn round_robin_skips_regions_that_are_down() {
    let table = with_down(&of(Strategy::RoundRobin, vec![]), &["eu"]);
    let draws = |turn| crate::routing::Draws { entropy: 0, turn };
    let first = |turn| {
        let decision = super::decided(&table, &Request::default(), draws(turn)).unwrap();
        super::ids(&table, &decision)
    };
    assert_eq!(first(0), ["us", "ap"]);
    assert_eq!(first(1), ["ap", "us"]);
    assert_eq!(first(2), ["us", "ap"]);
    assert_eq!(first(u64::MAX), ["ap", "us"]);
}

#[test]
fn weight_zero_comes_after_all_others_as_listed() {
    let mut regions = three_regions();
    regions[0].weight = 0;
    regions[1].weight = 0;
    let table = table(vec![deployment("api", Strategy::Weighted, regions)], None);
    goes(&table, &Request::default(), &["ap", "us", "eu"], "weighted");
}

#[test]
fn a_rule_goes_to_its_targets_then_its_fallbacks_and_nowhere_else() {
    let table = failover(vec![rule("r", &["ap"], &["eu"])]);
    goes(&table, &berlin(), &["ap", "eu"], "rule");
}

#[test]
fn a_rule_without_fallbacks_goes_on_with_the_others_in_strategy_order() {
    let table = of(Strategy::Geolocation, vec![rule("r", &["ap"], &[])]);
    goes(&table, &berlin(), &["ap", "eu", "us"], "rule");
    goes(&with_down(&table, &["ap"]), &berlin(), &["eu", "us"], "rule_others");
}

#[test]
fn targets_are_ordered_by_the_strategy_not_by_the_rule() {
    goes(
        &failover(vec![rule("r", &["ap", "eu"], &["us"])]),
        &berlin(),
        &["eu", "ap", "us"],
        "rule",
    );
    let near = of(Strategy::Geolocation, vec![rule("r", &["us", "eu"], &["ap"])]);
    goes(&near, &berlin(), &["eu", "us", "ap"], "rule");
}

#[test]
fn a_rule_with_weights_draws_its_targets() {
    let mut weighted = rule("r", &["us", "ap"], &["eu"]);
    weighted.weights = vec![("us".into(), 0), ("ap".into(), 5)];
    goes(&failover(vec![weighted]), &berlin(), &["ap", "us", "eu"], "rule");
}

#[test]
fn fallbacks_serve_when_the_targets_are_down() {
    let table = failover(vec![rule("r", &["ap"], &["eu", "us"])]);
    goes(&with_down(&table, &["ap"]), &berlin(), &["eu", "us"], "rule_fallback");
}

#[test]
fn a_rule_whose_targets_and_fallbacks_are_all_down_leaves_nothing() {
    let rules = vec![rule("r", &["ap"], &["eu"])];
    let table = failover(rules.clone());
    goes(&with_down(&table, &["ap", "eu"]), &berlin(), &["us", "eu", "ap"], "last_resort");
    let refusing = Deployment {
        rules,
        when_all_down: WhenAllDown::Refuse,
        ..deployment("api", Strategy::Failover, three_regions())
    };
    let table = super::fixture::table(vec![refusing], None);
    goes(&with_down(&table, &["ap", "eu"]), &berlin(), &[], "no_healthy_region");
}

#[test]
fn regions_of_a_rule_that_are_not_eligible_are_skipped() {
    let table = failover(vec![rule("r", &["gone", "ap"], &["lost", "eu"])]);
    goes(&table, &berlin(), &["ap", "eu"], "rule");
    let table = failover(vec![rule("r", &["gone"], &["eu"])]);
    goes(&table, &berlin(), &["eu"], "rule_fallback");
    let table = failover(vec![rule("r", &["ap"], &["gone"])]);
    goes(&table, &berlin(), &["ap"], "rule");
}

#[test]
fn a_rule_without_any_eligible_region_is_as_if_none_held_and_says_so() {
    let rules = vec![rule("r", &["gone"], &["lost"]), rule("second", &["ap"], &[])];
    goes(&failover(rules.clone()), &berlin(), &["us", "eu", "ap"], "rule_unavailable");
    goes(&of(Strategy::Geolocation, rules), &berlin(), &["eu", "us", "ap"], "rule_unavailable");
}

#[test]
fn the_rule_of_highest_priority_holds_ties_in_file_order() {
    let ranked = |priorities: [i32; 3]| {
        let mut rules = ["us", "eu", "ap"].map(|region| rule(region, &[region], &[]));
        for (rule, priority) in rules.iter_mut().zip(priorities) {
            rule.priority = priority;
        }
        outcome(&failover(rules.into()), &berlin()).0[0].clone()
    };
    assert_eq!(ranked([0, 0, 0]), "us");
    assert_eq!(ranked([-1, 0, 0]), "eu");
    assert_eq!(ranked([0, 1, 2]), "ap");
    assert_eq!(ranked([i32::MIN, i32::MAX, i32::MAX]), "eu");
}

#[test]
fn a_disabled_rule_is_not_there() {
    let off = Rule { enabled: false, ..rule("off", &["ap"], &[]) };
    goes(&failover(vec![off]), &berlin(), &["us", "eu", "ap"], "failover");
}

#[test]
fn countries_are_any_of_and_an_unknown_country_is_none_of_them() {
    let table = failover(vec![for_countries(rule("r", &["ap"], &["us"]), &["JP", "DE"])]);
    goes(&table, &berlin(), &["ap", "us"], "rule");
    goes(&table, &Request::default().in_country("JP"), &["ap", "us"], "rule");
    goes(&table, &Request::default().in_country("FR"), &["us", "eu", "ap"], "failover");
    goes(&table, &Request::default(), &["us", "eu", "ap"], "failover");
}

#[test]
fn headers_are_all_of_and_values_match_exactly() {
    let both = for_header(for_header(rule("r", &["ap"], &["us"]), "x-a", "1"), "x-b", "Two");
    let table = failover(vec![both]);
    let with = |headers: &[(&str, &str)]| {
        let request = Request::default();
        headers.iter().fold(request, |request, (name, value)| request.with_header(name, value))
    };
    let (rule, none): (&[&str], &[&str]) = (&["ap", "us"], &["us", "eu", "ap"]);
    goes(&table, &with(&[("x-a", "1"), ("x-b", "Two")]), rule, "rule");
    goes(&table, &with(&[("x-b", "Two"), ("X-A", "1"), ("x-c", "")]), rule, "rule");
    goes(&table, &with(&[("x-a", "1")]), none, "failover");
    goes(&table, &with(&[("x-a", "1"), ("x-b", "two")]), none, "failover");
    goes(&table, &with(&[("x-a", "1"), ("x-b", "Two, Two")]), none, "failover");
}

#[test]
fn any_line_of_a_header_may_match() {
    let table = failover(vec![for_header(rule("r", &["ap"], &["us"]), "x-a", "1")]);
    let request = Request::default().with_header("x-a", "0").with_header("x-a", "1");
    goes(&table, &request, &["ap", "us"], "rule");
}

#[test]
fn fields_of_a_rule_are_all_of() {
    let both = for_countries(for_header(rule("r", &["ap"], &["us"]), "x-a", "1"), &["DE"]);
    let table = failover(vec![both]);
    goes(&table, &berlin().with_header("x-a", "1"), &["ap", "us"], "rule");
    goes(&table, &berlin(), &["us", "eu", "ap"], "failover");
    let request = Request::default().in_country("FR").with_header("x-a", "1");
    goes(&table, &request, &["us", "eu", "ap"], "failover");
}

#[test]
fn down_regions_drop_out() {
    goes(&with_down(&failover(vec![]), &["us"]), &berlin(), &["eu", "ap"], "failover");
}

#[test]
fn last_resort_tries_the_eligible_regions_as_listed() {
    let table = of(Strategy::Geolocation, vec![]);
    goes(&with_down(&table, &["us", "eu", "ap"]), &berlin(), &["us", "eu", "ap"], "last_resort");
}

#[test]
fn refuse_refuses_when_all_are_down() {
    let refusing = Deployment {
        when_all_down: WhenAllDown::Refuse,
        ..deployment("api", Strategy::Geolocation, three_regions())
    };
    let table = table(vec![refusing], None);
    goes(&with_down(&table, &["us", "eu", "ap"]), &berlin(), &[], "no_healthy_region");
    goes(&with_down(&table, &["us", "eu"]), &berlin(), &["ap"], "geolocation");
}

#[test]
fn a_decision_keeps_the_best_eight_of_128() {
    for bias in [0, 10] {
        // Listed from the farthest to the nearest.
        let regions: Vec<RegionSettings> = (0..128u8)
            .map(|n| {
                let place = at(0.0, f64::from(128 - n));
                region_settings(&format!("r{n}"), place, if n < 64 { bias } else { 0 }, 1)
            })
            .collect();
        let table = table(vec![deployment("api", Strategy::Geolocation, regions)], None);
        let request = Request::default().at_place(0.0, 0.0);
        let nearest = ["r127", "r126", "r125", "r124", "r123", "r122", "r121", "r120"];
        goes(&table, &request, &nearest, "geolocation");
    }
}
