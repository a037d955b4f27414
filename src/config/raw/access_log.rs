//! The shapes of the access log.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::Field;

/// A log with a line for each request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct AccessLog {
    /// Where its lines go.
    #[serde(default)]
    #[schemars(extend("default" = "stdout"))]
    pub(in crate::config) to: Field<LogTo>,
    /// With `to: file`: the file that is appended to; opened anew on SIGUSR1.
    #[serde(default)]
    pub(in crate::config) file: Field<String>,
    /// With `to: syslog`: who takes the lines.
    #[serde(default)]
    pub(in crate::config) syslog: Field<Syslog>,
    /// `json`, or a template with the names of fields in braces, such as `{client} {status}`.
    #[serde(default)]
    #[schemars(extend("default" = "json"))]
    pub(in crate::config) format: Field<String>,
    /// Share of the requests that is logged; refusals and answers 500 to 599 are in any case.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1), extend("default" = 1))]
    pub(in crate::config) sample: Field<f64>,
    /// What of a query is logged.
    #[serde(default)]
    #[schemars(extend("default" = "redact"))]
    pub(in crate::config) query: Field<LoggedQuery>,
    /// Header fields of requests that are logged in the format `json`. Of those that carry secrets,
    /// only what is none.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub(in crate::config) headers: Field<Vec<Field<String>>>,
}

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum LogTo {
    /// Standard output.
    Stdout,
    /// A file.
    File,
    /// Syslog (RFC 5424).
    Syslog,
}

/// Who takes lines by syslog.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Syslog {
    /// `unix:` and the path of a datagram socket, or `udp:` and an IP address with a port.
    #[serde(default)]
    #[schemars(regex(pattern = "^(unix:/|udp:)"), extend("default" = "unix:/dev/log"))]
    pub(in crate::config) address: Field<String>,
    /// Facility of the messages.
    #[serde(default)]
    #[schemars(extend("default" = "local0", "enum" = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron",
        "authpriv", "ftp", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
        "local7",
    ]))]
    pub(in crate::config) facility: Field<String>,
}

/// What of a query is logged.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum LoggedQuery {
    /// That there is one.
    Redact,
    /// All of it.
    Keep,
    /// The names of its parameters.
    KeepNames,
}
