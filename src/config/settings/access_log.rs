//! What is logged of requests, and where to.
//!
//! A template is in pieces here; `validate` reads it, `access_log` fills it in.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::HeaderName;

/// A log of requests.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLog {
    /// Where its lines go.
    pub to: LogTarget,
    /// What its lines look like.
    pub format: LogFormat,
    /// Share of the requests, 0 to 1; refusals and failures of origins are logged in any case.
    pub sample: f64,
    /// What of a query is logged.
    pub query: LoggedQuery,
    /// Header fields of requests that are logged. A template refers to them by their places.
    pub headers: Vec<HeaderName>,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// The end of a file.
    File(PathBuf),
    /// Syslog (RFC 5424).
    Syslog {
        /// Who takes it.
        address: SyslogAddress,
        /// Number of the facility.
        facility: u8,
    },
}

/// Who takes syslog messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SyslogAddress {
    /// A datagram socket of this host.
    Unix(PathBuf),
    /// UDP (RFC 5426).
    Udp(SocketAddr),
}

/// What a line looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A JSON object.
    Json,
    /// These pieces one after the other.
    Template(Vec<LogPiece>),
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPiece {
    /// As it is.
    Text(Box<str>),
    /// What is known of the request.
    Field(LogField),
    /// The header field at that place of [`AccessLog::headers`].
    Header(usize),
}

/// What is logged of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoggedQuery {
    /// That there is one.
    Redact,
    /// All of it.
    Keep,
    /// The names of its parameters.
    KeepNames,
}

/// The facilities of syslog, at the places of their numbers (RFC 5424 section 6.2.1). Those without
/// a name are reserved for the system's own use.
pub const SYSLOG_FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

macro_rules! log_fields {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// What can be known of a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum LogField {
            $($(#[$doc])* $variant,)*
        }

        impl LogField {
            /// Every field.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in templates.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

log_fields! {
    /// When the head of the request was complete, in UTC (RFC 3339).
    Time = "time",
    /// The id under which all logs know it.
    Id = "id",
    /// The trace that it belongs to (W3C trace context).
    TraceId = "trace_id",
    /// The client's address.
    Client = "client",
    /// The connection's other end.
    Peer = "peer",
    /// The client's country.
    Country = "country",
    /// The deployment.
    Deployment = "deployment",
    /// The region tried last.
    Region = "region",
    /// The endpoint tried last.
    Endpoint = "endpoint",
    /// Why the request went where it went first.
    Reason = "reason",
    /// The rule that held.
    Rule = "rule",
    /// Why Rhumb answered itself.
    Error = "error",
    /// Why the response ended before its end.
    Cut = "cut",
    /// The status that the client got.
    Status = "status",
    /// The method.
    Method = "method",
    /// The host.
    Host = "host",
    /// The path.
    Path = "path",
    /// The query, as far as it may be logged.
    Query = "query",
    /// The version of HTTP.
    Protocol = "protocol",
    /// The version of TLS.
    TlsVersion = "tls_version",
    /// The cipher suite.
    TlsCipher = "tls_cipher",
    /// The name that the client asked for in the TLS handshake.
    Sni = "sni",
    /// Bytes of the request's body.
    BytesIn = "bytes_in",
    /// Bytes of the response's body.
    BytesOut = "bytes_out",
    /// From the end of the request's head to the end of the response, in milliseconds.
    DurationMs = "duration_ms",
    /// How often an endpoint was tried.
    Attempts = "attempts",
    /// The generation of the table that decided.
    Generation = "generation",
    /// A hash of the tenant's name.
    TenantHash = "tenant_hash",
}
