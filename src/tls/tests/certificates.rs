//! Which certificate a client is shown, and what a connection is for.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::tls::tests::fixture::{address, key};

fn entry(names: &[&str]) -> Entry {
    let info = CertificateInfo {
        listener: Some(address()),
        file: Path::new("x").into(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        subject: String::new(),
        issuer: String::new(),
        not_before: 0,
        not_after: 0,
    };
    Entry { key: key(), stapled: None, info }
}

fn certificates() -> Certificates {
    Certificates::new(vec![
        entry(&["a.test", "b.test"]),
        entry(&["*.test", "test"]),
        entry(&["deep.c.test", "*.c.test", "b.test"]),
    ])
}

/// The place of the one that a client is shown.
fn chosen(certificates: &Certificates, name: Option<&str>) -> usize {
    let entry = certificates.choose(name, |_| true).unwrap();
    certificates.entries.iter().position(|other| std::ptr::eq(entry, other)).unwrap()
}

#[test]
fn the_exact_name_then_the_wildcard_of_one_label_then_the_first() {
    let certificates = certificates();
    for (name, expected) in [
        (Some("a.test"), 0),
        (Some("A.Test"), 0),
        (Some("a.test."), 0),
        (Some("b.test"), 0),
        (Some("x.test"), 1),
        (Some("test"), 1),
        (Some("c.test"), 1),
        (Some("x.c.test"), 2),
        (Some("DEEP.c.test."), 2),
        (Some("x.deep.c.test"), 0),
        (Some(".test"), 1),
        (Some(""), 0),
        (Some("."), 0),
        (None, 0),
    ] {
        assert_eq!(chosen(&certificates, name), expected, "{name:?}");
    }
}

#[test]
fn a_client_that_can_verify_none_is_shown_the_first_all_the_same() {
    let certificates = certificates();
    let entry = certificates.choose(Some("x.c.test"), |_| false).unwrap();
    assert!(std::ptr::eq(entry, &certificates.entries[2]));
}

#[test]
fn without_a_name_the_default_may_be_of_two_kinds() {
    let twin = Certificates::new(vec![entry(&["a.test"]), entry(&["b.test"]), entry(&["a.test"])]);
    assert_eq!(twin.fallback, [0, 2]);
}

#[test]
fn a_request_for_a_host_of_another_certificate_is_misdirected() {
    let mut last = entry(&[]);
    last.info.addresses = vec!["192.0.2.9".parse().unwrap(), "2001:db8::9".parse().unwrap()];
    let entries = certificates().entries.into_iter().chain([last]).collect();
    let several = Certificates::new(entries);
    let one = Certificates::new(vec![entry(&["a.test"])]);
    for (sni, host, expected) in [
        (None, "c.test", false),
        (Some("a.test"), "a.test", false),
        (Some("a.test"), "A.TEST", false),
        (Some("a.test"), "a.test.", false),
        (Some("a.test"), "b.test", false),
        (Some("a.test"), "x.test", true),
        (Some("a.test"), "test", true),
        (Some("x.test"), "y.test", false),
        (Some("x.test"), "c.test", false),
        (Some("x.test"), "y.c.test", true),
        // `b.test` is shown the first of the two that have it, so either is fine.
        (Some("b.test"), "a.test", false),
        (Some("b.test"), "x.c.test", false),
        // Nobody is for the name that was asked for: the default it was, and that name is right.
        (Some("elsewhere"), "elsewhere", false),
        (Some("elsewhere"), "a.test", false),
        (Some("elsewhere"), "x.test", true),
        (Some("a.test"), "192.0.2.1", false),
        (Some("a.test"), "192.0.2.9", true),
        (Some("a.test"), "[2001:db8::1]", false),
        (Some("a.test"), "[2001:DB8:0::1]", false),
        (Some("a.test"), "[2001:db8::9]", true),
        // No certificate is for these, so no other connection would be better.
        (Some("a.test"), "192.0.2.2", false),
        (Some("a.test"), "[2001:db8::2]", false),
        (Some("a.test"), "x.y.test", false),
        (Some("a.test"), "", false),
    ] {
        assert_eq!(several.misdirected(sni, host), expected, "{sni:?} {host}");
        assert!(!one.misdirected(sni, host));
    }
}

proptest! {
    /// Beside a slow and obvious second one.
    #[test]
    fn the_choice_is_the_obvious_one(
        names in proptest::collection::vec(
            proptest::collection::vec("(\\*\\.)?([ab]\\.){0,2}[ab]", 0..4), 1..5),
        asked in "([abAB]\\.){0,3}[ab]\\.?",
    ) {
        let entries = names.iter().map(|names| {
            entry(&names.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let certificates = Certificates::new(entries.collect());
        let plain = asked.trim_end_matches('.').to_lowercase();
        let exact = names.iter().position(|names| names.contains(&plain));
        let wildcard = plain.find('.').map(|dot| format!("*{}", &plain[dot..]));
        let wildcard = wildcard.and_then(|name| names.iter().position(|n| n.contains(&name)));
        prop_assert_eq!(chosen(&certificates, Some(&asked)), exact.or(wildcard).unwrap_or(0));
    }
}
