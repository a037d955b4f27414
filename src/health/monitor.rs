//! Makes the probes that the policy orders, many at once, and reports how each ended.
//!
//! Decides nothing: when to probe and what a result means is `state`'s and the policy's business.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use tokio::sync::{Semaphore, mpsc};

use crate::config::{Config, EndpointUrl, HealthCheck, Transport};
use crate::metrics::{CONTROL, RegionShard, Registry};
use crate::model::{RegionId, limits};
use crate::tls::Tls;
use crate::upstream::Route;

use super::probe;
use super::state::{CheckId, Failure};

/// A probe to make.
#[derive(Clone, Debug)]
pub struct ProbeOrder {
    /// What to report it as.
    pub check: CheckId,
    /// Which endpoint.
    pub url: EndpointUrl,
    /// Where it is, as far as is known.
    pub address: Option<SocketAddr>,
    /// How it is spoken to.
    pub transport: Arc<Transport>,
    /// What to ask.
    pub spec: Arc<HealthCheck>,
    /// How long it may take.
    pub timeout: Duration,
    /// The region it counts for in metrics.
    pub region: RegionId,
}

/// How a probe ended.
#[derive(Debug)]
pub struct ProbeReport {
    /// Which check it belonged to.
    pub check: CheckId,
    /// How long a success took, or why it failed.
    pub result: Result<Duration, Failure>,
}

/// Runs probes as tasks of the control thread.
#[derive(Clone, Debug)]
pub struct Monitor {
    reports: mpsc::Sender<ProbeReport>,
    slots: Arc<Semaphore>,
    registry: Arc<Registry>,
    /// What checks measure of regions; written by tasks of this thread only.
    regions: Arc<RegionShard>,
    half_life: Duration,
    tls: Arc<Tls>,
    /// Networks that endpoints may lie in although they are refused by default.
    allowed: Arc<[IpNet]>,
}

impl Monitor {
    /// A monitor that sends its reports to `reports`.
    pub fn new(reports: mpsc::Sender<ProbeReport>, registry: Arc<Registry>) -> Self {
        Self {
            reports,
            slots: Arc::new(Semaphore::new(limits::CHECKS_IN_FLIGHT)),
            registry,
            regions: Arc::default(),
            half_life: limits::MEASURED_HALF_LIFE,
            tls: Arc::default(),
            allowed: Arc::default(),
        }
    }

    /// Measures the regions of this configuration from now on, and reaches them as it says.
    pub fn adopt(&mut self, config: &Config, tls: &Arc<Tls>) {
        self.tls = Arc::clone(tls);
        self.allowed = config.origin_networks.as_slice().into();
        self.half_life = config.latency.measured.half_life;
        let ids = config.regions.iter().map(|region| region.id.clone());
        self.regions = Arc::new(RegionShard::new(ids, Some(&self.regions)));
        self.registry.publish_regions(CONTROL, Arc::clone(&self.regions));
    }

    /// Starts a probe. Its report comes in any case, also if the probe panics.
    pub fn start(&self, order: ProbeOrder) {
        let monitor = self.clone();
        tokio::spawn(async move {
            let check = order.check;
            let region = order.region.clone();
            let start = Instant::now();
            // In a task of its own, so that a panic ends the probe and nothing else.
            let slots = Arc::clone(&monitor.slots);
            let route = Route {
                tls: monitor.tls.client(&order.transport.tls).cloned(),
                url: order.url,
                address: order.address,
                // A check is about one address.
                twin: None,
                transport: order.transport,
                allowed: Arc::clone(&monitor.allowed),
            };
            let probe = tokio::spawn(async move {
                let _slot = slots.acquire().await;
                probe::http(&route, &order.spec, order.timeout).await
            });
            let result = probe.await.unwrap_or_else(|panic| {
                tracing::error!(check = check.0, %panic, "a health check broke; this is a bug");
                Err(Failure::Broken)
            });
            if let Ok(passed) = &result {
                monitor.measured(&region, passed.connect);
            }
            let result = result.map(|passed| passed.took);
            let word = result.as_ref().map_or_else(Failure::as_str, |_| "success");
            monitor.registry.control.health_check(region.as_str(), word, start.elapsed());
            // The controller is gone only when the process ends.
            let _ = monitor.reports.send(ProbeReport { check, result }).await;
        });
    }

    fn measured(&self, region: &RegionId, connect: Duration) {
        let at = self.registry.millis(Instant::now());
        let place = self.regions.position(region);
        if let Some(times) = place.and_then(|place| self.regions.times(place)) {
            times.connect.record(connect, at, self.half_life);
        }
    }
}
