//! The shapes of how the process ends and how another one takes its place.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::Field;

/// What happens between SIGTERM and the end of the process.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Drain {
    /// For so long connections are still accepted while readiness is off, so that load balancers
    /// notice before anybody is refused.
    #[serde(default)]
    #[schemars(range(min = 0, max = 3_600), extend("default" = 0))]
    pub(in crate::config) grace_seconds: Field<f64>,
    /// For so long, after that, what is under way may take to finish; the rest is cut.
    #[serde(default)]
    #[schemars(range(min = 0, max = 86_400), extend("default" = 30))]
    pub(in crate::config) timeout_seconds: Field<f64>,
}

/// How a new binary takes over.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Upgrade {
    /// Unix socket where `rhumb upgrade` asks and `rhumb run --take-over` gets the listening
    /// sockets. There is none when absent; SIGUSR2 works without. Relative paths start at the
    /// directory of this file. A change needs a restart or an upgrade.
    #[serde(default)]
    pub(in crate::config) socket: Field<String>,
    /// The new process has so long to become ready; if it does not, the old one serves on.
    #[serde(default)]
    #[schemars(range(min = 1, max = 3_600), extend("default" = 60))]
    pub(in crate::config) ready_seconds: Field<f64>,
}
