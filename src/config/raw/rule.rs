//! The shapes of a rule and its conditions.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{NAME_PATTERN, Strategy};
use crate::config::field::{Entries, Field, TextOr};

/// A condition on requests, and the regions they then go to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Rule {
    /// Id, unique in the deployment.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub(in crate::config) id: Field<String>,
    /// Name for people.
    #[serde(default)]
    pub(in crate::config) name: Field<String>,
    /// The rule with the highest priority is asked first; equal ones in file order.
    #[serde(default)]
    #[schemars(range(min = -1_000_000, max = 1_000_000), extend("default" = 0))]
    pub(in crate::config) priority: Field<i64>,
    /// Whether the rule is used.
    #[serde(default)]
    #[schemars(extend("default" = true))]
    pub(in crate::config) enabled: Field<bool>,
    /// The request is for any of these hosts: exact ones, or `*.example.org`. Any when absent.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) hosts: Field<Vec<Field<String>>>,
    /// The path is any of these or below one. Any when absent.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) path_prefixes: Field<Vec<Field<String>>>,
    /// The method is any of these. Any when absent.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) methods: Field<Vec<Field<String>>>,
    /// The client is in any of these countries. Any client when absent.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) source_countries: Field<Vec<Field<String>>>,
    /// The client is on any of these continents: AF, AN, AS, EU, NA, OC, SA.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) source_continents: Field<Vec<Field<String>>>,
    /// The client is in any of these subdivisions (ISO 3166-2), such as `US-CA`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) source_subdivisions: Field<Vec<Field<String>>>,
    /// The client's address is in any of these networks.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) source_cidrs: Field<Vec<Field<String>>>,
    /// The client is in any of these autonomous systems, such as 64500 or `AS64500`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) source_asns: Field<Vec<Field<TextOr<i64>>>>,
    /// The request is of any of these tenants.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) tenants: Field<Vec<Field<String>>>,
    /// The request has all of these headers with such values.
    #[serde(default)]
    pub(in crate::config) header_conditions: Field<Entries<TextOr<TextCondition>>>,
    /// The query has all of these parameters with such values.
    #[serde(default)]
    pub(in crate::config) query_conditions: Field<Entries<TextOr<TextCondition>>>,
    /// The request has all of these cookies with such values.
    #[serde(default)]
    pub(in crate::config) cookie_conditions: Field<Entries<TextOr<TextCondition>>>,
    /// This share of tenants, or of client addresses where no tenant is known; always the same
    /// ones, and a growing share only adds.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub(in crate::config) percent: Field<f64>,
    /// The time is in any of these windows.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub(in crate::config) time_windows: Field<Vec<Field<TimeWindow>>>,
    /// How the rule's regions are ranked, in place of the deployment's `routing_strategy`.
    #[serde(default)]
    pub(in crate::config) routing_strategy: Field<Strategy>,
    /// Ids of the regions to go to.
    #[schemars(length(min = 1))]
    pub(in crate::config) target_regions: Field<Vec<Field<String>>>,
    /// Shares of the targets, by id; a strategy orders them when absent.
    #[serde(default)]
    #[schemars(schema_with = "crate::config::schema::weights")]
    pub(in crate::config) weights: Field<Entries<i64>>,
    /// Ids of the regions to go to when no target is left, in order.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub(in crate::config) fallback_regions: Field<Vec<Field<String>>>,
}

/// What a text must be, other than exactly something: one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(in crate::config) struct TextCondition {
    /// It starts with this.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) prefix: Field<String>,
    /// It ends with this.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) suffix: Field<String>,
    /// This regular expression is found in it; `^` and `$` tie it to the ends.
    #[serde(default)]
    #[schemars(length(min = 1, max = 4_096))]
    pub(in crate::config) regex: Field<String>,
    /// It is there, whatever it says.
    #[serde(default)]
    #[schemars(extend("const" = true))]
    pub(in crate::config) present: Field<bool>,
}

/// A span of the day on some days of the week.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub(in crate::config) struct TimeWindow {
    /// Days on which it starts. Every day when absent.
    #[serde(default)]
    #[schemars(length(min = 1, max = 7))]
    pub(in crate::config) days: Field<Vec<Field<Weekday>>>,
    /// When it starts, such as `08:00`.
    #[serde(default)]
    #[schemars(regex(pattern = "^[0-9]{2}:[0-9]{2}$"), extend("default" = "00:00"))]
    pub(in crate::config) from: Field<String>,
    /// When it has ended, such as `18:00`. Not after `from`: on the next day.
    #[serde(default)]
    #[schemars(regex(pattern = "^[0-9]{2}:[0-9]{2}$"), extend("default" = "24:00"))]
    pub(in crate::config) until: Field<String>,
    /// Whose clocks count: a name of the IANA time zone database, such as `Europe/Berlin`.
    #[serde(default)]
    #[schemars(extend("default" = "UTC"))]
    pub(in crate::config) timezone: Field<String>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}
