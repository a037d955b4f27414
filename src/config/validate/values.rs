//! Single values: numbers in a range, durations, names, paths; and what may be written only once.
//!
//! Not here: words with a grammar of their own, such as headers and cookies (`words`).

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::Context;
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Field, State};
use crate::config::report::Report;
use crate::config::settings::Freshness;
use crate::model::limits::{NAME_LENGTH, TTL_MAX, TTL_MIN};

/// A whole number in a range, or its default.
pub(super) fn integer(
    field: &Field<i64>,
    range: RangeInclusive<i64>,
    default: i64,
    report: &Report<'_>,
) -> Option<i64> {
    within(field, range, default, report)
}

/// The same for numbers that are counted.
pub(super) fn count(
    field: &Field<i64>,
    range: RangeInclusive<u32>,
    default: u32,
    report: &Report<'_>,
) -> Option<u32> {
    let (low, high) = range.into_inner();
    let value = integer(field, i64::from(low)..=i64::from(high), i64::from(default), report)?;
    u32::try_from(value).ok()
}

/// A number in a range, or its default. The range has no NaN, and neither does YAML's reader.
pub(super) fn number(
    field: &Field<f64>,
    range: RangeInclusive<f64>,
    default: f64,
    report: &Report<'_>,
) -> Option<f64> {
    // -0 is 0.
    within(field, range, default, report).map(|value| value + 0.0)
}

fn within<T: Copy + PartialOrd + Display>(
    field: &Field<T>,
    range: RangeInclusive<T>,
    default: T,
    report: &Report<'_>,
) -> Option<T> {
    let value = choice(field, default, |value| value)?;
    if !range.contains(&value) {
        let (low, high) = range.into_inner();
        report.error(field.at, format!("{value} is not in the range from {low} to {high}"), "");
        return None;
    }
    Some(value)
}

/// A percentage in hundredths of a percent.
pub(super) fn hundredths(at: NodeId, percent: f64, report: &Report<'_>) -> Option<u16> {
    if !(0.0..=100.0).contains(&percent) {
        report.error(at, format!("{percent} is not in the range from 0 to 100 percent"), "");
        return None;
    }
    let hundredths = (percent * 100.0).round();
    if (hundredths / 100.0 - percent).abs() > 1e-9 {
        let help = format!("write {}", hundredths / 100.0);
        report.error(at, format!("{percent} percent has more than two decimals"), help);
        return None;
    }
    // In 0..=10,000 by now.
    Some(hundredths as u16)
}

/// True or false, or its default.
pub(super) fn flag(field: &Field<bool>, default: bool) -> Option<bool> {
    choice(field, default, |value| value)
}

/// One of several words, or its default.
pub(super) fn choice<R: Copy, T>(
    field: &Field<R>,
    default: T,
    read: impl FnOnce(R) -> T,
) -> Option<T> {
    match field.state {
        State::Absent => Some(default),
        State::Broken => None,
        State::Present(value) => Some(read(value)),
    }
}

/// What a field says, when it is there. The outer `None` is an error.
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
pub(super) fn optional<R, T>(
    field: &Field<R>,
    read: impl FnOnce(&R) -> Option<T>,
) -> Option<Option<T>> {
    match &field.state {
        State::Absent => Some(None),
        State::Broken => None,
        State::Present(value) => read(value).map(Some),
    }
}

/// A duration in a range, when it is there. The outer `None` is an error.
#[expect(clippy::option_option, reason = "an error, and a value that is itself optional")]
pub(super) fn optional_seconds(
    field: &Field<f64>,
    range: RangeInclusive<Duration>,
    report: &Report<'_>,
) -> Option<Option<Duration>> {
    optional(field, |_| seconds(field, range, Duration::ZERO, report))
}

/// How old something may be. Where only one limit is written, the other one's default gives way.
pub(super) fn freshness(
    soft: &Field<f64>,
    hard: &Field<f64>,
    default: Freshness,
    report: &Report<'_>,
) -> Option<Freshness> {
    let written_soft = optional_seconds(soft, TTL_MIN..=TTL_MAX, report);
    let written_hard = optional_seconds(hard, TTL_MIN..=TTL_MAX, report);
    let (written_soft, written_hard) = (written_soft?, written_hard?);
    let hard_limit = written_hard.or(default.hard);
    let Some(limit) = hard_limit else {
        return Some(Freshness { soft: written_soft.or(default.soft), hard: None });
    };
    if let Some(longer) = written_soft.filter(|soft| *soft > limit) {
        let message = format!(
            "`soft_ttl_seconds` is {}, longer than `hard_ttl_seconds`, which is {}{}",
            longer.as_secs_f64(),
            limit.as_secs_f64(),
            if written_hard.is_none() { " unless written" } else { "" },
        );
        report.error(soft.at, message, "what is no longer used cannot be fresh; swap them?");
        return None;
    }
    let soft = written_soft.or(default.soft.map(|soft| soft.min(limit)));
    Some(Freshness { soft, hard: Some(limit) })
}

