//! Settings of steering: latency, tenants, residency, writes, affinity, hints, capacity.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::{HeaderMatch, Region};
use crate::model::{Country, Framework, RegionId, TenantId, limits};

/// How old something may be: up to `soft` it is fresh, up to `hard` it is used and marked, beyond
/// that it is passed over. `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Up to here fresh.
    pub soft: Option<Duration>,
    /// Up to here used; not shorter than `soft`.
    pub hard: Option<Duration>,
}

/// Where expected round-trip times come from.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencySources {
    /// A CSV file `client,region,rtt_ms[,updated]`.
    pub table: Option<PathBuf>,
    /// How old its rows may be, as far as they say.
    pub freshness: Freshness,
    /// What Rhumb measures itself.
    pub measured: MeasuredLatency,
}

impl Default for LatencySources {
    fn default() -> Self {
        Self {
            table: None,
            freshness: Freshness {
                soft: Some(limits::LATENCY_SOFT_TTL),
                hard: Some(limits::LATENCY_HARD_TTL),
            },
            measured: MeasuredLatency::default(),
        }
    }
}

/// What Rhumb measures itself.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredLatency {
    /// After so much time a measurement counts half.
    pub half_life: Duration,
    /// How old the newest measurement of a region may be.
    pub freshness: Freshness,
    /// Whether times are kept for each client network as well.
    pub by_client_network: bool,
    /// Measurements of a client network that make its times count.
    pub min_samples: u32,
    /// Client networks that are remembered.
    pub max_networks: usize,
}

impl Default for MeasuredLatency {
    fn default() -> Self {
        Self {
            half_life: limits::MEASURED_HALF_LIFE,
            freshness: Freshness {
                soft: Some(limits::MEASURED_SOFT_TTL),
                hard: Some(limits::MEASURED_HARD_TTL),
            },
            by_client_network: false,
            min_samples: limits::MEASURED_MIN_SAMPLES,
            max_networks: limits::MEASURED_NETWORKS,
        }
    }
}

/// The file with the homes of tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantsFile {
    /// A CSV file `tenant,region[,strict]`.
    pub file: PathBuf,
    /// How old it may be, by its modification time.
    pub freshness: Freshness,
}

/// A secret that signs tokens (HMAC-SHA256).
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Names the key in tokens.
    pub id: Arc<str>,
    /// At least `SIGNING_SECRET_BYTES` bytes.
    pub secret: Arc<[u8]>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How this Rhumb is told apart in a chain of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hops {
    /// Its name in the chain; `None`: it takes no part in the loop guard.
    pub id: Option<Arc<str>>,
    /// Rhumbs that a request may pass.
    pub most: u32,
}

impl Default for Hops {
    fn default() -> Self {
        Self { id: None, most: limits::HOPS }
    }
}

/// A candidate that is evaluated beside the live configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Shadow {
    /// The candidate's configuration file.
    pub config: PathBuf,
    /// The part of requests that is decided by it too, in hundredths of a percent.
    pub sample: u16,
}

/// What modifies a deployment's strategy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RankingSettings {
    /// Regions within so many milliseconds of the fastest are ordered by utilisation.
    pub latency_tolerance_ms: f64,
    /// A client network stays at its region until another is faster by more than so many
    /// milliseconds.
    pub latency_switch_ms: f64,
    /// What the strategy `score` weighs.
    pub objectives: Objectives,
}

/// Weights of what the strategy `score` adds up; finite, not negative, not all 0 where it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Objectives {
    /// Expected round trip.
    pub latency: f64,
    /// Cost multiplier.
    pub cost: f64,
    /// Utilisation.
    pub load: f64,
}

/// Where the tenant of a request is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantSource {
    /// A header; several lines or a list name no tenant.
    Header(HeaderName),
    /// A label of the host, 0 being the leftmost.
    HostLabel(usize),
    /// A segment of the path, 0 being the first.
    PathSegment(usize),
    /// A cookie.
    Cookie(Arc<str>),
    /// A claim of a verified JSON Web Token.
    Jwt(JwtSource),
}

/// A claim of a JSON Web Token (RFC 7519) that one of the given keys has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtSource {
    /// The header that carries it, with or without `Bearer `.
    pub header: HeaderName,
    /// The claim: text.
    pub claim: Arc<str>,
    /// A file with a JSON Web Key Set (RFC 7517).
    pub jwks: PathBuf,
    /// The `iss` it must have.
    pub issuer: Option<Arc<str>>,
    /// The `aud` it must have.
    pub audience: Option<Arc<str>>,
}

