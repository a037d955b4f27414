//! The candidate's table: its own plan, with the health and the overrides of the live one.

use std::path::PathBuf;
use std::sync::Arc;

use super::ledger::Ledger;
use crate::model::RegionId;
use crate::routing::{
    DeploymentHealth, DeploymentOverrides, DeploymentPlan, Plan, RegionHealth, RegionNumber,
    RegionPosition, RegionSet, Table,
};

/// A candidate as it was read from its files.
#[derive(Debug)]
pub struct Candidate {
    /// Its file.
    pub config: PathBuf,
    /// The part of requests that it decides too, in hundredths of a percent.
    pub sample: u16,
    /// It, compiled.
    pub plan: Arc<Plan>,
}

/// How it stands with the candidate.
#[derive(Clone, Debug)]
pub struct Shadow {
    /// The candidate in use; `None`: none could be read yet.
    pub trial: Option<Trial>,
    /// What is wrong with its files, if they were refused when they were last read.
    pub error: Option<Arc<str>>,
}

/// A candidate beside one live table.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The candidate.
    pub candidate: Arc<Candidate>,
    /// Its table.
    pub(super) table: Arc<Table>,
    /// The live plan that it is compared with.
    pub(super) live: Arc<Plan>,
    /// By its own region numbers: the live one's.
    pub(super) numbers: Arc<[Option<RegionNumber>]>,
    /// What has been found.
    pub(super) ledger: Arc<Ledger>,
}

impl Trial {
    /// The candidate beside this live table; nothing has been found yet.
    pub fn new(candidate: Arc<Candidate>, live: &Table) -> Self {
        let number = |id: &RegionId| {
            let place = live.plan.regions.iter().position(|known| known == id)?;
            u16::try_from(place).ok().map(RegionNumber)
        };
        Self {
            table: Arc::new(table(&candidate.plan, live)),
            numbers: candidate.plan.regions.iter().map(number).collect(),
            ledger: Arc::new(Ledger::new(live.plan.deployments.len())),
            live: Arc::clone(&live.plan),
            candidate,
        }
    }

    /// The same beside the table that follows. What was found is kept as long as it is about the
    /// same two plans, wherever their endpoints are.
    #[must_use]
    pub fn following(&self, live: &Table) -> Self {
        if !self.live.decides_like(&live.plan) {
            return Self::new(Arc::clone(&self.candidate), live);
        }
        let table = Arc::new(table(&self.candidate.plan, live));
        Self { table, live: Arc::clone(&live.plan), ..self.clone() }
    }

    /// What has been found.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }
}

/// The candidate's table as of the live table's moment. A deployment is known by its name, a region
/// by its id; what the live table does not know is healthy.
fn table(plan: &Arc<Plan>, live: &Table) -> Table {
    let twin = |deployment: &DeploymentPlan| {
        live.plan.iter().find(|(_, known)| known.name == deployment.name)
    };
    let health = plan.deployments.iter().map(|deployment| {
        let twin = twin(deployment);
        let regions = deployment.regions.iter();
        DeploymentHealth::new(regions.map(|region| match twin {
            Some((index, known)) => {
                let health = live.deployment(index).map(|(_, health)| health);
                let position = known.position(region.id.as_str());
                health.zip(position).map_or_else(
                    || anywhere(live, &region.id),
                    |(health, position)| without_endpoints(health.region(position)),
                )
            }
            None => anywhere(live, &region.id),
        }))
    });
    let mut table = Table::new(live.generation, Arc::clone(plan), health.collect());
    for (index, deployment) in plan.iter() {
        let Some((known_index, known)) = twin(deployment) else { continue };
        if let Some(overrides) = live.overrides(known_index) {
            table = table.with_overrides(index, translated(overrides, known, deployment));
        }
    }
    table
}

/// How a region is where the live table uses it, at its worst.
fn anywhere(live: &Table, id: &RegionId) -> RegionHealth {
    let uses = live.plan.iter().filter_map(|(index, deployment)| {
        let (_, health) = live.deployment(index)?;
        Some(health.region(deployment.position(id.as_str())?))
    });
    uses.max_by_key(|health| health.state).map_or(RegionHealth::HEALTHY, without_endpoints)
}

/// Endpoints have other numbers in the candidate, and none is asked.
fn without_endpoints(health: RegionHealth) -> RegionHealth {
    RegionHealth { endpoints_up: RegionHealth::HEALTHY.endpoints_up, ..health }
}

fn translated(
    overrides: &DeploymentOverrides,
    known: &DeploymentPlan,
    deployment: &DeploymentPlan,
) -> DeploymentOverrides {
    let position = |from: RegionPosition| deployment.position(known.region(from)?.id.as_str());
    let drained: RegionSet = overrides.drained.iter().filter_map(position).collect();
    let shift: Vec<_> = overrides.shift.iter().copied().filter_map(position).collect();
    DeploymentOverrides { drained, shift: shift.into() }
}
