//! What is taken off a message and what is put on it, on its way through.
//!
//! Hop-by-hop fields end here in both directions (RFC 9110 section 7.6.1), also those that the
//! message's own `Connection` names; and they end before Rhumb adds its own fields, so that no
//! client can have those removed by naming them.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

use super::connection::Connection;
use super::forwarded;
use super::present::Present;
use crate::config::Config;
use crate::model::list::members;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_RHUMB_PREFER_REGION: HeaderName =
    HeaderName::from_static("x-rhumb-prefer-region");
pub(super) const X_RHUMB_FORCE_REGION: HeaderName = HeaderName::from_static("x-rhumb-force-region");
pub(super) const X_RHUMB_EXPLAIN: HeaderName = HeaderName::from_static("x-rhumb-explain");
/// Tells the decision to whoever may see it.
pub(super) const X_RHUMB_DECISION: HeaderName = HeaderName::from_static("x-rhumb-decision");
pub(super) const RHUMB_HOPS: HeaderName = HeaderName::from_static("rhumb-hops");
pub(super) const RHUMB_REPLAY: HeaderName = HeaderName::from_static("rhumb-replay");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Longest request id that is kept from a trusted peer.
const REQUEST_ID_BYTES: usize = 128;

/// The id under which logs know a request. Kept apart from the header, because it is needed again
/// only where something goes wrong.
#[derive(Debug)]
pub(super) enum RequestId {
    /// Made here.
    Made([u8; 32]),
    /// A trusted peer's.
    Kept(HeaderValue),
}

impl RequestId {
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Made(text) => text,
            Self::Kept(value) => value.as_bytes(),
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Made(text) => std::str::from_utf8(text).ok(),
            Self::Kept(value) => value.to_str().ok(),
        }
    }
}

