//! The path of a request, as `http` has parsed it, in its normal form: one that everybody reads in
//! the same way.
//!
//! The first byte chooses the rules; the rest is the request target.

#![no_main]

use std::borrow::Cow;

use http::uri::PathAndQuery;
use libfuzzer_sys::fuzz_target;
use rhumb::config::{DotSegments, EncodedSlash, RepeatedSlash, RequestRules, Underscores};
use rhumb::routing::{is_path, normal_path};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, target)) = bytes.split_first() else { return };
    let Ok(target) = PathAndQuery::try_from(target) else { return };
    let (path, rules) = (target.path(), rules(*choice));
    if path == "*" {
        return;
    }
    assert!(is_path(path), "http takes what is no path: {path}");
    let Ok(normal) = normal_path(path, &rules) else { return };
    assert!(normal.len() <= path.len());
    assert_eq!(matches!(normal, Cow::Borrowed(_)), normal == path);
    let again = normal_path(&normal, &rules);
    assert!(matches!(again, Ok(Cow::Borrowed(_))), "{normal} becomes {again:?}");
    let parsed = PathAndQuery::try_from(normal.as_bytes()).expect("a path can be sent");
    assert_eq!(parsed.path(), normal);

    is_written_in_one_way(&normal, &rules);
    means_the_same_to_who_decodes_it(&normal);
    spelling_does_not_matter(path, &normal, &rules);
});

fn rules(choice: u8) -> RequestRules {
    let slashes = [EncodedSlash::Keep, EncodedSlash::Refuse, EncodedSlash::Decode];
    let repeated = [RepeatedSlash::Merge, RepeatedSlash::Keep, RepeatedSlash::Refuse];
    let dots = [DotSegments::Resolve, DotSegments::Refuse];
    let choice = usize::from(choice);
    RequestRules {
        encoded_slash: slashes[choice % 3],
        repeated_slash: repeated[choice / 3 % 3],
        dot_segments: dots[choice / 9 % 2],
        underscores: Underscores::Drop,
    }
}

fn is_written_in_one_way(normal: &str, rules: &RequestRules) {
    assert!(normal.starts_with('/'));
    assert!(!normal.contains('\\') && !normal.contains(|c: char| c.is_ascii_control() || c == ' '));
    assert!(normal.split('/').all(|segment| segment != "." && segment != ".."));
    assert!(rules.repeated_slash == RepeatedSlash::Keep || !normal.contains("//"));
    for (at, _) in normal.match_indices('%') {
        let escape = &normal.as_bytes()[at..at + 3];
        let value = escaped(escape).expect("a whole escape");
        assert_eq!(escape, escape.to_ascii_uppercase(), "{normal}");
        let unreserved = value.is_ascii_alphanumeric() || b"-._~".contains(&value);
        assert!(!unreserved && !value.is_ascii_control(), "{normal}");
        let slash = matches!(value, b'/' | b'\\');
        assert!(!slash || rules.encoded_slash == EncodedSlash::Keep, "{normal}");
    }
}

/// Decoded once more, and cut at every kind of slash, there is still no dot segment: neither for
/// who decodes first and looks then, nor for who takes parameters off.
fn means_the_same_to_who_decodes_it(normal: &str) {
    let decoded = decoded(normal.as_bytes());
    for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        assert!(name != b"." && name != b"..", "{normal}");
    }
}

/// With every unreserved letter escaped, in digits of either case, it is the same path.
fn spelling_does_not_matter(path: &str, normal: &str, rules: &RequestRules) {
    let mut spelled = String::new();
    let mut rest = path.chars();
    while let Some(c) = rest.next() {
        match c {
            '%' => {
                spelled.push('%');
                spelled.extend(rest.by_ref().take(2).map(|c| c.to_ascii_lowercase()));
            }
            c if c.is_ascii_alphanumeric() || "-._~".contains(c) => {
                spelled.push_str(&format!("%{:02x}", c as u32));
            }
            c => spelled.push(c),
        }
    }
    assert_eq!(normal_path(&spelled, rules).as_deref(), Ok(normal), "{spelled}");
}

fn escaped(bytes: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(bytes.get(1..3)?).ok()?;
    u8::from_str_radix(digits, 16).ok()
}

fn decoded(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((byte, rest)) = bytes.split_first() {
        bytes = rest;
        match (byte, escaped(&[&b"%"[..], rest.get(..2).unwrap_or_default()].concat())) {
            (b'%', Some(value)) => {
                out.push(value);
                bytes = &rest[2..];
            }
            _ => out.push(*byte),
        }
    }
    out
}
