//! A record as the line of a template. What is not known is `-`.

use super::name::Name;
use super::record::{Attempt, Record};
use super::{digits, escape};
use crate::config::{LogField, LogPiece};

/// Appends the line, without its end.
pub(super) fn write(out: &mut Vec<u8>, pieces: &[LogPiece], record: &Record<'_>) {
    for piece in pieces {
        match piece {
            LogPiece::Text(text) => out.extend_from_slice(text.as_bytes()),
            LogPiece::Field(field) => self::field(out, *field, record),
            LogPiece::Header(place) => {
                let span = record.notes.headers.get(*place).copied().flatten().unwrap_or_default();
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
    let (notes, ending) = (record.notes, record.ending);
    let secured = ending.secured.unwrap_or_default();
    let last =
        |name: fn(&Attempt) -> &Name| notes.attempts.last().map_or(&[][..], |a| name(a).as_bytes());
    match field {
        LogField::Time => out.extend_from_slice(&record.time),
        LogField::Id => known(out, record.text(notes.id)),
        LogField::TraceId => known(out, record.text(notes.trace_id)),
        LogField::Client => known(out, record.client()),
        LogField::Peer => known(out, ending.peer),
        LogField::Country => known(out, record.country()),
        LogField::Deployment => {
            known(out, notes.deployment.as_ref().map_or(&[], |name| name.as_bytes()));
        }
        LogField::Region => known(out, last(|attempt| &attempt.region)),
        LogField::Endpoint => known(out, last(|attempt| &attempt.endpoint)),
        LogField::Reason => known(out, notes.reason.as_bytes()),
        LogField::Rule => known(out, record.text(notes.rule)),
        LogField::Error => known(out, notes.error.as_bytes()),
        LogField::Cut => known(out, notes.cut.as_bytes()),
        LogField::Status => digits::number(out, ending.status.into()),
        LogField::Method => known(out, record.text(notes.method)),
        LogField::Host => known(out, record.text(notes.host)),
        LogField::Path => known(out, record.text(notes.path)),
        LogField::Query => known(out, record.text(notes.query)),
        LogField::Protocol => known(out, notes.protocol.as_bytes()),
        LogField::TlsVersion => known(out, secured.version.as_bytes()),
        LogField::TlsCipher => known(out, secured.cipher.as_bytes()),
        LogField::Sni => known(out, secured.sni.as_bytes()),
        LogField::BytesIn => digits::number(out, notes.bytes_in),
        LogField::BytesOut => digits::number(out, notes.bytes_out),
        LogField::DurationMs => digits::millis(out, ending.duration),
        LogField::Attempts => digits::number(out, notes.tried.into()),
        LogField::Generation => match notes.generation {
            Some(generation) => digits::number(out, generation),
            None => out.push(b'-'),
        },
        LogField::TenantHash => match notes.tenant_hash {
            Some(hash) => digits::hash(out, hash),
            None => out.push(b'-'),
        },
    }
}
