//! Hosts and paths that a deployment answers.

use super::Context;
use super::values::unique_texts;
use crate::config::document::NodeId;
use crate::config::error::Quoted;
use crate::config::field::{Field, State};
use crate::config::report::Report;
use crate::config::settings::HostPattern;

pub(super) fn hosts(
    field: &Field<Vec<Field<String>>>,
    cx: Context<'_>,
) -> Option<Vec<HostPattern>> {
    match &field.state {
        State::Absent => Some(Vec::new()),
        State::Broken => None,
        State::Present(list) if list.is_empty() => {
            let help = "name a host, or remove the field to answer any host";
            cx.report.error(field.at, "`hosts` is empty", help);
            None
        }
        State::Present(list) => unique_texts(list, cx.report, |at, text, report| {
            let refuse = |help| report.error(at, format!("{} is not a host", Quoted(text)), help);
            pattern(text).map_err(refuse).ok()
        }),
    }
}

/// The pattern, or what to write instead.
fn pattern(text: &str) -> Result<HostPattern, &'static str> {
    if text == "*" {
        return Err("remove `hosts` to answer any host");
    }
    let lower = text.to_ascii_lowercase();
    if lower.starts_with('[') {
        return match lower.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => {
                Ok(HostPattern::Exact(lower))
            }
            _ => Err("an IPv6 address is written in brackets and without a port: `[2001:db8::1]`"),
        };
    }
    if !text.is_ascii() {
        return Err("write an international name in its ASCII form (xn--...)");
    }
    let (wildcard, name) = match lower.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, lower.as_str()),
    };
    if name.contains('*') {
        return Err("`*.` can stand only at the start, for one or more labels");
    }
    if name.contains(':') {
        return Err("write it without a scheme and without a port");
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err("a host is such as `api.example.com` or `*.example.com`");
    }
    let name = name.to_owned();
    Ok(if wildcard { HostPattern::Wildcard(name) } else { HostPattern::Exact(name) })
}

/// A path prefix without its trailing slash.
pub(super) fn path_prefix(field: &Field<String>, report: &Report<'_>) -> Option<String> {
    match &field.state {
        State::Absent => Some("/".to_owned()),
        State::Broken => None,
        State::Present(text) => prefix(field.at, text, report),
    }
}

/// The same of an element of a list.
pub(super) fn prefix(at: NodeId, text: &str, report: &Report<'_>) -> Option<String> {
    if !check_path(at, text, report) {
        return None;
    }
    let help = "such as `/v1`";
    if text.contains('?') {
        let message = format!("{} has a query, which no prefix matches", Quoted(text));
        report.error(at, message, help);
        return None;
    }
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    let dots = |segment: &str| segment == "." || segment == "..";
    if trimmed.split('/').skip(1).any(|segment| segment.is_empty() || dots(segment)) {
        let message = format!("{} has an empty or dotted segment", Quoted(text));
        report.error(at, message, help);
        return None;
    }
    Some(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() })
}

/// Whether the text can be sent as a path; reported otherwise.
pub(super) fn check_path(at: NodeId, text: &str, report: &Report<'_>) -> bool {
    let (what, help) = if !text.starts_with('/') {
        ("does not start with `/`", format!("write `/{}`", text.trim_start_matches('/')))
    } else if !text.bytes().all(|b| b.is_ascii_graphic()) {
        ("has a character that cannot be in a path", "write it percent-encoded".to_owned())
    } else if text.contains('#') {
        ("has a fragment, which is never sent", "write it without `#`".to_owned())
    } else {
        return true;
    };
    report.error(at, format!("{} {what}", Quoted(text)), help);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts() {
        for (text, expected) in [
            ("API.example.com", HostPattern::Exact("api.example.com".into())),
            ("*.Example.org", HostPattern::Wildcard("example.org".into())),
            ("localhost", HostPattern::Exact("localhost".into())),
            ("10.0.0.1", HostPattern::Exact("10.0.0.1".into())),
            ("[::1]", HostPattern::Exact("[::1]".into())),
        ] {
            assert_eq!(pattern(text), Ok(expected), "{text}");
        }
        for text in [
            "", "*", "*.", "a.*.b", "*a.b", "a:80", "http://a", "a/b", "a..b", ".a", "a.", "a b",
            "ä.de", "[::1]:80", "[x]", "a\n",
        ] {
            assert!(pattern(text).is_err(), "{text}");
        }
    }
}
