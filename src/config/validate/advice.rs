//! Warnings: what is allowed, and probably not what was meant.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::deployment::{DEFAULT_WEIGHT, Members};
use super::effect;
use super::known_regions::KnownRegions;
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Entries, Field, State};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{Deployment, HostPattern, Strategy};

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

/// Homes of tenants where no deployment knows any tenant.
pub(super) fn unused_homes(
    tenants: &Field<raw::Tenants>,
    deployments: &Field<Vec<Field<raw::Deployment>>>,
    report: &Report<'_>,
) {
    let knows = |deployment: &Field<raw::Deployment>| {
        deployment.value().is_none_or(|deployment| !deployment.tenant.is_absent())
    };
    let list = deployments.value();
    if !tenants.is_absent() && list.is_some_and(|list| !list.iter().any(knows)) {
        let help = "add `tenant` to a deployment, such as `tenant: { header: x-tenant-id }`";
        report.warning(tenants.at, "no deployment reads the tenant of a request", help);
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
    let elsewhere = effect::uses(raw, |strategy| matches!(strategy, raw::Strategy::Weighted))
        || raw.affinity.value().is_some_and(|affinity| {
            matches!(affinity.mode.state, State::Present(raw::AffinityMode::Client))
        });
    if strategy != Strategy::Weighted {
        if elsewhere {
            return;
        }
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
