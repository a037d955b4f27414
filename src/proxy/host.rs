//! The one host that a request is for: `Host`, `:authority` or the authority of an absolute target,
//! reduced to one identity. Which deployment that is says `routing`.

use std::net::Ipv6Addr;

use http::header::HOST;
use http::uri::Scheme;
use http::{HeaderMap, Version, request::Parts};

use super::error::ErrorReason;
use super::present::Present;

/// The host that a request is for, in lower case and without a port; on the stack if it fits.
pub(super) type HostName = arrayvec::ArrayString<255>;

/// The host of a head, which has to name one, in one way only.
///
/// In HTTP/1.1 the authority of an absolute target wins, but `Host` has to be there all the same
/// (RFC 9112 section 3.2); HTTP/1.0 may name none. In HTTP/2 `:authority` and `Host` have to agree
/// (RFC 9113 section 8.3.1).
///
/// # Errors
///
/// [`ErrorReason::BadHost`].
pub(super) fn host(parts: &Parts, present: &Present) -> Result<HostName, ErrorReason> {
    if present.hosts > 1 {
        return Err(ErrorReason::BadHost);
    }
    let http_2 = parts.version == Version::HTTP_2;
    let field = match present.hosts {
        0 => None,
        _ => parts.headers.get(HOST),
    };
    // An empty one comes with a target whose scheme knows no hosts, and there is none of those.
    let named =
        field.map(|field| parse(field.as_bytes()).ok_or(ErrorReason::BadHost)).transpose()?;
    let Some(authority) = parts.uri.authority() else {
        return match named {
            Some((host, _)) => Ok(host),
            None if parts.version <= Version::HTTP_10 => Ok(HostName::new()),
            None => Err(ErrorReason::BadHost),
        };
    };
    let own = parse(authority.as_str().as_bytes()).ok_or(ErrorReason::BadHost)?;
    match named {
        Some(named) if http_2 && !agree(&own, &named, parts.uri.scheme()) => {
            Err(ErrorReason::BadHost)
        }
        None if !http_2 && parts.version > Version::HTTP_10 => Err(ErrorReason::BadHost),
        _ => Ok(own.0),
    }
}

/// The host of a head that has been screened before.
pub(super) fn screened_host(headers: &HeaderMap) -> HostName {
    let parsed = headers.get(HOST).and_then(|value| parse(value.as_bytes()));
    parsed.map_or_else(HostName::new, |(host, _)| host)
}

type Authority = (HostName, Option<u16>);

fn agree(a: &Authority, b: &Authority, scheme: Option<&Scheme>) -> bool {
    let usual = if scheme == Some(&Scheme::HTTPS) { 443 } else { 80 };
    a.0 == b.0 && a.1.unwrap_or(usual) == b.1.unwrap_or(usual)
}

/// `host [":" port]`: a registered name of letters, digits, `-`, `.`, `_`, or an address.
fn parse(text: &[u8]) -> Option<Authority> {
    let literal = text.first() == Some(&b'[');
    let end = match literal {
        true => text.iter().position(|byte| *byte == b']')? + 1,
        false => text.iter().position(|byte| *byte == b':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at_checked(end)?;
    let port = match port {
        [] | [b':'] => None,
        [b':', digits @ ..] => Some(number(digits)?),
        _ => return None,
    };
    let host = host.strip_suffix(b".").unwrap_or(host);
    let mut name = HostName::from(std::str::from_utf8(host).ok()?).ok()?;
    let is_fine = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None if literal => false,
        None => is_name(host),
    };
    name.make_ascii_lowercase();
    is_fine.then_some((name, port))
}

fn is_name(host: &[u8]) -> bool {
    let is_fine = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !host.is_empty() && host.iter().all(is_fine)
}

/// A port; without a sign, unlike what the standard library takes.
fn number(digits: &[u8]) -> Option<u16> {
    let is_number = digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn hosts() {
        for (given, expected) in [
            ("api.example.com", Some(("api.example.com", None))),
            ("API.Example.com:8080", Some(("api.example.com", Some(8080)))),
            ("api.example.com.", Some(("api.example.com", None))),
            ("api.example.com:", Some(("api.example.com", None))),
            ("127.0.0.1:80", Some(("127.0.0.1", Some(80)))),
            ("[::1]:80", Some(("[::1]", Some(80)))),
            ("[2001:DB8::1]", Some(("[2001:db8::1]", None))),
            ("a:65535", Some(("a", Some(65535)))),
            ("a:65536", None),
            ("a:000080", None),
            ("a:+80", None),
            ("a:-1", None),
            ("[::1", None),
            ("[]", None),
            ("[::1]x", None),
            ("[::1].", None),
            ("[[::1]]", None),
            ("[v1.fe80]", None),
            ("[fe80::1%eth0]", None),
            ("::1", None),
            ("a]", None),
            ("a:80:90", None),
            ("a:8x", None),
            ("user@a", None),
            ("user:pass@a", None),
            ("a:80@b", None),
            ("a,b", None),
            ("a, a", None),
            ("a b", None),
            ("a/b", None),
            ("a\\b", None),
            ("a#b", None),
            ("a?b", None),
            ("a%2eb", None),
            ("\u{e4}", None),
            (":80", None),
            (".", None),
            ("", None),
        ] {
            let found = parse(given.as_bytes());
            let found = found.as_ref().map(|(host, port)| (host.as_str(), *port));
            assert_eq!(found, expected, "{given}");
        }
        assert_eq!(parse(&[b'a'; 256]), None);
        assert_eq!(parse(b"a\0"), None);
    }

    fn found(version: Version, uri: &str, hosts: &[&str]) -> Option<String> {
        let request = hosts
            .iter()
            .fold(Request::builder().version(version).uri(uri), |r, host| r.header("host", *host));
        let parts = request.body(()).unwrap().into_parts().0;
        let found = host(&parts, &Present::of(&parts.headers));
        found.ok().map(|host| host.as_str().to_owned())
    }

    #[test]
    fn one_identity_or_none() {
        const OLD: Version = Version::HTTP_10;
        const ONE: Version = Version::HTTP_11;
        const TWO: Version = Version::HTTP_2;
        for (version, uri, hosts, expected) in [
            (ONE, "/", &["a"][..], Some("a")),
            (ONE, "/", &["a", "a"], None),
            (ONE, "/", &[], None),
            (ONE, "/", &[""], None),
            (ONE, "http://b:81/x", &["a"], Some("b")),
            (ONE, "http://b/x", &[], None),
            (ONE, "http://b/x", &["u@a"], None),
            (ONE, "http://u@b/x", &["b"], None),
            (OLD, "/", &[], Some("")),
            (OLD, "/", &["a"], Some("a")),
            (OLD, "/", &[""], None),
            (OLD, "http://b/", &[], Some("b")),
            (TWO, "https://a/", &[], Some("a")),
            (TWO, "https://a/", &["A:443"], Some("a")),
            (TWO, "http://a:80/", &["a"], Some("a")),
            (TWO, "https://a:80/", &["a"], None),
            (TWO, "https://a/", &["b"], None),
            (TWO, "https://a/", &["a", "a"], None),
            (TWO, "https://u@a/", &[], None),
            (TWO, "/", &["a"], Some("a")),
            (TWO, "/", &[], None),
        ] {
            let found = found(version, uri, hosts);
            assert_eq!(found.as_deref(), expected, "{version:?} {uri} {hosts:?}");
        }
    }
}
