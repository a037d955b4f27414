//! The compiled form of a configuration: what the decision reads, apart from health.
//!
//! Data only. How it is made is `compile`, how it is read is `decide`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde::Serialize;

use super::draws::Salt;
use super::facts::Facts;
use super::hosts::HostIndex;
use super::latency::{Lookup, RowAges};
use super::regions::RegionSet;
use super::residency::ResidencyBook;
use super::rules::RuleBook;
use super::strategy::{Figures, Shares, Sites};
use super::tenants::{Pin, TenantTable};
use crate::config::{self, Freshness, MeasuredLatency};
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

/// Position of a region in its plan, over all deployments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RegionNumber(pub u16);

impl RegionNumber {
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
    /// Ids of all regions in file order, addressed by [`RegionNumber`].
    pub regions: Box<[RegionId]>,
    pub(super) hosts: HostIndex,
    /// Where tenants are at home.
    pub tenants: Option<Arc<TenantTable>>,
    /// How old the file of tenants may be.
    pub(super) tenants_freshness: Freshness,
    /// What is measured, and how old it may be.
    pub measured: MeasuredLatency,
    pub(super) latency: Option<Lookup>,
}

impl Plan {
    /// Where the tenant of a request is at home, unless the file that says so is too old. A strict
    /// pin is a promise that does not age.
    pub(super) fn pin(&self, facts: &Facts<'_>) -> Option<Pin> {
        let table = self.tenants.as_ref()?;
        let pin = table.find(facts.tenant?)?;
        let age = table.modified().map(|modified| facts.now.saturating_sub(modified));
        let too_old =
            age.zip(self.tenants_freshness.hard).is_some_and(|(age, hard)| age > hard.as_secs());
        (pin.strict || !too_old).then_some(pin)
    }

    /// Whether both are made from the same configuration and files, so that they choose the same regions;
    /// endpoints may be elsewhere.
    pub fn decides_like(&self, other: &Self) -> bool {
        // Whatever is read anew comes with another configuration.
        let (own, others) = (&self.deployments, &other.deployments);
        let same =
            |(a, b): (&DeploymentPlan, &DeploymentPlan)| Arc::ptr_eq(&a.settings, &b.settings);
        std::ptr::eq(self, other) || own.len() == others.len() && own.iter().zip(others).all(same)
    }

    /// How old the rows of the latency table are at `now`, in Unix seconds, if there is one.
    pub fn latency_ages(&self, now: u64) -> Option<RowAges> {
        Some(self.latency.as_ref()?.ages(now))
    }

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
    pub(super) residency: ResidencyBook,
    /// Where the primary is, if it is eligible.
    pub(super) primary: Option<RegionPosition>,
    /// By region number of the table of tenants: the position here, if the region is eligible.
    pub(super) homes: Box<[Option<RegionPosition>]>,
    /// The regions that have a limit of requests in flight.
    pub(super) limited: RegionSet,
    pub(super) sites: Sites,
    pub(super) figures: Figures,
    /// Shares for `weighted`, by position.
    pub(super) shares: Shares,
    /// By region number of the latency table: the position here, if the region is eligible. Empty
    /// without a table.
    pub(super) latency_positions: Box<[Option<RegionPosition>]>,
}

impl DeploymentPlan {
    /// The region at that position.
    pub fn region(&self, position: RegionPosition) -> Option<&RegionPlan> {
        self.regions.get(position.index())
    }

    /// Where a region of that id is.
    pub fn position(&self, id: &str) -> Option<RegionPosition> {
        (0..=u8::MAX)
            .map(RegionPosition)
            .zip(&self.regions)
            .find_map(|(position, region)| (region.id.as_str() == id).then_some(position))
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
    /// Its number over all deployments.
    pub number: RegionNumber,
    /// What a request costs there, relative to the others.
    pub cost_multiplier: f64,
    /// Requests that it may answer at once.
    pub max_in_flight: Option<NonZeroU32>,
    /// Tells its shares of clients from those of other regions and deployments.
    pub(super) salt: Salt,
    /// Its share for `weighted`.
    pub weight: u32,
    /// Its bias for `geolocation`, -99..=99.
    pub bias: i8,
    /// Where it is.
    pub coordinates: Coordinates,
    /// Its endpoints, in file order; sets of them are the bits of a `u128`.
    pub endpoints: Box<[EndpointPlan]>,
}

impl EndpointPlan {
    /// What people are told of it: its URL, and the address if that is not in it.
    pub fn called(&self) -> String {
        match (&self.url.host, self.address) {
            (config::Host::Name(_), Some(address)) => format!("{} ({})", self.url, address.ip()),
            _ => self.url.to_string(),
        }
    }
}

/// One upstream address. A name that has several is several endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPlan {
    /// Its number.
    pub id: EndpointId,
    /// What it is called.
    pub url: config::EndpointUrl,
    /// Where it is; `None` while no answer says where its name is.
    pub address: Option<SocketAddr>,
    /// The same host in the other family, as far as is known.
    pub twin: Option<SocketAddr>,
    /// How it is spoken to.
    pub transport: Arc<config::Transport>,
    /// Its share of the region's requests.
    pub weight: u32,
}
