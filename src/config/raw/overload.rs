//! The shapes of what is refused under too much load, and how.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::Field;

/// How requests are refused because of too much load.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Shed {
    /// `Retry-After` of the answer, in seconds.
    #[serde(default)]
    #[schemars(range(min = 1, max = 3_600), extend("default" = 1))]
    pub(in crate::config) retry_after_seconds: Field<i64>,
}
