//! Single values: numbers in a range, durations, names, paths, header names; and what may be
//! written only once.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;

use super::Context;
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Field, State};
use crate::config::report::Report;
use crate::model::Country;
use crate::model::limits::NAME_LENGTH;

/// A whole number in a range, or its default.
pub(super) fn integer(
    field: &Field<i64>,
    range: RangeInclusive<i64>,
    default: i64,
    report: &Report<'_>,
) -> Option<i64> {
    let value = match field.state {
        State::Absent => return Some(default),
        State::Broken => return None,
        State::Present(value) => value,
    };
    if !range.contains(&value) {
        let (low, high) = range.into_inner();
        report.error(field.at, format!("{value} is not in the range from {low} to {high}"), "");
        return None;
    }
    Some(value)
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

/// The name of a header, in lower case.
pub(super) fn header_name(at: NodeId, text: &str, report: &Report<'_>) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(text.as_bytes()).ok();
    if name.is_none() {
        let help = "letters, digits and `-`, such as `x-preferred-region`";
        report.error(at, format!("{} cannot be the name of a header", Quoted(text)), help);
    }
    name
}

/// A country code; whether it is assigned is not asked.
pub(super) fn country(at: NodeId, text: &str, report: &Report<'_>) -> Option<Country> {
    let country = text.parse().ok();
    if country.is_none() {
        let help = "two letters as in ISO 3166, such as `DE` or `US`";
        report.error(at, format!("{} is not a country code", Quoted(text)), help);
    }
    country
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
        let help = format!("it is first on line {}; remove one of them", report.line(*first));
        report.error(at, format!("{} is listed twice", Quoted(shown)), help);
        false
    }
}

/// Turns every element of a list into something, none of them twice. Elements that are wrong are
/// reported and make the whole `None`.
pub(super) fn unique_list<T: Clone + Eq + Hash>(
    list: &[Field<String>],
    report: &Report<'_>,
    mut read: impl FnMut(&Field<String>, &str) -> Option<T>,
) -> Option<Vec<T>> {
    let mut seen = Seen::new();
    let mut all = Some(Vec::with_capacity(list.len()));
    for field in list {
        let value = field.value().and_then(|text| {
            let value = read(field, text)?;
            seen.first(value.clone(), text, field.at, report).then_some(value)
        });
        all = match (all, value) {
            (Some(mut all), Some(value)) => {
                all.push(value);
                Some(all)
            }
            _ => None,
        };
    }
    all
}
