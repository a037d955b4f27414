//! From a configuration to a plan: names become positions, lists become sets and indexes.
//!
//! Cannot fail: a `Config` has been checked. What is beyond a limit all the same is left out
//! rather than trusted. Health is not compiled in; it changes far more often.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::endpoint::EndpointIds;
use super::hosts::HostIndex;
use super::latency::{LatencyTable, Lookup};
use super::plan::{
    DeploymentIndex, DeploymentPlan, EndpointPlan, Plan, RegionPlan, RegionPosition,
};
use super::rules::RuleBook;
use super::strategy::{Shares, Sites};
use crate::config::{Config, Deployment, RegionSettings, Strategy};
use crate::model::limits::{ENDPOINTS_PER_REGION, REGIONS_PER_DEPLOYMENT};
use crate::model::{Continent, Country, RegionId};

/// Says on which continent a country is.
pub type ContinentOf = fn(Country) -> Option<Continent>;

impl Plan {
    /// Compiles a configuration and, if there is one, a latency table. Addresses keep the numbers
    /// that `endpoints` has given them before.
    pub fn compile(
        config: &Config,
        latency: Option<&LatencyTable>,
        continent_of: ContinentOf,
        endpoints: &mut EndpointIds,
    ) -> Self {
        let latency = latency.map(|table| Lookup::new(table.clone(), continent_of));
        let mut hosts = HostIndex::default();
        for (index, deployment) in (0..).map(DeploymentIndex).zip(&config.deployments) {
            hosts.add(&deployment.hosts, &deployment.path_prefix, index);
        }
        let deployments = config.deployments.iter();
        let deployments = deployments
            .map(|deployment| DeploymentPlan::compile(deployment, latency.as_ref(), endpoints))
            .collect();
        Self { deployments, hosts, latency }
    }
}

impl DeploymentPlan {
    fn compile(
        settings: &Arc<Deployment>,
        latency: Option<&Lookup>,
        endpoints: &mut EndpointIds,
    ) -> Self {
        let regions = settings.regions.iter().take(REGIONS_PER_DEPLOYMENT);
        let regions: Box<[_]> =
            regions.map(|settings| RegionPlan::compile(settings, endpoints)).collect();
        let positions: HashMap<&RegionId, RegionPosition, FixedState> =
            regions.iter().map(|region| &region.id).zip((0..).map(RegionPosition)).collect();
        let position = |id: &RegionId| positions.get(id).copied();
        let by_latency = settings.strategy == Strategy::Latency;
        Self {
            name: settings.name.clone(),
            settings: Arc::clone(settings),
            rules: RuleBook::compile(&settings.rules, regions.len(), position),
            sites: Sites::new(&regions),
            shares: Shares::new(regions.iter().map(|region| region.weight)),
            latency_positions: latency
                .filter(|_| by_latency)
                .map(|lookup| lookup.positions(position))
                .unwrap_or_default(),
            regions,
        }
    }
}

impl RegionPlan {
    fn compile(settings: &RegionSettings, ids: &mut EndpointIds) -> Self {
        let endpoints = settings.endpoints.iter().take(ENDPOINTS_PER_REGION);
        let endpoints = endpoints.map(|endpoint| EndpointPlan {
            id: ids.intern(&endpoint.url),
            url: endpoint.url.clone(),
            weight: endpoint.weight,
        });
        Self {
            id: settings.region.id.clone(),
            weight: settings.weight,
            bias: settings.region.bias.clamp(-99, 99),
            coordinates: settings.region.coordinates,
            endpoints: endpoints.collect(),
        }
    }
}