/// A duration in a range, or its default.
pub(super) fn seconds(
    field: &Field<f64>,
    range: RangeInclusive<Duration>,
    default: Duration,
    report: &Report<'_>,
) -> Option<Duration> {
    let value = match field.state {
        State::Absent => return Some(default),
        State::Broken => return None,
        State::Present(value) => value,
    };
    let duration = Duration::try_from_secs_f64(value).ok();
    let inside = duration.filter(|duration| range.contains(duration));
    if inside.is_none() {
        let (low, high) = (range.start().as_secs_f64(), range.end().as_secs_f64());
        let message = format!("{value} is not in the range from {low} to {high} seconds");
        report.error(field.at, message, "");
    }
    inside
}

/// The name of a region, a deployment or a rule.
pub(super) fn name<'f>(
    field: &'f Field<String>,
    parent: NodeId,
    key: &'static str,
    report: &Report<'_>,
) -> Option<&'f str> {
    let name = report.required(field, parent, key, "give it a name that is unique here")?;
    if !is_name(name) {
        let help = format!(
            "up to {NAME_LENGTH} letters, digits, `-`, `_` and `.`, starting with a letter or digit"
        );
        report.error(field.at, format!("{} cannot be a name", Quoted(name)), help);
        return None;
    }
    Some(name)
}

/// Whether the text can be a name in metrics, paths and headers.
pub(super) fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.len() <= NAME_LENGTH
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(plain)
}

/// A path, which starts at the directory of the configuration file when it is relative.
pub(super) fn path(at: NodeId, text: &str, cx: Context<'_>) -> Option<PathBuf> {
    if text.is_empty() || text.contains('\0') {
        cx.report.error(at, "this is no path of a file", "write the name of a file");
        return None;
    }
    Some(cx.base_dir.join(text))
}

/// What was seen, and where first.
pub(super) struct Seen<K>(HashMap<K, NodeId>);

impl<K: Eq + Hash> Seen<K> {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// Whether this is the first of its kind; reports it otherwise.
    pub(super) fn first(&mut self, key: K, shown: &str, at: NodeId, report: &Report<'_>) -> bool {
        let Some(first) = self.0.get(&key) else {
            self.0.insert(key, at);
            return true;
        };
        let help = format!("it is first {}; remove one of them", report.whereabouts(*first));
        report.error(at, format!("{} is listed twice", Quoted(shown)), help);
        false
    }
}

/// Turns every element of a list into something, none of them twice; `shown` is what one that is
/// gets called. Elements that are wrong are reported and make the whole `None`.
fn unique<R, T: Clone + Eq + Hash>(
    list: &[Field<R>],
    report: &Report<'_>,
    read: impl Fn(NodeId, &R, &Report<'_>) -> Option<T>,
    shown: impl Fn(&R, &T) -> String,
) -> Option<Vec<T>> {
    let mut seen = Seen::new();
    let mut all = Vec::with_capacity(list.len());
    for element in list {
        let Some(raw) = element.value() else { continue };
        let value = read(element.at, raw, report);
        let first = |value: &T| seen.first(value.clone(), &shown(raw, value), element.at, report);
        all.extend(value.filter(first));
    }
    (all.len() == list.len()).then_some(all)
}

/// The same of texts.
pub(super) fn unique_texts<T: Clone + Eq + Hash>(
    list: &[Field<String>],
    report: &Report<'_>,
    read: impl Fn(NodeId, &str, &Report<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    unique(list, report, |at, text, report| read(at, text, report), |text, _| text.clone())
}

/// The elements of a list, none of them twice; empty only when it was not written.
pub(super) fn optional_list<R, T: Clone + Eq + Hash>(
    field: &Field<Vec<Field<R>>>,
    name: &'static str,
    report: &Report<'_>,
    read: impl Fn(NodeId, &R, &Report<'_>) -> Option<T>,
    shown: impl Fn(&R, &T) -> String,
) -> Option<Vec<T>> {
    let list = match &field.state {
        State::Absent => return Some(Vec::new()),
        State::Broken => return None,
        State::Present(list) => list,
    };
    if list.is_empty() {
        let help = "write at least one element, or remove the field";
        report.error(field.at, format!("`{name}` is empty"), help);
        return None;
    }
    unique(list, report, read, shown)
}

/// The same of texts.
pub(super) fn optional_texts<T: Clone + Eq + Hash>(
    field: &Field<Vec<Field<String>>>,
    name: &'static str,
    report: &Report<'_>,
    read: impl Fn(NodeId, &str, &Report<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let read = |at, text: &String, report: &Report<'_>| read(at, text, report);
    optional_list(field, name, report, read, |text, _| text.clone())
}

/// The one field that is written of several that exclude each other.
pub(super) fn only_one(
    parent: NodeId,
    fields: &[(&'static str, bool)],
    report: &Report<'_>,
) -> Option<&'static str> {
    let mut written = fields.iter().filter(|(_, written)| *written).map(|(name, _)| *name);
    let (first, second) = (written.next(), written.next());
    if let (Some(first), None) = (first, second) {
        return Some(first);
    }
    let names: Vec<_> = fields.iter().map(|(name, _)| format!("`{name}`")).collect();
    let message = match (first, second) {
        (Some(first), Some(second)) => format!("`{first}` and `{second}` exclude each other"),
        // A field that is not known was probably meant to be one of them.
        _ if report.has_unknown_field(parent) => return None,
        _ => "this says nothing".to_owned(),
    };
    report.error(parent, message, format!("write one of {}", names.join(", ")));
    None
}
