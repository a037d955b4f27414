//! `/metrics`: what was counted, and how things are now.

use std::time::SystemTime;

use http::StatusCode;

use super::answer::{Answer, problem, typed};
use super::certificates;
use super::freshness;
use super::source::Admin;
use crate::measure::Observed;
use crate::metrics::{Page, names};
use crate::model::{RegionState, SignalKind};
use crate::overload::{Figures, Gauge};
use crate::routing::{DeploymentPlan, Reason, RegionHealth, RegionPlan};
use crate::shadow::Outcome;
use crate::snapshot::Snapshot;

const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn answer(admin: &Admin) -> Answer {
    let mut page = Page::default();
    let snapshot = admin.live.load();
    page.sample(names::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
    page.sample(names::START_TIME, &[], admin.started_unix_seconds);
    page.sample(names::CONFIG_GENERATION, &[], snapshot.table.generation as f64);
    freshness::write(&mut page, &snapshot, SystemTime::now());
    certificates::write(&mut page, &snapshot);
    regions(&mut page, &snapshot, admin);
    health(&mut page, &snapshot);
    pressure(&mut page, &admin.gauge);
    shadow(&mut page, &snapshot);
    let reasons = Reason::ALL.map(Reason::as_str);
    page.registry(&admin.registry, &reasons, &SignalKind::ALL.map(SignalKind::as_str));
    match page.encode() {
        Ok(text) => typed(StatusCode::OK, TEXT_FORMAT, text),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written; this is a bug");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "metrics cannot be written")
        }
    }
}

fn regions(page: &mut Page, snapshot: &Snapshot, admin: &Admin) {
    for region in Observed::report(&admin.registry, &snapshot.table.plan) {
        let labels = [region.id.as_str()];
        page.sample(names::REGION_IN_FLIGHT, &labels, f64::from(region.load.in_flight));
        if let Some(limit) = region.limit {
            let spilling = f64::from(u8::from(region.load.spilling));
            page.sample(names::REGION_CAPACITY, &labels, f64::from(limit.get()));
            page.sample(names::REGION_SPILLING, &labels, spilling);
        }
        let connect = (region.connect, names::MEASURED_CONNECT, names::MEASURED_CONNECT_AGE);
        let first_byte =
            (region.first_byte, names::MEASURED_FIRST_BYTE, names::MEASURED_FIRST_BYTE_AGE);
        for (timing, average, age) in [connect, first_byte] {
            if let Some(timing) = timing {
                page.sample(average, &labels, timing.seconds);
                page.sample(age, &labels, timing.age_seconds);
            }
        }
    }
    page.sample(names::MEASURED_NETWORKS, &[], admin.networks.len() as f64);
}

fn pressure(page: &mut Page, gauge: &Gauge) {
    let Figures { resident, used, memory_limit, descriptors, descriptor_limit } = gauge.figures();
    page.sample(names::MEMORY, &[], resident as f64);
    page.sample(names::MEMORY_USED, &[], used as f64);
    page.sample(names::MEMORY_PRESSURE, &[], f64::from(gauge.pressure().memory as u8));
    if let Some(limit) = memory_limit {
        page.sample(names::MEMORY_LIMIT, &[], limit as f64);
    }
    if let Some(descriptors) = descriptors {
        page.sample(names::DESCRIPTORS, &[], descriptors as f64);
    }
    page.sample(names::DESCRIPTORS_LIMIT, &[], descriptor_limit as f64);
}

fn health(page: &mut Page, snapshot: &Snapshot) {
    for (index, deployment) in snapshot.table.plan.iter() {
        let Some((_, health)) = snapshot.table.deployment(index) else { continue };
        for (region, health) in deployment.regions.iter().zip(health.regions()) {
            region_health(page, deployment, region, *health);
        }
    }
}

fn shadow(page: &mut Page, snapshot: &Snapshot) {
    let Some(trial) = snapshot.shadow.as_ref().and_then(|shadow| shadow.trial.as_ref()) else {
        return;
    };
    let known = snapshot.table.plan.iter().map(|(index, d)| (Some(index), d.name.as_str()));
    for (index, name) in known.chain([(None, "")]) {
        for outcome in Outcome::ALL {
            let count = trial.ledger().decisions(index, outcome);
            page.sample(names::SHADOW_DECISIONS, &[name, outcome.as_str()], count as f64);
        }
    }
}

fn region_health(
    page: &mut Page,
    deployment: &DeploymentPlan,
    region: &RegionPlan,
    health: RegionHealth,
) {
    let (name, id) = (deployment.name.as_str(), region.id.as_str());
    for state in RegionState::ALL {
        let is = f64::from(u8::from(state == health.state));
        page.sample(names::REGION_STATE, &[name, id, state.as_str()], is);
    }
    let up = f64::from(u8::from(health.state.takes_traffic()));
    page.sample(names::REGION_UP, &[name, id], up);
    for (i, endpoint) in region.endpoints.iter().enumerate() {
        let up = health.endpoints_up >> i & 1 == 1;
        let url = endpoint.called();
        page.sample(names::ENDPOINT_UP, &[name, id, &url], f64::from(u8::from(up)));
    }
}
