//! `X-Forwarded-For` and `Forwarded` as they come from trusted peers, with whatever clients wrote
//! into them: whose request is it?
//!
//! The first byte chooses the header; every line of the rest is a line of it. A line that starts
//! with `!` is one of the other header.

#![no_main]

use std::net::IpAddr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use rhumb::config::ClientTrust;
use rhumb::geo::client;
use rhumb::model::ClientSource;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const TRUSTED_PEER: &str = "10.0.0.1";
const STRANGER: &str = "198.51.100.7";
/// Nobody's proxy; a client that a trusted proxy appends.
const APPENDED: &str = "203.0.113.99";

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, text)) = bytes.split_first() else { return };
    let (name, other) = match choice & 1 {
        0 => (X_FORWARDED_FOR, FORWARDED),
        _ => (FORWARDED, X_FORWARDED_FOR),
    };
    let mut headers = HeaderMap::new();
    for line in text.split(|byte| *byte == b'\n').take(100) {
        let (name, line) = match line {
            [b'!', line @ ..] => (&other, line),
            line => (&name, line),
        };
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name, value);
        }
    }
    let trust = trust();

    let stranger = ip(STRANGER);
    let found = client(stranger, &headers, &trust);
    assert_eq!((found.address, found.source), (stranger, ClientSource::Peer));

    is_one_that_was_named(&headers, &trust);
    is_not_hidden_by_what_clients_wrote(&headers, &trust);
    is_not_changed_by_what_stands_further_left(&headers, &trust);
});

fn is_one_that_was_named(headers: &HeaderMap, trust: &ClientTrust) {
    let found = client(ip(TRUSTED_PEER), headers, trust);
    assert_eq!(found.address, found.address.to_canonical());
    let (plain, forwarded) = (has(headers, &X_FORWARDED_FOR), has(headers, &FORWARDED));
    match found.source {
        ClientSource::Peer => assert_eq!(found.address, ip(TRUSTED_PEER)),
        ClientSource::XForwardedFor => assert!(plain),
        ClientSource::Forwarded => assert!(forwarded && !plain),
    }
    // Mapped into IPv6, the peer is the same one.
    let IpAddr::V4(peer) = ip(TRUSTED_PEER) else { return };
    assert_eq!(client(peer.to_ipv6_mapped().into(), headers, trust).address, found.address);
}

/// What a trusted proxy appends counts, in every way that it can be appended.
fn is_not_hidden_by_what_clients_wrote(headers: &HeaderMap, trust: &ClientTrust) {
    for name in [X_FORWARDED_FOR, FORWARDED] {
        if name == FORWARDED && has(headers, &X_FORWARDED_FOR) {
            continue;
        }
        let element = if name == FORWARDED {
            format!("for={APPENDED};by=\"a;b,c\";proto=https")
        } else {
            APPENDED.to_owned()
        };
        let mut line_more = headers.clone();
        line_more.append(&name, element.parse().unwrap());
        assert_eq!(client(ip(TRUSTED_PEER), &line_more, trust).address, ip(APPENDED));

        let lines: Vec<_> = headers.get_all(&name).iter().cloned().collect();
        let Some((last, lines)) = lines.split_last() else { continue };
        let longer = [last.as_bytes(), b", ", element.as_bytes()].concat();
        let mut element_more = headers.clone();
        element_more.remove(&name);
        for line in lines {
            element_more.append(&name, line.clone());
        }
        element_more.append(&name, HeaderValue::from_bytes(&longer).unwrap());
        assert_eq!(client(ip(TRUSTED_PEER), &element_more, trust).address, ip(APPENDED));
    }
}

/// Once a client was found that is nobody's proxy, more lines before the others change nothing.
fn is_not_changed_by_what_stands_further_left(headers: &HeaderMap, trust: &ClientTrust) {
    let found = client(ip(TRUSTED_PEER), headers, trust);
    let name = match found.source {
        ClientSource::XForwardedFor => X_FORWARDED_FOR,
        ClientSource::Forwarded => FORWARDED,
        _ => return,
    };
    if trust.trusts(found.address) {
        return;
    }
    for left in ["6.6.6.6", "for=6.6.6.6", "\"", "for=\"", "unknown", "\\", ",,,", "10.0.0.2"] {
        let mut more = HeaderMap::new();
        more.append(&name, HeaderValue::from_static(left));
        for line in headers.get_all(&name) {
            more.append(&name, line.clone());
        }
        assert_eq!(client(ip(TRUSTED_PEER), &more, trust).address, found.address, "{left}");
    }
}

fn has(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.contains_key(name)
}

fn trust() -> ClientTrust {
    let trusted = ["10.0.0.0/8", "2001:db8:7::/48"];
    ClientTrust {
        trusted_proxies: trusted.iter().map(|network| network.parse().unwrap()).collect(),
        country_headers: Vec::new(),
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
