//! `Forwarded` (RFC 7239): one element for this hop behind those of trusted peers. Reading it is
//! `geo`'s.

use std::fmt::Write as _;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderValue};

use crate::model::limits::FORWARDED_BYTES;

/// Adds what this hop knows: who the peer is, which host it asked for, and how. `keep` says that
/// the elements before it are a trusted peer's; those of anyone else go.
///
/// A list whose quotes do not match would swallow what is added to it, and one that is too long
/// would grow without end: either is replaced.
pub(super) fn append(headers: &mut HeaderMap, keep: bool, peer: IpAddr, secure: bool) {
    let own = element(peer, headers.get(HOST), secure);
    let mut list = Vec::new();
    if keep {
        for line in headers.get_all(FORWARDED) {
            if is_whole(line.as_bytes()) && !line.is_empty() {
                list.extend_from_slice(line.as_bytes());
                list.extend_from_slice(b", ");
            }
        }
        if list.len() + own.len() > FORWARDED_BYTES {
            list.clear();
        }
    }
    list.extend_from_slice(own.as_bytes());
    match HeaderValue::from_maybe_shared(Bytes::from(list)) {
        Ok(value) => drop(headers.insert(FORWARDED, value)),
        Err(_) => drop(headers.remove(FORWARDED)),
    }
}

fn element(peer: IpAddr, host: Option<&HeaderValue>, secure: bool) -> String {
    let mut text = String::with_capacity(64);
    // Writing to a string does not fail.
    let _ = match peer {
        IpAddr::V4(address) => write!(text, "for={address}"),
        IpAddr::V6(address) => write!(text, "for=\"[{address}]\""),
    };
    if let Some(host) = host.and_then(|host| host.to_str().ok()).filter(|host| !host.is_empty()) {
        let quote = if host.bytes().all(is_token) { "" } else { "\"" };
        // Screened: there is nothing in a host that would have to be escaped.
        let _ = write!(text, ";host={quote}{host}{quote}");
    }
    text.push_str(if secure { ";proto=https" } else { ";proto=http" });
    text
}

/// RFC 9110 section 5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Whether every quoted string ends in the line.
fn is_whole(line: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    !quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(lines: &[&str], keep: bool, peer: &str, host: &str, secure: bool) -> String {
        let mut headers: HeaderMap =
            lines.iter().map(|line| (FORWARDED, line.parse().unwrap())).collect();
        headers.insert(HOST, host.parse().unwrap());
        append(&mut headers, keep, peer.parse().unwrap(), secure);
        let lines: Vec<_> = headers.get_all(FORWARDED).iter().collect();
        assert_eq!(lines.len(), 1);
        lines[0].to_str().unwrap().to_owned()
    }

    #[test]
    fn elements() {
        for (peer, host, secure, expected) in [
            ("192.0.2.1", "a.test", false, "for=192.0.2.1;host=a.test;proto=http"),
            ("192.0.2.1", "a.test:81", true, "for=192.0.2.1;host=\"a.test:81\";proto=https"),
            ("2001:db8::1", "[::1]", true, "for=\"[2001:db8::1]\";host=\"[::1]\";proto=https"),
            ("192.0.2.1", "", false, "for=192.0.2.1;proto=http"),
        ] {
            assert_eq!(made(&[], false, peer, host, secure), expected);
        }
    }

    #[test]
    fn only_what_a_trusted_peer_said_and_is_whole_stays() {
        let own = "for=192.0.2.1;host=a;proto=http";
        let long = format!("for=\"{}\"", "a".repeat(FORWARDED_BYTES));
        for (lines, keep, before) in [
            (&["for=1.1.1.1"][..], true, "for=1.1.1.1, "),
            (&["for=1.1.1.1"], false, ""),
            (
                &["for=1.1.1.1, for=2.2.2.2", "for=\"[::1]\""],
                true,
                "for=1.1.1.1, for=2.2.2.2, for=\"[::1]\", ",
            ),
            (&["for=\"x"], true, ""),
            (&["for=\"x\\\""], true, ""),
            (&["for=\"x\\\"\"", ""], true, "for=\"x\\\"\", "),
            (&[&long], true, ""),
        ] {
            assert_eq!(made(lines, keep, "192.0.2.1", "a", false), format!("{before}{own}"));
        }
    }
}
