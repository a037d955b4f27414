//! The validated configuration: what every module but the parser sees.
//!
//! A value of these types has been checked: regions that are referred to exist, numbers are in
//! range, names are unique. Not here: defaults (`model::limits`) and the YAML shapes (`raw`).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderName, Method};
use ipnet::IpNet;
use serde::Serialize;

use crate::model::{
    Continent, Coordinates, Country, DeploymentName, Framework, RegionId, RuleId, Subdivision,
    TenantId,
};

mod access_log;
mod compression;
mod conditions;
mod edge;
mod endpoint;
mod life;
mod names;
mod overload;
mod steering;
mod timing;
mod tracing;

pub use access_log::{
    AccessLog, LogField, LogFormat, LogPiece, LogTarget, LoggedQuery, SYSLOG_FACILITIES,
    SyslogAddress,
};
pub(in crate::config) use compression::DEFAULT_TYPES;
pub use compression::{CompressionLevel, CompressionSettings, MediaRange};
pub use conditions::{NamedMatch, Pattern, TextMatch, TimeWindow, WeekdaySet};
pub use edge::{
    Alpn, CertificateFiles, ClientCertificates, ClientFields, ClientLimits, DotSegments,
    EncodedSlash, GrpcStatuses, HttpsRedirect, Listener, ListenerTls, ProxyProtocolFrom,
    ProxyProtocolVersion, RepeatedSlash, RequestRules, Streams, TlsVersion, Transport, Underscores,
    UpstreamTls,
};
pub use endpoint::{Endpoint, EndpointUrl, Host, Scheme};
pub use life::{Drain, Upgrade};
pub use names::Names;
pub use overload::OverloadSettings;
pub use steering::{
    Affinity, AffinityMode, Applies, Enforcement, Freshness, HintSource, Hints, Hops, JwtSource,
    LatencySources, MeasuredLatency, Objectives, OnFailure, Priorities, RankingSettings,
    ResidencyPolicy, Shadow, SigningKey, TenantSource, TenantsFile, TokenCarrier, Unknown,
    WhenDown, WriteMode, Writes,
};
pub use timing::{Failover, HealthCheck, Retries, Timeouts, WhenAllDown};
pub use tracing::{Otlp, TraceParents, Tracing};

/// A whole configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where requests come in; at least one.
    pub listeners: Vec<Listener>,
    /// Where operators come in.
    pub admin: Admin,
    /// Data-plane threads; `None` is one per core.
    pub workers: Option<NonZeroUsize>,
    /// GeoIP databases in place of the embedded one.
    pub geoip: GeoipFiles,
    /// Where expected round-trip times come from.
    pub latency: LatencySources,
    /// Who is believed about client addresses and places.
    pub client: ClientTrust,
    /// What Rhumb says of the client, beside `X-Forwarded-*`.
    pub client_fields: ClientFields,
    /// Limits on what clients may use.
    pub limits: ClientLimits,
    /// What becomes of too much load.
    pub overload: OverloadSettings,
    /// What becomes of requests that could be read in two ways.
    pub requests: RequestRules,
    /// Networks that endpoints may lie in although they are refused by default.
    pub origin_networks: Vec<IpNet>,
    /// How the DNS names of endpoints are looked up.
    pub names: Names,
    /// Homes of tenants.
    pub tenants: Option<TenantsFile>,
    /// What signs and verifies Rhumb's own tokens: the first signs, all verify; may be empty.
    pub signing: Vec<SigningKey>,
    /// How this Rhumb is told apart in a chain of them.
    pub hops: Hops,
    /// A candidate that is evaluated beside the live configuration.
    pub shadow: Option<Shadow>,
    /// Traces; `None`: the context of clients is passed on as it is.
    pub tracing: Option<Tracing>,
    /// What is logged of requests; `None`: nothing.
    pub access_log: Option<Arc<AccessLog>>,
    /// How the process ends.
    pub drain: Drain,
    /// How another one takes its place.
    pub upgrade: Upgrade,
    /// All regions, in file order.
    pub regions: Vec<Arc<Region>>,
    /// All deployments, in file order.
    pub deployments: Vec<Arc<Deployment>>,
}

