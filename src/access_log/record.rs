//! What is known of a request when its line is written, borrowed from wherever it is kept.
//!
//! Bytes of clients are as they came: making them harmless is up to whoever writes them. What is
//! not known is empty, `None` or 0.

use std::time::Duration;

use http::HeaderName;

use super::moment;
use super::text::Span;

/// A request that has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Record<'a> {
    /// When its head was complete.
    pub(super) time: moment::Text,
    pub(super) id: &'a [u8],
    pub(super) trace_id: &'a [u8],
    pub(super) client: &'a [u8],
    pub(super) peer: &'a [u8],
    pub(super) country: &'a [u8],
    pub(super) deployment: &'a [u8],
    pub(super) reason: &'a str,
    pub(super) rule: &'a [u8],
    pub(super) error: &'a str,
    pub(super) cut: &'a str,
    pub(super) status: u16,
    pub(super) method: &'a [u8],
    pub(super) host: &'a [u8],
    pub(super) path: &'a [u8],
    /// As far as it may be logged.
    pub(super) query: &'a [u8],
    pub(super) protocol: &'a str,
    pub(super) tls_version: &'a str,
    pub(super) tls_cipher: &'a str,
    pub(super) sni: &'a [u8],
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) duration: Duration,
    /// In the order in which they were made.
    pub(super) attempts: &'a [Attempt],
    /// Attempts made, also those that are not listed.
    pub(super) tried: u32,
    pub(super) generation: Option<u64>,
    pub(super) tenant_hash: Option<u64>,
    /// Values of the header fields that are logged, in the order of the settings.
    pub(super) headers: &'a [Option<Span>],
    /// The names that belong to them.
    pub(super) names: &'a [HeaderName],
    /// What spans lie in.
    pub(super) text: &'a [u8],
}

impl Record<'_> {
    pub(super) fn text(&self, span: Span) -> &[u8] {
        span.of(self.text)
    }
}

/// One attempt at an endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attempt {
    pub(super) region: Span,
    pub(super) endpoint: Span,
    /// How long a new connection took to make, where one was needed.
    pub(super) connect: Option<Duration>,
    /// From the attempt's start to the head of the response, if there was one.
    pub(super) first_byte: Option<Duration>,
    pub(super) outcome: &'static str,
}
