//! What a region costs and how much it bears, in the form that is cheapest to compare.
//!
//! Figures are of the configuration; how busy a region is comes with each request.

use super::super::facts::{Conditions, RegionLoad};
use super::super::plan::{RegionNumber, RegionPlan, RegionPosition};

/// Requests in flight that stand for a full region where there is no limit: such a region comes
/// behind nothing but idle ones.
const NO_LIMIT: f64 = 1e9;

/// Figures of a deployment's regions, by position.
#[derive(Debug)]
pub(in crate::routing) struct Figures(Box<[Figure]>);

#[derive(Clone, Copy, Debug)]
struct Figure {
    cost: f64,
    /// Requests that it may answer at once; infinite: no limit.
    limit: f64,
    number: RegionNumber,
}

impl Figures {
    pub(in crate::routing) fn new(regions: &[RegionPlan]) -> Self {
        let figure = |region: &RegionPlan| Figure {
            // Neither -0 nor NaN, whatever was written.
            cost: region.cost_multiplier.abs().min(f64::MAX),
            limit: region.max_in_flight.map_or(f64::INFINITY, |limit| limit.get().into()),
            number: region.number,
        };
        Self(regions.iter().map(figure).collect())
    }

    /// What a request costs there, relative to the others.
    #[inline]
    pub(super) fn cost(&self, position: RegionPosition) -> f64 {
        self.0.get(position.index()).map_or(f64::MAX, |figure| figure.cost)
    }

    /// The number of a region over all deployments.
    #[inline]
    pub(super) fn number(&self, position: RegionPosition) -> Option<RegionNumber> {
        self.0.get(position.index()).map(|figure| figure.number)
    }

    /// Where the region of that number is.
    pub(super) fn position(&self, number: RegionNumber) -> Option<RegionPosition> {
        let mut regions = (0..).map(RegionPosition).zip(&self.0);
        regions.find_map(|(position, figure)| (figure.number == number).then_some(position))
    }
}

/// How busy the regions of a deployment are.
#[derive(Clone, Copy, Debug)]
pub(in crate::routing) struct Loads<'a> {
    figures: &'a Figures,
    loads: &'a [RegionLoad],
}

impl<'a> Loads<'a> {
    pub(super) fn new(figures: &'a Figures, conditions: &Conditions<'a>) -> Self {
        Self { figures, loads: conditions.load }
    }

    /// Requests in flight, and how many there may be.
    #[inline]
    fn of(&self, position: RegionPosition) -> (f64, f64) {
        let Some(figure) = self.figures.0.get(position.index()) else {
            return (0.0, f64::INFINITY);
        };
        let load = self.loads.get(figure.number.index());
        (load.map_or(0.0, |load| load.in_flight.into()), figure.limit)
    }

    /// The part of its limit that is in flight; 0 without a limit.
    #[inline]
    pub(super) fn utilisation(&self, position: RegionPosition) -> f64 {
        let (in_flight, limit) = self.of(position);
        in_flight / limit
    }

    /// Ascends with the utilisation; without a limit, with the requests in flight.
    #[inline]
    pub(super) fn fullness(&self, position: RegionPosition) -> f64 {
        let (in_flight, limit) = self.of(position);
        in_flight / if limit.is_finite() { limit } else { NO_LIMIT }
    }

    /// How busy a region is, for people.
    pub(super) fn told(&self, position: RegionPosition) -> String {
        match self.of(position) {
            (in_flight, limit) if limit.is_finite() => format!("{in_flight} of {limit} in flight"),
            (in_flight, _) => format!("{in_flight} in flight, no limit"),
        }
    }
}
