//! How the DNS names of endpoints are looked up, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::Field;

/// How the DNS names of endpoints are looked up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Names {
    /// DNS servers, as IP addresses with or without a port; those of the system when absent. Names
    /// are then taken as complete, without the system's search domains.
    #[serde(default)]
    #[schemars(length(min = 1, max = 8))]
    pub(in crate::config) servers: Field<Vec<Field<String>>>,
    /// An answer is good for at least so long, whatever its TTL.
    #[serde(default)]
    #[schemars(range(min = 0.05, max = 86_400), extend("default" = 1))]
    pub(in crate::config) min_ttl_seconds: Field<f64>,
    /// An answer is good for at most so long, whatever its TTL.
    #[serde(default)]
    #[schemars(range(min = 0.05, max = 86_400), extend("default" = 300))]
    pub(in crate::config) max_ttl_seconds: Field<f64>,
    /// A whole lookup may take so long. Start and reload wait so long for names that are new.
    #[serde(default)]
    #[schemars(range(min = 0.001, max = 60), extend("default" = 2))]
    pub(in crate::config) timeout_seconds: Field<f64>,
}
