//! Conditions for whoever is no worker: an explanation, and the metrics page.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Instant;

use super::Network;
use super::ledger::spills;
use super::networks::Networks;
use super::observer::Clock;
use super::peers::Peers;
use crate::metrics::{Average, Registry};
use crate::model::RegionId;
use crate::routing::{Conditions, Measured, Plan, RegionLoad};

/// Everything that is known of regions at one moment, by number of the region.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    load: Vec<RegionLoad>,
    measured: Vec<Measured>,
    network: Vec<Measured>,
}

/// What is known of one region, for people.
#[derive(Clone, Debug)]
pub struct RegionReport<'a> {
    /// The region.
    pub id: &'a RegionId,
    /// Requests that it is answering, and whether some worker takes it to be full.
    pub load: RegionLoad,
    /// Requests that it may answer at once.
    pub limit: Option<NonZeroU32>,
    /// Making a connection to it.
    pub connect: Option<Timing>,
    /// From a request sent to the head of its response.
    pub first_byte: Option<Timing>,
}

/// A measured time.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The average.
    pub seconds: f64,
    /// How long ago the latest measurement was made.
    pub age_seconds: f64,
}

impl Observed {
    /// What is known now for a client. Where its network went last, only workers know.
    pub fn now(
        registry: &Registry,
        networks: &Networks,
        plan: &Plan,
        client: IpAddr,
        unix: u64,
    ) -> Self {
        let clock = Clock { millis: registry.millis(Instant::now()), unix };
        let mut peers = Peers::default();
        peers.update(registry, &plan.regions);
        let half_life = plan.measured.half_life;
        let connect =
            |place| clock.measured(&peers.average(place, |times| &times.connect, half_life));
        let mut network = Vec::new();
        if plan.measured.by_client_network
            && let Some(times) = networks.find(Network::of(client))
        {
            network.resize(plan.regions.len(), Measured::default());
            for (id, average) in &times {
                let place = plan.regions.iter().position(|known| known == id);
                if let Some(slot) = place.and_then(|place| network.get_mut(place)) {
                    *slot = clock.measured(average);
                }
            }
        }
        Self {
            load: loads(&peers, plan),
            measured: (0..plan.regions.len()).map(connect).collect(),
            network,
        }
    }

    /// Takes it that a region is answering so many requests. False if there is no such region.
    pub fn suppose(&mut self, plan: &Plan, region: &RegionId, in_flight: u32) -> bool {
        let place = plan.regions.iter().position(|known| known == region);
        let limit = place.and_then(|place| limits(plan).get(place).copied()).flatten();
        self.load.resize(plan.regions.len().max(self.load.len()), RegionLoad::default());
        let slot = place.and_then(|place| self.load.get_mut(place));
        slot.map(|load| {
            *load = RegionLoad { in_flight, spilling: false };
            load.spilling = spills(*load, limit);
        })
        .is_some()
    }

    /// The same, for a decision.
    pub fn conditions(&self) -> Conditions<'_> {
        let Self { load, measured, network } = self;
        Conditions { load, measured, network, incumbent: None }
    }

    /// What is known of each region of a plan.
    pub fn report<'a>(registry: &Registry, plan: &'a Plan) -> Vec<RegionReport<'a>> {
        let now = registry.millis(Instant::now());
        let mut peers = Peers::default();
        peers.update(registry, &plan.regions);
        let half_life = plan.measured.half_life;
        let regions = plan.regions.iter().zip(loads(&peers, plan)).zip(limits(plan)).enumerate();
        let report = |(place, ((id, load), limit)): (usize, ((&'a RegionId, _), _))| {
            let time = |average| timing(average, now);
            RegionReport {
                id,
                load,
                limit,
                connect: time(peers.average(place, |times| &times.connect, half_life)),
                first_byte: time(peers.average(place, |times| &times.first_byte, half_life)),
            }
        };
        regions.map(report).collect()
    }
}

fn timing(average: Average, now: u64) -> Option<Timing> {
    (average.samples > 0).then(|| Timing {
        seconds: average.ms / 1e3,
        age_seconds: now.saturating_sub(average.at) as f64 / 1e3,
    })
}

fn limits(plan: &Plan) -> Vec<Option<NonZeroU32>> {
    let mut limits = vec![None; plan.regions.len()];
    for region in plan.deployments.iter().flat_map(|deployment| &deployment.regions) {
        if let Some(limit) = limits.get_mut(region.number.index()) {
            *limit = region.max_in_flight;
        }
    }
    limits
}

fn loads(peers: &Peers, plan: &Plan) -> Vec<RegionLoad> {
    let mut loads = vec![RegionLoad::default(); plan.regions.len()];
    peers.each_load(None, |place, cell| {
        if let Some(load) = loads.get_mut(place) {
            let (in_flight, spilling) = cell.get();
            load.in_flight = load.in_flight.saturating_add(in_flight);
            load.spilling |= spilling;
        }
    });
    for (load, limit) in loads.iter_mut().zip(limits(plan)) {
        load.spilling = spills(*load, limit);
    }
    loads
}
