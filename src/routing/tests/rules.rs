//! The rule index against a scan of all rules.

use std::cmp::Reverse;

use proptest::prelude::*;

use super::decided;
use super::fixture::{Request, country, deployment, header, rule, table, three_regions};
use crate::config::{Deployment, Rule, Strategy as By};
use crate::routing::Draws;

const COUNTRIES: [&str; 4] = ["DE", "FR", "JP", "US"];
const NAMES: [&str; 3] = ["x-a", "x-b", "accept"];
const VALUES: [&str; 3] = ["1", "2", "three"];

fn any_header() -> impl Strategy<Value = (&'static str, &'static str)> {
    (prop::sample::select(&NAMES[..]), prop::sample::select(&VALUES[..]))
}

fn any_rule() -> impl Strategy<Value = Rule> {
    (
        prop::collection::vec(prop::sample::select(&COUNTRIES[..]), 0..3),
        prop::collection::vec(any_header(), 0..3),
        -2..3,
        prop::bool::weighted(0.8),
    )
        .prop_map(|(countries, headers, priority, enabled)| Rule {
            priority,
            enabled,
            source_countries: countries.into_iter().map(country).collect(),
            header_conditions: headers.iter().map(|(name, value)| header(name, value)).collect(),
            ..rule("r", &["eu"], &[])
        })
}

/// From the words of the documentation.
fn holds(rule: &Rule, request: &Request) -> bool {
    let country = rule.source_countries.is_empty()
        || request.location.country.is_some_and(|is| rule.source_countries.contains(&is));
    let headers = rule.header_conditions.iter().all(|condition| {
        let mut lines = request.headers.iter();
        lines.any(|(name, value)| {
            *name == condition.name && condition.value.matches(value.as_bytes())
        })
    });
    rule.enabled && country && headers
}

proptest! {
    #[test]
    fn the_index_equals_a_scan(
        rules in prop::collection::vec(any_rule(), 0..30),
        requests in prop::collection::vec(
            (
                prop::option::of(prop::sample::select(&COUNTRIES[..])),
                prop::collection::vec(any_header(), 0..6),
            ),
            1..10,
        ),
    ) {
        let api = Deployment { rules, ..deployment("api", By::Failover, three_regions()) };
        let table = table(vec![api.clone()], None);
        for (from, headers) in requests {
            let mut request = Request::default();
            if let Some(from) = from {
                request = request.in_country(from);
            }
            for (name, value) in headers {
                request = request.with_header(name, value);
            }
            let mut holding: Vec<_> =
                (0..).zip(&api.rules).filter(|(_, rule)| holds(rule, &request)).collect();
            holding.sort_by_key(|(index, rule)| (Reverse(rule.priority), *index));
            let found = decided(&table, &request, Draws::default()).unwrap().rule;
            let expected: Option<u32> = holding.first().map(|(index, _)| *index);
            prop_assert_eq!(found.map(|rule| rule.0), expected);
        }
    }
}
