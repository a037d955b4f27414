//! What keeps near-equal regions from taking turns under `latency`: a tolerance within which the
//! less busy region is as good as the faster one, and a lead that another region needs before a
//! client network leaves the one it is at.
//!
//! Both compare with the fastest region of the group that is up:
//!
//! - `latency_tolerance_ms`: the regions that are slower by no more come first, ordered by
//!   utilisation, then round trip; the others follow by round trip.
//! - `latency_switch_ms`: after that, the region that the client's network went to last comes first
//!   of all if it is up and slower by no more.

use super::super::plan::RegionPosition;
use super::super::regions::RegionSet;
use super::expected::Expected;
use super::figures::Loads;
use super::select::select_then;
use super::{Order, Request};

/// The settings of both, where one of them does anything.
#[derive(Clone, Copy, Debug)]
pub(in crate::routing) struct Steady<'a> {
    tolerance_ms: f64,
    switch_ms: f64,
    incumbent: Option<RegionPosition>,
    loads: Loads<'a>,
}

/// What they come to in one group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// Regions that are as good as the fastest.
    pub(super) near: RegionSet,
    /// The incumbent, where it stays first.
    pub(super) stays: Option<RegionPosition>,
}

impl<'a> Steady<'a> {
    /// `None` if the deployment asks for neither, or nobody is known to stay.
    pub(super) fn new(request: &Request<'a>) -> Option<Self> {
        let Request { deployment, conditions, .. } = *request;
        let ranking = &deployment.settings.ranking;
        let (tolerance_ms, switch_ms) = (ranking.latency_tolerance_ms, ranking.latency_switch_ms);
        let incumbent = conditions.incumbent.filter(|_| switch_ms > 0.0);
        let incumbent = incumbent.and_then(|number| deployment.figures.position(number));
        (tolerance_ms > 0.0 || incumbent.is_some()).then(|| Self {
            tolerance_ms,
            switch_ms,
            incumbent,
            loads: Loads::new(&deployment.figures, conditions),
        })
    }

    /// What they come to for these regions, of which `up` are up.
    pub(super) fn verdict(
        &self,
        expected: &Expected<'_>,
        members: RegionSet,
        up: RegionSet,
    ) -> Verdict {
        let best = expected.range(if up.is_empty() { members } else { up });
        let best = best.map_or(f64::INFINITY, |(lowest, _)| lowest);
        let near = match self.tolerance_ms > 0.0 && best.is_finite() {
            true => expected.within(members, best + self.tolerance_ms),
            false => RegionSet::EMPTY,
        };
        let stays = self.incumbent.filter(|incumbent| {
            let alone: RegionSet = [*incumbent].into_iter().collect();
            let here = up.and(members).contains(*incumbent);
            here && !expected.within(alone, best + self.switch_ms).is_empty()
        });
        Verdict { near, stays }
    }

    /// Appends the regions of `members` in order, as many as fit.
    pub(super) fn order<const N: usize>(
        &self,
        expected: &Expected<'_>,
        members: RegionSet,
        up: RegionSet,
        out: &mut Order<N>,
    ) {
        let Verdict { near, stays } = self.verdict(expected, members, up);
        let mut rest = members;
        if let Some(position) = stays.filter(|_| !out.is_full()) {
            out.push(position);
            rest.remove(position);
        }
        let busy = |position| self.loads.utilisation(position);
        let near = near.and(rest);
        select_then(near, out, busy, |ties, out| expected.order(ties, out));
        expected.order(rest.without(near), out);
    }

    /// Regions that are slower than the fastest by no more are as good.
    pub(super) fn tolerance_ms(&self) -> f64 {
        self.tolerance_ms
    }

    /// The incumbent stays while no other is faster by more.
    pub(super) fn switch_ms(&self) -> f64 {
        self.switch_ms
    }

    /// How busy the regions are.
    pub(super) fn loads(&self) -> &Loads<'a> {
        &self.loads
    }
}
