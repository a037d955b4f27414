//! Is this request one that may be forwarded, and to which host and path: one parse, one meaning.
//!
//! hyper has already refused what is not HTTP. Here is refused what is HTTP but could mean one
//! thing to Rhumb and another to an origin.

use http::header::{HOST, TRANSFER_ENCODING};
use http::uri::Scheme;
use http::{HeaderMap, Method, Uri, Version, request::Parts};

use super::error::ErrorReason;
use super::present::Present;
use crate::model::limits;

/// The host that a request is for, in lower case and without a port; on the stack if it fits.
pub type HostName = arrayvec::ArrayString<255>;

/// Checks a request's head and finds its host.
///
/// # Errors
///
/// The reason for the refusal; nothing of the request may reach an origin then.
pub fn screen(parts: &Parts, present: &Present, ambiguous: bool) -> Result<HostName, ErrorReason> {
    if ambiguous {
        return Err(ErrorReason::Malformed);
    }
    if parts.method == Method::CONNECT {
        return Err(ErrorReason::NotImplemented);
    }
    if target_length(parts) > limits::URI_BYTES {
        return Err(ErrorReason::UriTooLong);
    }
    if let Some(scheme) = parts.uri.scheme()
        && *scheme != Scheme::HTTP
        && *scheme != Scheme::HTTPS
    {
        return Err(ErrorReason::Malformed);
    }
    if !has_form_for_its_method(parts) {
        return Err(ErrorReason::Malformed);
    }
    transfer_coding(parts, present)?;
    host(parts, present)
}

/// `*` is for OPTIONS, and a bare authority for CONNECT (RFC 9112 section 3.2): as the target of
/// another method it would be taken for a host here and for a path by others.
fn has_form_for_its_method(parts: &Parts) -> bool {
    let is_bare_authority = parts.uri.scheme().is_none() && parts.uri.authority().is_some();
    let is_asterisk = parts.uri.path() == "*";
    !is_bare_authority && (!is_asterisk || parts.method == Method::OPTIONS)
}

/// The path that is routed: that of the target, and `/` for `OPTIONS *`.
pub fn path(uri: &Uri) -> &str {
    match uri.path() {
        "*" | "" => "/",
        path => path,
    }
}

fn target_length(parts: &Parts) -> usize {
    let authority = parts.uri.authority().map_or(0, |authority| authority.as_str().len());
    authority + parts.uri.path_and_query().map_or(0, |target| target.as_str().len())
}

/// Only `chunked`, once: hyper accepts any list that ends in it, but Rhumb could not pass the
/// others on (RFC 9112 section 6.1).
fn transfer_coding(parts: &Parts, present: &Present) -> Result<(), ErrorReason> {
    let chunked = || {
        let value = parts.headers.get(TRANSFER_ENCODING);
        value.is_some_and(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
    };
    match present.codings {
        0 => Ok(()),
        1 if chunked() => Ok(()),
        _ => Err(ErrorReason::NotImplemented),
    }
}

/// The absolute target's authority, else the one `Host`, which has to be there in any case (RFC
/// 9112 section 3.2).
fn host(parts: &Parts, present: &Present) -> Result<HostName, ErrorReason> {
    if present.hosts > 1 {
        return Err(ErrorReason::BadHost);
    }
    let text = match (parts.uri.authority(), parts.headers.get(HOST)) {
        (_, None) if parts.version == Version::HTTP_11 => return Err(ErrorReason::BadHost),
        (Some(authority), _) => authority.as_str().as_bytes(),
        (None, Some(value)) => value.as_bytes(),
        (None, None) => b"",
    };
    if text.is_empty() {
        return Ok(HostName::new());
    }
    parse_host(text).ok_or(ErrorReason::BadHost)
}

/// The host of a head that has been screened before.
pub(super) fn screened_host(headers: &HeaderMap) -> HostName {
    headers.get(HOST).and_then(|value| parse_host(value.as_bytes())).unwrap_or_default()
}

/// `host [":" port]`: a registered name of letters, digits, `-`, `.`, `_`, or an IP literal.
fn parse_host(text: &[u8]) -> Option<HostName> {
    let (host, port) = match text {
        [b'[', ..] => text.split_at(text.iter().position(|byte| *byte == b']')? + 1),
        _ => text.split_at(text.iter().position(|byte| *byte == b':').unwrap_or(text.len())),
    };
    let port_is_fine = match port {
        [] | [b':'] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let host = host.strip_suffix(b".").unwrap_or(host);
    let literal = host.starts_with(b"[");
    let is_fine = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => true,
        b'[' | b']' | b':' => literal,
        _ => false,
    };
    if !port_is_fine || host.is_empty() || !host.iter().all(is_fine) {
        return None;
    }
    let mut name = HostName::from(std::str::from_utf8(host).ok()?).ok()?;
    name.make_ascii_lowercase();
    Some(name)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(build: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Parts {
        build(Request::builder()).body(()).unwrap().into_parts().0
    }

    fn check(parts: &Parts) -> Result<HostName, ErrorReason> {
        screen(parts, &Present::of(&parts.headers), false)
    }

    #[test]
    fn hosts() {
        for (given, expected) in [
            ("api.example.com", Some("api.example.com")),
            ("API.Example.com:8080", Some("api.example.com")),
            ("api.example.com.", Some("api.example.com")),
            ("127.0.0.1:80", Some("127.0.0.1")),
            ("[::1]:80", Some("[::1]")),
            ("[::1", None),
            ("a:80:90", None),
            ("a:8x", None),
            ("user@a", None),
            ("a,b", None),
            ("a b", None),
            ("a/b", None),
            (":80", None),
            (".", None),
        ] {
            let found = parse_host(given.as_bytes());
            assert_eq!(found.as_ref().map(arrayvec::ArrayString::as_str), expected, "{given}");
        }
        assert_eq!(parse_host(&[b'a'; 256]), None);
    }

    #[test]
    fn a_host_comes_once() {
        let once = parts(|r| r.uri("/").header("host", "a"));
        assert_eq!(check(&once).unwrap().as_str(), "a");
        let twice = parts(|r| r.uri("/").header("host", "a").header("host", "a"));
        assert_eq!(check(&twice), Err(ErrorReason::BadHost));
        let none = parts(|r| r.uri("/"));
        assert_eq!(check(&none), Err(ErrorReason::BadHost));
        let old = parts(|r| r.uri("/").version(Version::HTTP_10));
        assert_eq!(check(&old).unwrap().as_str(), "");
        let absolute = parts(|r| r.uri("http://b:81/x").header("host", "a"));
        assert_eq!(check(&absolute).unwrap().as_str(), "b");
    }

    #[test]
    fn only_chunked_is_spoken() {
        for (given, fine) in [
            ("chunked", true),
            ("Chunked ", true),
            ("gzip, chunked", false),
            ("chunked, chunked", false),
            ("identity", false),
        ] {
            let parts =
                parts(|r| r.uri("/").header("host", "a").header("transfer-encoding", given));
            assert_eq!(check(&parts).is_ok(), fine, "{given}");
        }
    }

    #[test]
    fn a_long_target_is_refused() {
        let long = format!("/{}", "a".repeat(limits::URI_BYTES));
        let parts = parts(|r| r.uri(long).header("host", "a"));
        assert_eq!(check(&parts), Err(ErrorReason::UriTooLong));
    }
}