impl Config {
    /// The region of that id.
    pub fn region(&self, id: &RegionId) -> Option<&Arc<Region>> {
        self.regions.iter().find(|region| region.id == *id)
    }
}

/// The admin address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Address and port; loopback unless configured.
    pub address: SocketAddr,
}

/// Files that replace the embedded country database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GeoipFiles {
    /// Country or city databases, asked in order (some vendors ship IPv4 and IPv6 apart). Empty:
    /// the embedded country database.
    pub databases: Vec<PathBuf>,
    /// A database of autonomous systems.
    pub asn_database: Option<PathBuf>,
    /// How old a database may be.
    pub freshness: Freshness,
}

/// Whom to believe about clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTrust {
    /// Peers whose forwarding and geo headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Headers that carry a country code, asked in order, lower case.
    pub country_headers: Vec<HeaderName>,
}

impl ClientTrust {
    /// Whether `address` (with IPv4-mapped IPv6 already unmapped) is a trusted proxy.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&address))
    }
}

/// A place that serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// Unique id.
    pub id: RegionId,
    /// Name for people.
    pub name: Option<String>,
    /// Place for people.
    pub location: Option<String>,
    /// Where it is.
    pub coordinates: Coordinates,
    /// In which country.
    pub country: Country,
    /// -99..=99: widens (positive) or narrows the region's reach in `geolocation`.
    pub bias: i8,
    /// Frameworks that it complies with, in lower case, sorted, each once.
    pub compliance: Vec<Framework>,
    /// What a request costs there, relative to the others; finite and not negative.
    pub cost_multiplier: f64,
    /// Requests that it may answer at once, over all workers and deployments; `None`: no limit.
    pub max_in_flight: Option<NonZeroU32>,
    /// Upstream addresses; at least one.
    pub endpoints: Vec<Endpoint>,
}

/// One API, routed as a unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// Unique name.
    pub name: DeploymentName,
    /// Hosts it answers; empty: any.
    pub hosts: Vec<HostPattern>,
    /// Path prefix it answers, starting with `/` and not ending in one unless it is `/`.
    pub path_prefix: String,
    /// Primary first, then the replicas as listed, less the excluded ones; no duplicates;
    /// 1..=`REGIONS_PER_DEPLOYMENT`.
    pub regions: Vec<RegionSettings>,
    /// Regions that the file excludes, for display.
    pub excluded_regions: Vec<RegionId>,
    /// The primary region, even when it is excluded.
    pub primary_region: RegionId,
    /// How regions are ranked.
    pub strategy: Strategy,
    /// What modifies the strategy.
    pub ranking: RankingSettings,
    /// Where the tenant of a request is read; `None`: tenants are not told apart.
    pub tenant: Option<TenantSource>,
    /// Which regions may see which requests.
    pub residency: Vec<ResidencyPolicy>,
    /// Where writes go, and reads after them.
    pub writes: Writes,
    /// Whether a client stays at a region.
    pub affinity: Affinity,
    /// What a request may say about its region.
    pub hints: Hints,
    /// Regions that an origin may have a request replayed in; empty: none.
    pub replay_regions: Vec<RegionId>,
    /// Which requests give way first when regions are full; `None`: all are alike.
    pub priorities: Option<Priorities>,
    /// Rules in file order, disabled ones included.
    pub rules: Vec<Rule>,
    /// Active checks; `None`: none.
    pub health_check: Option<HealthCheck>,
    /// When a region is taken out and may come back.
    pub failover: Failover,
    /// Limits of one request.
    pub timeouts: Timeouts,
    /// How bodies and upgrades travel.
    pub streams: Streams,
    /// Which responses are compressed; `None`: none.
    pub compression: Option<CompressionSettings>,
    /// How often a failed attempt is repeated elsewhere.
    pub retries: Retries,
    /// What to do when no region is healthy.
    pub when_all_down: WhenAllDown,
}

