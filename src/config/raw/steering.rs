//! The shapes of what steers requests beyond places and rules: keys, tenants, residency, writes,
//! affinity, hints, replay, priorities. Like all shapes, they say nothing of what is allowed
//! beyond the kind of a value.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use super::{NAME_PATTERN, TextCondition};
use crate::config::field::{Entries, Field, TextOr};

/// Asks the deserializer for text that no message may repeat.
pub(in crate::config) const SECRET: &str = "$rhumb::secret";
/// Shapes of which no message may repeat a value.
pub(in crate::config) const SECRET_SHAPES: [&str; 2] = ["Signing", "SigningKey"];

/// Keys that sign and verify Rhumb's own tokens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Signing {
    /// The first key signs, all of them verify: put a new one first, and remove the old one when
    /// its tokens have expired.
    #[schemars(length(min = 1, max = 16))]
    pub(in crate::config) keys: Field<Vec<Field<SigningKey>>>,
}

/// A key that signs (HMAC-SHA256).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 2, "maxProperties" = 2))]
pub(in crate::config) struct SigningKey {
    /// Names the key in tokens; unique.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub(in crate::config) id: Field<String>,
    /// The secret, of at least 32 bytes; better as a variable than in this file.
    #[serde(default)]
    pub(in crate::config) secret: Field<Secret>,
    /// A file with nothing but the secret; a line break at its end does not count.
    #[serde(default)]
    pub(in crate::config) secret_file: Field<String>,
}

/// Text that is never shown.
pub(in crate::config) struct Secret(pub(in crate::config) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SECRET, SecretVisitor)
    }
}

struct SecretVisitor;

impl Visitor<'_> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret(text.to_owned()))
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// The guard against requests that go round in circles between Rhumbs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Hops {
    /// Name of this Rhumb in a chain of them; without one it takes no part. Needs `signing`.
    #[serde(default)]
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub(in crate::config) id: Field<String>,
    /// Rhumbs that a request may pass.
    #[serde(default)]
    #[schemars(range(min = 1, max = 64), extend("default" = 8))]
    pub(in crate::config) most: Field<i64>,
}

/// What Rhumb measures itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Measured {
    /// After so much time a measurement counts half.
    #[serde(default)]
    #[schemars(range(min = 0.1, max = 3_600), extend("default" = 10))]
    pub(in crate::config) half_life_seconds: Field<f64>,
    /// A region's times are fresh for so long after the newest of them.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000), extend("default" = 60))]
    pub(in crate::config) soft_ttl_seconds: Field<f64>,
    /// After so long they are passed over.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000), extend("default" = 600))]
    pub(in crate::config) hard_ttl_seconds: Field<f64>,
    /// Whether times are kept for each client network (/24, /48) as well.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) by_client_network: Field<bool>,
    /// Measurements of a client network that make its times count.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 20))]
    pub(in crate::config) min_samples: Field<i64>,
    /// Client networks that are remembered.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_048_576), extend("default" = 65_536))]
    pub(in crate::config) max_networks: Field<i64>,
}

/// Homes of tenants.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tenants {
    /// A CSV file with the columns `tenant,region` and, if wanted, `strict`; read again when it
    /// changes. A relative path starts at the directory of this file.
    pub(in crate::config) file: Field<String>,
    /// The file is fresh for so long after it was written. Without end when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000))]
    pub(in crate::config) soft_ttl_seconds: Field<f64>,
    /// After so long only its strict pins count. Never when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 315_360_000))]
    pub(in crate::config) hard_ttl_seconds: Field<f64>,
}

/// A candidate that is evaluated beside this configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Shadow {
    /// The candidate's configuration file. A relative path starts at the directory of this file.
    pub(in crate::config) config: Field<String>,
    /// Part of the requests that the candidate decides as well, without effect.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100), extend("default" = 1))]
    pub(in crate::config) sample_percent: Field<f64>,
}

/// What the strategy `score` weighs; at least one weight above 0.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub(in crate::config) struct Objectives {
    /// Weight of the expected round trip.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 0))]
    pub(in crate::config) latency: Field<f64>,
    /// Weight of the region's `cost_multiplier`.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 0))]
    pub(in crate::config) cost: Field<f64>,
    /// Weight of how full the region is.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 0))]
    pub(in crate::config) load: Field<f64>,
}

