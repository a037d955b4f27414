//! The shapes of compression.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::Field;

/// Compression of responses on their way to clients that accept it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Compression {
    /// What clients may get, best first. Weights of the client come before this order.
    #[serde(default)]
    #[schemars(length(min = 1, max = 3), extend("default" = ["zstd", "br", "gzip"]))]
    pub(in crate::config) encodings: Field<Vec<Field<Encoding>>>,
    /// Responses that say that they are shorter are left alone. Those of unknown length are
    /// compressed.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_125_899_906_842_624_u64), extend("default" = 1_024))]
    pub(in crate::config) min_bytes: Field<i64>,
    /// Media types that are worth it, such as `text/*`, `application/json` or `application/*+json`.
    /// Event streams only where `text/event-stream` is listed; gRPC never.
    #[serde(default)]
    #[schemars(
        length(min = 1, max = 64),
        extend("default" = crate::config::settings::DEFAULT_TYPES)
    )]
    pub(in crate::config) types: Field<Vec<Field<String>>>,
    /// How much work it is worth.
    #[serde(default)]
    #[schemars(extend("default" = "fast"))]
    pub(in crate::config) level: Field<CompressionLevel>,
}

/// A content coding.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Encoding {
    /// Zstandard (RFC 8878).
    Zstd,
    /// Brotli (RFC 7932).
    Br,
    /// Gzip (RFC 1952).
    Gzip,
}

/// How much work compression is worth.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum CompressionLevel {
    /// Little: for responses that are made for one client.
    Fast,
    /// More, for links that are slow.
    Balanced,
    /// A lot: for little traffic.
    Best,
}
