//! What headers, query parameters and cookies must be.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;

use http::{HeaderName, HeaderValue};

use super::Context;
use super::values::{Seen, only_one};
use super::words::{cookie_name, header_name, parameter_name};
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Entries, Field, State, TextOr};
use crate::config::raw;
use crate::config::report::Report;
use crate::config::settings::{HeaderMatch, NamedMatch, Pattern, TextMatch};
use crate::model::limits::{PATTERN_LENGTH, PATTERNS};

type Conditions = Field<Entries<TextOr<raw::TextCondition>>>;

/// The regular expressions of a configuration; equal ones are compiled once.
#[derive(Debug, Default)]
pub(super) struct Patterns(RefCell<HashMap<String, Option<Pattern>>>);

/// Where a text comes from.
#[derive(Clone, Copy)]
enum Source {
    Header,
    Parameter,
    Cookie,
}

/// Conditions on headers; empty only when they were not written.
pub(super) fn headers(
    field: &Conditions,
    name: &'static str,
    cx: Context<'_>,
) -> Option<Vec<HeaderMatch>> {
    let read = |at, text: &str| header_name(at, text, cx.report);
    let all = conditions(field, name, Source::Header, cx, read, HeaderName::as_str)?;
    Some(all.into_iter().map(|(name, value)| HeaderMatch { name, value }).collect())
}

/// Conditions on query parameters.
pub(super) fn parameters(
    field: &Conditions,
    name: &'static str,
    cx: Context<'_>,
) -> Option<Vec<NamedMatch>> {
    let read = |at, text: &str| parameter_name(at, text, cx.report).map(Box::from);
    let all = conditions(field, name, Source::Parameter, cx, read, Box::as_ref)?;
    Some(all.into_iter().map(|(name, value)| NamedMatch { name, value }).collect())
}

/// Conditions on cookies.
pub(super) fn cookies(
    field: &Conditions,
    name: &'static str,
    cx: Context<'_>,
) -> Option<Vec<NamedMatch>> {
    let read = |at, text: &str| cookie_name(at, text, cx.report).map(Box::from);
    let all = conditions(field, name, Source::Cookie, cx, read, Box::as_ref)?;
    Some(all.into_iter().map(|(name, value)| NamedMatch { name, value }).collect())
}

fn conditions<N: Clone + Eq + Hash>(
    field: &Conditions,
    name: &'static str,
    source: Source,
    cx: Context<'_>,
    read: impl Fn(NodeId, &str) -> Option<N>,
    shown: impl Fn(&N) -> &str,
) -> Option<Vec<(N, TextMatch)>> {
    let entries = match &field.state {
        State::Absent => return Some(Vec::new()),
        State::Broken => return None,
        State::Present(Entries(entries)) if entries.is_empty() => {
            let help = "name what is compared, or remove the field to match any request";
            cx.report.error(field.at, format!("`{name}` is empty"), help);
            return None;
        }
        State::Present(Entries(entries)) => entries,
    };
    let mut seen = Seen::new();
    let mut all = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let name = key.value().and_then(|text| read(key.at, text));
        let name = name.filter(|name| seen.first(name.clone(), shown(name), key.at, cx.report));
        let value = text_match(value, source, cx);
        all.extend(name.zip(value));
    }
    (all.len() == entries.len()).then_some(all)
}

