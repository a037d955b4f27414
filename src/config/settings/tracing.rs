//! Settings of traces.

use std::sync::Arc;
use std::time::Duration;

use super::{EndpointUrl, UpstreamTls};

/// Which requests are traced, and who is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// Where spans are sent.
    pub otlp: Arc<Otlp>,
    /// Share of the traces that start here which are recorded, 0 to 1.
    pub sample: f64,
    /// What becomes of the trace context of a request.
    pub parents: TraceParents,
    /// What Rhumb is called in traces.
    pub service_name: Arc<str>,
}

/// A receiver of OTLP over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// `http` or `https`.
    pub url: EndpointUrl,
    /// Where spans are posted; starts with `/`.
    pub path: String,
    /// How its certificate is verified.
    pub tls: UpstreamTls,
    /// How long spans may take to be sent, attempts included.
    pub timeout: Duration,
}

/// What becomes of the trace context of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceParents {
    /// The trace goes on.
    Follow,
    /// It goes on if a trusted peer says so.
    Trusted,
    /// Every trace starts here.
    Ignore,
}

impl TraceParents {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Follow => "follow",
            Self::Trusted => "trusted",
            Self::Ignore => "ignore",
        }
    }
}
