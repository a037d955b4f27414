//! Warnings: what is allowed, and probably not what was meant.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::deployment::{DEFAULT_WEIGHT, Members};
use super::known_regions::KnownRegions;
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Entries, Field};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{Deployment, HeaderMatch, HostPattern, Rule, Strategy};
use crate::model::Country;

/// Header conditions of a rule whose every subset is looked up; more would take long.
const SUBSETS_OF: usize = 6;

/// Regions that no deployment uses.
pub(super) fn unused_regions(
    known: &KnownRegions<'_>,
    deployments: &Field<Vec<Field<raw::Deployment>>>,
    report: &Report<'_>,
) {
    // A deployment that could not be read may use any of them.
    if report.has_errors() || deployments.value().is_none() {
        return;
    }
    for (at, id) in known.unused() {
        let help = "add it to a deployment's `replica_regions`, or remove it";
        report.warning(at, format!("no deployment uses the region {}", Quoted(id)), help);
    }
}

/// A deployment that cannot fail over, or finds a dead region late.
pub(super) fn deployment(
    raw: &raw::Deployment,
    at: NodeId,
    members: &Members<'_>,
    report: &Report<'_>,
) {
    let name = raw.name.value().map_or_else(
        || "this deployment".to_owned(),
        |name| format!("the deployment {}", Quoted(name)),
    );
    if members.complete && members.eligible.len() == 1 {
        let message = format!("{name} has one region only");
        report.warning(at, message, "it cannot fail over; add `replica_regions`");
    }
    if raw.health_check.is_absent() {
        let message = format!("{name} has no health check");
        let help = "a dead region is found only by the requests that meet it; add `health_check`";
        report.warning(at, message, help);
    }
}

/// Weights that are missing, that do nothing, or that leave nothing.
pub(super) fn weights(
    raw: &raw::Deployment,
    strategy: Option<Strategy>,
    members: &Members<'_>,
    report: &Report<'_>,
) {
    let (Some(strategy), true) = (strategy, members.complete) else { return };
    let entries = raw.regions.value().map_or(&[][..], |Entries(entries)| entries.as_slice());
    let mut weights = HashMap::new();
    for (key, value) in entries {
        let weight = value.value().map(|region| &region.weight);
        if let (Some(id), Some(weight)) = (key.value(), weight.filter(|w| !w.is_absent())) {
            let Some(number) = weight.value() else { return };
            weights.insert(id.as_str(), (weight.at, *number));
        }
    }
    if strategy != Strategy::Weighted {
        if let Some((at, _)) = weights.values().min_by_key(|(at, _)| *at) {
            let message =
                format!("weights have no effect with the strategy `{}`", strategy.as_str());
            report.warning(*at, message, "use `routing_strategy: weighted`, or remove them");
        }
        return;
    }
    let without: Vec<_> = members.eligible.iter().filter(|id| !weights.contains_key(*id)).collect();
    if let Some(id) = without.first() {
        let message = format!("{} has no weight and counts as {DEFAULT_WEIGHT}", Quoted(id));
        let at = if weights.is_empty() { raw.routing_strategy.at } else { raw.regions.at };
        report.warning(at, message, "give every region a weight; 0 takes it out of the draw");
    } else if members.eligible.iter().all(|id| weights.get(id).is_some_and(|(_, w)| *w == 0)) {
        let help = "give at least one a share";
        report.error(raw.regions.at, "no region has a weight above 0", help);
    }
}

/// Targets that a rule's weights leave out.
pub(super) fn unweighted_targets(
    at: NodeId,
    targets: &[(NodeId, &str)],
    weights: &HashMap<&str, u32>,
    report: &Report<'_>,
) {
    if let Some((_, id)) = targets.iter().find(|(_, id)| !weights.contains_key(id)) {
        let message = format!("{} has no weight and counts as {DEFAULT_WEIGHT}", Quoted(id));
        report.warning(at, message, "give every target a weight; 0 takes it out of the draw");
    }
}

/// Regions of a rule that the deployment does not have, or that are named twice.
pub(super) fn rule_regions(
    raw: &raw::Rule,
    targets: &[(NodeId, &str)],
    fallbacks: &[(NodeId, &str)],
    members: &Members<'_>,
    report: &Report<'_>,
) {
    if members.complete {
        let eligible: HashSet<_> = members.eligible.iter().copied().collect();
        for (at, id) in targets.iter().chain(fallbacks).filter(|(_, id)| !eligible.contains(id)) {
            let message = format!("{} does not serve this deployment", Quoted(id));
            let help = "the rule skips it; add it to `replica_regions`, or remove it here";
            report.warning(*at, message, help);
        }
        let none = !targets.iter().chain(fallbacks).any(|(_, id)| eligible.contains(id));
        if none && !targets.is_empty() {
            let message = "no region of this rule serves the deployment";
            let help = "the rule does nothing; its requests go where they would go without it";
            report.warning(raw.target_regions.at, message, help);
        }
    }
    let targets: HashSet<_> = targets.iter().map(|(_, id)| *id).collect();
    for (at, id) in fallbacks.iter().filter(|(_, id)| targets.contains(id)) {
        let message = format!("{} is a target of the rule already", Quoted(id));
        report.warning(*at, message, "remove it from `fallback_regions`");
    }
}

/// Deployments behind others that answer all of the same hosts and paths.
pub(super) fn never_reached(deployments: &[(NodeId, Arc<Deployment>)], report: &Report<'_>) {
    let mut first: HashMap<(Option<&HostPattern>, &str), &Deployment> = HashMap::new();
    for (at, deployment) in deployments {
        let path = deployment.path_prefix.as_str();
        let any_host = deployment.hosts.is_empty().then_some(None);
        let hosts: Vec<_> = any_host.into_iter().chain(deployment.hosts.iter().map(Some)).collect();
        let taken = hosts.iter().map(|host| first.get(&(*host, path))).collect::<Option<Vec<_>>>();
        if let Some(other) = taken.and_then(|taken| taken.first().map(|first| first.name.clone())) {
            let name = Quoted(deployment.name.as_str());
            let message = format!("no request reaches the deployment {name}");
            let help = format!("`{other}`, before it, answers the same hosts and path");
            report.warning(*at, message, help);
        }
        for host in hosts {
            first.entry((host, path)).or_insert(deployment);
        }
    }
}

/// Rules that no request reaches, because one that is asked earlier matches whatever they match.
///
/// An earlier rule does when its header conditions are among this one's and its countries include
/// this one's; several earlier rules may share the countries.
pub(super) fn shadowed_rules(rules: &[(NodeId, Rule)], report: &Report<'_>) {
    let mut order: Vec<_> = rules.iter().filter(|(_, rule)| rule.enabled).collect();
    order.sort_by_key(|(_, rule)| std::cmp::Reverse(rule.priority));
    let mut asked: HashMap<Vec<&HeaderMatch>, Earlier<'_>> = HashMap::new();
    for (at, rule) in order {
        let conditions = canonical(&rule.header_conditions);
        let looser = looser(&conditions);
        let mut earlier = looser.iter().filter_map(|subset| asked.get(subset));
        if let Some(other) = earlier.find_map(|earlier| earlier.covers(&rule.source_countries)) {
            let message = format!("no request reaches the rule {}", Quoted(rule.id.as_str()));
            let help = format!("`{}` is asked before it and matches the same requests", other.id);
            report.warning(*at, message, help);
        }
        asked.entry(conditions).or_default().add(rule);
    }
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
