//! The round trip that a client may expect to each region.
//!
//! A row of the latency table, else the distance. Measurements will come between the two.

use super::super::decide::Facts;
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

/// Expected round trips in milliseconds.
#[derive(Debug)]
pub(in crate::routing) struct Expected<'a> {
    /// By position, of the regions that have a row.
    rows: [f64; REGIONS_PER_DEPLOYMENT],
    /// The regions that have none.
    rowless: RegionSet,
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
        let mut rows = [f64::INFINITY; REGIONS_PER_DEPLOYMENT];
        let rowless = each_row(plan, deployment, facts, among, |position, ms, _| {
            if let Some(slot) = rows.get_mut(position.index()) {
                *slot = ms;
            }
        });
        let client = facts.location.coordinates.map(ClientPoint::at);
        let known = client.is_some() || rowless != among;
        known.then_some(Self { rows, rowless, sites: &deployment.sites, client })
    }

    /// Infinite where nothing is known.
    pub(super) fn ms(&self, position: RegionPosition) -> f64 {
        match self.by_distance(position) {
            Some(client) => self.sites.km(position, client) / KM_PER_MS * DETOUR,
            None => self.row(position),
        }
    }

    /// The square of [`ms`](Self::ms).
    #[inline]
    pub(super) fn ms_squared(&self, position: RegionPosition) -> f64 {
        match self.by_distance(position) {
            Some(client) => {
                self.sites.angle_squared(position, client) * (MS_PER_RADIAN * MS_PER_RADIAN)
            }
            None => self.row(position).powi(2),
        }
    }

    /// At most [`ms_squared`](Self::ms_squared), and cheaper.
    #[inline]
    pub(super) fn ms_squared_floor(&self, position: RegionPosition) -> f64 {
        match self.by_distance(position) {
            Some(client) => {
                self.sites.angle_squared_floor(position, client) * (MS_PER_RADIAN * MS_PER_RADIAN)
            }
            None => self.row(position).powi(2),
        }
    }

    /// The client, if it is the distance that counts for this region.
    fn by_distance(&self, position: RegionPosition) -> Option<&ClientPoint> {
        self.client.as_ref().filter(|_| self.rowless.contains(position))
    }

    fn row(&self, position: RegionPosition) -> f64 {
        self.rows.get(position.index()).copied().unwrap_or(f64::INFINITY)
    }

    /// Where what is expected of each region is from; the others go by distance.
    pub(super) fn origins(
        plan: &Plan,
        deployment: &DeploymentPlan,
        facts: &Facts<'_>,
        among: RegionSet,
    ) -> Vec<(RegionPosition, ClientKey)> {
        let mut origins = Vec::new();
        each_row(plan, deployment, facts, among, |position, _, key| origins.push((position, key)));
        origins
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
