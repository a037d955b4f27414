//! From a YAML file to a [`Config`] that can be trusted.
//!
//! ```text
//! text ── document ──> nodes with positions ── raw ──> shapes ── validate ──> Config
//!                         ▲
//!        environment ── overrides
//! ```
//!
//! Every step collects all errors it can find, each with file, line, column and field path; a
//! `Config` exists only when there was none. What a configuration *means* for a request is not
//! here but in `routing`. Beside that way: [`schema()`] describes the file to other programs,
//! [`diff()`] says what a reload changes, and [`FileWatch`] says when one is due.

mod deserialize;
mod diff;
mod document;
mod error;
mod field;
mod load;
mod overrides;
mod pins;
mod raw;
mod report;
mod schema;
mod secrets;
mod settings;
#[cfg(test)]
mod tests;
mod unbuilt;
mod validate;
mod watch;

pub use diff::{Change, diff};
pub use error::{ConfigError, ConfigErrors, Severity};
pub use load::{Loaded, environment, load, parse, read_text};
pub use overrides::{Overridden, Overrides, Setting, ValueKind, settings, settings_of};
pub use pins::pins_outside_policy;
pub use schema::schema;
pub use settings::{
    AccessLog, Admin, Affinity, AffinityMode, Alpn, Applies, CertificateFiles, ClientCertificates,
    ClientFields, ClientLimits, ClientTrust, CompressionLevel, CompressionSettings, Config,
    Deployment, DotSegments, Drain, EncodedSlash, Endpoint, EndpointUrl, Enforcement, Failover,
    Freshness, GeoipFiles, GrpcStatuses, HeaderMatch, HealthCheck, HintSource, Hints, Hops, Host,
    HostPattern, HttpsRedirect, JwtSource, LatencySources, Listener, ListenerTls, LogField,
    LogFormat, LogPiece, LogTarget, LoggedQuery, MeasuredLatency, MediaRange, NamedMatch, Names,
    Objectives, OnFailure, Otlp, OverloadSettings, Pattern, Priorities, ProxyProtocolFrom,
    ProxyProtocolVersion, RankingSettings, Region, RegionSettings, RepeatedSlash, RequestRules,
    ResidencyPolicy, Retries, Rule, SYSLOG_FACILITIES, Scheme, Shadow, SigningKey, Strategy,
    Streams, SyslogAddress, TenantSource, TenantsFile, TextMatch, TimeWindow, Timeouts, TlsVersion,
    TokenCarrier, TraceParents, Tracing, Transport, Underscores, Unknown, Upgrade, UpstreamTls,
    WeekdaySet, WhenAllDown, WhenDown, WriteMode, Writes,
};
pub use watch::FileWatch;
