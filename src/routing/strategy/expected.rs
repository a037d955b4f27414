//! The round trip that a client may expect to each region: what is known of it, else the distance.
//!
//! Numbers and their order only; where a known one comes from is `known`'s business.

use super::super::outcome::Reason;
use super::super::plan::RegionPosition;
use super::super::regions::RegionSet;
use super::distance::{ClientPoint, Sites, angle};
use super::known::each_known;
use super::select::{FLOOR_MARGIN, select, select_above_floor};
use super::{Order, Request};
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
const TOLERANCE: f64 = 1e-9;
/// What rounding may take from a round trip on its way through its square, in milliseconds.
const ROUNDING_MS: f64 = 1e-6;

/// Expected round trips.
#[derive(Debug)]
pub(in crate::routing) struct Expected<'a> {
    /// By position, the square of the milliseconds: as it is known, or at most that by distance;
    /// infinite where nothing is known.
    floors: [f64; REGIONS_PER_DEPLOYMENT],
    /// The regions for which the distance counts.
    by_distance: RegionSet,
    sites: &'a Sites,
    client: Option<ClientPoint>,
}

impl<'a> Expected<'a> {
    /// For the regions of the request; if nothing is known for any of them, why.
    pub(super) fn new(request: &Request<'a>) -> Result<Self, Reason> {
        let Request { deployment, facts, among, .. } = *request;
        let mut floors = [f64::INFINITY; REGIONS_PER_DEPLOYMENT];
        let mut keep = |position: RegionPosition, squared| {
            if let Some(slot) = floors.get_mut(position.index()) {
                *slot = squared;
            }
        };
        let mut stale = false;
        let left = each_known(request, |position, ms, _| keep(position, ms * ms), |_| stale = true);
        let (sites, client) = (&deployment.sites, facts.location.coordinates.map(ClientPoint::at));
        let mut by_distance = RegionSet::EMPTY;
        if let Some(client) = &client {
            by_distance = left;
            for position in left {
                let floor = sites.angle_squared_floor(position, client);
                keep(position, floor * (MS_PER_RADIAN * MS_PER_RADIAN));
            }
        }
        match client.is_some() || left != among {
            true => Ok(Self { floors, by_distance, sites, client }),
            false if stale => Err(Reason::LatencyStale),
            false => Err(Reason::LatencyUnknown),
        }
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

    /// The milliseconds; infinite where nothing is known.
    pub(super) fn ms(&self, position: RegionPosition) -> f64 {
        self.ms_squared(position).sqrt()
    }

    /// Appends the regions of `members`, lowest round trip first, as many as fit.
    pub(super) fn order<const N: usize>(&self, members: RegionSet, out: &mut Order<N>) {
        let floor = |position| self.ms_squared_floor(position);
        if self.exact() {
            select(members, out, TOLERANCE, floor);
        } else {
            select_above_floor(members, out, TOLERANCE, floor, |position| {
                self.ms_squared(position)
            });
        }
    }

    /// The lowest and the highest round trip of `members` that are known, in milliseconds.
    pub(super) fn range(&self, members: RegionSet) -> Option<(f64, f64)> {
        let far = members.and(self.by_distance);
        // Among distances, floors ascend as what they are floors of.
        let by_distance = self.floors_of(far).map(|(low, high)| (ms_above(low), ms_above(high)));
        let known = self.floors_of(members.without(far));
        match (by_distance, known.map(|(low, high)| (low.sqrt(), high.sqrt()))) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        }
    }

    /// The milliseconds, or less but not by much; infinite where nothing is known.
    #[inline]
    pub(super) fn ms_floor(&self, position: RegionPosition) -> f64 {
        let floor = self.ms_squared_floor(position);
        if !self.by_distance.contains(position) {
            return floor.sqrt();
        }
        // 2 asin(c / 2) is c (1 + c²/24 + 3 c⁴/640 + ...), whose terms are all positive.
        let x = floor * (1.0 / (MS_PER_RADIAN * MS_PER_RADIAN));
        floor.sqrt() * (1.0 + x * (1.0 / 24.0 + x * (3.0 / 640.0 + x * (5.0 / 7_168.0))))
    }

    /// What two round trips of about so many milliseconds may differ by and be equal but for rounding.
    pub(super) fn rounding_at(ms: f64) -> f64 {
        ms - (ms * ms - TOLERANCE).max(0.0).sqrt()
    }

    /// Those of `members` that come to no more than so many milliseconds.
    pub(super) fn within(&self, members: RegionSet, ms: f64) -> RegionSet {
        let limit = (ms + ROUNDING_MS).powi(2);
        let within = |position: &RegionPosition| {
            self.ms_squared_floor(*position) <= limit && self.ms_squared(*position) <= limit
        };
        members.iter().filter(within).collect()
    }

    /// The lowest and the highest floor of `members`, of those that have one.
    fn floors_of(&self, members: RegionSet) -> Option<(f64, f64)> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for position in members {
            let floor = self.ms_squared_floor(position);
            low = low.min(floor);
            high = high.max(if floor == f64::INFINITY { f64::NEG_INFINITY } else { floor });
        }
        low.is_finite().then_some((low, high))
    }
}

/// The milliseconds of a distance whose floor is this.
fn ms_above(floor: f64) -> f64 {
    let chord_squared = floor * (1.0 / (MS_PER_RADIAN * MS_PER_RADIAN)) / FLOOR_MARGIN;
    angle(chord_squared) * MS_PER_RADIAN
}
