//! When a region counts as failed and may come back, and how long a request waits and tries.

use std::time::Duration;

use serde::Serialize;

use super::GrpcStatuses;

/// An active HTTP check. Equal checks of one endpoint are made once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthCheck {
    /// Path and query to GET.
    pub path: String,
    /// `Host` to send; `None`: the endpoint's authority.
    pub host: Option<String>,
    /// The status of a healthy answer.
    pub expected_status: u16,
    /// Between the starts of two checks.
    pub interval: Duration,
    /// For a whole check.
    pub timeout: Duration,
    /// Between the starts of two checks while in doubt.
    pub fast_interval: Duration,
    /// Consecutive successes that make it healthy.
    pub healthy_threshold: u32,
    /// Consecutive failures that make it degraded.
    pub unhealthy_threshold: u32,
}

/// When a region is taken out and may come back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Failover {
    /// Whether failed checks take a region out at all.
    pub auto_failover_enabled: bool,
    /// Consecutive failures that take it out.
    pub threshold: u32,
    /// It stays out at least this long.
    pub cooldown: Duration,
}

/// Limits of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Connecting, for each attempt.
    pub connect: Duration,
    /// From the request sent to the response head, for each attempt.
    pub first_byte: Duration,
    /// From the request head received to the response head, all attempts.
    pub request: Duration,
}

/// How often a failed attempt is repeated elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Attempts after the first.
    pub attempts: u32,
    /// What an origin answers to a call that it did not work on.
    pub grpc_statuses: GrpcStatuses,
}

/// What to do when no region is healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenAllDown {
    /// Try the regions in order all the same.
    LastResort,
    /// Answer 503 `no_healthy_region`.
    Refuse,
}
