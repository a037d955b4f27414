//! What clients may use and ask for, and what origins are told of them.
//!
//! Whom clients are believed through is `network`'s business.

use super::Context;
use super::values::{choice, count, flag, optional};
use super::words::free_header;
use crate::config::field::{Field, State};
use crate::config::raw;
use crate::config::settings::{
    ClientFields, ClientLimits, DotSegments, EncodedSlash, RepeatedSlash, RequestRules, Underscores,
};
use crate::model::limits::{
    CONNECTION_BUFFER_BYTES, CONNECTIONS_MAX, HEADER_BYTES_MAX, HEADER_BYTES_MIN,
    STREAMS_PER_CONNECTION_MAX, URI_BYTES_MIN,
};

const _: () = assert!(HEADER_BYTES_MAX as usize <= CONNECTION_BUFFER_BYTES);

pub(super) fn limits(field: &Field<raw::Limits>, cx: Context<'_>) -> Option<ClientLimits> {
    let default = ClientLimits::default();
    let raw = match &field.state {
        State::Absent => return Some(default),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let report = cx.report;
    let size = |field, range, default: usize| {
        let value = count(field, range, u32::try_from(default).ok()?, report)?;
        usize::try_from(value).ok()
    };
    let connections = 1..=CONNECTIONS_MAX;
    let per_worker =
        size(&raw.connections_per_worker, connections.clone(), default.connections_per_worker);
    let per_client = optional(&raw.connections_per_client, |_| {
        count(&raw.connections_per_client, connections, 1, report)
    });
    let range = 1..=STREAMS_PER_CONNECTION_MAX;
    let streams = count(&raw.streams_per_connection, range, default.streams_per_connection, report);
    let range = HEADER_BYTES_MIN..=HEADER_BYTES_MAX;
    let header_bytes = size(&raw.header_bytes, range, default.header_bytes);
    // A default that a smaller head leaves no room for gives way to it.
    let usual = default.uri_bytes.min(header_bytes.unwrap_or(default.uri_bytes));
    let uri_bytes = size(&raw.uri_bytes, URI_BYTES_MIN..=HEADER_BYTES_MAX, usual);
    if let (Some(uri), Some(header)) = (uri_bytes, header_bytes)
        && uri > header
    {
        let message = format!("`uri_bytes` is {uri}, and a whole head may have {header} only");
        report.error(raw.uri_bytes.at, message, "make `header_bytes` larger, or this smaller");
        return None;
    }
    Some(ClientLimits {
        connections_per_worker: per_worker?,
        connections_per_client: per_client?.and_then(std::num::NonZeroU32::new),
        streams_per_connection: streams?,
        uri_bytes: uri_bytes?,
        header_bytes: header_bytes?,
    })
}

pub(super) fn requests(field: &Field<raw::Requests>) -> Option<RequestRules> {
    let default = RequestRules::default();
    let raw = match &field.state {
        State::Absent => return Some(default),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    Some(RequestRules {
        encoded_slash: choice(&raw.encoded_slash, default.encoded_slash, |word| match word {
            raw::EncodedSlash::Keep => EncodedSlash::Keep,
            raw::EncodedSlash::Refuse => EncodedSlash::Refuse,
            raw::EncodedSlash::Decode => EncodedSlash::Decode,
        })?,
        repeated_slash: choice(&raw.repeated_slash, default.repeated_slash, |word| match word {
            raw::RepeatedSlash::Merge => RepeatedSlash::Merge,
            raw::RepeatedSlash::Keep => RepeatedSlash::Keep,
            raw::RepeatedSlash::Refuse => RepeatedSlash::Refuse,
        })?,
        dot_segments: choice(&raw.dot_segments, default.dot_segments, |word| match word {
            raw::DotSegments::Resolve => DotSegments::Resolve,
            raw::DotSegments::Refuse => DotSegments::Refuse,
        })?,
        underscores: choice(&raw.underscores, default.underscores, |word| match word {
            raw::Underscores::Drop => Underscores::Drop,
            raw::Underscores::Keep => Underscores::Keep,
            raw::Underscores::Refuse => Underscores::Refuse,
        })?,
    })
}

/// What origins are told of a client, beside `X-Forwarded-*`.
pub(super) fn fields(field: &Field<raw::Client>, cx: Context<'_>) -> Option<ClientFields> {
    let default = ClientFields::default();
    let raw = match &field.state {
        State::Absent => return Some(default),
        State::Broken => return None,
        State::Present(raw) => raw,
    };
    let forwarded = flag(&raw.forwarded_header, default.forwarded);
    let header = &raw.certificate_header;
    let certificate = optional(header, |text| free_header(header.at, text, cx.report));
    Some(ClientFields {
        forwarded: forwarded?,
        certificate: certificate?.unwrap_or(default.certificate),
    })
}
