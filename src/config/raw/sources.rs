//! The shapes of what decisions go by besides requests: places, times, homes of tenants.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::{Field, TextOr};

/// GeoIP databases in MaxMind's file format, read again when they change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Geoip {
    /// A country or city database, or several that are asked in order. Relative paths start at
    /// the directory of this file.
    #[serde(default)]
    pub(in crate::config) database: Field<TextOr<Vec<Field<String>>>>,
    /// A database of autonomous systems.
    #[serde(default)]
    pub(in crate::config) asn_database: Field<String>,
    /// A database is fresh for so long after it was built. Without end when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000))]
    pub(in crate::config) soft_ttl_seconds: Field<f64>,
    /// After so long it is passed over, and places are unknown. Never when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000))]
    pub(in crate::config) hard_ttl_seconds: Field<f64>,
}

/// Expected round-trip times.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Latency {
    /// A CSV file with the columns `client,region,rtt_ms` and, if wanted, `updated`; read again
    /// when it changes. A relative path starts at the directory of this file.
    #[serde(default)]
    pub(in crate::config) table: Field<String>,
    /// A row that says when it was updated is fresh for so long.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000), extend("default" = 3_600))]
    pub(in crate::config) soft_ttl_seconds: Field<f64>,
    /// After so long it is passed over.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000), extend("default" = 86_400))]
    pub(in crate::config) hard_ttl_seconds: Field<f64>,
    /// What Rhumb measures itself.
    #[serde(default)]
    pub(in crate::config) measured: Field<Measured>,
}

/// What Rhumb measures itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Measured {
    /// After so much time a measurement counts half.
    #[serde(default)]
    #[schemars(range(min = 0.1, max = 3_600), extend("default" = 10))]
    pub(in crate::config) half_life_seconds: Field<f64>,
    /// A region's times are fresh for so long after the newest of them.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000), extend("default" = 60))]
    pub(in crate::config) soft_ttl_seconds: Field<f64>,
    /// After so long they are passed over.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000), extend("default" = 600))]
    pub(in crate::config) hard_ttl_seconds: Field<f64>,
    /// Whether times are kept for each client network (/24, /48) as well.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) by_client_network: Field<bool>,
    /// Measurements of a client network that make its times count.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 20))]
    pub(in crate::config) min_samples: Field<i64>,
    /// Client networks that are remembered.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_048_576), extend("default" = 65_536))]
    pub(in crate::config) max_networks: Field<i64>,
}

/// Homes of tenants.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tenants {
    /// A CSV file with the columns `tenant,region` and, if wanted, `strict`; read again when it
    /// changes. A relative path starts at the directory of this file.
    pub(in crate::config) file: Field<String>,
    /// The file is fresh for so long after it was written. Without end when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000))]
    pub(in crate::config) soft_ttl_seconds: Field<f64>,
    /// After so long only its strict pins count. Never when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000))]
    pub(in crate::config) hard_ttl_seconds: Field<f64>,
}
