//! Each strategy and each source of a round trip, in tables; and all of them against a slow and
//! obvious second way to order regions. Here: the world that they are asked in.

mod draws;
mod orders;
mod round_trips;
mod second_way;

use super::fixture::{Request, config, continent_of, deployment, three_regions};
use super::ids;
use crate::config::{
    Config, Deployment, Freshness, RankingSettings, RegionSettings, Strategy as By,
};
use crate::model::RegionState;
use crate::routing::{
    Conditions, DeploymentHealth, DeploymentIndex, Draws, EndpointIds, LatencyTable, Measured,
    NoTrace, Plan, RegionHealth, RegionLoad, RegionNumber, Sources, Table, decide, explain,
};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

const NOW: u64 = 1_700_000_000;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// A deployment with everything that orders its regions.
struct World {
    config: Config,
    rows: String,
    health: Vec<RegionHealth>,
    load: Vec<RegionLoad>,
    measured: Vec<Measured>,
    network: Vec<Measured>,
    incumbent: Option<RegionNumber>,
}

impl World {
    fn of(api: Deployment) -> Self {
        let mut config = config(vec![api]);
        let hours = |n| Some(Duration::from_secs(n * HOUR));
        config.latency.freshness = Freshness { soft: hours(1), hard: hours(24) };
        config.latency.measured.by_client_network = true;
        Self {
            config,
            rows: "client,region,rtt_ms,updated\n".to_owned(),
            health: Vec::new(),
            load: Vec::new(),
            measured: Vec::new(),
            network: Vec::new(),
            incumbent: None,
        }
    }

    /// Virginia, Ireland and Tokyo.
    fn three(strategy: By) -> Self {
        Self::of(deployment("api", strategy, three_regions()))
    }

    fn rows(mut self, rows: &str) -> Self {
        self.rows += rows;
        self
    }

    fn ranking(mut self, change: impl FnOnce(&mut RankingSettings)) -> Self {
        change(&mut Arc::make_mut(&mut self.config.deployments[0]).ranking);
        self
    }

    fn regions(mut self, change: impl Fn(usize, &mut RegionSettings)) -> Self {
        let api = Arc::make_mut(&mut self.config.deployments[0]);
        for (place, region) in api.regions.iter_mut().enumerate() {
            change(place, region);
        }
        self
    }

    fn costs(self, costs: &[f64]) -> Self {
        self.regions(|place, settings| {
            Arc::make_mut(&mut settings.region).cost_multiplier = costs[place];
        })
    }

    fn limits(self, limits: &[u32]) -> Self {
        self.regions(|place, settings| {
            Arc::make_mut(&mut settings.region).max_in_flight = NonZeroU32::new(limits[place]);
        })
    }

    fn in_flight(mut self, load: &[u32]) -> Self {
        let load = load.iter().map(|n| RegionLoad { in_flight: *n, spilling: false });
        self.load = load.collect();
        self
    }

    fn health(mut self, health: &[RegionHealth]) -> Self {
        self.health = health.to_vec();
        self
    }

    fn down(self, down: &[usize]) -> Self {
        let state = |place: usize| match down.contains(&place) {
            true => RegionState::Down,
            false => RegionState::Healthy,
        };
        let health: Vec<_> = (0..self.config.deployments[0].regions.len())
            .map(|place| RegionHealth { state: state(place), ..RegionHealth::HEALTHY })
            .collect();
        self.health(&health)
    }

    fn measured(mut self, measured: &[Measured]) -> Self {
        self.measured = measured.to_vec();
        self
    }

    fn network(mut self, network: &[Measured]) -> Self {
        self.network = network.to_vec();
        self
    }

    fn incumbent(mut self, place: u16) -> Self {
        self.incumbent = Some(RegionNumber(place));
        self
    }

    fn table(&self) -> Table {
        let known = |id: &str| self.config.regions.iter().any(|region| region.id.as_str() == id);
        let latency = LatencyTable::parse(&self.rows, &known).unwrap();
        let sources = Sources { latency: Some(&latency), ..Sources::none(continent_of) };
        let plan = Plan::compile(&self.config, sources, &mut EndpointIds::default());
        let table = Table::healthy(1, Arc::new(plan));
        if self.health.is_empty() {
            return table;
        }
        table.with_health(2, DeploymentIndex(0), DeploymentHealth::new(self.health.clone()))
    }

    fn conditions(&self) -> Conditions<'_> {
        Conditions {
            load: &self.load,
            measured: &self.measured,
            network: &self.network,
            incumbent: self.incumbent,
        }
    }

    /// Where the request goes in order, and why; explaining it must say the same.
    fn outcome(&self, request: &Request) -> (Vec<String>, &'static str) {
        let (table, facts, draws) = (self.table(), request.facts(), Draws::default());
        let outcome = decide(&table, &facts, &self.conditions(), draws, &mut NoTrace);
        let explained = explain(&table, &facts, &self.conditions(), draws);
        match outcome {
            Ok(decision) => {
                let order = ids(&table, &decision);
                let shown = explained.steps.last().unwrap().regions.iter().take(8);
                assert_eq!(order, shown.map(ToString::to_string).collect::<Vec<_>>());
                assert_eq!(explained.decision.unwrap().reason, decision.reason);
                (order, decision.reason.as_str())
            }
            Err(refusal) => {
                assert_eq!(explained.refusal.unwrap().reason, refusal.reason());
                (Vec::new(), refusal.reason())
            }
        }
    }

    #[track_caller]
    fn goes(&self, request: &Request, regions: &[&str], reason: &str) {
        let (order, why) = self.outcome(request);
        assert_eq!(
            (order.iter().map(String::as_str).collect::<Vec<_>>(), why),
            (regions.to_vec(), reason)
        );
    }

    /// What the strategy says of its order.
    fn note(&self, request: &Request) -> String {
        let table = self.table();
        let told = explain(&table, &request.facts(), &self.conditions(), Draws::default());
        let step = told.steps.into_iter().find(|step| step.step.as_str() == "strategy");
        step.unwrap().note.unwrap()
    }
}

fn berlin() -> Request {
    Request::default().in_country("DE").at_place(52.5, 13.4)
}

/// Somewhere in Germany.
fn germany() -> Request {
    Request::default().in_country("DE")
}

fn measured(ms: f32, age: u64) -> Measured {
    Measured { ms, samples: 50, at: NOW - age }
}

const NOTHING: Measured = Measured { ms: 0.0, samples: 0, at: 0 };

fn scored(score: u8) -> RegionHealth {
    RegionHealth { score, ..RegionHealth::HEALTHY }
}