/// A region as one deployment uses it.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionSettings {
    /// The region.
    pub region: Arc<Region>,
    /// Its share for `weighted`; 0 takes it out of the draw but not out of the list.
    pub weight: u32,
    /// The region's endpoints, or the deployment's own; at least one.
    pub endpoints: Vec<Endpoint>,
}

/// How a deployment ranks its regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
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
    /// Lowest utilisation first.
    Capacity,
    /// Lowest cost first, then expected round trip.
    Cost,
    /// Highest health score first, then expected round trip.
    Health,
    /// Only for requests that a residency policy applies to; nearest first.
    Compliance,
    /// Lowest weighted sum of normalised objectives first.
    Score,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 10] = [
        Self::Failover,
        Self::Geolocation,
        Self::Latency,
        Self::Weighted,
        Self::RoundRobin,
        Self::Capacity,
        Self::Cost,
        Self::Health,
        Self::Compliance,
        Self::Score,
    ];

    /// The word used in configuration, metrics and explanations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Geolocation => "geolocation",
            Self::Latency => "latency",
            Self::Weighted => "weighted",
            Self::RoundRobin => "round_robin",
            Self::Capacity => "capacity",
            Self::Cost => "cost",
            Self::Health => "health",
            Self::Compliance => "compliance",
            Self::Score => "score",
        }
    }
}

/// A host that a deployment answers, in lower case and without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Exactly this host.
    Exact(String),
    /// `*.example.org`: one or more labels before this suffix, which is kept without `*.`.
    Wildcard(String),
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

/// A condition on the request, and the regions it then goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Unique in the deployment.
    pub id: RuleId,
    /// Name for people.
    pub name: Option<String>,
    /// Higher first; ties in file order.
    pub priority: i32,
    /// Whether it is used.
    pub enabled: bool,
    /// Any of these hosts; empty: any.
    pub hosts: Vec<HostPattern>,
    /// Below any of these paths, on segment borders; empty: any.
    pub path_prefixes: Vec<String>,
    /// Any of these methods; empty: any.
    pub methods: Vec<Method>,
    /// Any of these client countries; empty: any client, also one of unknown country.
    pub source_countries: Vec<Country>,
    /// Any of these continents; empty: any.
    pub source_continents: Vec<Continent>,
    /// Any of these subdivisions; empty: any.
    pub source_subdivisions: Vec<(Country, Subdivision)>,
    /// Any of these networks, IPv4-mapped ones as IPv4; empty: any.
    pub source_cidrs: Vec<IpNet>,
    /// Any of these autonomous systems; empty: any.
    pub source_asns: Vec<u32>,
    /// Any of these tenants; empty: any.
    pub tenants: Vec<TenantId>,
    /// All of these headers; one line of a header is enough.
    pub header_conditions: Vec<HeaderMatch>,
    /// All of these query parameters, `%` escapes and `+` decoded; one of several is enough.
    pub query_conditions: Vec<NamedMatch>,
    /// All of these cookies; one of several is enough.
    pub cookie_conditions: Vec<NamedMatch>,
    /// This share of clients, told apart by a stable hash, in hundredths of a percent.
    pub percent: Option<u16>,
    /// Within any of these; empty: any time.
    pub time_windows: Vec<TimeWindow>,
    /// What orders the targets, and without fallbacks the others, in place of the deployment's.
    pub strategy: Option<Strategy>,
    /// Where to; at least one.
    pub target_regions: Vec<RegionId>,
    /// Shares of the targets; empty: the deployment's strategy orders them.
    pub weights: Vec<(RegionId, u32)>,
    /// Where to when no target is left, in order.
    pub fallback_regions: Vec<RegionId>,
}

/// A header that must have such a value in one of its lines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeaderMatch {
    /// Name.
    pub name: HeaderName,
    /// What its value must be.
    pub value: TextMatch,
}
