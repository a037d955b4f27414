//! The shapes of the configuration file, as they are written. The comments here are the
//! descriptions in the JSON Schema, so they speak to people who write configuration.
//!
//! Not here: what is allowed beyond the kind of a value (`validate`), and defaults that depend on
//! other fields. Every field is a [`Field`], so one that is broken does not hide the others;
//! optional ones say `default`. Numbers are as wide as YAML's, so a range is reported in words.

mod access_log;
mod compression;
mod edge;
mod life;
mod names;
mod overload;
mod rule;
mod steering;
mod timing;
mod tracing;

use schemars::JsonSchema;
use serde::Deserialize;

use super::field::{Entries, Field, TextOr};

pub(super) use access_log::{AccessLog, LogTo, LoggedQuery, Syslog};
pub(super) use compression::{Compression, CompressionLevel, Encoding};
pub(super) use edge::{
    Alpn, Certificate, ClientCertificates, DotSegments, EncodedSlash, GrpcStatus, Hsts, Limits,
    Listener, ListenerTls, Origins, ProxyProtocol, ProxyProtocolMode, ProxyProtocolVersion,
    Redirect, RegionTls, RepeatedSlash, Requests, Underscores,
};
pub(super) use life::{Drain, Upgrade};
pub(super) use names::Names;
pub(super) use overload::Shed;
pub(super) use rule::{Rule, TextCondition, TimeWindow, Weekday};
pub(super) use steering::{
    Affinity, AffinityMode, Applies, Enforcement, HintSource, Hints, Hops, Jwt, Measured,
    Objectives, OnFailure, Policy, Priorities, Replay, SECRET, SECRET_SHAPES, Shadow, Signing,
    SigningKey, Tenant, Tenants, Unknown, WhenDown, WriteMode, Writes,
};
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

/// GeoIP databases in MaxMind's file format, read again when they change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Geoip {
    /// A country or city database, or several that are asked in order. Relative paths start at
    /// the directory of this file.
    #[serde(default)]
    pub(super) database: Field<TextOr<Vec<Field<String>>>>,
    /// A database of autonomous systems.
    #[serde(default)]
    pub(super) asn_database: Field<String>,
    /// A database is fresh for so long after it was built. Without end when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000))]
    pub(super) soft_ttl_seconds: Field<f64>,
    /// After so long it is passed over, and places are unknown. Never when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000))]
    pub(super) hard_ttl_seconds: Field<f64>,
}

/// Expected round-trip times.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Latency {
    /// A CSV file with the columns `client,region,rtt_ms` and, if wanted, `updated`; read again
    /// when it changes. A relative path starts at the directory of this file.
    #[serde(default)]
    pub(super) table: Field<String>,
    /// A row that says when it was updated is fresh for so long.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000), extend("default" = 3_600))]
    pub(super) soft_ttl_seconds: Field<f64>,
    /// After so long it is passed over.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000), extend("default" = 86_400))]
    pub(super) hard_ttl_seconds: Field<f64>,
    /// What Rhumb measures itself.
    #[serde(default)]
    pub(super) measured: Field<Measured>,
}

/// Who is believed about the address and the place of a client, and what origins are told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    /// Networks or addresses of peers whose `Forwarded`, `X-Forwarded-For` and country headers
    /// are believed. Nobody by default.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub(super) trusted_proxies: Field<Vec<Field<String>>>,
    /// Headers of trusted peers that carry the client's country code, asked in order.
    #[serde(default)]
    #[schemars(extend("default" =
        ["cf-ipcountry", "cloudfront-viewer-country", "x-client-geo-country"]))]
    pub(super) country_headers: Field<Vec<Field<String>>>,
    /// Whether origins are told the client in `Forwarded` (RFC 7239), too.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(super) forwarded_header: Field<bool>,
    /// Header that tells origins the verified certificate of the client; never what a client
    /// sent in it.
    #[serde(default)]
    #[schemars(extend("default" = "x-forwarded-client-cert"))]
    pub(super) certificate_header: Field<String>,
}

/// A place that serves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Region {
    /// Unique id, used by deployments, metrics and the API.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub(super) id: Field<String>,
    /// Name for people.
    #[serde(default)]
    pub(super) name: Field<String>,
    /// Place for people.
    #[serde(default)]
    pub(super) location: Field<String>,
    /// Degrees north.
    #[schemars(range(min = -90, max = 90))]
    pub(super) latitude: Field<f64>,
    /// Degrees east.
    #[schemars(range(min = -180, max = 180))]
    pub(super) longitude: Field<f64>,
    /// Two-letter ISO 3166 code.
    #[schemars(regex(pattern = "^[A-Za-z]{2}$"))]
    pub(super) country: Field<String>,
    /// Widens (1 to 99) or narrows (-99 to -1) the region's reach in the `geolocation` strategy.
    #[serde(default)]
    #[schemars(range(min = -99, max = 99), extend("default" = 0))]
    pub(super) bias: Field<i64>,
    /// Compliance frameworks that it meets, such as `gdpr` or `hipaa`; upper and lower case are
    /// the same.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub(super) compliance: Field<Vec<Field<String>>>,
    /// What a request costs there, relative to the other regions.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 1))]
    pub(super) cost_multiplier: Field<f64>,
    /// Requests that it may answer at once, of all deployments. No limit when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub(super) max_in_flight: Field<i64>,
    /// Version of the PROXY protocol in which the endpoints are told who the client is. None when
    /// absent.
    #[serde(default)]
    pub(super) proxy_protocol: Field<ProxyProtocolVersion>,
    /// TLS with `https` endpoints.
    #[serde(default)]
    pub(super) tls: Field<RegionTls>,
    /// Upstream addresses.
    #[schemars(length(min = 1, max = 128))]
    pub(super) endpoints: Field<Vec<Field<TextOr<Endpoint>>>>,
}

