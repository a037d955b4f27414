//! A record as the line of a template. What is not known is `-`.

use super::record::Record;
use super::text::Span;
use super::{digits, escape};
use crate::config::{LogField, LogPiece};

/// Appends the line, without its end.
pub(super) fn write(out: &mut Vec<u8>, pieces: &[LogPiece], record: &Record<'_>) {
    for piece in pieces {
        match piece {
            LogPiece::Text(text) => out.extend_from_slice(text.as_bytes()),
            LogPiece::Field(field) => self::field(out, *field, record),
            LogPiece::Header(place) => {
                let span = record.headers.get(*place).copied().flatten().unwrap_or_default();
                known(out, record.text(span));
            }
        }
    }
}

fn known(out: &mut Vec<u8>, value: &[u8]) {
    if value.is_empty() {
        out.push(b'-');
    } else {
        escape::text(out, value);
    }
}

fn field(out: &mut Vec<u8>, field: LogField, record: &Record<'_>) {
    let last = |span: fn(&super::record::Attempt) -> Span| {
        record.text(record.attempts.last().map(span).unwrap_or_default())
    };
    match field {
        LogField::Time => out.extend_from_slice(&record.time),
        LogField::Id => known(out, record.id),
        LogField::TraceId => known(out, record.trace_id),
        LogField::Client => known(out, record.client),
        LogField::Peer => known(out, record.peer),
        LogField::Country => known(out, record.country),
        LogField::Deployment => known(out, record.deployment),
        LogField::Region => known(out, last(|attempt| attempt.region)),
        LogField::Endpoint => known(out, last(|attempt| attempt.endpoint)),
        LogField::Reason => known(out, record.reason.as_bytes()),
        LogField::Rule => known(out, record.rule),
        LogField::Error => known(out, record.error.as_bytes()),
        LogField::Cut => known(out, record.cut.as_bytes()),
        LogField::Status => digits::number(out, record.status.into()),
        LogField::Method => known(out, record.method),
        LogField::Host => known(out, record.host),
        LogField::Path => known(out, record.path),
        LogField::Query => known(out, record.query),
        LogField::Protocol => known(out, record.protocol.as_bytes()),
        LogField::TlsVersion => known(out, record.tls_version.as_bytes()),
        LogField::TlsCipher => known(out, record.tls_cipher.as_bytes()),
        LogField::Sni => known(out, record.sni),
        LogField::BytesIn => digits::number(out, record.bytes_in),
        LogField::BytesOut => digits::number(out, record.bytes_out),
        LogField::DurationMs => digits::millis(out, record.duration),
        LogField::Attempts => digits::number(out, record.tried.into()),
        LogField::Generation => match record.generation {
            Some(generation) => digits::number(out, generation),
            None => out.push(b'-'),
        },
        LogField::TenantHash => match record.tenant_hash {
            Some(hash) => digits::hash(out, hash),
            None => out.push(b'-'),
        },
    }
}