fn text_match(
    field: &Field<TextOr<raw::TextCondition>>,
    source: Source,
    cx: Context<'_>,
) -> Option<TextMatch> {
    let raw = match field.value()? {
        TextOr::Text(text) => {
            let possible = can_be(field.at, text, (true, true), source, cx.report);
            return possible.then(|| TextMatch::Exact(text.as_str().into()));
        }
        TextOr::Other(raw) => raw,
    };
    let written = [
        ("prefix", !raw.prefix.is_absent()),
        ("suffix", !raw.suffix.is_absent()),
        ("regex", !raw.regex.is_absent()),
        ("present", !raw.present.is_absent()),
    ];
    match only_one(field.at, &written, cx.report)? {
        "prefix" => {
            let text = part(&raw.prefix, (true, false), source, cx.report)?;
            Some(TextMatch::Prefix(text.into()))
        }
        "suffix" => {
            let text = part(&raw.suffix, (false, true), source, cx.report)?;
            Some(TextMatch::Suffix(text.into()))
        }
        "regex" => pattern(raw.regex.at, raw.regex.value()?, cx).map(TextMatch::Regex),
        _ => {
            if *raw.present.value()? {
                return Some(TextMatch::Present);
            }
            let help = "that something is absent cannot be asked; give the rules for where it is \
                        present a higher priority";
            cx.report.error(raw.present.at, "`present` can only be true", help);
            None
        }
    }
}

fn part<'f>(
    field: &'f Field<String>,
    ends: (bool, bool),
    source: Source,
    report: &Report<'_>,
) -> Option<&'f str> {
    let text = field.value()?;
    if text.is_empty() {
        report.error(field.at, "every text has this", "write `present: true` if that is meant");
        return None;
    }
    can_be(field.at, text, ends, source, report).then_some(text)
}

/// Whether a text from there can have this; `ends` says whether at its start and at its end.
fn can_be(at: NodeId, text: &str, ends: (bool, bool), source: Source, report: &Report<'_>) -> bool {
    let blank = [' ', '\t'];
    let (help, wrong) = match source {
        Source::Parameter => return true,
        Source::Header => (
            "headers are compared without the blanks around them; remove those",
            HeaderValue::from_bytes(text.as_bytes()).is_err(),
        ),
        Source::Cookie => (
            "cookies are compared without the blanks around them; remove those",
            text.contains(';') || text.chars().any(char::is_control),
        ),
    };
    if ends.0 && text.starts_with(blank) || ends.1 && text.ends_with(blank) {
        report.error(at, format!("{} can never match", Quoted(text)), help);
        return false;
    }
    if wrong {
        let what = if matches!(source, Source::Header) { "header" } else { "cookie" };
        let message = format!("{} has a character that no {what} can have", Quoted(text));
        report.error(at, message, "it would never match; write what such a request has");
    }
    !wrong
}

fn pattern(at: NodeId, text: &str, cx: Context<'_>) -> Option<Pattern> {
    let mut known = cx.patterns.0.borrow_mut();
    if let Some(Some(pattern)) = known.get(text) {
        return Some(pattern.clone());
    }
    let refuse = |message: String, help: &str| cx.report.error(at, message, help);
    if text.is_empty() {
        refuse("every text has this".to_owned(), "write `present: true` if that is meant");
        return None;
    }
    if text.len() > PATTERN_LENGTH {
        let message = format!("the expression has more than {PATTERN_LENGTH} bytes");
        refuse(message, "use several rules");
        return None;
    }
    if known.len() >= PATTERNS && !known.contains_key(text) {
        let message = format!("there are more than {PATTERNS} different expressions");
        refuse(message, "use exact values and prefixes, which cost less");
        return None;
    }
    let compiled = Pattern::new(text);
    if let Err(error) = &compiled {
        match error {
            regex::Error::CompiledTooBig(limit) => refuse(
                format!("the expression takes more than {limit} bytes when it is compiled"),
                "make its counted repetitions, such as `{1000}`, smaller or fewer",
            ),
            error => {
                // The last line says what is wrong; those before it draw where.
                let text = error.to_string();
                let line = text.lines().last().unwrap_or_default();
                let reason = line.trim().trim_start_matches("error: ");
                let help = "the syntax is that of Rust's regex crate, which has no backreferences \
                            and no lookaround; in YAML, single quotes keep backslashes";
                refuse(format!("this is no regular expression: {reason}"), help);
            }
        }
    }
    known.insert(text.to_owned(), compiled.as_ref().ok().cloned());
    compiled.ok()
}
