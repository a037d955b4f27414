//! The round trip that a client may expect to each region.
//!
//! A row of the latency table, else the distance. Measurements will come between the two.

use super::super::decide::Facts;
use super::super::latency::ClientKey;
use super::super::plan::{DeploymentPlan, Plan, RegionPosition};
use super::super::regions::RegionSet;
use super::distance::ClientPoint;
use crate::model::limits::REGIONS_PER_DEPLOYMENT;

/// Kilometres of great circle that a packet goes there and back in a millisecond: light in fibre
/// makes about 200 km in one.
const KM_PER_MS: f64 = 100.0;
/// How much longer the way of the cables is.
const DETOUR: f64 = 1.4;

/// Expectations that differ by less are equal but for rounding.
pub(super) const MS_TOLERANCE: f64 = 1e-9;

/// Expected round trips in milliseconds, by position.
#[derive(Debug)]
pub(in crate::routing) struct Expected {
    /// Infinite where nothing is known.
    ms: [f64; REGIONS_PER_DEPLOYMENT],
}

/// Where an expectation is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A row of the latency table.
    Row(ClientKey),
    /// The distance.
    Distance,
}

impl Expected {
    /// For the regions of `among`; `None` if nothing is known for any of them.
    pub(super) fn new(
        plan: &Plan,
        deployment: &DeploymentPlan,
        facts: &Facts<'_>,
        among: RegionSet,
    ) -> Option<Self> {
        let mut ms = [f64::INFINITY; REGIONS_PER_DEPLOYMENT];
        let mut any = false;
        expect(plan, deployment, facts, among, |position, expected, _| {
            if let Some(slot) = ms.get_mut(position.index()) {
                *slot = expected;
                any = true;
            }
        });
        any.then_some(Self { ms })
    }

    #[inline]
    pub(super) fn ms(&self, position: RegionPosition) -> f64 {
        self.ms.get(position.index()).copied().unwrap_or(f64::INFINITY)
    }
}

/// Calls `found` for each region of `among` of which something is known.
pub(super) fn expect(
    plan: &Plan,
    deployment: &DeploymentPlan,
    facts: &Facts<'_>,
    among: RegionSet,
    mut found: impl FnMut(RegionPosition, f64, Origin),
) {
    let mut missing = among;
    if let Some(lookup) = &plan.latency {
        lookup.rows(
            facts.client.address,
            &facts.location,
            among,
            &deployment.latency_positions,
            |position, ms, key| {
                missing.remove(position);
                found(position, ms, Origin::Row(key));
            },
        );
    }
    if let Some(client) = facts.location.coordinates.filter(|_| !missing.is_empty()) {
        let client = ClientPoint::at(client);
        for position in missing {
            let km = deployment.sites.km(position, &client);
            found(position, km / KM_PER_MS * DETOUR, Origin::Distance);
        }
    }
}
