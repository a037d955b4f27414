//! The access log: where to, and what fits together. Templates are `log_template`'s.

use std::path::Path;

use super::Context;
use super::log_template::{self, Template};
use super::values::{choice, number, optional, path, unique_texts};
use super::words::header_name;
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Field, State};
use crate::config::raw::{self, LogTo};
use crate::config::settings::{
    AccessLog, LogFormat, LogTarget, LoggedQuery, SYSLOG_FACILITIES, SyslogAddress,
};
use crate::model::limits::ACCESS_LOG_HEADERS;

/// Where the system's own syslog listens.
const SYSLOG_SOCKET: &str = "/dev/log";
/// What is called `local0`.
const LOCAL0: u8 = 16;

/// The outer `None` is an error; the inner one is "no log".
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
pub(super) fn access_log(
    field: &Field<raw::AccessLog>,
    cx: Context<'_>,
) -> Option<Option<AccessLog>> {
    optional(field, |raw| {
        let to = target(raw, field.at, cx);
        let format = format(raw, cx);
        let sample = number(&raw.sample, 0.0..=1.0, 1.0, cx.report);
        let query = choice(&raw.query, LoggedQuery::Redact, |query| match query {
            raw::LoggedQuery::Redact => LoggedQuery::Redact,
            raw::LoggedQuery::Keep => LoggedQuery::Keep,
            raw::LoggedQuery::KeepNames => LoggedQuery::KeepNames,
        });
        let headers = headers(&raw.headers, cx);
        let (format, headers) = match format? {
            None => (LogFormat::Json, headers?),
            Some(Template { pieces, headers: named }) => {
                if !headers?.is_empty() {
                    let message = "a template names the header fields itself";
                    let help = "write `{header.NAME}` in `format`, and remove this";
                    cx.report.warning(raw.headers.at, message, help);
                }
                (LogFormat::Template(pieces), named)
            }
        };
        Some(AccessLog { to: to?, format, sample: sample?, query: query?, headers })
    })
}

fn target(raw: &raw::AccessLog, at: NodeId, cx: Context<'_>) -> Option<LogTarget> {
    let to = choice(&raw.to, LogTo::Stdout, |to| to)?;
    let others = [
        ("file", raw.file.at, !raw.file.is_absent() && to != LogTo::File),
        ("syslog", raw.syslog.at, !raw.syslog.is_absent() && to != LogTo::Syslog),
    ];
    for (name, at, written) in others {
        if written {
            let message = format!("`{name}` has no effect without `to: {name}`");
            cx.report.warning(at, message, "add it, or remove this");
        }
    }
    match to {
        LogTo::Stdout => Some(LogTarget::Stdout),
        LogTo::File => {
            let text = cx.report.required(&raw.file, at, "file", "name the file to append to")?;
            path(raw.file.at, text, cx).map(LogTarget::File)
        }
        LogTo::Syslog => match &raw.syslog.state {
            State::Absent => {
                let address = SyslogAddress::Unix(SYSLOG_SOCKET.into());
                Some(LogTarget::Syslog { address, facility: LOCAL0 })
            }
            State::Broken => None,
            State::Present(syslog) => self::syslog(syslog, cx),
        },
    }
}

fn syslog(raw: &raw::Syslog, cx: Context<'_>) -> Option<LogTarget> {
    let address = optional(&raw.address, |text| address(raw.address.at, text, cx));
    let facility = optional(&raw.facility, |text| facility(raw.facility.at, text, cx));
    let address = address?.unwrap_or_else(|| SyslogAddress::Unix(SYSLOG_SOCKET.into()));
    Some(LogTarget::Syslog { address, facility: facility?.unwrap_or(LOCAL0) })
}

fn address(at: NodeId, text: &str, cx: Context<'_>) -> Option<SyslogAddress> {
    let unix = text.strip_prefix("unix:").filter(|path| Path::new(path).is_absolute());
    if let Some(socket) = unix {
        return path(at, socket, cx).map(SyslogAddress::Unix);
    }
    if let Some(address) = text.strip_prefix("udp:").and_then(|rest| rest.parse().ok()) {
        return Some(SyslogAddress::Udp(address));
    }
    let help = "write `unix:/dev/log`, or an IP address and a port as in `udp:10.0.0.1:514`";
    cx.report.error(at, format!("{} is no address of syslog", Quoted(text)), help);
    None
}

fn facility(at: NodeId, text: &str, cx: Context<'_>) -> Option<u8> {
    let mut named = SYSLOG_FACILITIES.iter().zip(0..);
    let known = named.find(|(name, _)| **name == text && !name.is_empty());
    if known.is_none() {
        let nearest = cx.report.nearest(text, SYSLOG_FACILITIES);
        let help = nearest.filter(|name| !name.is_empty()).map_or_else(
            || "one of `user`, `daemon` and `local0` to `local7`, or another of RFC 5424".into(),
            |name| format!("did you mean `{name}`?"),
        );
        cx.report.error(at, format!("{} is no facility of syslog", Quoted(text)), help);
    }
    known.map(|(_, number)| number)
}

/// The outer `None` is an error; the inner one is JSON.
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
fn format(raw: &raw::AccessLog, cx: Context<'_>) -> Option<Option<Template>> {
    let template = optional(&raw.format, |text| match text.as_str() {
        "json" => Some(None),
        template => match log_template::parse(template) {
            Ok(parsed) => Some(Some(parsed)),
            Err(error) => {
                cx.report.error(raw.format.at, error.to_string(), error.help());
                None
            }
        },
    });
    template.map(Option::flatten)
}

fn headers(field: &Field<Vec<Field<String>>>, cx: Context<'_>) -> Option<Vec<http::HeaderName>> {
    let list = match &field.state {
        State::Absent => return Some(Vec::new()),
        State::Broken => return None,
        State::Present(list) => list,
    };
    if list.len() > ACCESS_LOG_HEADERS {
        let message = format!("{} header fields are more than {ACCESS_LOG_HEADERS}", list.len());
        cx.report.error(field.at, message, "leave some of them out");
        return None;
    }
    unique_texts(list, cx.report, header_name)
}
