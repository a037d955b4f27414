//! The compiled form of a configuration: what the decision reads, apart from health.
//!
//! Data only. How it is made is `compile`, how it is read is `decide`.

use std::sync::Arc;

use serde::Serialize;

use super::hosts::HostIndex;
use super::latency::Lookup;
use super::regions::RegionSet;
use super::rules::RuleBook;
use super::strategy::{Shares, Sites};
use crate::config;
use crate::model::{Coordinates, DeploymentName, EndpointId, RegionId};

/// Position of a deployment in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct DeploymentIndex(pub u32);

impl DeploymentIndex {
    /// The number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Position of a region in its deployment, in listed order; 0 is the first eligible one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RegionPosition(pub u8);

impl RegionPosition {
    /// The number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Position of a rule in its deployment's configuration, in file order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RuleIndex(pub u32);

impl RuleIndex {
    /// The number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// All deployments, ready to decide.
#[derive(Debug)]
pub struct Plan {
    /// The deployments in file order, addressed by [`DeploymentIndex`].
    pub deployments: Box<[DeploymentPlan]>,
    pub(super) hosts: HostIndex,
    pub(super) latency: Option<Lookup>,
}

impl Plan {
    /// The deployment at that index.
    pub fn deployment(&self, index: DeploymentIndex) -> Option<&DeploymentPlan> {
        self.deployments.get(index.index())
    }

    /// Every deployment with its index.
    pub fn iter(&self) -> impl Iterator<Item = (DeploymentIndex, &DeploymentPlan)> {
        (0..).map(DeploymentIndex).zip(self.deployments.iter())
    }

    /// Every endpoint of every region; an address that several regions use comes several times.
    pub fn endpoints(&self) -> impl Iterator<Item = &EndpointPlan> {
        let regions = self.deployments.iter().flat_map(|deployment| &deployment.regions);
        regions.flat_map(|region| &region.endpoints)
    }
}

/// One deployment.
#[derive(Debug)]
pub struct DeploymentPlan {
    /// Its name.
    pub name: DeploymentName,
    /// Its configuration.
    pub settings: Arc<config::Deployment>,
    /// Its eligible regions in listed order, addressed by [`RegionPosition`].
    pub regions: Box<[RegionPlan]>,
    pub(super) rules: RuleBook,
    pub(super) sites: Sites,
    /// Shares for `weighted`, by position.
    pub(super) shares: Shares,
    /// By region number of the latency table: the position here, if the region is eligible. Empty
    /// unless the strategy needs it.
    pub(super) latency_positions: Box<[Option<RegionPosition>]>,
}

impl DeploymentPlan {
    /// The region at that position.
    pub fn region(&self, position: RegionPosition) -> Option<&RegionPlan> {
        self.regions.get(position.index())
    }

    /// Where a region of that id is.
    pub fn position(&self, id: &RegionId) -> Option<RegionPosition> {
        (0..=u8::MAX)
            .map(RegionPosition)
            .zip(&self.regions)
            .find_map(|(position, region)| (region.id == *id).then_some(position))
    }

    /// All eligible regions.
    pub fn eligible(&self) -> RegionSet {
        RegionSet::first(self.regions.len())
    }

    /// The configured rule at that index.
    pub fn rule(&self, index: RuleIndex) -> Option<&config::Rule> {
        self.settings.rules.get(index.index())
    }

    /// Ids of the regions at these positions.
    pub(super) fn ids(
        &self,
        positions: impl IntoIterator<Item = RegionPosition>,
    ) -> impl Iterator<Item = &RegionId> {
        positions.into_iter().filter_map(|position| Some(&self.region(position)?.id))
    }
}

/// A region as one deployment uses it.
#[derive(Clone, Debug)]
pub struct RegionPlan {
    /// Its id.
    pub id: RegionId,
    /// Its share for `weighted`.
    pub weight: u32,
    /// Its bias for `geolocation`, -99..=99.
    pub bias: i8,
    /// Where it is.
    pub coordinates: Coordinates,
    /// Its endpoints, in file order; sets of them are the bits of a `u128`.
    pub endpoints: Box<[EndpointPlan]>,
}

/// One upstream address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPlan {
    /// Its number.
    pub id: EndpointId,
    /// The address.
    pub url: config::EndpointUrl,
    /// Its share of the region's requests.
    pub weight: u32,
}
