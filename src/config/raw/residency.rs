//! The shapes of residency policies.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{NAME_PATTERN, TextCondition};
use crate::config::field::{Entries, Field, TextOr};

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
