//! What a simulation counts. Parts that different threads have counted add up to the same whatever
//! thread counted what.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::log::BadLines;
use super::spread::Spread;
use super::timeline::Timeline;
use crate::model::Country;
use crate::model::limits::{RESIDENCY_POLICIES, SIMULATED_TENANTS_MOVED};
use crate::routing::{Reason, RefusalReason};

/// A region by its place among the regions of both tables; one more is no region.
pub(super) type Place = u16;
/// Where counts of clients of unknown country are.
pub(super) const NO_COUNTRY: usize = Country::COUNT;
const COUNTRIES: usize = Country::COUNT + 1;

/// What one table did with the requests.
#[derive(Clone, Debug)]
pub(super) struct SideTally {
    /// Requests by [`Place`].
    pub(super) regions: Box<[u64]>,
    pub(super) reasons: [u64; Reason::ALL.len()],
    /// Refusals by reason and country.
    pub(super) refused: Box<[u64]>,
    pub(super) expected: Spread,
    /// Requests that got a region of which nothing is expected.
    pub(super) unexpected: u64,
    pub(super) timeline: Timeline,
    /// Requests that were meant for a region and did not find it open, by [`Place`].
    pub(super) spilled: Box<[u64]>,
    /// By deployment.
    pub(super) residency: Vec<ResidencyTally>,
}

/// What the policies of one deployment said.
#[derive(Clone, Debug)]
pub(super) struct ResidencyTally {
    /// Requests that each policy applies to.
    pub(super) applying: Box<[u64]>,
    /// Those of them that were refused for want of an allowed region.
    pub(super) refused: Box<[u64]>,
    /// Requests that had one allowed region and no other.
    pub(super) single: u64,
    /// Requests that went where a policy that only reports would not have let them.
    pub(super) reported: u64,
    /// Requests that went where no request may go; a bug if there is one.
    pub(super) violated: u64,
}

impl Default for ResidencyTally {
    fn default() -> Self {
        let none = || vec![0; RESIDENCY_POLICIES].into_boxed_slice();
        Self { applying: none(), refused: none(), single: 0, reported: 0, violated: 0 }
    }
}

/// From where to where requests of which country moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct MoveKey {
    pub(super) country: u16,
    pub(super) from: Place,
    pub(super) to: Place,
}

/// What a simulation counts.
#[derive(Clone, Debug)]
pub struct Tally {
    pub(super) requests: u64,
    pub(super) before: SideTally,
    pub(super) after: Option<SideTally>,
    /// Requests by country.
    pub(super) countries: Box<[u64]>,
    pub(super) moved: u64,
    pub(super) moves: HashMap<MoveKey, u64, FixedState>,
    pub(super) tenants: HashMap<Box<str>, u64, FixedState>,
    /// Moves of tenants beyond the limit.
    pub(super) tenants_missed: u64,
    /// The first and the last moment.
    pub(super) span: Option<(u64, u64)>,
    pub(super) bad: BadLines,
}

impl SideTally {
    pub(super) fn new(places: usize, deployments: usize) -> Self {
        Self {
            regions: vec![0; places].into(),
            reasons: [0; Reason::ALL.len()],
            refused: vec![0; RefusalReason::ALL.len() * COUNTRIES].into(),
            expected: Spread::default(),
            unexpected: 0,
            timeline: Timeline::new(places),
            spilled: vec![0; places].into(),
            residency: vec![ResidencyTally::default(); deployments],
        }
    }

    pub(super) fn refuse(&mut self, why: RefusalReason, country: usize) {
        bump(&mut self.refused, why as usize * COUNTRIES + country);
    }

    /// How often which countries were refused for that reason.
    pub(super) fn refusals(&self, why: RefusalReason) -> &[u64] {
        let start = why as usize * COUNTRIES;
        self.refused.get(start..start + COUNTRIES).unwrap_or_default()
    }

    fn absorb(&mut self, other: Self) {
        sum(&mut self.regions, &other.regions);
        sum(&mut self.reasons, &other.reasons);
        sum(&mut self.refused, &other.refused);
        sum(&mut self.spilled, &other.spilled);
        self.expected.absorb(&other.expected);
        self.unexpected += other.unexpected;
        self.timeline.absorb(other.timeline);
        for (own, others) in self.residency.iter_mut().zip(other.residency) {
            sum(&mut own.applying, &others.applying);
            sum(&mut own.refused, &others.refused);
            own.single += others.single;
            own.reported += others.reported;
            own.violated += others.violated;
        }
    }
}

impl Tally {
    pub(super) fn new(before: SideTally, after: Option<SideTally>) -> Self {
        Self {
            requests: 0,
            before,
            after,
            countries: vec![0; COUNTRIES].into(),
            moved: 0,
            moves: HashMap::default(),
            tenants: HashMap::default(),
            tenants_missed: 0,
            span: None,
            bad: BadLines::default(),
        }
    }

    /// Requests that were decided.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Lines that were no requests.
    pub fn bad_lines(&self) -> &BadLines {
        &self.bad
    }

    pub(super) fn at(&mut self, at_us: u64, until_us: u64) {
        let (first, last) = self.span.unwrap_or((at_us, until_us));
        self.span = Some((first.min(at_us), last.max(until_us)));
    }

    pub(super) fn moves(&mut self, key: MoveKey, tenant: Option<&str>) {
        self.moved += 1;
        *self.moves.entry(key).or_default() += 1;
        if let Some(tenant) = tenant {
            self.tenant_moves(tenant, 1);
        }
    }

    fn tenant_moves(&mut self, tenant: &str, count: u64) {
        if let Some(known) = self.tenants.get_mut(tenant) {
            *known += count;
        } else if self.tenants.len() < SIMULATED_TENANTS_MOVED {
            self.tenants.insert(tenant.into(), count);
        } else {
            self.tenants_missed += count;
        }
    }

    pub(super) fn absorb(&mut self, other: Self) {
        self.requests += other.requests;
        self.before.absorb(other.before);
        if let (Some(own), Some(others)) = (&mut self.after, other.after) {
            own.absorb(others);
        }
        sum(&mut self.countries, &other.countries);
        self.moved += other.moved;
        for (key, count) in other.moves {
            *self.moves.entry(key).or_default() += count;
        }
        for (tenant, count) in other.tenants {
            self.tenant_moves(&tenant, count);
        }
        self.tenants_missed += other.tenants_missed;
        if let Some((first, last)) = other.span {
            self.at(first, last);
        }
        self.bad.absorb(other.bad);
    }
}

/// Counts one more at that place.
pub(super) fn bump(counts: &mut [u64], place: usize) {
    if let Some(count) = counts.get_mut(place) {
        *count += 1;
    }
}

fn sum(own: &mut [u64], others: &[u64]) {
    for (own, others) in own.iter_mut().zip(others) {
        *own += others;
    }
}
