//! What keeps a client at a region: where writes go and reads after them, and affinity.

use std::time::Duration;

use super::Context;
use super::signing::ADD_KEYS;
use super::values::{choice, optional, optional_seconds};
use super::words::{cookie_name, free_header};
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Field, State};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{
    Affinity, AffinityMode, OnFailure, TenantSource, TokenCarrier, WhenDown, WriteMode, Writes,
};
use crate::model::limits::{AFFINITY_TTL_MAX, STICKY_MAX};

/// Name of the cookie or header of affinity, unless written.
const AFFINITY_NAME: &str = "rhumb-region";

pub(super) fn writes(field: &Field<raw::Writes>, cx: Context<'_>) -> Option<Writes> {
    let raw = match &field.state {
        State::Absent => return Some(Writes::default()),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let report = cx.report;
    let mode = choice(&raw.mode, WriteMode::Nearest, |mode| match mode {
        raw::WriteMode::Nearest => WriteMode::Nearest,
        raw::WriteMode::Primary => WriteMode::Primary,
        raw::WriteMode::Home => WriteMode::Home,
    });
    let when_down = choice(&raw.when_down, WhenDown::Failover, |when| match when {
        raw::WhenDown::Failover => WhenDown::Failover,
        raw::WhenDown::ReadOnly => WhenDown::ReadOnly,
    });
    let range = Duration::from_secs(1)..=STICKY_MAX;
    let sticky = optional_seconds(&raw.sticky_seconds, range, report);
    let carrier = carrier(raw, report);
    let caught_up =
        optional(&raw.caught_up_header, |text| free_header(raw.caught_up_header.at, text, report));
    needs_keys(&raw.sticky_seconds, "sticky_seconds", true, cx);
    let writes = Writes {
        mode: mode?,
        when_down: when_down?,
        sticky: sticky?,
        carrier: carrier?,
        caught_up_header: caught_up?,
    };
    if writes.mode == WriteMode::Nearest && !raw.when_down.is_absent() {
        let help = "set `mode` to `primary` or `home`, or remove it";
        report.warning(raw.when_down.at, "`when_down` has no effect with this `mode`", help);
    }
    if let Some(header) = &writes.caught_up_header
        && matches!(&writes.carrier, TokenCarrier::Header(name) if name == header)
    {
        let message = format!("{} cannot say both", Quoted(header.as_str()));
        report.error(raw.caught_up_header.at, message, "choose another name");
    }
    for (name, at, absent) in [
        ("cookie", raw.cookie.at, raw.cookie.is_absent()),
        ("header", raw.header.at, raw.header.is_absent()),
        ("caught_up_header", raw.caught_up_header.at, raw.caught_up_header.is_absent()),
    ] {
        if writes.sticky.is_none() && !absent {
            let message = format!("`{name}` has no effect without `sticky_seconds`");
            report.warning(at, message, "add `sticky_seconds`, or remove it");
        }
    }
    Some(writes)
}

fn carrier(raw: &raw::Writes, report: &Report<'_>) -> Option<TokenCarrier> {
    if !raw.cookie.is_absent() && !raw.header.is_absent() {
        let message = "`cookie` and `header` exclude each other";
        report.error(raw.header.at, message, "write one of them");
        return None;
    }
    match (&raw.cookie.state, &raw.header.state) {
        (State::Absent, State::Absent) => Some(TokenCarrier::default()),
        (State::Present(text), _) => {
            let name = cookie_name(raw.cookie.at, text, report)?;
            Some(TokenCarrier::Cookie(name.into()))
        }
        (_, State::Present(text)) => {
            free_header(raw.header.at, text, report).map(TokenCarrier::Header)
        }
        _ => None,
    }
}

/// Whether a field needs signing keys and there are none.
fn needs_keys<T>(field: &Field<T>, what: &str, used: bool, cx: Context<'_>) {
    if used && !field.is_absent() && !cx.around.keys {
        let message = format!("`{what}` needs keys that sign its tokens, and there are none");
        cx.report.error(field.at, message, ADD_KEYS);
    }
}

pub(super) fn affinity(field: &Field<raw::Affinity>, cx: Context<'_>) -> Option<Affinity> {
    let raw = match &field.state {
        State::Absent => return Some(Affinity::default()),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let report = cx.report;
    let name = raw.name.value().map_or(AFFINITY_NAME, String::as_str);
    let written = choice(&raw.mode, raw::AffinityMode::None, |mode| mode);
    let mode = written.and_then(|mode| match mode {
        raw::AffinityMode::None => Some(AffinityMode::None),
        raw::AffinityMode::Client => Some(AffinityMode::Client),
        raw::AffinityMode::Cookie => {
            let name = cookie_name(raw.name.at, name, report)?;
            Some(AffinityMode::Token(TokenCarrier::Cookie(name.into())))
        }
        raw::AffinityMode::Header => {
            let name = free_header(raw.name.at, name, report)?;
            Some(AffinityMode::Token(TokenCarrier::Header(name)))
        }
    });
    let range = Duration::from_secs(1)..=AFFINITY_TTL_MAX;
    let lifetime = optional_seconds(&raw.ttl_seconds, range, report);
    let on_failure = choice(&raw.on_failure, OnFailure::Temporary, |what| match what {
        raw::OnFailure::None => OnFailure::None,
        raw::OnFailure::Temporary => OnFailure::Temporary,
        raw::OnFailure::Sticky => OnFailure::Sticky,
    });
    let signed = matches!(written, Some(raw::AffinityMode::Cookie | raw::AffinityMode::Header));
    needs_keys(&raw.mode, "mode", signed, cx);
    if written.is_some() && !signed {
        without_token(raw, report);
    }
    if raw.name.is_broken() {
        return None;
    }
    Some(Affinity { mode: mode?, lifetime: lifetime?, on_failure: on_failure? })
}

/// What only tokens have.
fn without_token(raw: &raw::Affinity, report: &Report<'_>) {
    for (name, at, absent) in [
        ("name", raw.name.at, raw.name.is_absent()),
        ("ttl_seconds", raw.ttl_seconds.at, raw.ttl_seconds.is_absent()),
        ("on_failure", raw.on_failure.at, raw.on_failure.is_absent()),
    ] {
        if !absent {
            let message = format!("`{name}` has no effect with this `mode`");
            report.warning(at, message, "set `mode` to `cookie` or `header`, or remove it");
        }
    }
}

/// Two things that one cookie or header cannot carry both.
pub(super) fn collisions(
    raw: &raw::Deployment,
    tenant: Option<&TenantSource>,
    writes: &Writes,
    affinity: &Affinity,
    report: &Report<'_>,
) {
    let stay = writes.sticky.map(|_| &writes.carrier);
    let token = match &affinity.mode {
        AffinityMode::Token(carrier) => Some(carrier),
        AffinityMode::None | AffinityMode::Client => None,
    };
    let whose = match tenant {
        Some(TenantSource::Cookie(name)) => Some(TokenCarrier::Cookie(name.clone())),
        Some(TenantSource::Header(name)) => Some(TokenCarrier::Header(name.clone())),
        _ => None,
    };
    let collide = |at: NodeId, one: Option<&TokenCarrier>, other: Option<&TokenCarrier>, what| {
        if let (Some(one), Some(other)) = (one, other)
            && one == other
        {
            let name = match one {
                TokenCarrier::Cookie(name) => name.as_ref(),
                TokenCarrier::Header(name) => name.as_str(),
            };
            let message = format!("{} carries {what} already", Quoted(name));
            report.error(at, message, "choose another name");
        }
    };
    collide(raw.affinity.at, token, stay, "the region of the last write");
    collide(raw.affinity.at, token, whose.as_ref(), "the tenant");
    collide(raw.writes.at, stay, whose.as_ref(), "the tenant");
}
