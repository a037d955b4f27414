//! What came of a simulation: numbers and names, for machines as they are, for people laid out
//! elsewhere. The shapes only; `reporting` fills them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::log::BadLines;
use crate::model::{Country, DeploymentName, RegionId};

/// What came of a simulation.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Requests that were decided.
    pub requests: u64,
    /// From the first to the last, in seconds; `None`: it is not known when they came.
    pub seconds: Option<f64>,
    /// Lines of the log that were no requests.
    pub bad_lines: BadLines,
    /// What the first table did.
    pub before: SideReport,
    /// What the second one did.
    pub after: Option<SideReport>,
    /// What is different.
    pub change: Option<Change>,
}

/// What one table did.
#[derive(Clone, Debug, Serialize)]
pub struct SideReport {
    /// Every region of either table, in file order.
    pub regions: Vec<RegionReport>,
    /// Decisions by their reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Requests that got no region, by reason.
    pub refused: Vec<Refused>,
    /// Expected round trips to the regions that were chosen.
    pub latency: Latency,
    /// Mean cost multiplier of the regions that were chosen.
    pub mean_cost: Option<f64>,
    /// What residency policies said.
    pub residency: Residency,
}

/// What one region got.
#[derive(Clone, Debug, Serialize)]
pub struct RegionReport {
    /// Its id.
    pub region: RegionId,
    /// Requests that it got.
    pub requests: u64,
    /// In percent of all.
    pub percent: f64,
    /// Requests that were meant for it and found it full.
    pub spilled: u64,
    /// What would be in flight; `None`: it is not known when requests came.
    pub in_flight: Option<InFlight>,
}

/// What would be in flight at a region that took all that is meant for it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct InFlight {
    /// On average.
    pub mean: f64,
    /// On average over the busiest span.
    pub peak: f64,
    /// What it may have.
    pub limit: Option<u32>,
    /// Whether that is less than mean or peak.
    pub exceeded: bool,
}

/// Requests that got no region.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    /// Why.
    pub reason: &'static str,
    /// How many.
    pub requests: u64,
    /// From where, most first; `null` is a country that is not known.
    pub countries: Vec<(Option<Country>, u64)>,
}

/// Expected round trips, in milliseconds; quantiles are right to two percent.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// Requests of which it is known.
    pub known: u64,
    /// Requests of which it is not.
    pub unknown: u64,
    /// The mean.
    pub mean_ms: Option<f64>,
    /// What half of the requests do not exceed.
    pub p50_ms: Option<f64>,
    /// What 95 of 100 do not exceed.
    pub p95_ms: Option<f64>,
}

/// What residency policies said.
#[derive(Clone, Debug, Serialize)]
pub struct Residency {
    /// Every policy of every deployment.
    pub policies: Vec<PolicyReport>,
    /// Requests that only one region may see.
    pub only_one_region: u64,
    /// Requests that went where a policy with `enforcement: report` would not have let them.
    pub reported: u64,
    /// Requests that went where they may not; always 0.
    pub violations: u64,
}

/// What one residency policy said.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyReport {
    /// Its deployment.
    pub deployment: DeploymentName,
    /// Its name.
    pub policy: String,
    /// Whether it binds.
    pub strict: bool,
    /// Requests that it applies to.
    pub requests: u64,
    /// Those of them for which no region was left.
    pub refused: u64,
}

/// What is different between the two.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// Requests that go elsewhere, or are refused on one side only.
    pub moved: u64,
    /// In percent of all.
    pub moved_percent: f64,
    /// From where to where, most first.
    pub moves: Vec<Move>,
    /// Countries whose requests move, most first.
    pub countries: Vec<CountryMoves>,
    /// Tenants whose requests move, most first.
    pub tenants: Vec<TenantMoves>,
    /// Moves of tenants beyond those that are counted one by one.
    pub tenants_not_counted: u64,
    /// Difference of the latencies.
    pub latency_mean_ms: Option<f64>,
    /// Difference of the latencies that half of the requests do not exceed.
    pub latency_p50_ms: Option<f64>,
    /// Difference of the latencies that 95 of 100 do not exceed.
    pub latency_p95_ms: Option<f64>,
    /// Difference of the mean cost multipliers.
    pub mean_cost: Option<Cost>,
}

/// A mean cost multiplier before and after.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    /// Before.
    pub before: f64,
    /// After.
    pub after: f64,
    /// The difference in percent of before; `None` if that is 0.
    pub percent: Option<f64>,
}

/// Requests that move. `None`: no region, a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Move {
    /// From where.
    pub from: Option<RegionId>,
    /// To where.
    pub to: Option<RegionId>,
    /// How many.
    pub requests: u64,
}

/// A country whose requests move.
#[derive(Clone, Debug, Serialize)]
pub struct CountryMoves {
    /// The country; `None`: not known.
    pub country: Option<Country>,
    /// Its requests.
    pub requests: u64,
    /// Those that move.
    pub moved: u64,
    /// From where to where, most first.
    pub moves: Vec<Move>,
}

/// A tenant whose requests move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TenantMoves {
    /// The tenant.
    pub tenant: String,
    /// Requests that move.
    pub moved: u64,
}
