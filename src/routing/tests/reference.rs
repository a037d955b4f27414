//! The decision against a second implementation, written from the words of the documentation
//! alone: slow, in strings and lists, with nothing in common but the configuration.

use std::net::IpAddr;

use proptest::prelude::*;
use proptest::sample::select;

use super::fixture::{
    Request, at, continent_of, country, deployment, header, region_settings, rule, table,
};
use super::{decided, ids, with_down};
use crate::config::{Deployment, RegionSettings, Rule, Strategy as By, WhenAllDown};
use crate::model::{Coordinates, RegionId, Subdivision};
use crate::routing::{Conditions, Draws, LatencyTable, explain};

const REGIONS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
const COUNTRIES: [&str; 3] = ["DE", "US", "JP"];
const KEYS: [&str; 12] = [
    "*",
    "EU",
    "continent:NA",
    "DE",
    "US",
    "DE-BE",
    "AS1",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.3",
    "2001:db8::/32",
    "0.0.0.0/0",
];

/// One of everything that a decision depends on.
#[derive(Clone, Debug)]
struct Case {
    deployment: Deployment,
    rows: Vec<(&'static str, &'static str, u32)>,
    down: Vec<&'static str>,
    request: Request,
    draws: Draws,
}

fn place() -> impl Strategy<Value = Coordinates> {
    // Few enough that some regions share a place.
    (-9i8..=9, -9i8..=9).prop_map(|(lat, lon)| at(f64::from(lat) * 10.0, f64::from(lon) * 20.0))
}

fn regions() -> impl Strategy<Value = Vec<RegionSettings>> {
    let biased = prop_oneof![Just(0i8), -99..=99i8];
    let settings = prop::collection::vec((place(), biased, 0..4u32), 1..=REGIONS.len());
    (settings, any::<bool>()).prop_map(|(settings, with_bias)| {
        let named = settings.into_iter().zip(REGIONS);
        let settings = named.map(|((place, bias, weight), id)| {
            region_settings(id, place, if with_bias { bias } else { 0 }, weight)
        });
        settings.collect()
    })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    (
        prop::collection::vec(select(&REGIONS[..]), 1..4),
        prop::collection::vec(select(&REGIONS[..]), 0..3),
        prop::collection::vec(select(&COUNTRIES[..]), 0..2),
        any::<bool>(),
        prop::option::of(0..4u32),
        -1..2i32,
    )
        .prop_map(|(targets, fallbacks, countries, with_header, weight, priority)| Rule {
            priority,
            source_countries: countries.into_iter().map(country).collect(),
            header_conditions: with_header.then(|| header("x-a", "1")).into_iter().collect(),
            weights: weight
                .map(|weight| targets.iter().map(|id| ((*id).into(), weight)).collect())
                .unwrap_or_default(),
            ..rule("r", &targets, &fallbacks)
        })
}

fn request() -> impl Strategy<Value = Request> {
    (
        prop::option::of(place()),
        prop::option::of(select(&COUNTRIES[..])),
        any::<[bool; 3]>(),
        select(vec!["10.1.2.3", "10.1.9.9", "10.9.9.9", "192.0.2.1", "2001:db8::1", "::1"]),
    )
        .prop_map(|(place, from, [part, asn, with_header], address)| {
            let mut request = Request::default().with_address(address);
            request.location.coordinates = place;
            if let Some(from) = from {
                request = request.in_country(from);
            }
            request.location.subdivision = part.then(|| Subdivision::new("BE").unwrap());
            request.location.asn = asn.then_some(1);
            if with_header { request.with_header("x-a", "1") } else { request }
        })
}

fn strategy() -> impl Strategy<Value = By> {
    select(vec![By::Failover, By::Geolocation, By::Latency, By::Weighted, By::RoundRobin])
}

