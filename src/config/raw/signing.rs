//! The shapes of keys, of secrets, and of the guard against circles, which needs them.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use super::NAME_PATTERN;
use crate::config::field::Field;

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
