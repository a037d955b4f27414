//! How bodies, upgrades and streams of a deployment travel.

use super::Context;
use super::values::{flag, integer, optional, optional_list, seconds, unique_texts};
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Field, State};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{GrpcStatuses, Streams};
use crate::model::limits::{BODY_BYTES_MAX, DURATION_MAX, TIMEOUT_MIN, UPGRADES};

pub(super) fn streams(raw: &raw::Deployment, cx: Context<'_>) -> Option<Streams> {
    let default = Streams::default();
    let upgrades = match &raw.upgrades.state {
        State::Absent => Some(default.upgrades),
        State::Broken => None,
        State::Present(list) => upgrades(raw.upgrades.at, list, cx.report),
    };
    let body = &raw.max_body_bytes;
    let max_body = optional(body, |_| integer(body, 0..=BODY_BYTES_MAX, 0, cx.report));
    let exempt = flag(&raw.streaming, default.exempt);
    let idle = match &raw.timeouts.state {
        State::Absent => Some(default.idle),
        State::Broken => None,
        State::Present(timeouts) => {
            let range = TIMEOUT_MIN..=DURATION_MAX;
            seconds(&timeouts.stream_idle_seconds, range, default.idle, cx.report)
        }
    };
    Some(Streams {
        upgrades: upgrades?,
        max_body_bytes: max_body?.and_then(|bytes| u64::try_from(bytes).ok()),
        exempt: exempt?,
        idle: idle?,
    })
}

fn upgrades(at: NodeId, list: &[Field<String>], report: &Report<'_>) -> Option<Vec<String>> {
    if list.len() > UPGRADES {
        let message = format!("{} protocols are more than {UPGRADES}", list.len());
        report.error(at, message, "name those that clients use, such as `websocket`");
        return None;
    }
    unique_texts(list, report, upgrade)
}

/// A protocol of `Upgrade` (RFC 9110 section 7.8) without a version, in lower case.
fn upgrade(at: NodeId, text: &str, report: &Report<'_>) -> Option<String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&b);
    let lower = text.to_ascii_lowercase();
    if lower == "h2c" {
        let help = "whatever followed would pass by every rule; clients may start HTTP/2 without \
                    asking, and endpoints that speak it are written `h2c://host:port`";
        report.error(at, "an upgrade to `h2c` is never passed on", help);
        return None;
    }
    if text.is_empty() || text.len() > 64 || !text.bytes().all(token) {
        let help = match text {
            "*" => "name each protocol, such as `websocket`",
            _ => "a name without a version, such as `websocket`",
        };
        report.error(at, format!("{} is not a protocol of `Upgrade`", Quoted(text)), help);
        return None;
    }
    Some(lower)
}

/// Codes of gRPC that make a call be tried again.
pub(super) fn grpc_statuses(
    field: &Field<Vec<Field<raw::GrpcStatus>>>,
    report: &Report<'_>,
) -> Option<GrpcStatuses> {
    match &field.state {
        State::Absent => return Some(GrpcStatuses::UNAVAILABLE),
        State::Present(list) if list.is_empty() => return Some(GrpcStatuses::NONE),
        _ => {}
    }
    let read = |_, status: &raw::GrpcStatus, _: &Report<'_>| Some(*status as u32);
    let shown = |_: &raw::GrpcStatus, code: &u32| {
        GrpcStatuses::NONE.with(*code).names().next().unwrap_or_default().to_owned()
    };
    let codes = optional_list(field, "grpc_statuses", report, read, shown)?;
    Some(codes.into_iter().fold(GrpcStatuses::NONE, GrpcStatuses::with))
}