prop_compose! {
    fn case()(
        regions in regions(),
        strategy in strategy(),
        rules in prop::collection::vec(any_rule(), 0..4),
        refuse in any::<bool>(),
        rows in prop::collection::vec((select(&KEYS[..]), select(&REGIONS[..]), 0..300u32), 0..40),
        down in prop::collection::vec(select(&REGIONS[..]), 0..14),
        request in request(),
        entropy: u64,
        turn: u64,
    ) -> Case {
        let when_all_down = if refuse { WhenAllDown::Refuse } else { WhenAllDown::LastResort };
        let mut rows: Vec<(&'static str, &'static str, u32)> = rows;
        rows.sort_unstable();
        rows.dedup_by_key(|(key, region, _)| (*key, *region));
        Case {
            deployment: Deployment { rules, when_all_down, ..deployment("api", strategy, regions) },
            rows,
            down,
            request,
            draws: Draws { entropy, turn },
        }
    }
}

/// What the documentation says: groups of regions in order, each with a key per region that orders
/// it; or only which regions come before which, where the order is drawn.
#[derive(Debug)]
enum Expected {
    Refused,
    Groups { reason: &'static str, groups: Vec<Vec<(String, f64)>> },
}

fn up(case: &Case, id: &str) -> bool {
    !case.down.contains(&id)
}

fn haversine_km(a: Coordinates, b: Coordinates) -> f64 {
    let hav = |angle: f64| (1.0 - angle.cos()) / 2.0;
    let (lat_a, lat_b) = (a.latitude.to_radians(), b.latitude.to_radians());
    let lon = (a.longitude - b.longitude).to_radians();
    let h = hav(lat_a - lat_b) + lat_a.cos() * lat_b.cos() * hav(lon);
    2.0 * 6371.0088 * h.clamp(0.0, 1.0).sqrt().asin()
}

/// Larger is more specific; `None` does not hold.
fn specificity(key: &str, request: &Request) -> Option<u32> {
    let location = request.location;
    let from = location.country;
    if let Some((network, length)) = key.split_once('/') {
        let length: u32 = length.parse().unwrap();
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, false),
            IpAddr::V6(address) => (address.to_bits(), true),
        };
        let ((a, six_a), (b, six_b)) =
            (bits(network.parse().unwrap()), bits(request.client.address));
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        return (six_a == six_b && a & mask == b & mask).then_some(1000 + length);
    }
    if let Ok(address) = key.parse::<IpAddr>() {
        return (address == request.client.address).then_some(1128);
    }
    let place = match key {
        "*" => 1,
        "EU" => return (from.and_then(continent_of)?.code() == "EU").then_some(2),
        "continent:NA" => return (from.and_then(continent_of)?.code() == "NA").then_some(2),
        "AS1" => return (location.asn == Some(1)).then_some(5),
        "DE-BE" => {
            let there = from == Some(country("DE")) && location.subdivision.is_some();
            return there.then_some(4);
        }
        code => return (from == Some(country(code))).then_some(3),
    };
    Some(place)
}

fn expected_ms(case: &Case, region: &RegionSettings) -> f64 {
    let rows = case.rows.iter().filter(|(_, id, _)| *id == region.region.id.as_str());
    let held = rows.filter_map(|(key, _, ms)| Some((specificity(key, &case.request)?, *ms)));
    if let Some((_, ms)) = held.max() {
        return f64::from(ms);
    }
    case.request.location.coordinates.map_or(f64::INFINITY, |client| {
        haversine_km(client, region.region.coordinates) / 100.0 * 1.4
    })
}

/// Keys of the strategy for these regions, and why it could not do its work.
fn strategy_keys(case: &Case, ids: &[String]) -> (Vec<(String, f64)>, Option<&'static str>) {
    let settings = &case.deployment.regions;
    let listed =
        |id: &str| settings.iter().position(|other| other.region.id.as_str() == id).unwrap();
    let client = case.request.location.coordinates;
    let everywhere: Vec<f64> = settings.iter().map(|region| expected_ms(case, region)).collect();
    let mut unknown = None;
    let healthy: Vec<usize> = ids.iter().filter(|id| up(case, id)).map(|id| listed(id)).collect();
    let keys = ids.iter().map(|id| {
        let place = listed(id);
        let region = &settings[place];
        let key = match case.deployment.strategy {
            By::Failover => place as f64,
            By::Geolocation => match client {
                None => {
                    unknown = Some("location_unknown");
                    place as f64
                }
                Some(client) => {
                    let km = haversine_km(client, region.region.coordinates);
                    let bias = f64::from(region.region.bias);
                    if bias > 0.0 { km * (1.0 - bias / 100.0) } else { km / (1.0 + bias / 100.0) }
                }
            },
            By::Latency if everywhere.iter().all(|ms| ms.is_infinite()) => {
                unknown = Some("latency_unknown");
                place as f64
            }
            By::Latency => everywhere[place],
            // Drawn: only that weight 0 comes last is certain.
            By::Weighted => f64::from(u8::from(region.weight == 0)),
            By::RoundRobin if healthy.is_empty() => 0.0,
            By::RoundRobin => {
                let n = healthy.len();
                let index = healthy.iter().position(|other| *other == place).unwrap_or(0);
                ((index + n - (case.draws.turn % n as u64) as usize) % n) as f64
            }
            // Not among the strategies that the cases use.
            _ => place as f64,
        };
        (id.clone(), key)
    });
    let keys = keys.collect();
    (keys, unknown)
}

