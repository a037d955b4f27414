//! Where the tenant of a request is read, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::Field;

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
