//! The part of `/metrics` that says how old the data are that decisions are made from.
//!
//! What an age means is settled where the data are read; times that Rhumb measures itself are on
//! the page of regions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::geo::Age;
use crate::metrics::{Page, names};
use crate::routing::Plan;
use crate::snapshot::Snapshot;

pub(super) fn write(page: &mut Page, snapshot: &Snapshot, now: SystemTime) {
    geoip(page, snapshot, now);
    let plan = &snapshot.table.plan;
    latency(page, plan, now);
    tenants(page, plan, now);
}

fn geoip(page: &mut Page, snapshot: &Snapshot, now: SystemTime) {
    let geo = &snapshot.geo;
    for info in geo.info() {
        let built = info.built.duration_since(UNIX_EPOCH);
        let name = format!("{}:{}", info.kind, info.database_type);
        let seconds = built.map_or(0.0, |built| built.as_secs_f64());
        page.sample(names::GEOIP_BUILD_TIMESTAMP, &[&name], seconds);
        page.sample(names::GEOIP_AGE, &[&name], since(info.built, now));
    }
    for state in Age::ALL {
        let count = geo.ages(now).filter(|age| *age == state).count();
        page.sample(names::GEOIP_DATABASES, &[state.as_str()], count as f64);
    }
}

fn latency(page: &mut Page, plan: &Plan, now: SystemTime) {
    let unix = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let Some(rows) = plan.latency_ages(unix) else { return };
    let states = [(Age::Fresh, rows.fresh), (Age::Stale, rows.stale), (Age::Expired, rows.expired)];
    for (state, count) in states {
        page.sample(names::LATENCY_ROWS, &[state.as_str()], count as f64);
    }
    if let Some(oldest) = rows.oldest {
        page.sample(names::LATENCY_OLDEST_AGE, &[], oldest as f64);
    }
}

fn tenants(page: &mut Page, plan: &Plan, now: SystemTime) {
    let Some(table) = &plan.tenants else { return };
    page.sample(names::TENANTS, &[], table.len() as f64);
    if let Some(modified) = table.modified() {
        let modified = UNIX_EPOCH + Duration::from_secs(modified);
        page.sample(names::TENANTS_AGE, &[], since(modified, now));
    }
}

/// Seconds since then; none when the clock says that it has not been yet.
fn since(then: SystemTime, now: SystemTime) -> f64 {
    now.duration_since(then).unwrap_or_default().as_secs_f64()
}
