//! The shapes of traces: where they are sent, and which of them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::Field;

/// Traces of requests (W3C Trace Context), told to an OpenTelemetry collector. Without this, the trace
/// context of clients is passed on as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tracing {
    /// Where spans are sent.
    pub(in crate::config) otlp: Field<Otlp>,
    /// Share of the traces that start here which are recorded.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1), extend("default" = 0.01))]
    pub(in crate::config) sample: Field<f64>,
    /// What becomes of the trace context of a request.
    #[serde(default)]
    #[schemars(extend("default" = "follow"))]
    pub(in crate::config) parent: Field<TraceParents>,
    /// What Rhumb is called in traces.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128), extend("default" = "rhumb"))]
    pub(in crate::config) service_name: Field<String>,
}

/// A receiver of OTLP, such as an OpenTelemetry collector.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Otlp {
    /// `http://host:port` or `https://host:port`, and a path if it has one; `/v1/traces` is added.
    pub(in crate::config) endpoint: Field<String>,
    /// What is spoken there.
    #[serde(default)]
    #[schemars(extend("default" = "http"))]
    pub(in crate::config) protocol: Field<OtlpProtocol>,
    /// Who has signed its certificate, in PEM; whom the system trusts when absent.
    #[serde(default)]
    pub(in crate::config) ca: Field<String>,
    /// After so long, attempts included, spans that could not be sent are given up.
    #[serde(default)]
    #[schemars(range(min = 0.1, max = 60), extend("default" = 10))]
    pub(in crate::config) timeout_seconds: Field<f64>,
}

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum OtlpProtocol {
    /// Protobuf over HTTP.
    Http,
}

/// What becomes of the trace context of a request.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum TraceParents {
    /// The trace goes on, and is recorded if the caller records it.
    Follow,
    /// The same for `client.trusted_proxies`; of anyone else, a trace starts here.
    Trusted,
    /// Every trace starts here.
    Ignore,
}
