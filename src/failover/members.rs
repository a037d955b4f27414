//! What the policy keeps of each checked endpoint and of each region, and how it is carried over
//! from one configuration to the next.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::event::Cause;
use crate::config::{Deployment, EndpointUrl, HealthCheck, Transport};
use crate::health::{CheckId, CheckState, EndpointHealth, RegionMachine};
use crate::model::{DeploymentName, RegionId, SignalKind};
use crate::routing::{EndpointPlan, RegionHealth};

/// One endpoint under one check, and who uses the result.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) url: EndpointUrl,
    pub(super) address: Option<SocketAddr>,
    /// For people.
    pub(super) called: String,
    pub(super) transport: Arc<Transport>,
    pub(super) spec: Arc<HealthCheck>,
    pub(super) region: RegionId,
    pub(super) state: CheckState,
    pub(super) users: BTreeSet<(usize, usize)>,
    pub(super) scheduled: Option<Duration>,
    /// What a request met since the last success.
    pub(super) signal: Option<SignalKind>,
}

/// A region of a deployment.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) deployment: DeploymentName,
    pub(super) region: RegionId,
    pub(super) machine: RegionMachine,
    /// By endpoint, in listed order; empty when the deployment has no checks.
    pub(super) endpoints: Vec<(CheckId, EndpointHealth)>,
}

impl Member {
    /// Health of the region; `epoch` is when durations start, in Unix seconds, if that is known.
    pub(super) fn health(
        &self,
        checks: &BTreeMap<CheckId, Check>,
        epoch: Option<u64>,
    ) -> RegionHealth {
        let state = self.machine.state();
        if self.endpoints.is_empty() {
            return RegionHealth { state, ..RegionHealth::HEALTHY };
        }
        let up = self.endpoints.iter().enumerate().filter(|(_, (_, health))| health.up);
        let endpoints_up =
            up.fold(0, |bits, (i, _)| bits | 1_u128.checked_shl(i as u32).unwrap_or(0));
        let score = self.score(checks);
        let since = epoch.map(|epoch| epoch + self.machine.since().as_secs());
        RegionHealth { state, endpoints_up, score, since, ..RegionHealth::HEALTHY }
    }

    /// How well the region does, 0 to 100: the mean of its endpoints, rounded down. An endpoint that
    /// passes its checks counts 100; each failure in a row takes as much from it as makes 0 at the
    /// check's `unhealthy_threshold`; one that is down counts 0, until it is up again. A region that is
    /// down counts 0, one without checks 100.
    pub(super) fn score(&self, checks: &BTreeMap<CheckId, Check>) -> u8 {
        if !self.machine.state().takes_traffic() {
            return 0;
        }
        let scores = self.endpoints.iter().map(|(id, health)| match checks.get(id) {
            Some(check) if health.up => check.score(),
            Some(_) => 0,
            None => u64::from(RegionHealth::HEALTHY.score),
        });
        let mean = scores.sum::<u64>().checked_div(self.endpoints.len() as u64);
        mean.and_then(|mean| u8::try_from(mean).ok()).unwrap_or(RegionHealth::HEALTHY.score)
    }
}

impl Check {
    /// How well the endpoint does, 0 to 100, as long as it is up.
    fn score(&self) -> u64 {
        let threshold = u64::from(self.spec.unhealthy_threshold);
        let left = threshold.saturating_sub(self.state.failures().into());
        (100 * left).checked_div(threshold).unwrap_or(0)
    }

    /// Why a region that uses this check changes now, if it does.
    pub(super) fn cause(&self) -> Cause {
        let endpoint = self.called.clone();
        match self.state.last_failure() {
            Some(last) if self.state.failures() > 0 => Cause::ChecksFailed {
                endpoint,
                failures: self.state.failures(),
                last: last.clone(),
                signal: self.signal,
            },
            _ => Cause::ChecksPassed { endpoint, successes: self.state.successes() },
        }
    }
}

/// What makes two checks the same.
type CheckKey = (EndpointUrl, Option<SocketAddr>, Arc<Transport>, HealthCheck);

/// The checks of a new plan, made from those of the old one.
pub(super) struct Adoption {
    old: HashMap<CheckKey, (CheckId, Check)>,
    new: HashMap<CheckKey, (CheckId, Check)>,
    next: u64,
}

impl Adoption {
    pub(super) fn of(checks: BTreeMap<CheckId, Check>, next: u64) -> Self {
        let old = checks
            .into_iter()
            .map(|(id, check)| {
                let (url, transport) = (check.url.clone(), Arc::clone(&check.transport));
                ((url, check.address, transport, (*check.spec).clone()), (id, check))
            })
            .collect();
        Self { old, new: HashMap::new(), next }
    }

    pub(super) fn adopt(
        &mut self,
        (endpoint, spec): (&EndpointPlan, &HealthCheck),
        region: &RegionId,
        user: (usize, usize),
        settled_at: u32,
        now: Duration,
    ) -> CheckId {
        let EndpointPlan { url, address, transport, .. } = endpoint;
        let key = (url.clone(), *address, Arc::clone(transport), spec.clone());
        let Self { old, new, next } = self;
        let (id, check) = new.entry(key).or_insert_with_key(|key| {
            let (id, mut check) = old.remove(key).unwrap_or_else(|| {
                *next += 1;
                let check = Check {
                    url: url.clone(),
                    address: *address,
                    called: endpoint.called(),
                    transport: Arc::clone(transport),
                    spec: Arc::new(spec.clone()),
                    region: region.clone(),
                    state: CheckState::new(now, settled_at),
                    users: BTreeSet::new(),
                    scheduled: None,
                    signal: None,
                };
                (CheckId(*next), check)
            });
            check.users.clear();
            check.region = region.clone();
            check.state.settle_at(0);
            (id, check)
        });
        check.users.insert(user);
        check.state.settle_at(settled_at.max(check.state.settled_at()));
        *id
    }

    pub(super) fn finish(self) -> (BTreeMap<CheckId, Check>, u64) {
        (self.new.into_values().collect(), self.next)
    }
}

/// Failures in a row that decide everything a deployment decides by a check.
pub(super) fn settled_at(deployment: &Deployment) -> u32 {
    let degraded = deployment.health_check.as_ref().map_or(0, |check| check.unhealthy_threshold);
    if deployment.failover.auto_failover_enabled {
        degraded.max(deployment.failover.threshold)
    } else {
        degraded
    }
}
