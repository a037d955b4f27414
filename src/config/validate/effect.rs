//! Settings of a deployment that need others: an error where nothing could ever come of them, a
//! warning where they do nothing.
//!
//! Asked of the shapes, so that an error elsewhere in the deployment hides none of these.

use super::Context;
use super::deployment::Members;
use super::known_regions::KnownRegions;
use crate::config::error::Quoted;
use crate::config::field::{Field, State};
use crate::config::raw::{self, Strategy};
use crate::config::report::Report;

pub(super) fn check(
    raw: &raw::Deployment,
    members: &Members<'_>,
    known: &KnownRegions<'_>,
    cx: Context<'_>,
) {
    score(raw, cx.report);
    latency_margins(raw, cx.report);
    compliance(raw, cx.report);
    homes(raw, cx);
    priorities(raw, members, known, cx.report);
    nameless_tenants(raw, cx.report);
    ordered_by_weights(raw, cx.report);
}

/// Whether the deployment or a rule of it is known to use such a strategy.
pub(super) fn uses(raw: &raw::Deployment, such: impl Fn(Strategy) -> bool) -> bool {
    used(raw, such).next().is_some()
}

/// Where such a strategy is written.
fn used<'r>(
    raw: &'r raw::Deployment,
    such: impl Fn(Strategy) -> bool + 'r,
) -> impl Iterator<Item = &'r Field<Strategy>> {
    let of_rules = rules(raw).map(|rule| &rule.routing_strategy);
    let all = std::iter::once(&raw.routing_strategy).chain(of_rules);
    all.filter(move |field| field.value().is_some_and(|strategy| such(*strategy)))
}

fn rules(raw: &raw::Deployment) -> impl Iterator<Item = &raw::Rule> {
    raw.routing_rules.value().into_iter().flatten().filter_map(Field::value)
}

fn policies(raw: &raw::Deployment) -> impl Iterator<Item = &raw::Policy> {
    raw.residency.value().into_iter().flatten().filter_map(Field::value)
}

/// Whether a strategy could not be read, so that nothing can be said of what is not used.
fn unclear(raw: &raw::Deployment) -> bool {
    raw.routing_strategy.is_broken()
        || raw.routing_rules.is_broken()
        || rules(raw).any(|rule| rule.routing_strategy.is_broken())
}

fn score(raw: &raw::Deployment, report: &Report<'_>) {
    let is_score = |strategy| matches!(strategy, Strategy::Score);
    if raw.objectives.is_absent() {
        for field in used(raw, is_score) {
            let help = "add for example `objectives: { latency: 0.6, cost: 0.3, load: 0.1 }` to \
                        the deployment";
            report.error(field.at, "the strategy `score` needs `objectives`", help);
        }
    } else if !uses(raw, is_score) && !unclear(raw) {
        let message = "`objectives` have no effect without the strategy `score`";
        report.warning(raw.objectives.at, message, "use `routing_strategy: score`, or remove them");
    }
}

fn latency_margins(raw: &raw::Deployment, report: &Report<'_>) {
    let default = raw.routing_strategy.is_absent();
    let is_latency = |strategy| matches!(strategy, Strategy::Latency);
    if default || uses(raw, is_latency) || unclear(raw) {
        return;
    }
    for (name, field) in [
        ("latency_tolerance_ms", &raw.latency_tolerance_ms),
        ("latency_switch_ms", &raw.latency_switch_ms),
    ] {
        if !field.is_absent() {
            let message = format!("`{name}` has no effect without the strategy `latency`");
            report.warning(field.at, message, "use `routing_strategy: latency`, or remove it");
        }
    }
}

fn compliance(raw: &raw::Deployment, report: &Report<'_>) {
    let binds = |policy: &raw::Policy| {
        !matches!(policy.enforcement.state, State::Present(raw::Enforcement::Report))
    };
    let count = raw.residency.value().map_or(0, Vec::len);
    if raw.residency.is_broken() || policies(raw).any(binds) || policies(raw).count() < count {
        return;
    }
    for field in used(raw, |strategy| matches!(strategy, Strategy::Compliance)) {
        let message = "the strategy `compliance` serves only requests that a strict residency \
                       policy applies to, and there is none";
        report.error(field.at, message, "add a policy under `residency`, or use `geolocation`");
    }
}

fn homes(raw: &raw::Deployment, cx: Context<'_>) {
    let mode = raw.writes.value().map(|writes| &writes.mode);
    let Some(mode) = mode.filter(|mode| matches!(mode.value(), Some(raw::WriteMode::Home))) else {
        return;
    };
    if raw.tenant.is_absent() {
        let message = "writes go to the tenant's home, and no tenant is ever known";
        let help = "add `tenant`, such as `tenant: { header: x-tenant-id }`, or use `primary`";
        cx.report.error(mode.at, message, help);
    } else if !cx.around.homes {
        let message = "writes go to the tenant's home, and no tenant has one";
        let help = "add `tenants: { file: tenants.csv }`, or use `primary`";
        cx.report.warning(mode.at, message, help);
    }
}

fn priorities(
    raw: &raw::Deployment,
    members: &Members<'_>,
    known: &KnownRegions<'_>,
    report: &Report<'_>,
) {
    let limited = |id: &&str| known.region(id).is_none_or(|region| region.max_in_flight.is_some());
    if !raw.priorities.is_absent() && members.complete && !members.eligible.iter().any(limited) {
        let message = "`priorities` have no effect where no region has `max_in_flight`";
        report.warning(raw.priorities.at, message, "give the regions a limit, or remove them");
    }
}

/// Tenants that rules and policies name in a deployment that knows none.
fn nameless_tenants(raw: &raw::Deployment, report: &Report<'_>) {
    if !raw.tenant.is_absent() {
        return;
    }
    let help = "add `tenant` to the deployment, such as `tenant: { header: x-tenant-id }`";
    for rule in rules(raw).filter(|rule| !rule.tenants.is_absent()) {
        let message = "no request reaches this rule, because no tenant is ever known";
        report.warning(rule.tenants.at, message, help);
    }
    for policy in policies(raw) {
        let tenants = policy.applies_to.value().map(|applies| &applies.tenants);
        let Some(tenants) = tenants.filter(|tenants| !tenants.is_absent()) else { continue };
        let name = policy.name.value().map_or("", String::as_str);
        let message = match policy.when_unknown.value() {
            Some(raw::Unknown::Skip) => {
                format!("the policy {} never applies: no tenant is ever known", Quoted(name))
            }
            _ => format!("the policy {} takes every tenant for one of these", Quoted(name)),
        };
        report.warning(tenants.at, message, help);
    }
}

fn ordered_by_weights(raw: &raw::Deployment, report: &Report<'_>) {
    let closed = |rule: &&raw::Rule| {
        !rule.weights.is_absent()
            && !rule.routing_strategy.is_absent()
            && rule.fallback_regions.value().is_some_and(|list| !list.is_empty())
    };
    for rule in rules(raw).filter(closed) {
        let message = "`routing_strategy` has no effect: `weights` order the targets";
        report.warning(rule.routing_strategy.at, message, "remove one of the two");
    }
}
