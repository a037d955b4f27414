//! What requests and origins may say about the region, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::Field;

/// What a request may say about its region.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Hints {
    /// Whether `X-Rhumb-Prefer-Region` puts a region first.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) prefer: Field<bool>,
    /// Whether `X-Rhumb-Force-Region` leaves only that region.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) force: Field<bool>,
    /// Whose word counts.
    #[serde(default)]
    #[schemars(extend("default" = "trusted"))]
    pub(in crate::config) from: Field<HintSource>,
}

/// Whose hints count.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum HintSource {
    /// Those of peers in `client.trusted_proxies`.
    Trusted,
    /// Those with a signature, from anyone.
    Signed,
    /// Either.
    TrustedOrSigned,
}

/// Whether an origin may send a request elsewhere.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Replay {
    /// Ids of regions that an origin may name in `rhumb-replay: region=...`.
    #[schemars(length(min = 1))]
    pub(in crate::config) regions: Field<Vec<Field<String>>>,
}
