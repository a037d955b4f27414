//! The shapes of checks, failover, timeouts and retries.

use schemars::JsonSchema;
use serde::Deserialize;

use super::GrpcStatus;
use crate::config::field::Field;

/// An active check of every endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct HealthCheck {
    /// Kind of check.
    #[serde(default, rename = "type")]
    #[schemars(extend("default" = "http"))]
    pub(in crate::config) kind: Field<CheckType>,
    /// Path and query to GET.
    #[serde(default)]
    #[schemars(extend("default" = "/health"))]
    pub(in crate::config) path: Field<String>,
    /// `Host` header to send; the endpoint's own authority when absent.
    #[serde(default)]
    pub(in crate::config) host: Field<String>,
    /// Status of a healthy answer.
    #[serde(default)]
    #[schemars(range(min = 200, max = 599), extend("default" = 200))]
    pub(in crate::config) expected_status: Field<i64>,
    /// Between the starts of two checks.
    #[serde(default)]
    #[schemars(range(min = 0.01, max = 86_400), extend("default" = 30))]
    pub(in crate::config) interval_seconds: Field<f64>,
    /// For a whole check.
    #[serde(default)]
    #[schemars(range(min = 0.01, max = 86_400), extend("default" = 10))]
    pub(in crate::config) timeout_seconds: Field<f64>,
    /// Consecutive successes that make a region healthy again.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000), extend("default" = 2))]
    pub(in crate::config) healthy_threshold: Field<i64>,
    /// Consecutive failures that make a region degraded.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000), extend("default" = 3))]
    pub(in crate::config) unhealthy_threshold: Field<i64>,
    /// Between the starts of two checks while in doubt; never longer than the interval.
    #[serde(default)]
    #[schemars(range(min = 0.01, max = 86_400), extend("default" = 0.025))]
    pub(in crate::config) fast_interval_seconds: Field<f64>,
}

/// Kind of a health check.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum CheckType {
    /// A GET that must answer the expected status.
    Http,
}

/// When a region is taken out and may come back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Failover {
    /// Whether failures take a region out at all.
    #[serde(default)]
    #[schemars(extend("default" = true))]
    pub(in crate::config) auto_failover_enabled: Field<bool>,
    /// Consecutive failures that take a region out.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000), extend("default" = 3))]
    pub(in crate::config) failover_threshold: Field<i64>,
    /// A region that was taken out stays out at least this long.
    #[serde(default)]
    #[schemars(range(min = 0, max = 604_800), extend("default" = 300))]
    pub(in crate::config) failover_cooldown_seconds: Field<f64>,
}

/// Limits of one request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Timeouts {
    /// Connecting, for each attempt.
    #[serde(default)]
    #[schemars(range(min = 0.001, max = 86_400), extend("default" = 1))]
    pub(in crate::config) connect_seconds: Field<f64>,
    /// From the request sent to the first byte of the response, for each attempt.
    #[serde(default)]
    #[schemars(range(min = 0.001, max = 86_400), extend("default" = 15))]
    pub(in crate::config) first_byte_seconds: Field<f64>,
    /// From the request received to the head of the response, all attempts.
    #[serde(default)]
    #[schemars(range(min = 0.001, max = 86_400), extend("default" = 60))]
    pub(in crate::config) request_seconds: Field<f64>,
    /// Without a byte in either direction, for streams and tunnels.
    #[serde(default)]
    #[schemars(range(min = 0.001, max = 86_400), extend("default" = 300))]
    pub(in crate::config) stream_idle_seconds: Field<f64>,
}

/// How often a failed attempt is repeated elsewhere.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Retries {
    /// Attempts after the first.
    #[serde(default)]
    #[schemars(range(min = 0, max = 7), extend("default" = 2))]
    pub(in crate::config) attempts: Field<i64>,
    /// Codes of gRPC that make a call be tried again, when the answer has nothing else in it.
    #[serde(default)]
    #[schemars(extend("default" = ["unavailable"]))]
    pub(in crate::config) grpc_statuses: Field<Vec<Field<GrpcStatus>>>,
}

/// What to do when no region is healthy.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum WhenAllDown {
    /// Try the regions in order all the same.
    LastResort,
    /// Answer 503 `no_healthy_region`.
    Refuse,
}