/// Which regions may see some requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResidencyPolicy {
    /// Unique in the deployment.
    pub name: Arc<str>,
    /// Which requests.
    pub applies_to: Applies,
    /// Only these; `None`: any that complies.
    pub allowed_regions: Option<Vec<RegionId>>,
    /// Only regions that declare all of these.
    pub required_compliance: Vec<Framework>,
    /// Whether it applies where the country or the tenant it asks for is not known.
    pub when_unknown: Unknown,
    /// Whether it binds.
    pub enforcement: Enforcement,
}

impl ResidencyPolicy {
    /// Whether the region may see the requests that the policy applies to.
    pub fn allows(&self, region: &Region) -> bool {
        let listed = self.allowed_regions.as_ref().is_none_or(|ids| ids.contains(&region.id));
        let complies = |framework| region.compliance.binary_search(framework).is_ok();
        listed && self.required_compliance.iter().all(complies)
    }
}

/// Requests that a policy applies to: every list that is not empty has to hold, by any element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applies {
    /// Client countries.
    pub countries: Vec<Country>,
    /// Tenants.
    pub tenants: Vec<TenantId>,
    /// Headers; any of them.
    pub headers: Vec<HeaderMatch>,
    /// Paths, on segment borders.
    pub path_prefixes: Vec<String>,
}

/// What a policy does where it cannot know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// It applies.
    #[default]
    Apply,
    /// It does not apply.
    Skip,
}

/// Whether a policy binds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// It does.
    #[default]
    Strict,
    /// It only says what it would have done.
    Report,
}

/// Where writes go, and reads after them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// Which region comes first for a method that is not safe.
    pub mode: WriteMode,
    /// What happens when that region is down.
    pub when_down: WhenDown,
    /// After a write the client's reads stay at its region for so long; `None`: they do not.
    pub sticky: Option<Duration>,
    /// What carries that to the client and back.
    pub carrier: TokenCarrier,
    /// A response header by which an origin says that it has caught up, which ends the stay.
    pub caught_up_header: Option<HeaderName>,
}

/// Which region comes first for a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteMode {
    /// Whichever comes first for a read.
    #[default]
    Nearest,
    /// The primary.
    Primary,
    /// The tenant's home, else the primary.
    Home,
}

/// What happens to writes when their region is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenDown {
    /// They go to the next region.
    #[default]
    Failover,
    /// They are refused.
    ReadOnly,
}

/// What carries a token to the client and back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenCarrier {
    /// A cookie of that name.
    Cookie(Arc<str>),
    /// A header of that name, in responses and requests.
    Header(HeaderName),
}

impl Default for TokenCarrier {
    fn default() -> Self {
        Self::Cookie("rhumb".into())
    }
}

/// Whether a client stays at a region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affinity {
    /// By what.
    pub mode: AffinityMode,
    /// How long a token counts; `None`: for the session (cookie), without end (header).
    pub lifetime: Option<Duration>,
    /// What happens when its region is down.
    pub on_failure: OnFailure,
}

/// By what a client stays at a region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AffinityMode {
    /// It does not.
    #[default]
    None,
    /// By a hash of the tenant or the client's address.
    Client,
    /// By a signed token.
    Token(TokenCarrier),
}

/// What happens when the region that a client should stay at is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The request is refused.
    None,
    /// It goes elsewhere, and back once the region is up.
    #[default]
    Temporary,
    /// It goes elsewhere and stays there.
    Sticky,
}

/// What a request may say about its region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Whether `X-Rhumb-Prefer-Region` counts.
    pub prefer: bool,
    /// Whether `X-Rhumb-Force-Region` counts.
    pub force: bool,
    /// Whose word counts.
    pub from: HintSource,
}

/// Whose hints count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HintSource {
    /// Those of trusted peers.
    #[default]
    Trusted,
    /// Those with a signature, from anyone.
    Signed,
    /// Either.
    TrustedOrSigned,
}

/// Which requests give way first when regions are full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priorities {
    /// The header that names the class; believed only from trusted peers unless `from_anyone`.
    pub header: HeaderName,
    /// Whether anyone may name it.
    pub from_anyone: bool,
    /// Classes with the percentage of a region's capacity that they may fill, 1..=100.
    pub classes: Vec<(Arc<str>, u8)>,
    /// The percentage of requests without a class.
    pub default_percent: u8,
}

impl Priorities {
    /// The percentage of a class.
    pub fn percent(&self, class: &[u8]) -> Option<u8> {
        self.classes.iter().find(|(name, _)| name.as_bytes() == class).map(|(_, percent)| *percent)
    }
}
