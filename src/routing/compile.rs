//! From a configuration to a plan: names become positions, lists become sets and indexes.
//!
//! Cannot fail: a `Config` has been checked. What is beyond a limit all the same is left out
//! rather than trusted. Health is not compiled in; it changes far more often.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::continents::ContinentOf;
use super::draws::Salt;
use super::endpoint::EndpointIds;
use super::hosts::HostIndex;
use super::latency::{LatencyTable, Lookup};
use super::plan::{
    DeploymentIndex, DeploymentPlan, Plan, RegionNumber, RegionPlan, RegionPosition,
};
use super::residency::ResidencyBook;
use super::rules::RuleBook;
use super::strategy::{Figures, Shares, Sites};
use super::tenants::TenantTable;
use crate::config::{Config, Deployment, RegionSettings};
use crate::model::limits::REGIONS_PER_DEPLOYMENT;
use crate::model::{Places, RegionId};

/// What a plan is compiled from beside the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// Expected round trips.
    pub latency: Option<&'a LatencyTable>,
    /// Homes of tenants.
    pub tenants: Option<&'a Arc<TenantTable>>,
    /// Where names are; `None`: none was looked up.
    pub places: Option<&'a Places>,
    /// On which continent a country is.
    pub continent_of: ContinentOf,
}

/// What a configuration names, as read from files and from the DNS. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Expected round trips.
    pub latency: Option<Arc<LatencyTable>>,
    /// Homes of tenants.
    pub tenants: Option<Arc<TenantTable>>,
    /// Where the names of endpoints are.
    pub places: Places,
}

impl Tables {
    /// To compile with.
    pub fn sources(&self, continent_of: ContinentOf) -> Sources<'_> {
        let Self { latency, tenants, places } = self;
        Sources {
            latency: latency.as_deref(),
            tenants: tenants.as_ref(),
            places: Some(places),
            continent_of,
        }
    }
}

impl Sources<'_> {
    /// A configuration alone.
    pub const fn none(continent_of: ContinentOf) -> Self {
        Self { latency: None, tenants: None, places: None, continent_of }
    }
}

impl Plan {
    /// Compiles a configuration. Addresses keep the numbers that `endpoints` has given them before.
    pub fn compile(config: &Config, sources: Sources<'_>, endpoints: &mut EndpointIds) -> Self {
        let Sources { latency, tenants, places, continent_of } = sources;
        let nowhere = Places::default();
        let places = places.unwrap_or(&nowhere);
        let latency =
            latency.map(|table| Lookup::new(table.clone(), config.latency.freshness, continent_of));
        let numbers: Numbers<'_> =
            config.regions.iter().map(|region| &region.id).zip((0..).map(RegionNumber)).collect();
        let mut cx = Context {
            latency: latency.as_ref(),
            tenants,
            places,
            continent_of,
            numbers,
            endpoints,
        };
        let mut hosts = HostIndex::default();
        for (index, deployment) in (0..).map(DeploymentIndex).zip(&config.deployments) {
            hosts.add(&deployment.hosts, &deployment.path_prefix, index);
        }
        let deployments = config.deployments.iter();
        let deployments =
            deployments.map(|deployment| DeploymentPlan::compile(deployment, &mut cx)).collect();
        Self {
            deployments,
            regions: config.regions.iter().map(|region| region.id.clone()).collect(),
            hosts,
            tenants: tenants.cloned(),
            tenants_freshness: config
                .tenants
                .as_ref()
                .map(|file| file.freshness)
                .unwrap_or_default(),
            measured: config.latency.measured.clone(),
            latency,
        }
    }
}

type Numbers<'a> = HashMap<&'a RegionId, RegionNumber, FixedState>;

/// What every deployment is compiled with.
struct Context<'a> {
    latency: Option<&'a Lookup>,
    tenants: Option<&'a Arc<TenantTable>>,
    places: &'a Places,
    continent_of: ContinentOf,
    numbers: Numbers<'a>,
    endpoints: &'a mut EndpointIds,
}

impl DeploymentPlan {
    fn compile(settings: &Arc<Deployment>, cx: &mut Context<'_>) -> Self {
        let listed = settings.regions.iter().take(REGIONS_PER_DEPLOYMENT);
        let regions: Box<[_]> =
            listed.clone().map(|region| RegionPlan::compile(settings, region, cx)).collect();
        let positions: HashMap<&RegionId, RegionPosition, FixedState> =
            regions.iter().map(|region| &region.id).zip((0..).map(RegionPosition)).collect();
        let position = |id: &RegionId| positions.get(id).copied();
        let configured = listed.map(|settings| &*settings.region);
        let described: Vec<_> = regions.iter().zip(configured).collect();
        let limited = (0..).map(RegionPosition).zip(&regions);
        let limited = limited.filter(|(_, region)| region.max_in_flight.is_some());
        Self {
            name: settings.name.clone(),
            settings: Arc::clone(settings),
            rules: RuleBook::compile(
                settings.name.as_str(),
                &settings.rules,
                regions.len(),
                cx.continent_of,
                position,
            ),
            residency: ResidencyBook::compile(&settings.residency, &described),
            primary: position(&settings.primary_region),
            homes: cx
                .tenants
                .map(|table| table.regions().iter().map(position).collect())
                .unwrap_or_default(),
            limited: limited.map(|(position, _)| position).collect(),
            sites: Sites::new(&regions),
            figures: Figures::new(&regions),
            shares: Shares::new(regions.iter().map(|region| region.weight)),
            latency_positions: cx
                .latency
                .map(|lookup| lookup.positions(position))
                .unwrap_or_default(),
            regions,
        }
    }
}

impl RegionPlan {
    fn compile(deployment: &Deployment, settings: &RegionSettings, cx: &mut Context<'_>) -> Self {
        Self {
            id: settings.region.id.clone(),
            number: cx.numbers.get(&settings.region.id).copied().unwrap_or(RegionNumber(u16::MAX)),
            cost_multiplier: settings.region.cost_multiplier,
            max_in_flight: settings.region.max_in_flight,
            salt: Salt::of(&[deployment.name.as_str(), settings.region.id.as_str()]),
            weight: settings.weight,
            bias: settings.region.bias.clamp(-99, 99),
            coordinates: settings.region.coordinates,
            endpoints: cx.endpoints.place(&settings.endpoints, cx.places),
        }
    }
}
