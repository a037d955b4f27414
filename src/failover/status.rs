//! How things are, as the controller knows it: for those who ask, and without any say in what happens.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::config::Config;
use crate::names::NameReport;
use crate::routing::Table;

use super::event::{Event, EventLog};
use super::policy::Policy;

/// How things are.
#[derive(Debug)]
pub struct Status {
    /// The table in use.
    pub table: Arc<Table>,
    /// The configuration it was compiled from.
    pub config: Arc<Config>,
    /// More about each region, by deployment and region in the order of the table's plan.
    pub regions: Vec<Vec<RegionStatus>>,
    /// The names of endpoints.
    pub names: Vec<NameReport>,
    /// The latest events, oldest first.
    pub events: Vec<Event>,
    /// Time since the process's epoch.
    pub uptime: Duration,
}

/// What is known of a region beyond its state.
#[derive(Clone, Debug, Serialize)]
pub struct RegionStatus {
    /// How long it has been in its state.
    pub in_state_seconds: f64,
    /// Its endpoints; empty without checks.
    pub endpoints: Vec<EndpointStatus>,
}

/// What the checks of an endpoint know.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointStatus {
    /// What it is called.
    pub url: String,
    /// Where it is, as far as is known.
    pub address: Option<SocketAddr>,
    /// Whether it may be chosen.
    pub up: bool,
    /// Failed checks in a row.
    pub failures: u32,
    /// Passed checks in a row.
    pub successes: u32,
    /// Usual duration of a check.
    pub check_ms: Option<f64>,
    /// The latest failure, however long ago.
    pub last_failure: Option<String>,
}

impl Status {
    /// What there is to say at `uptime`, the time since the process's epoch.
    pub(super) fn of(
        policy: &Policy,
        names: Vec<NameReport>,
        events: &EventLog,
        uptime: Duration,
    ) -> Self {
        let plan = &policy.table().plan;
        let regions = plan.deployments.iter().enumerate().map(|(d, deployment)| {
            let regions = 0..deployment.regions.len();
            regions.map(|r| RegionStatus::of(policy, d, r, uptime)).collect()
        });
        Self {
            table: Arc::clone(policy.table()),
            config: Arc::clone(policy.config()),
            regions: regions.collect(),
            names,
            events: events.iter().cloned().collect(),
            uptime,
        }
    }
}

impl RegionStatus {
    fn of(policy: &Policy, d: usize, r: usize, uptime: Duration) -> Self {
        let since = policy.since(d, r).unwrap_or(uptime);
        let endpoints = policy.checks_of(d, r).map(|(endpoint, check, up)| EndpointStatus {
            url: endpoint.url.to_string(),
            address: endpoint.address,
            up,
            failures: check.failures(),
            successes: check.successes(),
            check_ms: check.usual_duration().map(|usual| usual.as_micros() as f64 / 1e3),
            last_failure: check.last_failure().map(ToString::to_string),
        });
        Self {
            in_state_seconds: uptime.saturating_sub(since).as_millis() as f64 / 1e3,
            endpoints: endpoints.collect(),
        }
    }
}
