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
