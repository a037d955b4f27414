//! The shapes of a region and its endpoints.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{NAME_PATTERN, ProxyProtocolVersion, RegionTls};
use crate::config::field::{Field, TextOr};

/// A place that serves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Region {
    /// Unique id, used by deployments, metrics and the API.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub(in crate::config) id: Field<String>,
    /// Name for people.
    #[serde(default)]
    pub(in crate::config) name: Field<String>,
    /// Place for people.
    #[serde(default)]
    pub(in crate::config) location: Field<String>,
    /// Degrees north.
    #[schemars(range(min = -90, max = 90))]
    pub(in crate::config) latitude: Field<f64>,
    /// Degrees east.
    #[schemars(range(min = -180, max = 180))]
    pub(in crate::config) longitude: Field<f64>,
    /// Two-letter ISO 3166 code.
    #[schemars(regex(pattern = "^[A-Za-z]{2}$"))]
    pub(in crate::config) country: Field<String>,
    /// Widens (1 to 99) or narrows (-99 to -1) the region's reach in the `geolocation` strategy.
    #[serde(default)]
    #[schemars(range(min = -99, max = 99), extend("default" = 0))]
    pub(in crate::config) bias: Field<i64>,
    /// Compliance frameworks that it meets, such as `gdpr` or `hipaa`; upper and lower case are
    /// the same.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub(in crate::config) compliance: Field<Vec<Field<String>>>,
    /// What a request costs there, relative to the other regions.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 1))]
    pub(in crate::config) cost_multiplier: Field<f64>,
    /// Requests that it may answer at once, of all deployments. No limit when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub(in crate::config) max_in_flight: Field<i64>,
    /// Version of the PROXY protocol in which the endpoints are told who the client is. None when
    /// absent.
    #[serde(default)]
    pub(in crate::config) proxy_protocol: Field<ProxyProtocolVersion>,
    /// TLS with `https` endpoints.
    #[serde(default)]
    pub(in crate::config) tls: Field<RegionTls>,
    /// Upstream addresses.
    #[schemars(length(min = 1, max = 128))]
    pub(in crate::config) endpoints: Field<Vec<Field<TextOr<Endpoint>>>>,
}

/// An upstream address with its weight.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Endpoint {
    /// `http://host:port` (HTTP/1.1), `https://host:port` (TLS), or `h2c://host:port` (HTTP/2 in
    /// clear text), without a path.
    pub(in crate::config) url: Field<String>,
    /// Share of the region's requests, relative to its other endpoints.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 1))]
    pub(in crate::config) weight: Field<i64>,
    /// Whether the host is the name of a service, such as `_http._tcp.api.internal`, whose SRV
    /// records say where it is offered, on which port, and with what priority and weight.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) srv: Field<bool>,
}
