//! The region that a client belongs to without a token: a stable draw by weight that moves as few
//! clients as can be when regions come and go.
//!
//! Highest random weight (D. G. Thaler, C. V. Ravishankar, "Using name-based mappings to increase
//! hit rates", 1998) with bounded loads (V. Mirrokni, M. Thorup, M. Zadimoghaddam, "Consistent
//! hashing with bounded loads", 2018): each region has a clock of its own for each client, which
//! runs at the region's weight; the first to ring is the client's home. A region that comes or goes
//! changes nothing between two others.

use super::facts::Conditions;
use super::plan::{DeploymentPlan, RegionPlan, RegionPosition};
use super::regions::RegionSet;
use crate::model::limits::{HOME_LOAD_MIN, HOME_LOAD_PERCENT};

/// Keeps the lower bound of a clock below the clock in spite of rounding.
const MARGIN: f64 = 1.0 - 1e-9;

/// The region of `among` that whoever has this stable key belongs to. Regions of weight 0 are nobody's
/// home unless there is no other. A region that is far busier than its share is passed over.
pub(super) fn home_of(
    deployment: &DeploymentPlan,
    key: u64,
    among: RegionSet,
    conditions: &Conditions<'_>,
) -> Option<RegionPosition> {
    let candidates = Candidates::new(deployment, among);
    let crowded = candidates.crowded(conditions);
    let mut home = None;
    let mut first = f64::INFINITY;
    for (position, region) in candidates.regions() {
        let (unit, weight) = (region.salt.home_unit(key), f64::from(candidates.weight(region)));
        // -ln u >= 1 - u: most regions are out without the logarithm.
        if (1.0 - unit) / weight * MARGIN >= first || crowded.contains(position) {
            continue;
        }
        let rings = -unit.ln() / weight;
        if rings < first {
            (first, home) = (rings, Some(position));
        }
    }
    home
}

/// Regions that may be somebody's home.
#[derive(Clone, Copy, Debug)]
struct Candidates<'a> {
    deployment: &'a DeploymentPlan,
    among: RegionSet,
    /// All weights are 0: then they are as good as all 1.
    unweighted: bool,
}

impl<'a> Candidates<'a> {
    fn new(deployment: &'a DeploymentPlan, among: RegionSet) -> Self {
        let all = Self { deployment, among, unweighted: false };
        Self { unweighted: all.regions().all(|(_, region)| region.weight == 0), ..all }
    }

    fn regions(&self) -> impl Iterator<Item = (RegionPosition, &'a RegionPlan)> + use<'a> {
        let deployment = self.deployment;
        self.among.iter().filter_map(move |at| Some((at, deployment.region(at)?)))
    }

    fn weight(&self, region: &RegionPlan) -> u32 {
        if self.unweighted { 1 } else { region.weight }
    }

    /// Those that answer far more than their share by weight of what all of them answer. Never all of
    /// those with a weight: they cannot all be above their share.
    fn crowded(&self, conditions: &Conditions<'_>) -> RegionSet {
        if conditions.load.is_empty() {
            return RegionSet::EMPTY;
        }
        let in_flight = |region: &RegionPlan| u64::from(conditions.load(region.number).in_flight);
        let total: u64 = self.regions().map(|(_, region)| in_flight(region)).sum();
        if total < u64::from(HOME_LOAD_MIN) * self.among.len() as u64 {
            return RegionSet::EMPTY;
        }
        let weights: u64 = self.regions().map(|(_, region)| u64::from(self.weight(region))).sum();
        let is_crowded = |(_, region): &(_, &RegionPlan)| {
            let load = u128::from(in_flight(region)) * u128::from(weights) * 100;
            let share = u128::from(total) * u128::from(self.weight(region));
            load > share * u128::from(HOME_LOAD_PERCENT)
        };
        self.regions().filter(is_crowded).map(|(position, _)| position).collect()
    }
}
