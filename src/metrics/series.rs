//! What one worker counts: per deployment and region, and for itself.

use crate::model::{
    Coding, ConnectionRefusal, DeploymentName, Flood, Handshake, RegionId, Shed, TokenRefusal,
};

use super::{Counter, Histogram, StatusCodes};

/// Places for reasons of decisions; routing's reasons are numbered below this.
pub const REASONS: usize = 32;
/// Places for kinds of passive signals.
pub const SIGNALS: usize = 5;

/// Which deployment and region a series is about; `None` where a request had none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairKey {
    /// The deployment.
    pub deployment: Option<DeploymentName>,
    /// The region.
    pub region: Option<RegionId>,
}

impl PairKey {
    /// The key of requests that no region answered.
    pub const NONE: Self = Self { deployment: None, region: None };

    /// Label values; empty where there is none, which Prometheus reads as absent.
    pub fn labels(&self) -> (&str, &str) {
        (
            self.deployment.as_ref().map_or("", DeploymentName::as_str),
            self.region.as_ref().map_or("", RegionId::as_str),
        )
    }
}

/// What one worker counts about one region of one deployment.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct PairSeries {
    /// Finished requests by status code.
    pub requests: StatusCodes,
    /// From the request head to the end of the response.
    pub request_duration: Histogram,
    /// From an attempt's start to its response head.
    pub upstream_duration: Histogram,
    /// Decisions by reason.
    pub decisions: [Counter; REASONS],
    /// Attempts after the first.
    pub retries: Counter,
    /// Decisions for a region that a policy which only reports would not have allowed.
    pub residency_reported: Counter,
    /// Failures that attempts met, by kind.
    pub signals: [Counter; SIGNALS],
    /// Attempts begun.
    pub started: Counter,
    /// Attempts ended; the difference is in flight.
    pub ended: Counter,
}

impl WorkerSeries {
    /// A connection was refused.
    pub fn refused(&self, why: ConnectionRefusal) {
        if let Some(counter) = self.refused.get(why as usize) {
            counter.increment();
        }
    }

    /// A request was refused because of too much load.
    pub fn shed(&self, why: Shed) {
        if let Some(counter) = self.shed.get(why as usize) {
            counter.increment();
        }
    }

    /// A connection or a stream was cut.
    pub fn flooded(&self, kind: Flood) {
        if let Some(counter) = self.floods.get(kind as usize) {
            counter.increment();
        }
    }

    /// A token was not believed.
    pub fn token_refused(&self, why: TokenRefusal) {
        if let Some(counter) = self.tokens_refused.get(why as usize) {
            counter.increment();
        }
    }
}

/// What one worker counts about itself.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerSeries {
    /// Client connections accepted.
    pub accepted: Counter,
    /// Client connections closed; the difference is open.
    pub closed: Counter,
    /// Client connections refused, by the places of [`ConnectionRefusal::ALL`].
    pub refused: [Counter; ConnectionRefusal::ALL.len()],
    /// Requests refused because of too much load, by the places of [`Shed::ALL`].
    pub shed: [Counter; Shed::ALL.len()],
    /// What was cut, by the places of [`Flood::ALL`].
    pub floods: [Counter; Flood::ALL.len()],
    /// Failures to accept, such as exhausted descriptors.
    pub accept_failures: Counter,
    /// Requests refused because they were malformed.
    pub malformed: Counter,
    /// Upstream connections made.
    pub upstream_connections: Counter,
    /// Connections that have become tunnels.
    pub tunnels_opened: Counter,
    /// Tunnels that have ended; the difference is open.
    pub tunnels_closed: Counter,
    /// Observations dropped because the controller's queue was full.
    pub observations_dropped: Counter,
    /// Tokens that were not believed, by the places of [`TokenRefusal::ALL`].
    pub tokens_refused: [Counter; TokenRefusal::ALL.len()],
    /// Attempts that were stopped because the region may not see the request.
    pub residency_violations: Counter,
    /// Spans that the exporter had no room for.
    pub spans_dropped: Counter,
    /// Lines of the access log that were dropped because those before them wait to be written.
    pub log_lines_dropped: Counter,
    /// Compressed responses, by the places of [`Coding::ALL`].
    pub compressed: [CompressedSeries; Coding::ALL.len()],
    /// Responses that were not compressed because there was no room for an encoder.
    pub compression_refused: Counter,
}

/// What the thread that sends traces counts.
#[derive(Debug, Default)]
pub struct TraceSeries {
    /// Spans that the receiver has taken.
    pub exported: Counter,
    /// Spans that could not be sent.
    pub unsent: Counter,
    /// Spans that the receiver did not want.
    pub rejected: Counter,
}

/// What the thread that writes the access log counts.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct LogSeries {
    /// Lines written.
    pub written: Counter,
    /// Lines that could not be written.
    pub failed: Counter,
}

/// What one worker counts about one coding.
#[derive(Debug, Default)]
pub struct CompressedSeries {
    /// Responses begun.
    pub responses: Counter,
    /// Bytes before.
    pub bytes_in: Counter,
    /// Bytes after.
    pub bytes_out: Counter,
}

/// What one worker counts about one listener.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ListenerSeries {
    /// Handshakes, by the places of [`Handshake::ALL`].
    pub handshakes: [Counter; Handshake::ALL.len()],
    /// Connections that were closed because of their PROXY protocol header.
    pub proxy_protocol_errors: Counter,
}

impl ListenerSeries {
    /// A handshake came to its end.
    pub fn handshake(&self, result: Handshake) {
        if let Some(counter) = self.handshakes.get(result as usize) {
            counter.increment();
        }
    }
}
