//! The table that workers read: a plan, and the health of its regions at one moment.
//!
//! Immutable. What makes a region healthy is not known here.

use std::sync::Arc;

use super::plan::{DeploymentIndex, DeploymentPlan, Plan, RegionPosition};
use super::regions::RegionSet;
use crate::model::RegionState;

/// Everything a decision depends on, apart from the request.
///
/// A change of health makes a new table that shares the plan, in microseconds.
#[derive(Clone, Debug)]
pub struct Table {
    /// Grows with every table that is put in place.
    pub generation: u64,
    /// The compiled configuration.
    pub plan: Arc<Plan>,
    /// Health, by [`DeploymentIndex`]; as many as the plan has deployments.
    pub health: Box<[DeploymentHealth]>,
    /// What operators did, by [`DeploymentIndex`]; nothing beyond its end.
    pub overrides: Box<[DeploymentOverrides]>,
}

/// What operators did to the regions of one deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentOverrides {
    /// Regions that were taken out.
    pub drained: RegionSet,
    /// Regions in the order that replaces all others; empty: none does.
    pub shift: Arc<[RegionPosition]>,
}

impl DeploymentOverrides {
    /// Nothing was done.
    pub fn is_none(&self) -> bool {
        self.drained.is_empty() && self.shift.is_empty()
    }

    /// Each region once, and only regions that there are.
    fn fitted(mut self, deployment: &DeploymentPlan) -> Self {
        let mut left = deployment.eligible();
        let exists = |position: &RegionPosition| deployment.region(*position).is_some();
        let each = self.shift.iter().copied().filter(exists).filter(|position| {
            let first = left.contains(*position);
            left.remove(*position);
            first
        });
        self.shift = each.collect();
        self.drained = self.drained.and(deployment.eligible());
        self
    }
}

impl Table {
    /// A table of these parts. A deployment without an entry in `health` is taken as healthy, and
    /// so is a region without an entry in its deployment's; entries beyond the plan are ignored.
    pub fn new(generation: u64, plan: Arc<Plan>, health: Vec<DeploymentHealth>) -> Self {
        let mut given = health.into_iter();
        let health = plan.deployments.iter().map(|deployment| match given.next() {
            Some(health) if health.regions.len() == deployment.regions.len() => health,
            Some(health) => health.fitted(deployment),
            None => DeploymentHealth::healthy(deployment),
        });
        let health = health.collect();
        Self { generation, plan, health, overrides: Box::default() }
    }

    /// A table in which every region and endpoint is healthy.
    pub fn healthy(generation: u64, plan: Arc<Plan>) -> Self {
        Self::new(generation, plan, Vec::new())
    }

    /// This table with other health for one deployment.
    #[must_use]
    pub fn with_health(
        &self,
        generation: u64,
        index: DeploymentIndex,
        health: DeploymentHealth,
    ) -> Self {
        let mut table = Self { generation, ..self.clone() };
        let plan = table.plan.deployment(index);
        if let (Some(slot), Some(plan)) = (table.health.get_mut(index.index()), plan) {
            *slot = health.fitted(plan);
        }
        table
    }

    /// This table with these overrides of one deployment.
    #[must_use]
    pub fn with_overrides(&self, index: DeploymentIndex, overrides: DeploymentOverrides) -> Self {
        let mut all = self.overrides.to_vec();
        all.resize(self.plan.deployments.len(), DeploymentOverrides::default());
        if let (Some(slot), Some(plan)) = (all.get_mut(index.index()), self.plan.deployment(index))
        {
            *slot = overrides.fitted(plan);
        }
        Self { overrides: all.into(), ..self.clone() }
    }

    /// What operators did in a deployment, if anything.
    pub fn overrides(&self, index: DeploymentIndex) -> Option<&DeploymentOverrides> {
        self.overrides.get(index.index()).filter(|overrides| !overrides.is_none())
    }

    /// A deployment with its health.
    pub fn deployment(
        &self,
        index: DeploymentIndex,
    ) -> Option<(&DeploymentPlan, &DeploymentHealth)> {
        Some((self.plan.deployment(index)?, self.health.get(index.index())?))
    }
}

/// Health of one deployment. Cheap to clone: the details are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentHealth {
    up: RegionSet,
    ramping: RegionSet,
    regions: Arc<[RegionHealth]>,
}

impl DeploymentHealth {
    /// Health of the regions, in listed order.
    pub fn new(regions: impl IntoIterator<Item = RegionHealth>) -> Self {
        let regions: Arc<[_]> = regions.into_iter().collect();
        let positions = (0..=u8::MAX).map(RegionPosition).zip(regions.iter());
        let up = positions.clone().filter(|(_, health)| health.state.takes_traffic());
        let ramping = positions.filter(|(_, health)| health.share < RegionHealth::WHOLE);
        Self {
            up: up.map(|(position, _)| position).collect(),
            ramping: ramping.map(|(position, _)| position).collect(),
            regions,
        }
    }

    /// Every region and endpoint is healthy.
    pub fn healthy(deployment: &DeploymentPlan) -> Self {
        Self::new(deployment.regions.iter().map(|_| RegionHealth::HEALTHY))
    }

    /// The regions that take traffic.
    pub fn up(&self) -> RegionSet {
        self.up
    }

    /// The regions that take only a share of it.
    pub fn ramping(&self) -> RegionSet {
        self.ramping
    }

    /// Health of one region; a position that does not exist is healthy.
    pub fn region(&self, position: RegionPosition) -> RegionHealth {
        self.regions.get(position.index()).copied().unwrap_or(RegionHealth::HEALTHY)
    }

    /// Health of all regions, in listed order.
    pub fn regions(&self) -> &[RegionHealth] {
        &self.regions
    }

    fn fitted(self, deployment: &DeploymentPlan) -> Self {
        if self.regions.len() == deployment.regions.len() {
            return self;
        }
        let positions = (0..=u8::MAX).map(RegionPosition).take(deployment.regions.len());
        Self::new(positions.map(|position| self.region(position)))
    }
}

/// Health of one region in one deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionHealth {
    /// Its state.
    pub state: RegionState,
    /// Its endpoints that are up: bit 0 is the first one.
    pub endpoints_up: u128,
    /// How well it does, 0 to 100.
    pub score: u8,
    /// Since when it is in its state, in Unix seconds, if that is known.
    pub since: Option<u64>,
    /// The share of its clients that it takes, in hundredths of a percent, up to
    /// [`WHOLE`](Self::WHOLE).
    pub share: u16,
}

impl RegionHealth {
    /// Healthy, with every endpoint up.
    pub const HEALTHY: Self = Self {
        state: RegionState::Healthy,
        endpoints_up: u128::MAX,
        score: 100,
        since: None,
        share: Self::WHOLE,
    };
    /// All of its clients.
    pub const WHOLE: u16 = 10_000;
}
