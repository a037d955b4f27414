//! The round trip that a client may expect to each region.
//!
//! A row of the latency table, else the distance. Measurements will come between the two.

use super::super::facts::Facts;
use super::super::latency::ClientKey;
use super::super::plan::{DeploymentPlan, Plan, RegionPosition};
use super::super::regions::RegionSet;
use super::distance::{ClientPoint, Sites};
use crate::model::EARTH_RADIUS_KM;
use crate::model::limits::REGIONS_PER_DEPLOYMENT;

/// Kilometres of great circle that a packet goes there and back in a millisecond: light in fibre
/// makes about 200 km in one.
const KM_PER_MS: f64 = 100.0;
/// How much longer the way of the cables is.
const DETOUR: f64 = 1.4;
/// Milliseconds for an angle of one radian.
const MS_PER_RADIAN: f64 = EARTH_RADIUS_KM / KM_PER_MS * DETOUR;

/// Squares of expectations that differ by no more are equal but for rounding.
pub(super) const TOLERANCE: f64 = 1e-9;

/// Expected round trips.
#[derive(Debug)]
pub(in crate::routing) struct Expected<'a> {
    /// By position, the square of the milliseconds: as the row has it, or at most that by distance;
    /// infinite where nothing is known.
    floors: [f64; REGIONS_PER_DEPLOYMENT],
    /// The regions for which the distance counts.
    by_distance: RegionSet,
    sites: &'a Sites,
    client: Option<ClientPoint>,
}

impl<'a> Expected<'a> {
    /// For the regions of `among`; `None` if nothing is known for any of them.
    pub(super) fn new(
        plan: &Plan,
        deployment: &'a DeploymentPlan,
        facts: &Facts<'_>,
        among: RegionSet,
    ) -> Option<Self> {
        let mut floors = [f64::INFINITY; REGIONS_PER_DEPLOYMENT];
        let mut keep = |position: RegionPosition, squared| {
            if let Some(slot) = floors.get_mut(position.index()) {
                *slot = squared;
            }
        };
        let rowless = each_row(plan, deployment, facts, among, |position, ms, _| {
            keep(position, ms * ms);
        });
        let (sites, client) = (&deployment.sites, facts.location.coordinates.map(ClientPoint::at));
        let mut by_distance = RegionSet::EMPTY;
        if let Some(client) = &client {
            by_distance = rowless;
            for position in rowless {
                let floor = sites.angle_squared_floor(position, client);
                keep(position, floor * (MS_PER_RADIAN * MS_PER_RADIAN));
            }
        }
        let known = client.is_some() || rowless != among;
        known.then_some(Self { floors, by_distance, sites, client })
    }

    /// Whether every floor is what it is a floor of.
    pub(super) fn exact(&self) -> bool {
        self.by_distance.is_empty()
    }

    /// The square of the milliseconds, or less; infinite where nothing is known.
    #[inline]
    pub(super) fn ms_squared_floor(&self, position: RegionPosition) -> f64 {
        self.floors.get(position.index()).copied().unwrap_or(f64::INFINITY)
    }

    /// The square of the milliseconds; infinite where nothing is known.
    #[inline]
    pub(super) fn ms_squared(&self, position: RegionPosition) -> f64 {
        match &self.client {
            Some(client) if self.by_distance.contains(position) => {
                self.sites.angle_squared(position, client) * (MS_PER_RADIAN * MS_PER_RADIAN)
            }
            _ => self.ms_squared_floor(position),
        }
    }

    /// The rows that count, for people.
    pub(super) fn rows(
        plan: &Plan,
        deployment: &DeploymentPlan,
        facts: &Facts<'_>,
        among: RegionSet,
    ) -> Vec<(RegionPosition, f64, ClientKey)> {
        let mut rows = Vec::new();
        each_row(plan, deployment, facts, among, |position, ms, key| {
            rows.push((position, ms, key));
        });
        rows
    }
}

/// Calls `found` with the row of each region of `among` that has one, and gives back the others.
fn each_row(
    plan: &Plan,
    deployment: &DeploymentPlan,
    facts: &Facts<'_>,
    among: RegionSet,
    mut found: impl FnMut(RegionPosition, f64, ClientKey),
) -> RegionSet {
    let mut rowless = among;
    if let Some(lookup) = &plan.latency {
        let (address, positions) = (facts.client.address, &deployment.latency_positions);
        lookup.rows(address, &facts.location, among, positions, |position, ms, key| {
            rowless.remove(position);
            found(position, ms, key);
        });
    }
    rowless
}
