//! The shapes of what is refused under too much load, how, and in which order.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::{Entries, Field};

/// How requests are refused because of too much load.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Shed {
    /// `Retry-After` of the answer, in seconds.
    #[serde(default)]
    #[schemars(range(min = 1, max = 3_600), extend("default" = 1))]
    pub(in crate::config) retry_after_seconds: Field<i64>,
}

/// Which requests give way first when regions are full.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Priorities {
    /// The header that names a request's class.
    #[serde(default)]
    #[schemars(extend("default" = "x-priority"))]
    pub(in crate::config) header: Field<String>,
    /// Whether anyone may name it, and not only peers in `client.trusted_proxies`.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) from_anyone: Field<bool>,
    /// Classes with the percentage of a region's `max_in_flight` that they may fill.
    #[schemars(schema_with = "crate::config::schema::classes")]
    pub(in crate::config) classes: Field<Entries<i64>>,
    /// The percentage for requests without a class.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100), extend("default" = 100))]
    pub(in crate::config) default_percent: Field<i64>,
}