/// Makes a client's request head into the one that goes to an origin. Returns the request's id.
pub(super) fn prepare_request(
    headers: &mut HeaderMap,
    version: Version,
    trusted: bool,
    config: &Config,
    present: &Present,
    connection: &Connection,
) -> RequestId {
    let wants_trailers = present.te && te_trailers(headers);
    strip_hop_by_hop(headers, *present, true);
    if wants_trailers {
        // `TE: trailers` is for the next hop, and Rhumb passes trailers on.
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if present.word {
        for name in [&X_RHUMB_PREFER_REGION, &X_RHUMB_FORCE_REGION, &X_RHUMB_EXPLAIN] {
            headers.remove(name);
        }
    }
    if !trusted {
        for name in config.client.country_headers.iter().filter(|name| present.may_have(name)) {
            headers.remove(name);
        }
    }
    let forwarded = present.forwarded && trusted;
    if forwarded || config.client_fields.forwarded {
        forwarded::append(headers, forwarded, connection.peer.address(), connection.secure());
    } else if present.forwarded {
        headers.remove(FORWARDED);
    }
    forwarded_for(headers, present.forwarded_for && trusted, connection);
    if !(present.forwarded_proto && trusted) {
        let scheme = if connection.secure() { "https" } else { "http" };
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    if !(present.forwarded_host && trusted) {
        match headers.get(HOST).cloned() {
            Some(host) => headers.insert(X_FORWARDED_HOST, host),
            None => headers.remove(X_FORWARDED_HOST),
        };
    }
    if let Some(certificate) = connection.certificate() {
        headers.insert(config.client_fields.certificate.clone(), certificate.clone());
    }
    append_via(headers, version);
    let kept = headers.get(X_REQUEST_ID).filter(|_| present.request_id && trusted);
    if let Some(id) = kept.filter(|id| id.len() <= REQUEST_ID_BYTES && !id.is_empty()) {
        return RequestId::Kept(id.clone());
    }
    let id = request_id(connection);
    if let Ok(value) = HeaderValue::from_bytes(&id) {
        headers.insert(X_REQUEST_ID, value);
    }
    RequestId::Made(id)
}

/// Makes an origin's response head into the one that goes to the client.
pub(super) fn prepare_response(headers: &mut HeaderMap, version: Version, present: Present) {
    strip_hop_by_hop(headers, present, false);
    if let Some(length) = present.length_to_mend() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if present.told {
        // Between an origin and Rhumb, or Rhumb's own to say.
        headers.remove(RHUMB_REPLAY);
        headers.remove(X_RHUMB_DECISION);
    }
    append_via(headers, version);
}

fn strip_hop_by_hop(headers: &mut HeaderMap, present: Present, request: bool) {
    if present.connection {
        if !names_nothing(headers) {
            strip_named(headers, request);
        }
        headers.remove(CONNECTION);
    }
    if present.te {
        headers.remove(TE);
    }
    if present.rare_hop {
        for name in [&KEEP_ALIVE, &PROXY_CONNECTION, &TRANSFER_ENCODING, &UPGRADE] {
            headers.remove(name);
        }
        headers.remove(PROXY_AUTHENTICATE);
        headers.remove(PROXY_AUTHORIZATION);
    }
}

/// Whether `Connection` says only `keep-alive` or `close`, as it nearly always does.
pub(super) fn names_nothing(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes);
    lines
        .all(|line| line.eq_ignore_ascii_case(b"keep-alive") || line.eq_ignore_ascii_case(b"close"))
}

/// Removes what `Connection` names, except fields that are never hop-by-hop: a message could
/// otherwise have its framing, its host or its client's address removed.
fn strip_named(headers: &mut HeaderMap, request: bool) {
    let named = members(headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect::<Vec<_>>();
    for name in named {
        let end_to_end = matches!(
            name.as_str(),
            "host"
                | "content-length"
                | "content-type"
                | "authorization"
                | "cookie"
                | "trailer"
                | "cache-control"
                | "x-forwarded-for"
                | "x-forwarded-proto"
                | "x-forwarded-host"
                | "forwarded"
                | "via"
                | "x-request-id"
        ) || name.as_str().starts_with("rhumb-")
            || name.as_str().starts_with("x-rhumb-");
        if !(end_to_end && (request || name == TRAILER || name == "content-length")) {
            headers.remove(name);
        }
    }
}

fn te_trailers(headers: &HeaderMap) -> bool {
    members(headers.get_all(TE).iter().map(HeaderValue::as_bytes))
        .any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// The peer at the end of a trusted list; from anyone else the list is not passed on at all.
fn forwarded_for(headers: &mut HeaderMap, keep: bool, connection: &Connection) {
    let mut value = None;
    if keep {
        let lines = headers.get_all(X_FORWARDED_FOR).iter().map(|line| line.len() + 2);
        // To the byte: `Bytes` keeps a vector without room as it is.
        let mut list = Vec::with_capacity(lines.sum::<usize>() + connection.peer.text.len());
        for line in headers.get_all(X_FORWARDED_FOR) {
            list.extend_from_slice(line.as_bytes());
            list.extend_from_slice(b", ");
        }
        list.extend_from_slice(connection.peer.text.as_bytes());
        value = HeaderValue::from_maybe_shared(Bytes::from(list)).ok();
    }
    headers.insert(X_FORWARDED_FOR, value.unwrap_or_else(|| connection.peer.text.clone()));
}

fn append_via(headers: &mut HeaderMap, version: Version) {
    let via = match version {
        Version::HTTP_10 => "1.0 rhumb",
        Version::HTTP_2 => "2 rhumb",
        _ => "1.1 rhumb",
    };
    headers.append(VIA, HeaderValue::from_static(via));
}

/// 128 random bits in hexadecimal.
fn request_id(connection: &Connection) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0_u8; 32];
    let bits = [connection.worker.entropy(), connection.worker.entropy()];
    for (i, byte) in text.iter_mut().enumerate() {
        let nibble = bits[i / 16] >> (i % 16 * 4) & 15;
        *byte = DIGITS[nibble as usize];
    }
    text
}

/// An address as a header value.
pub(super) fn address_text(address: IpAddr) -> HeaderValue {
    HeaderValue::from_str(&address.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
}
