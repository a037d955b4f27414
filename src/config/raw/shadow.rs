//! The shape of a candidate beside the configuration.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::Field;

/// A candidate that is evaluated beside this configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Shadow {
    /// The candidate's configuration file. A relative path starts at the directory of this file.
    pub(in crate::config) config: Field<String>,
    /// Part of the requests that the candidate decides as well, without effect.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100), extend("default" = 1))]
    pub(in crate::config) sample_percent: Field<f64>,
}
