//! What if: regions that fail, are drained, ramp or are preferred, put into a table.

use super::plan::{DeploymentPlan, RegionPosition};
use super::table::{DeploymentHealth, RegionHealth, Table};
use crate::model::{DeploymentName, RegionId, RegionState};

/// What is supposed to have happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scenario {
    /// Regions that are down everywhere.
    pub fail: Vec<RegionId>,
    /// Regions that an operator has taken out everywhere.
    pub drain: Vec<RegionId>,
    /// Deployments whose traffic an operator has shifted.
    pub shift: Vec<Shift>,
    /// Regions that take only a share of their clients, in hundredths of a percent.
    pub ramp: Vec<(RegionId, u16)>,
}

/// An order of regions that replaces all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// In which deployment.
    pub deployment: DeploymentName,
    /// The regions, first one first.
    pub regions: Vec<RegionId>,
}

/// A scenario with names that no table knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// Not a region.
    #[error("no deployment uses a region {region}; there are {known}")]
    Region {
        /// What was asked for.
        region: RegionId,
        /// What there is.
        known: String,
    },
    /// Not a deployment.
    #[error("there is no deployment {deployment}; there are {known}")]
    Deployment {
        /// What was asked for.
        deployment: DeploymentName,
        /// What there is.
        known: String,
    },
    /// A region that the deployment does not use.
    #[error("deployment {deployment} does not use region {region}")]
    NotThere {
        /// The deployment.
        deployment: DeploymentName,
        /// The region.
        region: RegionId,
    },
}

impl Scenario {
    /// Whether nothing is supposed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether every name is known in at least one of these tables.
    ///
    /// # Errors
    ///
    /// The first name that is not.
    pub fn check(&self, tables: &[&Table]) -> Result<(), ScenarioError> {
        let regions = self.fail.iter().chain(&self.drain);
        for region in regions.chain(self.ramp.iter().map(|(region, _)| region)) {
            let used = |table: &&Table| table.plan.iter().any(|(_, d)| has(d, region));
            if !tables.iter().any(used) {
                let known = tables.iter().flat_map(|table| table.plan.regions.iter());
                let (region, known) = (region.clone(), listed(known));
                return Err(ScenarioError::Region { region, known });
            }
        }
        for Shift { deployment, regions } in &self.shift {
            let all = || tables.iter().flat_map(|table| table.plan.iter().map(|(_, d)| d));
            let named: Vec<_> = all().filter(|known| known.name == *deployment).collect();
            if named.is_empty() {
                let known = listed(all().map(|deployment| &deployment.name));
                return Err(ScenarioError::Deployment { deployment: deployment.clone(), known });
            }
            let missing = |region: &&RegionId| !named.iter().any(|known| has(known, region));
            if let Some(region) = regions.iter().find(missing).cloned() {
                return Err(ScenarioError::NotThere { deployment: deployment.clone(), region });
            }
        }
        Ok(())
    }

    /// The table after that; names that it does not know change nothing.
    #[must_use]
    pub fn applied(&self, table: &Table) -> Table {
        let mut table = table.clone();
        let plan = std::sync::Arc::clone(&table.plan);
        for (index, deployment) in plan.iter() {
            let Some((_, health)) = table.deployment(index) else { continue };
            let regions = deployment.regions.iter().zip(health.regions());
            let regions = regions.map(|(region, health)| self.health(&region.id, *health));
            let health = DeploymentHealth::new(regions);
            let mut overrides = table.overrides(index).cloned().unwrap_or_default();
            for id in &self.drain {
                if let Some(position) = deployment.position(id.as_str()) {
                    overrides.drained.insert(position);
                }
            }
            for shift in self.shift.iter().filter(|shift| shift.deployment == deployment.name) {
                let positions = shift.regions.iter().map(RegionId::as_str);
                let positions = positions.filter_map(|id| deployment.position(id));
                overrides.shift = positions.collect::<Vec<RegionPosition>>().into();
            }
            let generation = table.generation;
            table = table.with_health(generation, index, health).with_overrides(index, overrides);
        }
        table
    }

    fn health(&self, id: &RegionId, mut health: RegionHealth) -> RegionHealth {
        if self.fail.contains(id) {
            health = RegionHealth { state: RegionState::Down, endpoints_up: 0, score: 0, ..health };
        }
        if let Some((_, share)) = self.ramp.iter().find(|(ramping, _)| ramping == id) {
            health.share = *share;
        }
        health
    }

    /// In a few words, for people.
    pub fn told(&self) -> String {
        let mut parts = Vec::new();
        let mut tell = |what: &str, ids: &[RegionId]| {
            if !ids.is_empty() {
                parts.push(format!("{} {what}", listed(ids)));
            }
        };
        tell("down", &self.fail);
        tell("drained", &self.drain);
        let ramps = self.ramp.iter();
        parts.extend(ramps.map(|(id, share)| format!("{id} at {} %", f64::from(*share) / 100.0)));
        let shifts = self.shift.iter();
        parts.extend(
            shifts.map(|shift| format!("{} to {}", shift.deployment, listed(&shift.regions))),
        );
        parts.join(", ")
    }
}

fn has(deployment: &DeploymentPlan, region: &RegionId) -> bool {
    deployment.position(region.as_str()).is_some()
}

fn listed<'a, T: std::fmt::Display + 'a>(names: impl IntoIterator<Item = &'a T>) -> String {
    let mut names: Vec<_> = names.into_iter().map(ToString::to_string).collect();
    names.sort();
    names.dedup();
    names.join(", ")
}
