//! The shapes of what keeps a client at a region: its writes, and affinity.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::Field;

/// Where writes go, and reads after them. A write is a request whose method is not GET, HEAD,
/// OPTIONS or TRACE.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Writes {
    /// Which region comes first for a write.
    #[serde(default)]
    #[schemars(extend("default" = "nearest"))]
    pub(in crate::config) mode: Field<WriteMode>,
    /// What happens to writes when that region is down.
    #[serde(default)]
    #[schemars(extend("default" = "failover"))]
    pub(in crate::config) when_down: Field<WhenDown>,
    /// After a write the client's reads go to its region for so long. They do not when absent.
    /// Needs `signing`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86_400))]
    pub(in crate::config) sticky_seconds: Field<f64>,
    /// The cookie that carries this; `rhumb` unless a header does.
    #[serde(default)]
    pub(in crate::config) cookie: Field<String>,
    /// The header that carries this, in responses and requests, in place of a cookie.
    #[serde(default)]
    pub(in crate::config) header: Field<String>,
    /// A response header by which an origin says that it has caught up, which ends the stay.
    #[serde(default)]
    pub(in crate::config) caught_up_header: Field<String>,
}

/// Which region comes first for a write.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum WriteMode {
    /// Whichever comes first for a read.
    Nearest,
    /// The primary.
    Primary,
    /// The tenant's home, else the primary.
    Home,
}

/// What happens to writes when their region is down.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum WhenDown {
    /// They go to the next region.
    Failover,
    /// They are refused with 503 `read_only`, while reads go on.
    ReadOnly,
}

/// Whether a client stays at a region.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Affinity {
    /// By what.
    #[serde(default)]
    #[schemars(extend("default" = "none"))]
    pub(in crate::config) mode: Field<AffinityMode>,
    /// Name of the cookie or header.
    #[serde(default)]
    #[schemars(extend("default" = "rhumb-region"))]
    pub(in crate::config) name: Field<String>,
    /// How long a client stays. For the session (cookie) or without end (header) when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 34_560_000))]
    pub(in crate::config) ttl_seconds: Field<f64>,
    /// What happens when its region is down.
    #[serde(default)]
    #[schemars(extend("default" = "temporary"))]
    pub(in crate::config) on_failure: Field<OnFailure>,
}

/// By what a client stays at a region.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum AffinityMode {
    /// It does not.
    None,
    /// By a hash of its tenant, else of its address.
    Client,
    /// By a signed cookie.
    Cookie,
    /// By a signed header.
    Header,
}

/// What happens when the region that a client should stay at is down.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum OnFailure {
    /// The request is refused.
    None,
    /// It goes elsewhere, and back once the region is up.
    Temporary,
    /// It goes elsewhere and stays there.
    Sticky,
}