fn expected(case: &Case) -> Expected {
    let settings = &case.deployment.regions;
    let eligible: Vec<String> = settings.iter().map(|s| s.region.id.to_string()).collect();
    let mut rules: Vec<&Rule> = case.deployment.rules.iter().collect();
    rules.sort_by_key(|rule| -rule.priority);
    let rule = rules.into_iter().find(|rule| {
        let from = case.request.location.country;
        let country = from.is_some_and(|from| rule.source_countries.contains(&from));
        (rule.source_countries.is_empty() || country)
            && (rule.header_conditions.is_empty() || case.request.headers.contains_key("x-a"))
    });
    let contains = |list: &[RegionId], id: &str| list.iter().any(|other| other.as_str() == id);

    // Groups with the reason of a decision for one of them, in the order of the list.
    let mut groups: Vec<(&'static str, Vec<(String, f64)>)> = Vec::new();
    let mut unavailable = false;
    if let Some(rule) = rule {
        let targets: Vec<String> =
            eligible.iter().filter(|id| contains(&rule.target_regions, id)).cloned().collect();
        let mut fallbacks: Vec<(String, f64)> = Vec::new();
        for id in &rule.fallback_regions {
            let id = id.to_string();
            let new = !targets.contains(&id) && fallbacks.iter().all(|(other, _)| *other != id);
            if eligible.contains(&id) && new {
                fallbacks.push((id, fallbacks.len() as f64));
            }
        }
        unavailable = targets.is_empty() && fallbacks.is_empty();
        if !unavailable {
            let keys = if rule.weights.is_empty() {
                strategy_keys(case, &targets).0
            } else {
                // All of a rule's weights are the same here: drawn among all.
                targets.iter().map(|id| (id.clone(), 0.0)).collect()
            };
            let others: Vec<String> =
                eligible.iter().filter(|id| !targets.contains(id)).cloned().collect();
            groups.push(("rule", keys));
            groups.push(("rule_fallback", fallbacks));
            if rule.fallback_regions.is_empty() {
                groups.push(("rule_others", strategy_keys(case, &others).0));
            }
        }
    }
    if groups.is_empty() {
        let (keys, unknown) = strategy_keys(case, &eligible);
        let reason = if unavailable {
            "rule_unavailable"
        } else {
            unknown.unwrap_or(case.deployment.strategy.as_str())
        };
        groups.push((reason, keys));
    }
    for (_, group) in &mut groups {
        group.retain(|(id, _)| up(case, id));
    }
    groups.retain(|(_, group)| !group.is_empty());
    match (groups.first(), case.deployment.when_all_down) {
        (Some((reason, _)), _) => {
            let reason = *reason;
            Expected::Groups {
                reason,
                groups: groups.into_iter().map(|(_, group)| group).collect(),
            }
        }
        (None, WhenAllDown::LastResort) => {
            let groups = vec![eligible.into_iter().zip((0u8..).map(f64::from)).collect()];
            Expected::Groups { reason: "last_resort", groups }
        }
        (None, WhenAllDown::Refuse) => Expected::Refused,
    }
}

/// Checks an order against groups: the keys must ascend as those of the group sorted do, and equal
/// keys keep listed order unless they are drawn.
fn check(
    case: &Case,
    order: &[String],
    groups: &[Vec<(String, f64)>],
) -> Result<(), TestCaseError> {
    let drawn = |group: &[(String, f64)]| {
        let by_rule = case.deployment.rules.iter().any(|rule| !rule.weights.is_empty());
        (case.deployment.strategy == By::Weighted || by_rule)
            && group.iter().all(|(_, key)| *key == 0.0 || *key == 1.0)
    };
    let total: usize = groups.iter().map(Vec::len).sum();
    prop_assert_eq!(order.len(), total.min(8));
    let mut rest = order;
    for group in groups {
        let (here, after) = rest.split_at(rest.len().min(group.len()));
        rest = after;
        let key = |id: &String| group.iter().find(|(other, _)| other == id).map(|(_, key)| *key);
        let mut sorted: Vec<f64> = group.iter().map(|(_, key)| *key).collect();
        sorted.sort_by(f64::total_cmp);
        for (id, best) in here.iter().zip(sorted) {
            let Some(key) = key(id) else {
                return Err(TestCaseError::fail(format!("{id} is not of the group {group:?}")));
            };
            // Two ways to compute a distance differ by rounding.
            let same = key == best || (key - best).abs() <= 1e-6 * best.abs().max(1.0);
            prop_assert!(same, "{} has {}, expected {}", id, key, best);
        }
        let near = |a: f64, b: f64| a == b || (a - b).abs() < 1e-6;
        let tie = |pair: &&[String]| match (key(&pair[0]), key(&pair[1])) {
            (Some(a), Some(b)) => near(a, b),
            _ => false,
        };
        for pair in here.windows(2).filter(tie) {
            prop_assert!(drawn(group) || pair[0] < pair[1], "{:?} tie in {:?}", pair, group);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_decision_is_what_the_documentation_says_and_explaining_changes_nothing(case in case()) {
        let mut csv = "client,region,rtt_ms\n".to_owned();
        for (key, region, ms) in &case.rows {
            csv += &format!("{key},{region},{ms}\n");
        }
        let latency = LatencyTable::parse(&csv, &|_| true).unwrap();
        let table = with_down(&table(vec![case.deployment.clone()], Some(&latency)), &case.down);

        let outcome = decided(&table, &case.request, case.draws);
        match (expected(&case), &outcome) {
            (Expected::Refused, Err(refusal)) => {
                prop_assert_eq!(refusal.reason(), "no_healthy_region");
            }
            (Expected::Groups { reason, groups }, Ok(decision)) => {
                prop_assert_eq!(decision.reason.as_str(), reason);
                prop_assert_eq!(decision.ignoring_health, reason == "last_resort");
                check(&case, &ids(&table, decision), &groups)?;
            }
            (expected, outcome) => prop_assert!(false, "{:?} but {:?}", expected, outcome),
        }

        let explained = explain(&table, &case.request.facts(), &Conditions::NONE, case.draws);
        prop_assert_eq!(explained.generation, table.generation);
        match (&outcome, &explained.decision, &explained.refusal) {
            (Ok(decision), Some(told), None) => {
                let mut order = vec![told.region.to_string()];
                order.extend(told.alternates.iter().map(ToString::to_string));
                prop_assert_eq!(&order, &ids(&table, decision));
                prop_assert_eq!(told.reason, decision.reason);
                let last = explained.steps.last().unwrap();
                let shown = last.regions.iter().map(ToString::to_string).take(8);
                prop_assert_eq!(order, shown.collect::<Vec<_>>(), "the steps end in the decision");
            }
            (Err(refusal), None, Some(told)) => {
                prop_assert_eq!(told.reason, refusal.reason());
                prop_assert_eq!(told.status, 503);
            }
            other => prop_assert!(false, "{:?}", other),
        }
        for pair in explained.steps.windows(2) {
            // A step only drops what was in the list; what it drops and keeps is what there was.
            let [before, after] = pair else { continue };
            if before.regions.is_empty() || after.step.as_str() == "nothing_left" { continue }
            let mut told: Vec<_> = after.regions.iter().chain(after.dropped.iter().map(|d| &d.region)).collect();
            let mut had: Vec<_> = before.regions.iter().collect();
            told.sort();
            had.sort();
            prop_assert_eq!(told, had, "{:?}", after.step);
        }
    }
}
