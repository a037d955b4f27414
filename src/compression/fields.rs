//! What the head of a response, and what comes behind its body, say when the body is compressed.

use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::model::Coding;
use crate::model::list::members;

/// Digests of the bytes that the origin sent (RFC 9530, RFC 3230, RFC 1864).
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// Says that clients get different responses by what they accept (RFC 9110 section 12.5.5).
pub(super) fn vary(headers: &mut HeaderMap) {
    let lines = headers.get_all(VARY).iter().map(HeaderValue::as_bytes);
    let said = members(lines)
        .any(|member| member == b"*" || member.eq_ignore_ascii_case(b"accept-encoding"));
    if !said {
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// Makes a head that of a compressed response.
pub(super) fn encode(headers: &mut HeaderMap, coding: Coding) {
    headers.insert(CONTENT_ENCODING, coding.value());
    headers.remove(CONTENT_LENGTH);
    forget_bytes(headers);
}

/// Takes off fields, of a head or of trailers, what holds only for the bytes that the origin sent.
pub(super) fn forget_bytes(headers: &mut HeaderMap) {
    headers.remove(ACCEPT_RANGES);
    for name in DIGESTS {
        headers.remove(name);
    }
    weaken(headers);
}

/// Makes a strong entity tag weak: what is sent is another representation, equal in meaning alone
/// (RFC 9110 section 8.8.1).
pub(super) fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(ETAG) else { return };
    if is_weak(tag) {
        return;
    }
    match weakened(tag) {
        Some(tag) => headers.insert(ETAG, tag),
        // No tag at all, that nobody could compare.
        None => headers.remove(ETAG),
    };
}

/// Whether one of those tags is the weak form of the one that these headers have, which is strong.
pub(super) fn knows_weakened(tags: &[HeaderValue], headers: &HeaderMap) -> bool {
    let Some(tag) = headers.get(ETAG).filter(|tag| !is_weak(tag)) else { return false };
    let opaque = tag.as_bytes();
    // Tags may contain commas, but hardly do; one that is missed changes nothing.
    opaque.len() > 1
        && members(tags.iter().map(HeaderValue::as_bytes))
            .any(|known| known.strip_prefix(b"W/").is_some_and(|known| known == opaque))
}

fn is_weak(tag: &HeaderValue) -> bool {
    tag.as_bytes().starts_with(b"W/\"")
}

fn weakened(tag: &HeaderValue) -> Option<HeaderValue> {
    let opaque = tag.as_bytes();
    let quoted = opaque.len() > 1 && opaque.starts_with(b"\"") && opaque.ends_with(b"\"");
    HeaderValue::from_bytes(&[b"W/", opaque].concat()).ok().filter(|_| quoted)
}

#[cfg(test)]
mod tests {
    use super::super::headers;
    use super::*;

    #[test]
    fn vary_says_it_once() {
        for (lines, expected) in [
            (&[][..], &["Accept-Encoding"][..]),
            (&["Origin"], &["Origin", "Accept-Encoding"]),
            (&["Origin, accept-encoding"], &["Origin, accept-encoding"]),
            (&["Origin", " ACCEPT-ENCODING "], &["Origin", "ACCEPT-ENCODING"]),
            (&["*"], &["*"]),
            (&["Origin, *"], &["Origin, *"]),
            (&["X-Accept-Encoding"], &["X-Accept-Encoding", "Accept-Encoding"]),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("vary", line.trim())).collect();
            let mut headers = headers(&lines);
            vary(&mut headers);
            assert_eq!(headers.get_all(VARY).iter().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn tags_become_weak() {
        for (tag, expected) in [
            ("\"x\"", Some("W/\"x\"")),
            ("\"\"", Some("W/\"\"")),
            ("W/\"x\"", Some("W/\"x\"")),
            ("x", None),
            ("\"", None),
            ("\"x", None),
            ("w/\"x\"", None),
            ("", None),
        ] {
            let mut headers = headers(&[("etag", tag)]);
            weaken(&mut headers);
            let tag = headers.get(ETAG).map(|tag| tag.to_str().unwrap());
            assert_eq!(tag, expected);
        }
    }

    #[test]
    fn a_weakened_tag_is_known_again() {
        for (known, tag, expected) in [
            (&["W/\"x\""][..], "\"x\"", true),
            (&["\"y\", W/\"x\" "], "\"x\"", true),
            (&["\"y\"", "W/\"x\""], "\"x\"", true),
            (&["\"x\""], "\"x\"", false),
            (&["W/\"y\""], "\"x\"", false),
            (&["W/\"x\""], "W/\"x\"", false),
            (&["*"], "\"x\"", false),
            (&["W/"], "", false),
            (&[], "\"x\"", false),
        ] {
            let known: Vec<_> =
                known.iter().map(|line| HeaderValue::from_str(line).unwrap()).collect();
            assert_eq!(knows_weakened(&known, &headers(&[("etag", tag)])), expected, "{known:?}");
        }
        assert!(!knows_weakened(&[HeaderValue::from_static("W/\"x\"")], &HeaderMap::new()));
    }

    #[test]
    fn a_compressed_response_says_nothing_of_other_bytes() {
        let mut headers = headers(&[
            ("content-length", "5"),
            ("accept-ranges", "bytes"),
            ("content-digest", "sha-256=:AA==:"),
            ("repr-digest", "sha-256=:AA==:"),
            ("digest", "sha-256=AA=="),
            ("content-md5", "AA=="),
            ("etag", "\"x\""),
            ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("content-type", "text/plain"),
        ]);
        encode(&mut headers, Coding::Brotli);
        let mut left: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                ("content-encoding", "br"),
                ("content-type", "text/plain"),
                ("etag", "W/\"x\""),
                ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ]
        );
    }
}
