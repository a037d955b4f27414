//! A record as one JSON object. Written by hand, because it is on the way of every request; a test
//! reads all of it back with another library.

use super::record::{Attempt, Record};
use super::redact::LEFT_OUT;
use super::{digits, escape};

/// Appends a text, if it is known, with its key.
macro_rules! known {
    ($out:expr, $key:literal, $value:expr) => {
        let value: &[u8] = $value.as_ref();
        if !value.is_empty() {
            $out.extend_from_slice(concat!(",\"", $key, "\":\"").as_bytes());
            escape::json($out, value);
            $out.push(b'"');
        }
    };
}

/// The same of one of Rhumb's own words, or of what can be nothing but letters, digits and dots.
macro_rules! word {
    ($out:expr, $key:literal, $value:expr) => {
        let value: &[u8] = $value.as_ref();
        if !value.is_empty() {
            debug_assert!(value == LEFT_OUT || escape::is_plain(value), "{value:?}");
            $out.extend_from_slice(concat!(",\"", $key, "\":\"").as_bytes());
            $out.extend_from_slice(value);
            $out.push(b'"');
        }
    };
}

/// Appends the object, without the end of the line.
pub(super) fn write(out: &mut Vec<u8>, record: &Record<'_>) {
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(&record.time);
    out.push(b'"');
    known!(out, "id", record.id);
    known!(out, "trace_id", record.trace_id);
    word!(out, "client", record.client);
    word!(out, "peer", record.peer);
    word!(out, "country", record.country);
    if let Some(hash) = record.tenant_hash {
        out.extend_from_slice(b",\"tenant_hash\":\"");
        digits::hash(out, hash);
        out.push(b'"');
    }
    known!(out, "method", record.method);
    known!(out, "host", record.host);
    known!(out, "path", record.path);
    if record.query == LEFT_OUT {
        word!(out, "query", LEFT_OUT);
    } else {
        known!(out, "query", record.query);
    }
    word!(out, "protocol", record.protocol);
    tls(out, record);
    decision(out, record);
    out.extend_from_slice(b",\"status\":");
    digits::number(out, record.status.into());
    word!(out, "error", record.error);
    word!(out, "cut", record.cut);
    out.extend_from_slice(b",\"bytes_in\":");
    digits::number(out, record.bytes_in);
    out.extend_from_slice(b",\"bytes_out\":");
    digits::number(out, record.bytes_out);
    out.extend_from_slice(b",\"duration_ms\":");
    digits::millis(out, record.duration);
    headers(out, record);
    out.push(b'}');
}

fn tls(out: &mut Vec<u8>, record: &Record<'_>) {
    if record.tls_version.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"tls\":{\"version\":\"");
    out.extend_from_slice(record.tls_version.as_bytes());
    out.push(b'"');
    word!(out, "cipher", record.tls_cipher);
    known!(out, "sni", record.sni);
    out.push(b'}');
}

fn decision(out: &mut Vec<u8>, record: &Record<'_>) {
    known!(out, "deployment", record.deployment);
    if let Some(last) = record.attempts.last() {
        known!(out, "region", record.text(last.region));
        known!(out, "endpoint", record.text(last.endpoint));
    }
    word!(out, "reason", record.reason);
    known!(out, "rule", record.rule);
    if let Some(generation) = record.generation {
        out.extend_from_slice(b",\"generation\":");
        digits::number(out, generation);
    }
    if let Some((first, others)) = record.attempts.split_first() {
        out.extend_from_slice(b",\"attempts\":[");
        attempt(out, record, first);
        for other in others {
            out.push(b',');
            attempt(out, record, other);
        }
        out.push(b']');
    }
}

fn attempt(out: &mut Vec<u8>, record: &Record<'_>, attempt: &Attempt) {
    out.extend_from_slice(b"{\"region\":\"");
    escape::json(out, record.text(attempt.region));
    out.extend_from_slice(b"\",\"endpoint\":\"");
    escape::json(out, record.text(attempt.endpoint));
    out.push(b'"');
    if let Some(connect) = attempt.connect {
        out.extend_from_slice(b",\"connect_ms\":");
        digits::millis(out, connect);
    }
    if let Some(first_byte) = attempt.first_byte {
        out.extend_from_slice(b",\"first_byte_ms\":");
        digits::millis(out, first_byte);
    }
    word!(out, "outcome", attempt.outcome);
    out.push(b'}');
}

fn headers(out: &mut Vec<u8>, record: &Record<'_>) {
    let mut opened = false;
    for (name, span) in record.names.iter().zip(record.headers) {
        let Some(span) = span else { continue };
        let start: &[u8] = if opened { b",\"" } else { b",\"headers\":{\"" };
        out.extend_from_slice(start);
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b"\":\"");
        escape::json(out, record.text(*span));
        out.push(b'"');
        opened = true;
    }
    if opened {
        out.push(b'}');
    }
}