/// An upstream address with its weight.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Endpoint {
    /// `http://host:port` (HTTP/1.1), `https://host:port` (TLS), or `h2c://host:port` (HTTP/2 in
    /// clear text), without a path.
    pub(super) url: Field<String>,
    /// Share of the region's requests, relative to its other endpoints.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 1))]
    pub(super) weight: Field<i64>,
    /// Whether the host is the name of a service, such as `_http._tcp.api.internal`, whose SRV
    /// records say where it is offered, on which port, and with what priority and weight.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(super) srv: Field<bool>,
}

/// One API, routed as a unit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Deployment {
    /// Unique name.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub(super) name: Field<String>,
    /// Hosts it answers: exact ones, or `*.example.org` for one or more labels before the rest.
    /// Any host when absent.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(super) hosts: Field<Vec<Field<String>>>,
    /// Paths it answers: this one and what is below it.
    #[serde(default)]
    #[schemars(extend("default" = "/"))]
    pub(super) path_prefix: Field<String>,
    /// Id of the region that leads.
    pub(super) primary_region: Field<String>,
    /// Ids of the other regions, in order of preference.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub(super) replica_regions: Field<Vec<Field<String>>>,
    /// Ids of regions that must not serve this deployment, even if they are listed above.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub(super) excluded_regions: Field<Vec<Field<String>>>,
    /// What this deployment sets for single regions, by id.
    #[serde(default)]
    pub(super) regions: Field<Entries<RegionUse>>,
    /// How regions are ranked.
    #[serde(default)]
    #[schemars(extend("default" = "latency"))]
    pub(super) routing_strategy: Field<Strategy>,
    /// In the strategy `latency`, regions within so many milliseconds of the fastest are ordered
    /// by how full they are.
    #[serde(default)]
    #[schemars(range(min = 0, max = 60_000), extend("default" = 0))]
    pub(super) latency_tolerance_ms: Field<f64>,
    /// In the strategy `latency`, a client network stays at its region until another is faster by
    /// more than so many milliseconds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 60_000), extend("default" = 0))]
    pub(super) latency_switch_ms: Field<f64>,
    /// What the strategy `score` weighs.
    #[serde(default)]
    pub(super) objectives: Field<Objectives>,
    /// Where the tenant of a request is read. Tenants are not told apart when absent.
    #[serde(default)]
    pub(super) tenant: Field<Tenant>,
    /// Which regions may see which requests.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub(super) residency: Field<Vec<Field<Policy>>>,
    /// Where writes go, and reads after them.
    #[serde(default)]
    pub(super) writes: Field<Writes>,
    /// Whether a client stays at a region.
    #[serde(default)]
    pub(super) affinity: Field<Affinity>,
    /// What a request may say about its region.
    #[serde(default)]
    pub(super) hints: Field<Hints>,
    /// Whether an origin may send a request elsewhere.
    #[serde(default)]
    pub(super) replay: Field<Replay>,
    /// Which requests give way first when regions are full; all are alike when absent.
    #[serde(default)]
    pub(super) priorities: Field<Priorities>,
    /// Conditions on requests, and the regions they then go to.
    #[serde(default)]
    #[schemars(length(max = 100_000))]
    pub(super) routing_rules: Field<Vec<Field<Rule>>>,
    /// Active checks of the regions; none when absent.
    #[serde(default)]
    pub(super) health_check: Field<HealthCheck>,
    /// When a region is taken out and may come back.
    #[serde(default)]
    pub(super) failover: Field<Failover>,
    /// Limits of one request.
    #[serde(default)]
    pub(super) timeouts: Field<Timeouts>,
    /// Protocols of the header `Upgrade` that are passed on; others are taken off the request.
    #[serde(default)]
    #[schemars(length(max = 16), extend("default" = ["websocket"]))]
    pub(super) upgrades: Field<Vec<Field<String>>>,
    /// Bytes of a request body; a longer one is refused with 413. No limit when absent.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_125_899_906_842_624_u64))]
    pub(super) max_body_bytes: Field<i64>,
    /// Whether no request is bound by `timeouts.request_seconds`, as event streams, gRPC and
    /// tunnels never are.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(super) streaming: Field<bool>,
    /// Compression of responses; off when absent.
    #[serde(default)]
    pub(super) compression: Field<Compression>,
    /// How often a failed attempt is repeated elsewhere.
    #[serde(default)]
    pub(super) retries: Field<Retries>,
    /// What to do when no region is healthy.
    #[serde(default)]
    #[schemars(extend("default" = "last_resort"))]
    pub(super) when_all_down: Field<WhenAllDown>,
}

/// What a deployment sets for one region.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionUse {
    /// Share of the requests in the `weighted` strategy, relative to the other regions; 0 is none.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 1))]
    pub(super) weight: Field<i64>,
    /// Upstream addresses in place of the region's own.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    pub(super) endpoints: Field<Vec<Field<TextOr<Endpoint>>>>,
}

/// How regions are ranked.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Strategy {
    /// Primary, then replicas as listed.
    Failover,
    /// Nearest first.
    Geolocation,
    /// Lowest expected round trip first.
    Latency,
    /// A draw by weight.
    Weighted,
    /// Each in turn.
    RoundRobin,
    /// Least full first.
    Capacity,
    /// Cheapest first, then the lowest expected round trip.
    Cost,
    /// Healthiest first, then the lowest expected round trip.
    Health,
    /// Nearest first, and only requests that a residency policy applies to.
    Compliance,
    /// Lowest weighted sum of the `objectives` first.
    Score,
}
