//! Reads forwarding headers from the right: `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! From the right, because only there is text that a trusted proxy wrote. What stands further
//! left may come from the client and may be malformed on purpose: an unclosed quote there must
//! not swallow the entries that our own proxies appended. Whom to believe is decided in
//! `identify`. Nothing is allocated.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use arrayvec::ArrayVec;

/// The longest node identifier: `[` 39 digits `]:` 5 digits, with room for escapes undone.
const NODE_BYTES: usize = 64;

/// Splits a header line into its comma-separated elements, the last one first.
pub(super) struct FromRight<'a> {
    rest: Option<&'a [u8]>,
    quotes: bool,
}

impl<'a> FromRight<'a> {
    /// A line of `X-Forwarded-For`.
    pub(super) fn plain(line: &'a [u8]) -> Self {
        Self { rest: Some(line), quotes: false }
    }

    /// A line of `Forwarded`: commas in quoted strings do not separate.
    pub(super) fn quoted(line: &'a [u8]) -> Self {
        Self { rest: Some(line), quotes: true }
    }
}

impl<'a> Iterator for FromRight<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.rest?;
        let element = match last_separator(line, b',', self.quotes) {
            Some(comma) => {
                let (before, after) = line.split_at(comma);
                self.rest = Some(before);
                after.get(1..).unwrap_or_default()
            }
            None => {
                self.rest = None;
                line
            }
        };
        Some(element.trim_ascii())
    }
}

/// The last `separator`; with `quotes`, the last one outside of quoted strings as seen from the
/// right. A quote after an odd number of backslashes is part of a string (RFC 9110, 5.6.4).
fn last_separator(line: &[u8], separator: u8, quotes: bool) -> Option<usize> {
    let mut inside = false;
    let mut position = line.len();
    while let Some((byte, before)) = line.get(..position).and_then(<[u8]>::split_last) {
        position = before.len();
        if quotes && *byte == b'"' {
            let escapes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
            inside ^= escapes % 2 == 0;
            position -= escapes;
        } else if *byte == separator && !inside {
            return Some(position);
        }
    }
    None
}

/// The address in the `for` parameter of an element of `Forwarded`. `None` for everything that
/// does not name one: no or two `for`, `unknown`, obfuscated (`_hidden`), malformed.
pub(super) fn forwarded_address(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    let mut rest = Some(element);
    while let Some(text) = rest {
        let semicolon = last_separator(text, b';', true);
        let (before, pair) = match semicolon {
            Some(at) => (text.get(..at), text.get(at + 1..)?),
            None => (None, text),
        };
        rest = before;
        let pair = pair.trim_ascii();
        if pair.is_empty() {
            continue;
        }
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (pair.get(..equals)?, pair.get(equals + 1..)?);
        if name.eq_ignore_ascii_case(b"for") {
            if found.is_some() {
                return None;
            }
            found = Some(node(&unquoted(value)?)?);
        }
    }
    found
}

/// The address in an element of `X-Forwarded-For`.
pub(super) fn plain_address(element: &[u8]) -> Option<IpAddr> {
    node(element)
}

/// A token as it is, or the content of a quoted string.
fn unquoted(value: &[u8]) -> Option<ArrayVec<u8, NODE_BYTES>> {
    let mut out = ArrayVec::new();
    let Some(content) = value.strip_prefix(b"\"") else {
        out.try_extend_from_slice(value).ok()?;
        return Some(out);
    };
    let mut bytes = content.strip_suffix(b"\"")?.iter();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'"' => return None,
            b'\\' => bytes.next()?,
            byte => byte,
        };
        out.try_push(*byte).ok()?;
    }
    Some(out)
}

/// `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`, and, as many proxies write
/// it, `2001:db8::1` without brackets.
fn node(bytes: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(bytes).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        if !port.is_empty() && !is_port(port.strip_prefix(':')?) {
            return None;
        }
        return address.parse::<Ipv6Addr>().ok().map(|address| IpAddr::V6(address).to_canonical());
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some(IpAddr::V6(address).to_canonical());
    }
    let address = match text.split_once(':') {
        Some((address, port)) if is_port(port) => address,
        Some(_) => return None,
        None => text,
    };
    address.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

