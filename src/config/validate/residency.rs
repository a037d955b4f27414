//! What residency policies leave of a deployment: policies that no region satisfies, pairs that
//! leave none together, regions whose loss leaves none, and rules whose regions are out of reach.
//!
//! Only what follows from the configuration alone. Sets of regions are bits, by place in the
//! deployment's list.

use std::collections::HashMap;

use super::policy::Placed;
use super::rule;
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::report::Report;
use crate::config::settings::{
    Applies, Deployment, Enforcement, Region, ResidencyPolicy, Rule, Unknown,
};

/// A policy and the regions of the deployment that it allows.
struct Seen<'p> {
    at: NodeId,
    policy: &'p ResidencyPolicy,
    allowed: u128,
}

/// Reports what `deployment`, whose regions are known, can do with its policies and rules.
pub(super) fn check(
    deployment: &Deployment,
    policies: &[Placed],
    rules: &[rule::Placed<'_>],
    report: &Report<'_>,
) {
    let regions: Vec<_> = deployment.regions.iter().map(|settings| &*settings.region).collect();
    let mut binding = Vec::new();
    for Placed { at, policy } in policies {
        let seen = Seen { at: *at, policy, allowed: allowed(policy, &regions) };
        if satisfiable(&seen, report) && policy.enforcement == Enforcement::Strict {
            single(&seen, &regions, report);
            binding.push(seen);
        }
    }
    pairs(&binding, report);
    if !binding.is_empty() {
        let places = regions.iter().zip(0..).map(|(region, place)| (region.id.as_str(), place));
        let reach = Reach { deployment, binding: &binding, places: places.collect() };
        let enabled = rules.iter().filter(|placed| placed.rule.enabled);
        enabled.for_each(|placed| reach.rule(placed, report));
    }
}

fn allowed(policy: &ResidencyPolicy, regions: &[&Region]) -> u128 {
    let bits = regions.iter().zip(0..128_u32).filter(|(region, _)| policy.allows(region));
    bits.fold(0, |set, (_, place)| set | 1 << place)
}

fn satisfiable(Seen { at, policy, allowed }: &Seen<'_>, report: &Report<'_>) -> bool {
    if *allowed != 0 {
        return true;
    }
    let name = Quoted(&policy.name);
    let message = format!("no region of the deployment satisfies the policy {name}");
    if policy.enforcement == Enforcement::Strict {
        let help = "add a region that it allows to the deployment, or change the policy; as it is, \
                    every request that it applies to is refused";
        report.error(*at, message, help);
    } else {
        report.warning(*at, message, "once it is strict, it would refuse every request");
    }
    false
}

fn single(Seen { at, policy, allowed }: &Seen<'_>, regions: &[&Region], report: &Report<'_>) {
    if allowed.count_ones() != 1 || regions.len() < 2 {
        return;
    }
    if let Some(region) = regions.get(allowed.trailing_zeros() as usize) {
        let (name, id) = (Quoted(&policy.name), Quoted(region.id.as_str()));
        let message =
            format!("the loss of {id} leaves requests under the policy {name} without any region");
        let help = "it is the only region that the policy leaves; allow and add a second one";
        report.warning(*at, message, help);
    }
}

/// Pairs of policies that can apply to one request and leave no region for it.
fn pairs(binding: &[Seen<'_>], report: &Report<'_>) {
    for (index, second) in binding.iter().enumerate() {
        for first in binding.iter().take(index).filter(|first| first.allowed & second.allowed == 0)
        {
            let (together, help) = match meet(first.policy, second.policy) {
                Meeting::Never => continue,
                Meeting::Known => (
                    "a request that both apply to".to_owned(),
                    "such a request is refused; narrow what they apply to, or allow a region in both",
                ),
                Meeting::Unknown(what) => (
                    format!("a request of unknown {what}"),
                    "such a request is refused; write `when_unknown: skip` in one of them if it \
                     need not be",
                ),
            };
            let names = (Quoted(&first.policy.name), Quoted(&second.policy.name));
            let message =
                format!("the policies {} and {} leave no region for {together}", names.0, names.1);
            report.warning(second.at, message, help);
        }
    }
}

/// When two policies apply together.
enum Meeting {
    Never,
    /// Where everything is known.
    Known,
    /// Only where this is not known.
    Unknown(&'static str),
}

fn meet(a: &ResidencyPolicy, b: &ResidencyPolicy) -> Meeting {
    let (one, other) = (&a.applies_to, &b.applies_to);
    let unknown = a.when_unknown == Unknown::Apply && b.when_unknown == Unknown::Apply;
    let paths = one.path_prefixes.is_empty()
        || other.path_prefixes.is_empty()
        || one.path_prefixes.iter().any(|path| {
            other.path_prefixes.iter().any(|other| below(path, other) || below(other, path))
        });
    let countries = common(&one.countries, &other.countries);
    let tenants = common(&one.tenants, &other.tenants);
    // Headers never keep two policies apart: a request can have both.
    match (countries, tenants) {
        _ if !paths => Meeting::Never,
        (true, true) => Meeting::Known,
        (false, true) if unknown => Meeting::Unknown("country"),
        (true, false) if unknown => Meeting::Unknown("tenant"),
        (false, false) if unknown => Meeting::Unknown("country and tenant"),
        _ => Meeting::Never,
    }
}

/// Whether something can be in both lists, where an empty one holds everything.
fn common<T: PartialEq>(one: &[T], other: &[T]) -> bool {
    one.is_empty() || other.is_empty() || one.iter().any(|item| other.contains(item))
}

/// Whether the path is that prefix or below it.
fn below(path: &str, prefix: &str) -> bool {
    prefix == "/"
        || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What rules can reach under the policies.
struct Reach<'a> {
    deployment: &'a Deployment,
    binding: &'a [Seen<'a>],
    /// Places of the deployment's regions.
    places: HashMap<&'a str, u32>,
}

impl Reach<'_> {
    /// Reports regions of a rule that no request of it may go to.
    fn rule(&self, placed: &rule::Placed<'_>, report: &Report<'_>) {
        let rule = &placed.rule;
        let implied = |seen: &&Seen<'_>| self.implied(rule, &seen.policy.applies_to);
        let always: Vec<_> = self.binding.iter().filter(implied).collect();
        // A region that the deployment does not have has its own warning.
        let named = placed.targets.iter().chain(&placed.fallbacks);
        let named: Vec<_> =
            named.filter_map(|(at, id)| Some((*at, *id, *self.places.get(id)?))).collect();
        let refused = |place: u32| always.iter().find(|seen| seen.allowed >> place & 1 == 0);
        let out: Vec<_> = named
            .iter()
            .filter_map(|(at, id, place)| Some((*at, *id, refused(*place)?.policy)))
            .collect();
        let Some((_, _, first)) = out.first() else { return };
        if out.len() == named.len() {
            let (id, name) = (Quoted(rule.id.as_str()), Quoted(&first.name));
            let message = format!(
                "no region of the rule {id} may see its requests, because of the policy {name}"
            );
            let help = "the rule does nothing; name regions that the policy allows, or remove it";
            report.warning(placed.at, message, help);
            return;
        }
        for (at, id, policy) in out {
            let (id, name) = (Quoted(id), Quoted(&policy.name));
            let message = format!("{id} is out of reach here, because of the policy {name}");
            report.warning(at, message, "the rule skips it; remove it, or allow it in the policy");
        }
    }

    /// Whether a policy applies to every request that the rule holds for.
    fn implied(&self, rule: &Rule, applies: &Applies) -> bool {
        let of_subdivision = |(country, _): &(_, _)| applies.countries.contains(country);
        let countries = applies.countries.is_empty()
            || within(&rule.source_countries, |country| applies.countries.contains(country))
            || within(&rule.source_subdivisions, of_subdivision);
        let tenants = applies.tenants.is_empty()
            || within(&rule.tenants, |tenant| applies.tenants.contains(tenant));
        let headers = applies.headers.is_empty()
            || rule.header_conditions.iter().any(|header| applies.headers.contains(header));
        let under = |path: &str| applies.path_prefixes.iter().any(|prefix| below(path, prefix));
        let paths = applies.path_prefixes.is_empty()
            || under(&self.deployment.path_prefix)
            || within(&rule.path_prefixes, |path| under(path));
        countries && tenants && headers && paths
    }
}

/// Whether a list that asks for something asks only for such.
fn within<T>(list: &[T], such: impl Fn(&T) -> bool) -> bool {
    !list.is_empty() && list.iter().all(such)
}
