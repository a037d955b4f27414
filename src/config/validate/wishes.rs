//! What requests and origins may say about regions: hints, replays, priorities.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::Context;
use super::deployment::{Members, ids};
use super::known_regions::KnownRegions;
use super::signing::ADD_KEYS;
use super::values::{choice, count, flag, optional};
use super::words::free_header;
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Entries, Field, State};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{HintSource, Hints, Priorities};
use crate::model::RegionId;
use crate::model::limits::{PARAMETER_NAME_LENGTH, PRIORITY_CLASSES};

/// The header that names a request's class, unless written.
const PRIORITY_HEADER: HeaderName = HeaderName::from_static("x-priority");

pub(super) fn hints(field: &Field<raw::Hints>, cx: Context<'_>) -> Option<Hints> {
    let raw = match &field.state {
        State::Absent => return Some(Hints::default()),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let prefer = flag(&raw.prefer, false);
    let force = flag(&raw.force, false);
    let from = choice(&raw.from, HintSource::Trusted, |from| match from {
        raw::HintSource::Trusted => HintSource::Trusted,
        raw::HintSource::Signed => HintSource::Signed,
        raw::HintSource::TrustedOrSigned => HintSource::TrustedOrSigned,
    });
    let hints = Hints { prefer: prefer?, force: force?, from: from? };
    let report = cx.report;
    if hints.from != HintSource::Trusted && !cx.around.keys {
        let message = "signed hints need keys that verify them, and there are none";
        report.error(raw.from.at, message, ADD_KEYS);
    }
    if !hints.prefer && !hints.force {
        let help = "write `prefer: true` or `force: true`, or remove `hints`";
        report.warning(field.at, "these hints are off", help);
    } else if hints.from == HintSource::Trusted && !cx.around.trusted {
        let on = if hints.force { &raw.force } else { &raw.prefer };
        let message = "hints of trusted peers count, and no peer is trusted";
        let help = "list your proxies in `client.trusted_proxies`, or use `from: signed`";
        report.warning(on.at, message, help);
    }
    Some(hints)
}

/// Regions in which an origin may have a request replayed.
pub(super) fn replay<'f>(
    field: &Field<raw::Replay>,
    members: &Members<'f>,
    known: &KnownRegions<'f>,
    cx: Context<'_>,
) -> Option<Vec<RegionId>> {
    let raw = match &field.state {
        State::Absent => return Some(Vec::new()),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let help = "name the regions that an origin may ask for";
    super::elements(&raw.regions, field.at, "regions", help, cx.report)?;
    let (ids, complete) = ids(&raw.regions, known, cx);
    let mut all = Vec::with_capacity(ids.len());
    for (at, id) in ids {
        if members.complete && !members.eligible.contains(&id) {
            let message = format!("{} does not serve this deployment", Quoted(id));
            let help = "add it to `replica_regions`, or remove it here";
            cx.report.error(at, message, help);
        }
        all.push(id.into());
    }
    complete.then_some(all)
}

/// The outer `None` is an error; the inner one is "all are alike".
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
pub(super) fn priorities(
    field: &Field<raw::Priorities>,
    cx: Context<'_>,
) -> Option<Option<Priorities>> {
    optional(field, |raw| one(raw, field.at, cx))
}

fn one(raw: &raw::Priorities, at: NodeId, cx: Context<'_>) -> Option<Priorities> {
    let report = cx.report;
    let header = match &raw.header.state {
        State::Absent => Some(PRIORITY_HEADER),
        State::Broken => None,
        State::Present(text) => free_header(raw.header.at, text, report),
    };
    let from_anyone = flag(&raw.from_anyone, false);
    let classes = classes(&raw.classes, at, report);
    let default = count(&raw.default_percent, 1..=100, 100, report);
    if from_anyone == Some(false) && !cx.around.trusted {
        let message = "only trusted peers may name a class, and no peer is trusted";
        let help = "list your proxies in `client.trusted_proxies`, or use `from_anyone: true`";
        report.warning(at, message, help);
    }
    Some(Priorities {
        header: header?,
        from_anyone: from_anyone?,
        classes: classes?,
        default_percent: u8::try_from(default?).ok()?,
    })
}

fn classes(
    field: &Field<Entries<i64>>,
    parent: NodeId,
    report: &Report<'_>,
) -> Option<Vec<(Arc<str>, u8)>> {
    let help = "such as `classes: { critical: 100, batch: 70 }`";
    let Entries(entries) = report.required(field, parent, "classes", help)?;
    if entries.is_empty() {
        report.error(field.at, "`classes` is empty", help);
        return None;
    }
    if entries.len() > PRIORITY_CLASSES {
        let message = format!("{} classes are more than {PRIORITY_CLASSES}", entries.len());
        report.error(field.at, message, "give those that may fill as much one name");
        return None;
    }
    let mut all = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let Some(name) = key.value() else { continue };
        let sane = !name.is_empty()
            && name.len() <= PARAMETER_NAME_LENGTH
            && name.trim_matches([' ', '\t']) == name
            && HeaderValue::from_bytes(name.as_bytes()).is_ok();
        if !sane {
            let message = format!("{} cannot be the value of a header", Quoted(name));
            report.error(key.at, message, "letters, digits and `-`, such as `critical`");
        }
        let percent = count(value, 1..=100, 100, report);
        let percent = percent.and_then(|percent| u8::try_from(percent).ok());
        all.extend(percent.filter(|_| sane).map(|percent| (name.as_str().into(), percent)));
    }
    (all.len() == entries.len()).then_some(all)
}
