//! Words for health that cross module borders: states that routing reads, and signals that the
//! data plane sends. The state machine itself is `health::state`.

use serde::Serialize;

use super::EndpointId;

/// State of a region in a deployment, as the routing table holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RegionState {
    /// Takes traffic.
    #[default]
    Healthy,
    /// Fails checks, but not yet often enough to be taken out; takes traffic.
    Degraded,
    /// Taken out by failover.
    Down,
}

impl RegionState {
    /// Every state, for metrics that show one series a state.
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Degraded, Self::Down];

    /// The word used in configuration, metrics, logs and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }

    /// Whether new requests may be sent there.
    pub const fn takes_traffic(self) -> bool {
        !matches!(self, Self::Down)
    }
}

/// What real traffic met at an endpoint (a passive signal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// The connection was refused or could not be made.
    ConnectFailed,
    /// The connection could not be made in time.
    ConnectTimeout,
    /// The connection broke before the response head was complete.
    Reset,
    /// No response head came in time.
    FirstByteTimeout,
    /// A response came whose status says that the server has failed (RFC 9110 section 15.6).
    ServerError,
}

impl SignalKind {
    /// Every kind, for metrics that show one series a kind.
    pub const ALL: [Self; 5] = [
        Self::ConnectFailed,
        Self::ConnectTimeout,
        Self::Reset,
        Self::FirstByteTimeout,
        Self::ServerError,
    ];

    /// The word used in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::Reset => "reset",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::ServerError => "server_error",
        }
    }
}

/// A failure that one request met at one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointSignal {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// What happened.
    pub kind: SignalKind,
    /// How many requests of that worker in a row failed there, this one included.
    pub consecutive: u32,
}
