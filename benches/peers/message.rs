//! Just enough HTTP/1.1 to know where a message ends and who answered it.
//!
//! Lengths must be given by `Content-Length`: every origin of this benchmark sends one, and a proxy
//! that turned it into chunks would do other work than the rest. Anything else is `None`, which the
//! callers count as a failure.

use memchr::{memchr, memmem};

use crate::regions::Region;

/// The header in which an origin says which region it is.
pub(crate) const REGION_HEADER: &str = "x-origin-region";

/// Length of the head including its empty line, once it is complete.
pub(crate) fn head_length(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// The header fields of a head: names as written, values trimmed.
pub(crate) fn fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    head.split(|&byte| byte == b'\n').skip(1).filter_map(|line| {
        let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
        Some((name, value.get(1..)?.trim_ascii()))
    })
}

/// The `Content-Length` of a head.
pub(crate) fn content_length(head: &[u8]) -> Option<usize> {
    fields(head)
        .find(|(name, _)| name.eq_ignore_ascii_case(b"content-length"))
        .and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok())
}

/// What matters of a response's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    pub(crate) ok: bool,
    pub(crate) length: usize,
    pub(crate) region: Option<Region>,
    /// The connection ends after this response.
    pub(crate) closes: bool,
}

impl ResponseHead {
    /// Reads a complete head; `None` when it is no HTTP/1.1 response or has no length.
    pub(crate) fn parse(head: &[u8]) -> Option<Self> {
        let status = head.strip_prefix(b"HTTP/1.1 ")?;
        let mut length = None;
        let mut region = None;
        let mut closes = false;
        for (name, value) in fields(head) {
            if name.eq_ignore_ascii_case(b"content-length") {
                length = std::str::from_utf8(value).ok()?.parse().ok();
            } else if name.eq_ignore_ascii_case(REGION_HEADER.as_bytes()) {
                region = Region::of_id(value);
            } else if name.eq_ignore_ascii_case(b"connection") {
                closes = value.eq_ignore_ascii_case(b"close");
            }
        }
        Some(Self { ok: status.starts_with(b"200 "), length: length?, region, closes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_matters_of_a_response() {
        let head = ResponseHead { ok: true, length: 5, region: Some(Region::Eu), closes: false };
        for (text, expected) in [
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX-Origin-Region: eu-west-1\r\n\r\n",
                Some(head),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length:5\r\nConnection: Close\r\n\r\n",
                Some(ResponseHead { region: None, closes: true, ..head }),
            ),
            (
                "HTTP/1.1 503 no\r\nContent-Length: 5\r\nx-origin-region: eu-west-1\r\n\r\n",
                Some(ResponseHead { ok: false, ..head }),
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n", None),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", None),
        ] {
            assert_eq!(ResponseHead::parse(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_head_ends_with_its_empty_line() {
        assert_eq!(head_length(b"GET / HTTP/1.1\r\n\r\nbody"), Some(18));
        assert_eq!(head_length(b"GET / HTTP/1.1\r\nhost: a\r\n"), None);
    }
}
