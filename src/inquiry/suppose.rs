//! What is supposed of regions, so that an explanation can say what would happen then.
//!
//! The shapes of JSON and their way into a table and its conditions; what follows is `routing`'s
//! business.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::measure::Observed;
use crate::model::{DeploymentName, RegionId};
use crate::routing::{Plan, RegionHealth, Scenario, ScenarioError, Shift};

/// What is supposed of regions, as JSON:
/// `{"fail":[],"drain":[],"ramp":{"R":PERCENT},"shift":{"D":["R"]},"in_flight":{"R":N}}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Suppose {
    /// Regions that are down.
    pub fail: Vec<RegionId>,
    /// Regions that an operator took out.
    pub drain: Vec<RegionId>,
    /// Regions that take only a share of their clients, in percent.
    pub ramp: BTreeMap<RegionId, f64>,
    /// Deployments whose traffic an operator shifted to these regions, in order.
    pub shift: BTreeMap<DeploymentName, Vec<RegionId>>,
    /// Requests that regions are answering.
    pub in_flight: BTreeMap<RegionId, u32>,
}

impl Suppose {
    /// The same as a scenario, as far as it is about the table.
    pub fn scenario(&self) -> Scenario {
        let whole = f64::from(RegionHealth::WHOLE);
        let share = |percent: f64| (percent * 100.0).clamp(0.0, whole) as u16;
        let shift = self.shift.iter().map(|(deployment, regions)| Shift {
            deployment: deployment.clone(),
            regions: regions.clone(),
        });
        Scenario {
            fail: self.fail.clone(),
            drain: self.drain.clone(),
            shift: shift.collect(),
            ramp: self.ramp.iter().map(|(id, percent)| (id.clone(), share(*percent))).collect(),
        }
    }

    /// Puts the supposed loads in place of the observed ones.
    ///
    /// # Errors
    ///
    /// A region that does not exist.
    pub(super) fn load(&self, plan: &Plan, observed: &mut Observed) -> Result<(), ScenarioError> {
        for (id, in_flight) in &self.in_flight {
            if !observed.suppose(plan, id, *in_flight) {
                let known = plan.regions.iter().map(RegionId::as_str).collect::<Vec<_>>();
                let (region, known) = (id.clone(), known.join(", "));
                return Err(ScenarioError::Region { region, known });
            }
        }
        Ok(())
    }
}
