//! What residency says of a request, for those who rehearse decisions.

use crate::routing::facts::Facts;
use crate::routing::plan::DeploymentIndex;
use crate::routing::regions::RegionSet;
use crate::routing::table::Table;

/// What residency says of a request, whatever became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResidencyView {
    /// The policies that apply, by their place in the configuration: bit 0 is the first.
    pub applying: u64,
    /// Regions that every binding policy that applies allows.
    pub allowed: RegionSet,
    /// Regions that only reporting policies would have taken out as well.
    pub reported: RegionSet,
}

/// What residency says of a request to a deployment; `None` if it has no policies.
pub fn residency_view(
    table: &Table,
    index: DeploymentIndex,
    facts: &Facts<'_>,
) -> Option<ResidencyView> {
    let deployment = table.plan.deployment(index)?;
    if deployment.residency.is_empty() {
        return None;
    }
    let verdict = deployment.residency.verdict(facts, deployment.eligible());
    Some(ResidencyView {
        applying: verdict.applying,
        allowed: verdict.allowed,
        reported: verdict.reported,
    })
}