/// A number, or an obfuscated port (RFC 7239, 6.3).
fn is_port(port: &str) -> bool {
    match port.strip_prefix('_') {
        Some(name) => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !name.is_empty() && name.bytes().all(allowed)
        }
        None => {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            digits && port.len() <= 5 && port.parse::<u16>().is_ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn forwarded(element: &str) -> Option<String> {
        forwarded_address(element.as_bytes()).map(|address| address.to_string())
    }

    #[test]
    fn nodes_as_the_rfc_and_the_world_write_them() {
        for (element, expected) in [
            ("for=192.0.2.60", Some("192.0.2.60")),
            ("For=192.0.2.60:4711", Some("192.0.2.60")),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", Some("192.0.2.60")),
            ("proto=http; FOR=192.0.2.60 ;by=203.0.113.43", Some("192.0.2.60")),
            (r#"for="[2001:db8:cafe::17]:4711""#, Some("2001:db8:cafe::17")),
            (r#"for="[2001:db8:cafe::17]""#, Some("2001:db8:cafe::17")),
            (r#"for="[::ffff:192.0.2.1]""#, Some("192.0.2.1")),
            (r#"for="192.0.2.1:_port""#, Some("192.0.2.1")),
            (r#"for="1\92.0.2.1""#, Some("192.0.2.1")),
            (r#"by="a;b,c";for=192.0.2.1"#, Some("192.0.2.1")),
            (r#"by="a\";for=6.6.6.6;";for=192.0.2.1"#, Some("192.0.2.1")),
            ("for=192.0.2.1;", Some("192.0.2.1")),
            ("for=2001:db8::1", Some("2001:db8::1")),
            ("for=unknown", None),
            ("for=_hidden", None),
            (r#"for="_hidden:80""#, None),
            ("for=", None),
            ("for", None),
            ("", None),
            ("proto=http", None),
            ("for=192.0.2.1;for=192.0.2.2", None),
            ("for=192.0.2.1;garbage", None),
            (r#"for="192.0.2.1"#, None),
            (r#"for=192.0.2.1""#, None),
            (r#"for="192.0.2.1"x"#, None),
            (r#"for="192.0"2.1""#, None),
            ("for=[2001:db8::1", None),
            ("for=[2001:db8::1]80", None),
            ("for=[192.0.2.1]", None),
            ("for=192.0.2.1:", None),
            ("for=192.0.2.1:65536", None),
            ("for=192.0.2.1:+80", None),
            ("for=192.0.2.01", None),
            ("for=3232235777", None),
            ("for=fe80::1%eth0", None),
            ("for =192.0.2.1", None),
        ] {
            assert_eq!(forwarded(element), expected.map(str::to_owned), "{element}");
        }
    }

    #[test]
    fn elements_come_from_the_right_whatever_stands_on_the_left() {
        for (line, expected) in [
            (r#"for=a, for=b"#, vec!["for=b", "for=a"]),
            (r#"for=a,,for=b,"#, vec!["", "for=b", "", "for=a"]),
            (r#"for="x, for=b"#, vec!["for=b", r#"for="x"#]),
            (r#"for=x", by="p,q";for=b"#, vec![r#"by="p,q";for=b"#, r#"for=x""#]),
            (r#"by="a\",b", for=c"#, vec!["for=c", r#"by="a\",b""#]),
            (r#"by="a\\", for=c"#, vec!["for=c", r#"by="a\\""#]),
        ] {
            let found: Vec<_> = FromRight::quoted(line.as_bytes())
                .map(|element| std::str::from_utf8(element).unwrap())
                .collect();
            assert_eq!(found, expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_every_line_ends(line in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(FromRight::quoted(&line).count() <= line.len() + 1);
            prop_assert!(FromRight::plain(&line).count() <= line.len() + 1);
            for element in FromRight::quoted(&line) {
                forwarded_address(element);
                plain_address(element);
            }
        }

        #[test]
        fn every_address_survives_every_spelling(bits in any::<u128>(), v4 in any::<u32>(), port: u16) {
            let (v6, v4) = (Ipv6Addr::from_bits(bits), Ipv4Addr::from_bits(v4));
            let canonical = IpAddr::V6(v6).to_canonical();
            for text in [format!("{v6}"), format!("[{v6}]"), format!("[{v6}]:{port}")] {
                prop_assert_eq!(plain_address(text.as_bytes()), Some(canonical));
                let element = format!("proto=https;for=\"{text}\"");
                prop_assert_eq!(forwarded_address(element.as_bytes()), Some(canonical));
            }
            for text in [format!("{v4}"), format!("{v4}:{port}")] {
                prop_assert_eq!(plain_address(text.as_bytes()), Some(IpAddr::V4(v4)));
            }
        }

        #[test]
        fn what_a_client_sends_never_hides_what_a_proxy_appended(
            left in "[ -~]{0,60}",
            v4 in any::<u32>(),
        ) {
            let address = Ipv4Addr::from_bits(v4);
            let line = format!("{left}, by=\"a,b;c\";for=\"{address}\"");
            let first = FromRight::quoted(line.as_bytes()).next().unwrap();
            prop_assert_eq!(forwarded_address(first), Some(IpAddr::V4(address)));
        }
    }
}
