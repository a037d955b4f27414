//! The guard before every attempt: may this request be sent to that region?
//!
//! Reads the configuration itself, in its own words, and takes nothing from the decision or from
//! the compiled policies: a mistake there is met here. It is not meant to be fast, only never to
//! allow what a policy forbids; without policies it costs nothing.

use super::path::ReadPath;
use crate::config::{Applies, Enforcement, Region, ResidencyPolicy, Unknown};
use crate::routing::facts::Facts;
use crate::routing::plan::{DeploymentPlan, RegionPosition};

/// Whether the request may be sent to that region: the guard before every attempt. Takes nothing
/// from the decision, so that a mistake there is met here.
pub fn permits(deployment: &DeploymentPlan, facts: &Facts<'_>, position: RegionPosition) -> bool {
    let Some(settings) = deployment.settings.regions.get(position.index()) else {
        return false;
    };
    // What a policy allows comes first: most of the time that is all there is to ask.
    deployment.settings.residency.iter().all(|policy| {
        policy.enforcement == Enforcement::Report
            || allows(policy, &settings.region)
            || !concerns(policy, facts)
    })
}

/// Whether the policy allows the region, for requests that it applies to.
fn allows(policy: &ResidencyPolicy, region: &Region) -> bool {
    if let Some(ids) = &policy.allowed_regions
        && !ids.contains(&region.id)
    {
        return false;
    }
    policy.required_compliance.iter().all(|framework| region.compliance.contains(framework))
}

/// Whether the policy applies to the request: whether no field that is written rules it out.
fn concerns(policy: &ResidencyPolicy, facts: &Facts<'_>) -> bool {
    let Applies { countries, tenants, headers, path_prefixes } = &policy.applies_to;
    let unknown = policy.when_unknown == Unknown::Apply;
    if !countries.is_empty() {
        let holds = facts.location.country.map_or(unknown, |country| countries.contains(&country));
        if !holds {
            return false;
        }
    }
    if !headers.is_empty() {
        let holds = headers.iter().any(|header| {
            let mut lines = facts.headers.get_all(&header.name).iter();
            lines.any(|line| header.value.matches(line.as_bytes()))
        });
        if !holds {
            return false;
        }
    }
    if !path_prefixes.is_empty() {
        let path = ReadPath::of(facts.path);
        if !path_prefixes.iter().any(|prefix| path.is_below(prefix)) {
            return false;
        }
    }
    if !tenants.is_empty() {
        let named = |tenant| tenants.iter().any(|listed| listed.as_str() == tenant);
        return facts.tenant.map_or(unknown, named);
    }
    true
}
