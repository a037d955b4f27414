//! The shapes of a deployment, and of how it ranks its regions.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Affinity, Compression, Endpoint, Failover, HealthCheck, Hints, NAME_PATTERN, Policy,
    Priorities, Replay, Retries, Rule, Tenant, Timeouts, WhenAllDown, Writes,
};
use crate::config::field::{Entries, Field, TextOr};

/// One API, routed as a unit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Deployment {
    /// Unique name.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub(in crate::config) name: Field<String>,
    /// Hosts it answers: exact ones, or `*.example.org` for one or more labels before the rest.
    /// Any host when absent.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) hosts: Field<Vec<Field<String>>>,
    /// Paths it answers: this one and what is below it.
    #[serde(default)]
    #[schemars(extend("default" = "/"))]
    pub(in crate::config) path_prefix: Field<String>,
    /// Id of the region that leads.
    pub(in crate::config) primary_region: Field<String>,
    /// Ids of the other regions, in order of preference.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub(in crate::config) replica_regions: Field<Vec<Field<String>>>,
    /// Ids of regions that must not serve this deployment, even if they are listed above.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub(in crate::config) excluded_regions: Field<Vec<Field<String>>>,
    /// What this deployment sets for single regions, by id.
    #[serde(default)]
    pub(in crate::config) regions: Field<Entries<RegionUse>>,
    /// How regions are ranked.
    #[serde(default)]
    #[schemars(extend("default" = "latency"))]
    pub(in crate::config) routing_strategy: Field<Strategy>,
    /// In the strategy `latency`, regions within so many milliseconds of the fastest are ordered
    /// by how full they are.
    #[serde(default)]
    #[schemars(range(min = 0, max = 60_000), extend("default" = 0))]
    pub(in crate::config) latency_tolerance_ms: Field<f64>,
    /// In the strategy `latency`, a client network stays at its region until another is faster by
    /// more than so many milliseconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 60_000), extend("default" = 0))]
    pub(in crate::config) latency_switch_ms: Field<f64>,
    /// What the strategy `score` weighs.
    #[serde(default)]
    pub(in crate::config) objectives: Field<Objectives>,
    /// Where the tenant of a request is read. Tenants are not told apart when absent.
    #[serde(default)]
    pub(in crate::config) tenant: Field<Tenant>,
    /// Which regions may see which requests.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub(in crate::config) residency: Field<Vec<Field<Policy>>>,
    /// Where writes go, and reads after them.
    #[serde(default)]
    pub(in crate::config) writes: Field<Writes>,
    /// Whether a client stays at a region.
    #[serde(default)]
    pub(in crate::config) affinity: Field<Affinity>,
    /// What a request may say about its region.
    #[serde(default)]
    pub(in crate::config) hints: Field<Hints>,
    /// Whether an origin may send a request elsewhere.
    #[serde(default)]
    pub(in crate::config) replay: Field<Replay>,
    /// Which requests give way first when regions are full; all are alike when absent.
    #[serde(default)]
    pub(in crate::config) priorities: Field<Priorities>,
    /// Conditions on requests, and the regions they then go to.
    #[serde(default)]
    #[schemars(length(max = 100_000))]
    pub(in crate::config) routing_rules: Field<Vec<Field<Rule>>>,
    /// Active checks of the regions; none when absent.
    #[serde(default)]
    pub(in crate::config) health_check: Field<HealthCheck>,
    /// When a region is taken out and may come back.
    #[serde(default)]
    pub(in crate::config) failover: Field<Failover>,
    /// Limits of one request.
    #[serde(default)]
    pub(in crate::config) timeouts: Field<Timeouts>,
    /// Protocols of the header `Upgrade` that are passed on; others are taken off the request.
    #[serde(default)]
    #[schemars(length(max = 16), extend("default" = ["websocket"]))]
    pub(in crate::config) upgrades: Field<Vec<Field<String>>>,
    /// Bytes of a request body; a longer one is refused with 413. No limit when absent.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_125_899_906_842_624_u64))]
    pub(in crate::config) max_body_bytes: Field<i64>,
    /// Whether no request is bound by `timeouts.request_seconds`, as event streams, gRPC and
    /// tunnels never are.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) streaming: Field<bool>,
    /// Compression of responses; off when absent.
    #[serde(default)]
    pub(in crate::config) compression: Field<Compression>,
    /// How often a failed attempt is repeated elsewhere.
    #[serde(default)]
    pub(in crate::config) retries: Field<Retries>,
    /// What to do when no region is healthy.
    #[serde(default)]
    #[schemars(extend("default" = "last_resort"))]
    pub(in crate::config) when_all_down: Field<WhenAllDown>,
}

/// What a deployment sets for one region.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RegionUse {
    /// Share of the requests in the `weighted` strategy, relative to the other regions; 0 is none.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 1))]
    pub(in crate::config) weight: Field<i64>,
    /// Upstream addresses in place of the region's own.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    pub(in crate::config) endpoints: Field<Vec<Field<TextOr<Endpoint>>>>,
}

/// How regions are ranked.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Strategy {
    /// Primary, then replicas as listed.
    Failover,
    /// Nearest first.
    Geolocation,
    /// Lowest expected round trip first.
    Latency,
    /// A draw by weight.
    Weighted,
    /// Each in turn.
    RoundRobin,
    /// Least full first.
    Capacity,
    /// Cheapest first, then the lowest expected round trip.
    Cost,
    /// Healthiest first, then the lowest expected round trip.
    Health,
    /// Nearest first, and only requests that a residency policy applies to.
    Compliance,
    /// Lowest weighted sum of the `objectives` first.
    Score,
}

/// What the strategy `score` weighs; at least one weight above 0.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub(in crate::config) struct Objectives {
    /// Weight of the expected round trip.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 0))]
    pub(in crate::config) latency: Field<f64>,
    /// Weight of the region's `cost_multiplier`.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 0))]
    pub(in crate::config) cost: Field<f64>,
    /// Weight of how full the region is.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 0))]
    pub(in crate::config) load: Field<f64>,
}