/// Where the tenant of a request is read: exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(in crate::config) struct Tenant {
    /// A header.
    #[serde(default)]
    pub(in crate::config) header: Field<String>,
    /// A label of the host; 0 is the leftmost.
    #[serde(default)]
    #[schemars(range(min = 0, max = 126))]
    pub(in crate::config) host_label: Field<i64>,
    /// A segment of the path; 0 is the first.
    #[serde(default)]
    #[schemars(range(min = 0, max = 126))]
    pub(in crate::config) path_segment: Field<i64>,
    /// A cookie.
    #[serde(default)]
    pub(in crate::config) cookie: Field<String>,
    /// A claim of a JSON Web Token, which is believed only when one of the keys has signed it.
    #[serde(default)]
    pub(in crate::config) jwt: Field<Jwt>,
}

/// A claim of a JSON Web Token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Jwt {
    /// The header that carries the token, with or without `Bearer`.
    #[serde(default)]
    #[schemars(extend("default" = "authorization"))]
    pub(in crate::config) header: Field<String>,
    /// The claim that names the tenant.
    #[schemars(length(min = 1))]
    pub(in crate::config) claim: Field<String>,
    /// A file with a JSON Web Key Set, read again when it changes. A relative path starts at the
    /// directory of this file.
    pub(in crate::config) jwks: Field<String>,
    /// The issuer (`iss`) that a token must have. Any when absent.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) issuer: Field<String>,
    /// The audience (`aud`) that a token must have. Any when absent.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) audience: Field<String>,
}

/// Which regions may see some requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Policy {
    /// Name, unique in the deployment.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub(in crate::config) name: Field<String>,
    /// Requests that it applies to. All of them when absent.
    #[serde(default)]
    pub(in crate::config) applies_to: Field<Applies>,
    /// Ids of the only regions that may see them.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) allowed_regions: Field<Vec<Field<String>>>,
    /// Only regions whose `compliance` has all of these may see them.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) required_compliance: Field<Vec<Field<String>>>,
    /// Whether it applies where the country or the tenant that it asks for is not known.
    #[serde(default)]
    #[schemars(extend("default" = "apply"))]
    pub(in crate::config) when_unknown: Field<Unknown>,
    /// Whether it binds.
    #[serde(default)]
    #[schemars(extend("default" = "strict"))]
    pub(in crate::config) enforcement: Field<Enforcement>,
}

/// Requests that a policy applies to: every field that is written has to hold, by any of its
/// elements.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Applies {
    /// The client is in any of these countries.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) countries: Field<Vec<Field<String>>>,
    /// The request is of any of these tenants.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) tenants: Field<Vec<Field<String>>>,
    /// The request has any of these headers.
    #[serde(default)]
    pub(in crate::config) headers: Field<Entries<TextOr<TextCondition>>>,
    /// The path is any of these or below one.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) path_prefixes: Field<Vec<Field<String>>>,
}

/// What a policy does where it cannot know.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Unknown {
    /// It applies.
    Apply,
    /// It does not apply.
    Skip,
}

/// Whether a policy binds.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Enforcement {
    /// It does.
    Strict,
    /// It changes nothing, and what it would have done is counted and explained.
    Report,
}

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

/// What a request may say about its region.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Hints {
    /// Whether `X-Rhumb-Prefer-Region` puts a region first.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) prefer: Field<bool>,
    /// Whether `X-Rhumb-Force-Region` leaves only that region.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) force: Field<bool>,
    /// Whose word counts.
    #[serde(default)]
    #[schemars(extend("default" = "trusted"))]
    pub(in crate::config) from: Field<HintSource>,
}

/// Whose hints count.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum HintSource {
    /// Those of peers in `client.trusted_proxies`.
    Trusted,
    /// Those with a signature, from anyone.
    Signed,
    /// Either.
    TrustedOrSigned,
}

/// Whether an origin may send a request elsewhere.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Replay {
    /// Ids of regions that an origin may name in `rhumb-replay: region=...`.
    #[schemars(length(min = 1))]
    pub(in crate::config) regions: Field<Vec<Field<String>>>,
}

/// Which requests give way first when regions are full.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Priorities {
    /// The header that names a request's class.
    #[serde(default)]
    #[schemars(extend("default" = "x-priority"))]
    pub(in crate::config) header: Field<String>,
    /// Whether anyone may name it, and not only peers in `client.trusted_proxies`.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(in crate::config) from_anyone: Field<bool>,
    /// Classes with the percentage of a region's `max_in_flight` that they may fill.
    #[schemars(schema_with = "crate::config::schema::classes")]
    pub(in crate::config) classes: Field<Entries<i64>>,
    /// The percentage for requests without a class.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100), extend("default" = 100))]
    pub(in crate::config) default_percent: Field<i64>,
}
