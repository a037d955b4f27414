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
    let weighs = |position: &RegionPosition| weight_of(deployment, *position) > 0;
    let drawn: RegionSet = among.iter().filter(weighs).collect();
    let (drawn, equal) = if drawn.is_empty() { (among, true) } else { (drawn, false) };
    let weight = |region: &RegionPlan| if equal { 1 } else { region.weight };
    let crowded = crowded(deployment, drawn, conditions, weight);
    let mut home = None;
    let mut first = f64::INFINITY;
    for position in drawn.without(crowded) {
        let Some(region) = deployment.region(position) else { continue };
        let (unit, weight) = (region.salt.home_unit(key), f64::from(weight(region)));
        // -ln u >= 1 - u: most regions are out without the logarithm.
        if (1.0 - unit) / weight * MARGIN >= first {
            continue;
        }
        let rings = -unit.ln() / weight;
        if rings < first {
            (first, home) = (rings, Some(position));
        }
    }
    home
}

/// The regions of `among` that answer far more than their share by weight of what all of them answer.
/// Never all of them: they cannot all be above their share.
fn crowded(
    deployment: &DeploymentPlan,
    among: RegionSet,
    conditions: &Conditions<'_>,
    weight: impl Fn(&RegionPlan) -> u32,
) -> RegionSet {
    let in_flight = |region: &RegionPlan| u64::from(conditions.load(region.number).in_flight);
    let regions = || among.iter().filter_map(|at| Some((at, deployment.region(at)?)));
    if conditions.load.is_empty() {
        return RegionSet::EMPTY;
    }
    let total: u64 = regions().map(|(_, region)| in_flight(region)).sum();
    if total < u64::from(HOME_LOAD_MIN) * among.len() as u64 {
        return RegionSet::EMPTY;
    }
    let weights: u64 = regions().map(|(_, region)| u64::from(weight(region))).sum();
    let is_crowded = |region: &RegionPlan| {
        let load = u128::from(in_flight(region)) * u128::from(weights) * 100;
        let share = u128::from(total) * u128::from(weight(region));
        load > share * u128::from(HOME_LOAD_PERCENT)
    };
    regions().filter(|(_, region)| is_crowded(region)).map(|(position, _)| position).collect()
}

fn weight_of(deployment: &DeploymentPlan, position: RegionPosition) -> u32 {
    deployment.region(position).map_or(0, |region| region.weight)
}
