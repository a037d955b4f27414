//! What the strategies expect of one region, for those who rehearse decisions.

use super::super::facts::{Conditions, Facts};
use super::super::plan::{DeploymentIndex, RegionPosition};
use super::super::regions::RegionSet;
use super::super::table::Table;
use super::expected::Expected;

/// The round trip in milliseconds that the client may expect to a region, as the strategy
/// `latency` sees it; `None` where nothing is known.
pub fn expected_ms(
    table: &Table,
    index: DeploymentIndex,
    facts: &Facts<'_>,
    conditions: &Conditions<'_>,
    position: RegionPosition,
) -> Option<f64> {
    let _ = conditions;
    let deployment = table.plan.deployment(index)?;
    let among: RegionSet = [position].into_iter().collect();
    let expected = Expected::new(&table.plan, deployment, facts, among)?;
    Some(expected.ms_squared(position).sqrt()).filter(|ms| ms.is_finite())
}
