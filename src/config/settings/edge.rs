//! Settings of both edges of a request's way: how clients come in, how endpoints are spoken to,
//! and what a request may look like.
//!
//! Files are named here, not read; `tls` reads them.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::model::limits;

/// An address that accepts requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// `None`: cleartext.
    pub tls: Option<ListenerTls>,
    /// Whether HTTP/2 is spoken here, by ALPN or prior knowledge.
    pub http2: bool,
    /// Who speaks the PROXY protocol here; `None`: nobody.
    pub proxy_protocol: Option<ProxyProtocolFrom>,
    /// Every request is sent to HTTPS.
    pub redirect: Option<HttpsRedirect>,
    /// `Strict-Transport-Security` for every answer.
    pub hsts: Option<HeaderValue>,
}

impl Listener {
    /// Cleartext HTTP at that address, and nothing else.
    pub fn cleartext(address: SocketAddr) -> Self {
        Self { address, tls: None, http2: true, proxy_protocol: None, redirect: None, hsts: None }
    }
}

/// TLS towards clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListenerTls {
    /// At least one; the first serves clients that name none of the others' hosts.
    pub certificates: Vec<CertificateFiles>,
    /// Oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Protocols in order of preference; at least one.
    pub alpn: Vec<Alpn>,
    /// Whose certificates clients show; `None`: they are not asked.
    pub client: Option<ClientCertificates>,
}

/// The files of one certificate, in PEM; the staple in DER.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// An OCSP response to staple.
    pub ocsp: Option<PathBuf>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// A protocol that is agreed on in the handshake (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// HTTP/2.
    H2,
    /// HTTP/1.1.
    Http11,
}

impl Alpn {
    /// Its name in the handshake.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::H2 => "h2",
            Self::Http11 => "http/1.1",
        }
    }
}

/// Certificates that clients show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificates {
    /// Who has to have signed them, in PEM.
    pub ca: PathBuf,
    /// Whether a client without one is turned away.
    pub required: bool,
}

/// Peers that say in a PROXY protocol header for whom they connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyProtocolFrom {
    /// Only these are believed; a header of anyone else ends its connection.
    pub trusted: Vec<IpNet>,
    /// Whether a trusted peer without a header is turned away.
    pub required: bool,
}

/// Where requests that came in clear text are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpsRedirect {
    /// Port of the HTTPS listener as clients see it.
    pub port: u16,
    /// 301, 302, 307 or 308.
    pub status: u16,
}

/// Limits on what clients may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Connections of one worker.
    pub connections_per_worker: usize,
    /// Connections of one client address, IPv6 by /64; `None`: no limit.
    pub connections_per_client: Option<NonZeroU32>,
    /// Streams that one HTTP/2 connection may have open.
    pub streams_per_connection: u32,
    /// Bytes of a request target.
    pub uri_bytes: usize,
    /// Bytes of a request's head.
    pub header_bytes: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connections_per_worker: limits::CONNECTIONS_PER_WORKER,
            connections_per_client: None,
            streams_per_connection: limits::STREAMS_PER_CONNECTION,
            uri_bytes: limits::URI_BYTES,
            header_bytes: limits::HEADER_BYTES,
        }
    }
}

/// What becomes of a request that could mean one thing here and another at an origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestRules {
    /// `%2F` and `%5C` in a path.
    pub encoded_slash: EncodedSlash,
    /// `//` in a path.
    pub repeated_slash: RepeatedSlash,
    /// `.` and `..` in a path.
    pub dot_segments: DotSegments,
    /// Header names with `_`.
    pub underscores: Underscores,
}

/// What becomes of `%2F` and `%5C`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncodedSlash {
    /// They stay, unless the path would mean something else to who decodes them.
    #[default]
    Keep,
    /// The request is refused.
    Refuse,
    /// They become slashes before anything else is looked at.
    Decode,
}

/// What becomes of `//`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RepeatedSlash {
    /// It becomes one slash.
    #[default]
    Merge,
    /// It stays.
    Keep,
    /// The request is refused.
    Refuse,
}

/// What becomes of `.` and `..` (RFC 3986 section 5.2.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DotSegments {
    /// They are resolved.
    #[default]
    Resolve,
    /// The request is refused.
    Refuse,
}

/// What becomes of header names with `_`: to CGI and its kin they are twins of those with `-`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Underscores {
    /// The field is not passed on.
    #[default]
    Drop,
    /// It is.
    Keep,
    /// The request is refused.
    Refuse,
}

/// Fields about the client that Rhumb adds to requests, beside `X-Forwarded-*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFields {
    /// Whether `Forwarded` (RFC 7239) is among them.
    pub forwarded: bool,
    /// Which one tells the client's verified certificate.
    pub certificate: HeaderName,
}

impl Default for ClientFields {
    fn default() -> Self {
        let certificate = HeaderName::from_static("x-forwarded-client-cert");
        Self { forwarded: false, certificate }
    }
}

/// How the endpoints of a region are spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transport {
    /// What tells them who the client is before the first byte; `None`: nothing.
    pub proxy_protocol: Option<ProxyProtocolVersion>,
    /// For `https` endpoints.
    pub tls: UpstreamTls,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyProtocolVersion {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// TLS towards endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// Name that is asked for and verified; `None`: the host of the URL.
    pub server_name: Option<String>,
    /// Who has to have signed their certificates, in PEM; `None`: whom the system trusts.
    pub ca: Option<PathBuf>,
    /// What Rhumb shows them, certificate and key in PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Protocols in order of preference; at least one.
    pub alpn: Vec<Alpn>,
    /// Believe whatever certificate they show.
    pub insecure_skip_verify: bool,
}

impl Default for UpstreamTls {
    fn default() -> Self {
        Self {
            server_name: None,
            ca: None,
            identity: None,
            alpn: vec![Alpn::H2, Alpn::Http11],
            insecure_skip_verify: false,
        }
    }
}

/// How requests of a deployment travel, beside where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Protocols of `Upgrade` that are passed on, in lower case.
    pub upgrades: Vec<String>,
    /// Bytes of a request body; `None`: no limit.
    pub max_body_bytes: Option<u64>,
    /// No response is bound by the request timeout.
    pub exempt: bool,
    /// A stream or tunnel on which nothing moves for so long is ended.
    pub idle: Duration,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            upgrades: vec!["websocket".to_owned()],
            max_body_bytes: None,
            exempt: false,
            idle: limits::STREAM_IDLE_TIMEOUT,
        }
    }
}

/// What the codes of gRPC are called, from 0 on.
const GRPC_CODES: [&str; 17] = [
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

/// Codes of gRPC, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrpcStatuses(u32);

impl GrpcStatuses {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// 14 alone: nobody worked on the call.
    pub const UNAVAILABLE: Self = Self::NONE.with(14);

    /// The set with one more; codes above 31 are none.
    #[must_use]
    pub const fn with(self, code: u32) -> Self {
        if code < 32 { Self(self.0 | 1 << code) } else { self }
    }

    /// What its members are called, in ascending order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        (0..).zip(GRPC_CODES).filter(move |(code, _)| self.contains(*code)).map(|(_, name)| name)
    }

    /// Whether it is one of them.
    pub const fn contains(self, code: u32) -> bool {
        code < 32 && self.0 >> code & 1 == 1
    }
}
