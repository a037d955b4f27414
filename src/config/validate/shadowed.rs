//! Rules that no request reaches, because others are asked before them.

use std::collections::HashMap;

use super::rule::Placed;
use crate::config::error::Quoted;
use crate::config::report::Report;
use crate::config::settings::{HeaderMatch, Rule};
use crate::model::Country;

/// Header conditions of a rule whose every subset is looked up; more would take long.
const SUBSETS_OF: usize = 6;

/// Rules that no request reaches, because one that is asked earlier matches whatever they match.
///
/// An earlier rule does when its header conditions are among this one's and its countries include
/// this one's (several earlier rules may share the countries), and what else it asks is nothing, or
/// what this one asks.
pub(super) fn rules(rules: &[Placed<'_>], report: &Report<'_>) {
    let mut order: Vec<_> = rules.iter().filter(|placed| placed.rule.enabled).collect();
    order.sort_by_key(|placed| std::cmp::Reverse(placed.rule.priority));
    let mut asked: HashMap<(Vec<&HeaderMatch>, String), Earlier<'_>> = HashMap::new();
    for Placed { at, rule, .. } in order {
        let conditions = canonical(&rule.header_conditions);
        let others = others(rule);
        let looser = looser(&conditions).into_iter().flat_map(|subset| {
            let less = (!others.is_empty()).then(|| (subset.clone(), String::new()));
            less.into_iter().chain([(subset, others.clone())])
        });
        let looser: Vec<_> = looser.collect();
        let mut earlier = looser.iter().filter_map(|key| asked.get(key));
        if let Some(other) = earlier.find_map(|earlier| earlier.covers(&rule.source_countries)) {
            let message = format!("no request reaches the rule {}", Quoted(rule.id.as_str()));
            let help = format!("`{}` is asked before it and matches the same requests", other.id);
            report.warning(*at, message, help);
        }
        asked.entry((conditions, others)).or_default().add(rule);
    }
}

/// Everything that a rule asks but headers and countries, as text that is equal only when they are;
/// empty when there is nothing.
fn others(rule: &Rule) -> String {
    // Taken apart completely, so that a new condition does not compile until it is among these.
    let Rule {
        id,
        name: _,
        priority: _,
        enabled: _,
        hosts,
        path_prefixes,
        methods,
        source_countries: _,
        source_continents,
        source_subdivisions,
        source_cidrs,
        source_asns,
        tenants,
        header_conditions: _,
        query_conditions,
        cookie_conditions,
        percent,
        time_windows,
        strategy: _,
        target_regions: _,
        weights: _,
        fallback_regions: _,
    } = rule;
    let nothing = percent.is_none()
        && time_windows.is_empty()
        && source_continents.is_empty()
        && source_subdivisions.is_empty()
        && source_cidrs.is_empty()
        && source_asns.is_empty()
        && tenants.is_empty()
        && hosts.is_empty()
        && path_prefixes.is_empty()
        && methods.is_empty()
        && query_conditions.is_empty()
        && cookie_conditions.is_empty();
    if nothing {
        return String::new();
    }
    let place = (source_continents, source_subdivisions, source_cidrs, source_asns, tenants);
    let request = (hosts, path_prefixes, methods, query_conditions, cookie_conditions);
    // Not the share: other rules' shares are of other clients.
    let share = percent.filter(|percent| *percent < 10_000).map(|_| id.as_str());
    format!("{place:?} {request:?} {time_windows:?} {share:?}")
}

/// Rules with the same header conditions.
#[derive(Default)]
struct Earlier<'r> {
    any_country: Option<&'r Rule>,
    countries: HashMap<Country, &'r Rule>,
}

impl<'r> Earlier<'r> {
    fn add(&mut self, rule: &'r Rule) {
        if rule.source_countries.is_empty() {
            self.any_country.get_or_insert(rule);
        }
        for country in &rule.source_countries {
            self.countries.entry(*country).or_insert(rule);
        }
    }

    fn covers(&self, countries: &[Country]) -> Option<&'r Rule> {
        let mut each = countries.iter().map(|country| self.countries.get(country).copied());
        let first = each.next().flatten();
        let all = first.filter(|_| each.all(|rule| rule.is_some()));
        self.any_country.or(all)
    }
}

/// The conditions in an order of their own, for comparison.
fn canonical(conditions: &[HeaderMatch]) -> Vec<&HeaderMatch> {
    let mut sorted: Vec<_> = conditions.iter().collect();
    sorted.sort_by(|a, b| {
        (a.name.as_str(), a.value.to_string()).cmp(&(b.name.as_str(), b.value.to_string()))
    });
    sorted
}

/// Subsets of the conditions: all of them, or the simplest ones when there are many conditions.
fn looser<'c>(conditions: &[&'c HeaderMatch]) -> Vec<Vec<&'c HeaderMatch>> {
    if conditions.len() > SUBSETS_OF {
        let singles = conditions.iter().map(|condition| vec![*condition]);
        return std::iter::once(Vec::new())
            .chain(singles)
            .chain(std::iter::once(conditions.to_vec()))
            .collect();
    }
    let subset = |bits: usize| {
        let chosen = conditions.iter().enumerate().filter(|(index, _)| bits & (1 << index) != 0);
        chosen.map(|(_, condition)| *condition).collect()
    };
    (0..1 << conditions.len()).map(subset).collect()
}
