//! The shapes of both edges: listeners with TLS and the PROXY protocol, limits on clients, what
//! becomes of requests that could be read in two ways, and how endpoints are spoken to.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::{Field, FlagOr, TextOr};

/// An address that accepts requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Listener {
    /// IP address and port, such as `0.0.0.0:8080` or `[::]:8080`. Port 0 lets the system choose.
    pub(in crate::config) address: Field<String>,
    /// TLS with clients; clear text when absent.
    #[serde(default)]
    pub(in crate::config) tls: Field<ListenerTls>,
    /// Whether HTTP/2 is spoken here: by ALPN over TLS, with prior knowledge in clear text.
    #[serde(default)]
    #[schemars(extend("default" = true))]
    pub(in crate::config) http2: Field<bool>,
    /// Load balancers that tell in a PROXY protocol header (version 1 or 2) for whom they connect.
    /// Nobody does when absent.
    #[serde(default)]
    pub(in crate::config) proxy_protocol: Field<ProxyProtocol>,
    /// Answers every request with a redirect to HTTPS; `true` is port 443 and status 308. Only in
    /// clear text.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) redirect_to_https: Field<FlagOr<Redirect>>,
    /// `Strict-Transport-Security` in every answer; `true` is one year. Only with `tls`.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) hsts: Field<FlagOr<Hsts>>,
}

/// TLS with clients. Its files are read again when they change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ListenerTls {
    /// A client is shown the one with the exact name that it asks for, else the one with a
    /// wildcard for it, else the first.
    #[schemars(length(min = 1, max = 1_024))]
    pub(in crate::config) certificates: Field<Vec<Field<Certificate>>>,
    /// Oldest version of TLS that is spoken.
    #[serde(default)]
    #[schemars(schema_with = "crate::config::schema::tls_version")]
    pub(in crate::config) min_version: Field<TextOr<f64>>,
    /// Protocols in order of preference.
    #[serde(default)]
    #[schemars(length(min = 1), extend("default" = ["h2", "http/1.1"]))]
    pub(in crate::config) alpn: Field<Vec<Field<Alpn>>>,
    /// Who has signed the certificates of clients, in PEM. Clients are not asked for one when
    /// absent.
    #[serde(default)]
    pub(in crate::config) client_ca: Field<String>,
    /// Whether a client has to have one. Needs `client_ca`.
    #[serde(default)]
    #[schemars(extend("default" = "required"))]
    pub(in crate::config) client_certificates: Field<ClientCertificates>,
}

/// A certificate with its key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Certificate {
    /// File with the chain in PEM, the certificate itself first. Its names are those inside.
    pub(in crate::config) certificate: Field<String>,
    /// File with the private key in PEM.
    pub(in crate::config) key: Field<String>,
    /// File with an OCSP response in DER that is stapled to it.
    #[serde(default)]
    pub(in crate::config) ocsp: Field<String>,
}

/// A protocol that is agreed on in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
pub(in crate::config) enum Alpn {
    /// HTTP/2.
    #[serde(rename = "h2")]
    H2,
    /// HTTP/1.1.
    #[serde(rename = "http/1.1")]
    Http11,
}

/// Whether clients have to have a certificate.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ClientCertificates {
    /// A client without one is turned away.
    Required,
    /// A client may have none; one that is shown has to be good.
    Optional,
}

/// Load balancers that tell for whom they connect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ProxyProtocol {
    /// Networks or addresses of those who are believed. A header of anyone else ends its
    /// connection.
    #[schemars(length(min = 1))]
    pub(in crate::config) trusted: Field<Vec<Field<String>>>,
    /// Whether they have to.
    #[serde(default)]
    #[schemars(extend("default" = "required"))]
    pub(in crate::config) mode: Field<ProxyProtocolMode>,
}

/// Whether trusted peers have to send a PROXY protocol header.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ProxyProtocolMode {
    /// A connection without one is ended.
    Required,
    /// Without one, the peer is the client.
    Optional,
}

/// Where requests in clear text are sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Redirect {
    /// Port of HTTPS as clients see it.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65_535), extend("default" = 443))]
    pub(in crate::config) port: Field<i64>,
    /// 307 and 308 keep the method, 301 and 308 are remembered by clients.
    #[serde(default)]
    #[schemars(extend("default" = 308, "enum" = [301, 302, 307, 308]))]
    pub(in crate::config) status: Field<i64>,
}

/// What `Strict-Transport-Security` says (RFC 6797).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Hsts {
    /// For so long clients use HTTPS only; 0 makes them forget.
    #[serde(default)]
    #[schemars(range(min = 0, max = 315_360_000), extend("default" = 31_536_000))]
    pub(in crate::config) max_age_seconds: Field<i64>,
    /// Whether the hosts below are meant as well.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) include_subdomains: Field<bool>,
    /// Whether browsers may ship the host in their lists.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) preload: Field<bool>,
}

