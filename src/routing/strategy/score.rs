//! The strategy `score`: one number for several objectives.
//!
//! ```text
//! score = w_latency x n(expected round trip in ms)
//!       + w_cost    x n(cost_multiplier)
//!       + w_load    x n(in_flight / max_in_flight)
//!
//! n(v) = (v - min) / (max - min),  0 where max = min
//! ```
//!
//! The lowest score comes first. The weights are the deployment's `objectives`, divided by their sum.
//! `min` and `max` are taken over the candidates: the regions of the group that are up. Where nothing
//! is known of a region's round trip, its n is 1; where nothing is known of any, 0 for all. A region
//! without `max_in_flight` has the load 0. Scores that differ by less than 1e-9 are a tie.

use super::super::plan::RegionPosition;
use super::super::regions::RegionSet;
use super::expected::Expected;
use super::figures::{Figures, Loads};
use super::select::{Keys, select, select_above_floor};
use super::{Order, Request};
use crate::config::Objectives;

/// Scores that differ by no more are equal but for rounding.
const TOLERANCE: f64 = 1e-9;

/// The objectives, with all they are computed from.
#[derive(Debug)]
pub(in crate::routing) struct Score<'a> {
    weights: Objectives,
    /// `None`: nothing is known, or the latency does not count.
    expected: Option<Expected<'a>>,
    figures: &'a Figures,
    loads: Loads<'a>,
}

/// What one group's scores are computed with.
#[derive(Debug)]
pub(super) struct Group {
    /// `None`: of no candidate is anything known.
    latency: Option<Scale>,
    /// The part of the score that is not latency, by position.
    rest: Keys,
}

/// How an objective is normalised.
#[derive(Clone, Copy, Debug)]
struct Scale {
    min: f64,
    /// What makes 1 of the most; 0: all candidates are equal.
    factor: f64,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    min: f64,
    max: f64,
}

impl Range {
    const EMPTY: Self = Self { min: f64::INFINITY, max: f64::NEG_INFINITY };

    #[inline]
    fn add(&mut self, value: f64) {
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
    }
}

impl Scale {
    fn of(Range { min, max }: Range, rounding: f64) -> Self {
        let span = max - min;
        Self { min, factor: if span > rounding && span.is_normal() { 1.0 / span } else { 0.0 } }
    }

    /// Where a value lies between the least and the most; what is no candidate may lie beyond.
    #[inline]
    fn part(self, value: f64) -> f64 {
        ((value - self.min) * self.factor).clamp(0.0, 1.0)
    }
}

impl<'a> Score<'a> {
    pub(super) fn new(request: &Request<'a>) -> Self {
        let Request { deployment, conditions, .. } = *request;
        let weights = shares(deployment.settings.ranking.objectives);
        let counts = weights.latency > 0.0;
        Self {
            weights,
            expected: counts.then(|| Expected::new(request).ok()).flatten(),
            figures: &deployment.figures,
            loads: Loads::new(&deployment.figures, conditions),
        }
    }

    /// What the scores of these regions are computed with, of which `up` are up.
    pub(super) fn group(&self, members: RegionSet, up: RegionSet) -> Group {
        let Self { weights, expected, figures, loads } = self;
        let candidates = if up.is_empty() { members } else { up };
        let (mut cost, mut load) = (Range::EMPTY, Range::EMPTY);
        let mut rest = Keys::of(candidates, |position| {
            let utilisation = loads.utilisation(position);
            cost.add(figures.cost(position));
            load.add(utilisation);
            utilisation
        });
        for position in members.without(candidates) {
            rest.set(position, loads.utilisation(position));
        }
        let (cost, load) = (Scale::of(cost, 0.0), Scale::of(load, 0.0));
        for position in members {
            let utilisation = load.part(rest.get(position));
            let cost = cost.part(figures.cost(position));
            rest.set(position, weights.cost * cost + weights.load * utilisation);
        }
        let range = expected.as_ref().and_then(|expected| expected.range(candidates));
        let latency =
            range.map(|(min, max)| Scale::of(Range { min, max }, Expected::rounding_at(max)));
        Group { latency, rest }
    }

    /// The score of a region whose round trip is so many milliseconds.
    #[inline]
    fn with_latency(&self, group: &Group, position: RegionPosition, ms: f64) -> f64 {
        let latency = match group.latency {
            None => 0.0,
            Some(_) if ms == f64::INFINITY => 1.0,
            Some(scale) => scale.part(ms),
        };
        self.weights.latency * latency + group.rest.get(position)
    }

    /// The score of a region of the group.
    pub(super) fn of(&self, group: &Group, position: RegionPosition) -> f64 {
        let ms = self.expected.as_ref().map_or(f64::INFINITY, |expected| expected.ms(position));
        self.with_latency(group, position, ms)
    }

    /// Appends the regions of `members` in order, as many as fit. `up` are the candidates.
    pub(super) fn order<const N: usize>(
        &self,
        members: RegionSet,
        up: RegionSet,
        out: &mut Order<N>,
    ) {
        let group = self.group(members, up);
        let key = |position| self.of(&group, position);
        match &self.expected {
            Some(expected) if !expected.exact() => {
                let floors = Keys::of(members, |position| {
                    self.with_latency(&group, position, expected.ms_floor(position))
                });
                select_above_floor(members, out, TOLERANCE, |at| floors.get(at), key);
            }
            _ => select(members, out, TOLERANCE, key),
        }
    }

    /// What is expected, where it is known and counts.
    pub(super) fn expected(&self) -> Option<&Expected<'a>> {
        self.expected.as_ref()
    }

    /// The weights, which add up to 1.
    pub(super) fn weights(&self) -> Objectives {
        self.weights
    }

    /// How busy the regions are.
    pub(super) fn loads(&self) -> &Loads<'a> {
        &self.loads
    }
}

/// Weights as parts of their sum, which is not taken directly: it might be infinite.
fn shares(weights: Objectives) -> Objectives {
    let Objectives { latency, cost, load } = weights;
    let most = latency.max(cost).max(load);
    if !(most > 0.0 && most.is_finite()) {
        return Objectives::default();
    }
    let part = |weight: f64| (weight / most).max(0.0);
    let sum = part(latency) + part(cost) + part(load);
    Objectives { latency: part(latency) / sum, cost: part(cost) / sum, load: part(load) / sum }
}
