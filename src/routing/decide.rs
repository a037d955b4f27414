//! The decision: one walk down the steps, each of which narrows or orders the list of regions.
//!
//! [`decide_in`] is the table of contents; a step is a method of [`Walk`](super::walk::Walk). Each tells the trace what
//! it did; the words are `story`'s. Not here: the choice of an endpoint inside the region
//! (`endpoint`), because a retry makes it again.

use arrayvec::ArrayVec;

use super::draws::Draws;
use super::facts::{Conditions, Facts};
use super::outcome::{Reason, Refusal};
use super::plan::{DeploymentIndex, DeploymentPlan, Plan, RegionPosition, RuleIndex};
use super::story;
use super::table::{DeploymentHealth, Table};
use super::trace::Trace;
use super::walk::Walk;
use crate::model::limits::REGIONS_PER_DECISION;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The deployment that answers.
    pub deployment: DeploymentIndex,
    /// The region, then the alternates to try in order; at least one.
    pub order: ArrayVec<RegionPosition, REGIONS_PER_DECISION>,
    /// Why that region.
    pub reason: Reason,
    /// The rule that holds for the request, whether or not it could be followed.
    pub rule: Option<RuleIndex>,
    /// Whether the regions of `order` may be down.
    pub ignoring_health: bool,
    /// Whether the client's affinity token still says the right thing.
    pub keeps_token: bool,
    /// Whether a policy that only reports would not have allowed the region.
    pub reported: bool,
}

/// The deployment that answers a host (lower case, no port) and a path.
pub fn deployment(table: &Table, host: &str, path: &str) -> Option<DeploymentIndex> {
    table.plan.hosts.find(host, path)
}

/// Decides where a request goes.
pub fn decide<T: Trace>(
    table: &Table,
    facts: &Facts<'_>,
    conditions: &Conditions<'_>,
    draws: Draws,
    trace: &mut T,
) -> Result<Decision, Refusal> {
    let Some(index) = deployment(table, facts.host, facts.path) else {
        trace.record(|| story::no_deployment(facts));
        return Err(Refusal::NO_DEPLOYMENT);
    };
    decide_in(table, index, facts, conditions, draws, trace)
}

/// Decides where a request goes in a deployment that [`deployment`] has found in the same table.
pub fn decide_in<T: Trace>(
    table: &Table,
    index: DeploymentIndex,
    facts: &Facts<'_>,
    conditions: &Conditions<'_>,
    draws: Draws,
    trace: &mut T,
) -> Result<Decision, Refusal> {
    let Some((deployment, health)) = table.deployment(index) else {
        trace.record(|| story::no_deployment(facts));
        return Err(Refusal::NO_DEPLOYMENT);
    };
    trace.record(|| story::deployment(deployment, facts));
    trace.record(|| story::eligible(deployment));
    let scene = Scene { plan: &table.plan, deployment, health, facts, conditions };
    let overrides = table.overrides(index);
    let mut walk = Walk::new(index, scene, overrides, trace);
    walk.residency()?;
    walk.overrides();
    walk.hint()?;
    walk.pin()?;
    walk.rule()?;
    walk.writes()?;
    walk.affinity()?;
    walk.prefer();
    walk.arrive(draws)
}

/// What every step looks at.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) plan: &'a Plan,
    pub(super) deployment: &'a DeploymentPlan,
    pub(super) health: &'a DeploymentHealth,
    pub(super) facts: &'a Facts<'a>,
    pub(super) conditions: &'a Conditions<'a>,
}