/// Limits on what clients may use.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Limits {
    /// Connections of one worker.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 10_000))]
    pub(in crate::config) connections_per_worker: Field<i64>,
    /// Connections of one client address; IPv6 clients of one /64 count as one. No limit when
    /// absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) connections_per_client: Field<i64>,
    /// Streams that one HTTP/2 connection may have open.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10_000), extend("default" = 100))]
    pub(in crate::config) streams_per_connection: Field<i64>,
    /// Bytes of a request target. Not above `header_bytes`.
    #[serde(default)]
    #[schemars(range(min = 256, max = 65_536), extend("default" = 8_192))]
    pub(in crate::config) uri_bytes: Field<i64>,
    /// Bytes of a request's head.
    #[serde(default)]
    #[schemars(range(min = 1_024, max = 65_536), extend("default" = 32_768))]
    pub(in crate::config) header_bytes: Field<i64>,
}

/// What becomes of a request that could mean one thing here and another at an origin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Requests {
    /// `%2F` and `%5C` in a path.
    #[serde(default)]
    #[schemars(extend("default" = "keep"))]
    pub(in crate::config) encoded_slash: Field<EncodedSlash>,
    /// `//` in a path.
    #[serde(default)]
    #[schemars(extend("default" = "merge"))]
    pub(in crate::config) repeated_slash: Field<RepeatedSlash>,
    /// `.` and `..` in a path.
    #[serde(default)]
    #[schemars(extend("default" = "resolve"))]
    pub(in crate::config) dot_segments: Field<DotSegments>,
    /// Header names with `_`.
    #[serde(default)]
    #[schemars(extend("default" = "drop"))]
    pub(in crate::config) underscores: Field<Underscores>,
}

/// What becomes of `%2F` and `%5C`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum EncodedSlash {
    /// They stay, unless the path would mean something else to who decodes them.
    Keep,
    /// The request is refused.
    Refuse,
    /// They become slashes before anything else is looked at.
    Decode,
}

/// What becomes of `//`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum RepeatedSlash {
    /// It becomes one slash.
    Merge,
    /// It stays.
    Keep,
    /// The request is refused.
    Refuse,
}

/// What becomes of `.` and `..`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum DotSegments {
    /// They are resolved.
    Resolve,
    /// The request is refused.
    Refuse,
}

/// What becomes of header names with `_`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Underscores {
    /// The field is not passed on.
    Drop,
    /// It is.
    Keep,
    /// The request is refused.
    Refuse,
}

/// Where endpoints may lie.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Origins {
    /// Networks or addresses that endpoints may have although they are refused by default, such
    /// as link-local ones and those of cloud metadata.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub(in crate::config) allow: Field<Vec<Field<String>>>,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ProxyProtocolVersion {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// TLS with `https` endpoints. Its files are read again when they change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RegionTls {
    /// Name that is asked for and verified; the host of the URL when absent.
    #[serde(default)]
    pub(in crate::config) server_name: Field<String>,
    /// Who has signed the certificates of endpoints, in PEM; whom the system trusts when absent.
    #[serde(default)]
    pub(in crate::config) ca: Field<String>,
    /// File with the certificate that Rhumb shows, in PEM. Only together with `client_key`.
    #[serde(default)]
    pub(in crate::config) client_certificate: Field<String>,
    /// File with its private key, in PEM.
    #[serde(default)]
    pub(in crate::config) client_key: Field<String>,
    /// Protocols in order of preference.
    #[serde(default)]
    #[schemars(length(min = 1), extend("default" = ["h2", "http/1.1"]))]
    pub(in crate::config) alpn: Field<Vec<Field<Alpn>>>,
    /// Believes whatever certificate endpoints show, so that anyone in between can read and change
    /// everything.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) insecure_skip_verify: Field<bool>,
}

/// A code of gRPC other than 0, success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum GrpcStatus {
    /// The caller has given up.
    Cancelled = 1,
    /// Nobody knows what went wrong.
    Unknown = 2,
    /// The call is wrong whatever the state of the system.
    InvalidArgument = 3,
    /// The time was over.
    DeadlineExceeded = 4,
    /// It is not there.
    NotFound = 5,
    /// It is there already.
    AlreadyExists = 6,
    /// The caller may not.
    PermissionDenied = 7,
    /// Something is used up.
    ResourceExhausted = 8,
    /// The system is not in the state that the call needs.
    FailedPrecondition = 9,
    /// Something else came in between.
    Aborted = 10,
    /// Past the end of what there is.
    OutOfRange = 11,
    /// The origin does not have such a method.
    Unimplemented = 12,
    /// Something is broken.
    Internal = 13,
    /// Nobody is there to work on it.
    Unavailable = 14,
    /// Data is gone.
    DataLoss = 15,
    /// Nobody knows who the caller is.
    Unauthenticated = 16,
}
