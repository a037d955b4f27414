//! The shapes of the configuration file, as they are written. The comments here are the
//! descriptions in the JSON Schema, so they speak to people who write configuration.
//!
//! Not here: what is allowed beyond the kind of a value (`validate`), and defaults that depend on
//! other fields. Every field is a [`Field`], so one that is broken does not hide the others;
//! optional ones say `default`. Numbers are as wide as YAML's, so a range is reported in words.

mod access_log;
mod clients;
mod compression;
mod deployment;
mod edge;
mod hints;
mod life;
mod names;
mod overload;
mod region;
mod residency;
mod rule;
mod shadow;
mod signing;
mod sources;
mod stay;
mod tenant;
mod timing;
mod tracing;

use schemars::JsonSchema;
use serde::Deserialize;

use super::field::{Field, TextOr};

pub(super) use access_log::{AccessLog, LogTo, LoggedQuery, Syslog};
pub(super) use clients::Client;
pub(super) use compression::{Compression, CompressionLevel, Encoding};
pub(super) use deployment::{Deployment, Objectives, RegionUse, Strategy};
pub(super) use edge::{
    Alpn, Certificate, ClientCertificates, DotSegments, EncodedSlash, GrpcStatus, Hsts, Limits,
    Listener, ListenerTls, Origins, ProxyProtocol, ProxyProtocolMode, ProxyProtocolVersion,
    Redirect, RegionTls, RepeatedSlash, Requests, Underscores,
};
pub(super) use hints::{HintSource, Hints, Replay};
pub(super) use life::{Drain, Upgrade};
pub(super) use names::Names;
pub(super) use overload::{Priorities, Shed};
pub(super) use region::{Endpoint, Region};
pub(super) use residency::{Applies, Enforcement, Policy, Unknown};
pub(super) use rule::{Rule, TextCondition, TimeWindow, Weekday};
pub(super) use shadow::Shadow;
pub(super) use signing::{Hops, SECRET, SECRET_SHAPES, Signing, SigningKey};
pub(super) use sources::{Geoip, Latency, Measured, Tenants};
pub(super) use stay::{Affinity, AffinityMode, OnFailure, WhenDown, WriteMode, Writes};
pub(super) use tenant::{Jwt, Tenant};
pub(super) use timing::{Failover, HealthCheck, Retries, Timeouts, WhenAllDown};
pub(super) use tracing::{Otlp, OtlpProtocol, TraceParents, Tracing};

/// Names of regions, deployments and rules.
pub(super) const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";

/// Configuration of Rhumb.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Rhumb configuration")]
pub(super) struct File {
    /// Addresses that accept requests.
    #[schemars(length(min = 1))]
    pub(super) listeners: Field<Vec<Field<Listener>>>,
    /// The address for operators.
    #[serde(default)]
    pub(super) admin: Field<Admin>,
    /// Threads that serve requests: `auto` is one for each core. A change needs a restart
    /// or an upgrade.
    #[serde(default)]
    #[schemars(schema_with = "super::schema::workers")]
    pub(super) workers: Field<TextOr<i64>>,
    /// GeoIP databases in place of the built-in one.
    #[serde(default)]
    pub(super) geoip: Field<Geoip>,
    /// Expected round-trip times.
    #[serde(default)]
    pub(super) latency: Field<Latency>,
    /// Who is believed about the address and the place of a client, and what origins are told.
    #[serde(default)]
    pub(super) client: Field<Client>,
    /// Limits on what clients may use.
    #[serde(default)]
    pub(super) limits: Field<Limits>,
    /// Memory that the process may have: bytes, or a number with `KiB`, `MiB`, `GiB` or `TiB`. Close to
    /// it, new work is refused. What the control group allows, less a tenth, when absent.
    #[serde(default)]
    #[schemars(schema_with = "super::schema::memory")]
    pub(super) memory_limit: Field<TextOr<i64>>,
    /// How requests are refused because of too much load.
    #[serde(default)]
    pub(super) shed: Field<Shed>,
    /// What becomes of requests that could be read in two ways.
    #[serde(default)]
    pub(super) requests: Field<Requests>,
    /// Where endpoints may lie.
    #[serde(default)]
    pub(super) origins: Field<Origins>,
    /// How the DNS names of endpoints are looked up.
    #[serde(default)]
    pub(super) names: Field<Names>,
    /// Homes of tenants.
    #[serde(default)]
    pub(super) tenants: Field<Tenants>,
    /// Keys that sign and verify Rhumb's own tokens.
    #[serde(default)]
    pub(super) signing: Field<Signing>,
    /// The guard against requests that go round in circles between Rhumbs.
    #[serde(default)]
    pub(super) hops: Field<Hops>,
    /// A candidate that is evaluated beside this configuration.
    #[serde(default)]
    pub(super) shadow: Field<Shadow>,
    /// Traces of requests, and who is told of them.
    #[serde(default)]
    pub(super) tracing: Field<Tracing>,
    /// A log with a line for each request. None when absent.
    #[serde(default)]
    pub(super) access_log: Field<AccessLog>,
    /// What happens between SIGTERM and the end of the process.
    #[serde(default)]
    pub(super) drain: Field<Drain>,
    /// How a new binary takes over.
    #[serde(default)]
    pub(super) upgrade: Field<Upgrade>,
    /// The places that serve.
    #[schemars(length(min = 1))]
    pub(super) regions: Field<Vec<Field<Region>>>,
    /// The APIs that are routed.
    #[schemars(length(min = 1))]
    pub(super) deployments: Field<Vec<Field<Deployment>>>,
}

/// The address for operators: metrics, readiness, live state.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    /// IP address and port.
    #[serde(default)]
    #[schemars(extend("default" = "127.0.0.1:9090"))]
    pub(super) address: Field<String>,
}
