//! Which conditions the decisions of a deployment can depend on, so that the others are not
//! gathered. A deployment that needs none costs one comparison.

use crate::config::{AffinityMode, MeasuredLatency, Strategy};
use crate::routing::DeploymentPlan;

/// What a deployment's decisions look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// How busy regions are.
    pub load: bool,
    /// Measured round trips.
    pub measured: bool,
    /// Times of the client's network.
    pub network: bool,
    /// Where the client's network went last.
    pub incumbent: bool,
}

impl Needs {
    /// What this deployment's decisions look at.
    pub fn of(deployment: &DeploymentPlan, measured: &MeasuredLatency) -> Self {
        let settings = &deployment.settings;
        let ranking = &settings.ranking;
        let limited = deployment.regions.iter().any(|region| region.max_in_flight.is_some());
        let mut needs = Self {
            load: limited || settings.affinity.mode == AffinityMode::Client,
            ..Self::default()
        };
        let own =
            settings.rules.iter().filter(|rule| rule.enabled).filter_map(|rule| rule.strategy);
        for strategy in own.chain([settings.strategy]) {
            match strategy {
                Strategy::Capacity => needs.load = true,
                Strategy::Latency => {
                    needs.measured = true;
                    needs.load |= ranking.latency_tolerance_ms > 0.0;
                    needs.incumbent |= ranking.latency_switch_ms > 0.0;
                }
                Strategy::Cost | Strategy::Health => needs.measured = true,
                Strategy::Score => {
                    needs.measured |= ranking.objectives.latency > 0.0;
                    needs.load |= ranking.objectives.load > 0.0;
                }
                Strategy::Failover
                | Strategy::Geolocation
                | Strategy::Weighted
                | Strategy::RoundRobin
                | Strategy::Compliance => {}
            }
        }
        needs.network = needs.measured && measured.by_client_network;
        needs
    }

    /// Whether they look at nothing but the table and the request.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}
