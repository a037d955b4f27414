//! What the strategies expect of one region, for those who rehearse decisions.

use super::super::draws::Draws;
use super::super::facts::{Conditions, Facts};
use super::super::plan::{DeploymentIndex, RegionPosition};
use super::super::regions::RegionSet;
use super::super::table::Table;
use super::Request;
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
    let (deployment, health) = table.deployment(index)?;
    let among: RegionSet = [position].into_iter().collect();
    let (plan, draws) = (&table.plan, Draws::default());
    let request = Request { plan, deployment, health, facts, conditions, draws, among };
    let expected = Expected::new(&request).ok()?;
    Some(expected.ms_squared(position).sqrt()).filter(|ms| ms.is_finite())
}
