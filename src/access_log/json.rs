//! A record as one JSON object. Written by hand, because it is on the way of every request; a test
//! reads all of it back with another library.

use super::escape;
use super::record::{Attempt, Record};

/// Appends a key in front of its value.
macro_rules! key {
    ($out:expr, $key:literal) => {
        $out.extend_from_slice(concat!(",\"", $key, "\":").as_bytes())
    };
}

/// Appends a text that is known, with its key.
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

/// Appends the object, without the end of the line.
pub(super) fn write(out: &mut Vec<u8>, record: &Record<'_>) {
    out.extend_from_slice(b"{\"time\":\"");
    escape::moment(out, record.unix_millis);
    out.push(b'"');
    known!(out, "id", record.id);
    known!(out, "trace_id", record.trace_id);
    known!(out, "client", record.client);
    known!(out, "peer", record.peer);
    known!(out, "country", record.country);
    if let Some(hash) = record.tenant_hash {
        out.extend_from_slice(b",\"tenant_hash\":\"");
        escape::hash(out, hash);
        out.push(b'"');
    }
    known!(out, "method", record.method);
    known!(out, "host", record.host);
    known!(out, "path", record.path);
    known!(out, "query", record.query);
    known!(out, "protocol", record.protocol);
    tls(out, record);
    decision(out, record);
    key!(out, "status");
    escape::number(out, record.status.into());
    known!(out, "error", record.error);
    known!(out, "cut", record.cut);
    key!(out, "bytes_in");
    escape::number(out, record.bytes_in);
    key!(out, "bytes_out");
    escape::number(out, record.bytes_out);
    key!(out, "duration_ms");
    escape::millis(out, record.duration);
    headers(out, record);
    out.push(b'}');
}

fn tls(out: &mut Vec<u8>, record: &Record<'_>) {
    if record.tls_version.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"tls\":{\"version\":\"");
    escape::json(out, record.tls_version.as_bytes());
    out.push(b'"');
    known!(out, "cipher", record.tls_cipher);
    known!(out, "sni", record.sni);
    out.push(b'}');
}

fn decision(out: &mut Vec<u8>, record: &Record<'_>) {
    known!(out, "deployment", record.deployment);
    if let Some(last) = record.attempts.last() {
        known!(out, "region", record.text(last.region));
        known!(out, "endpoint", record.text(last.endpoint));
    }
    known!(out, "reason", record.reason);
    known!(out, "rule", record.rule);
    if let Some(generation) = record.generation {
        key!(out, "generation");
        escape::number(out, generation);
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
        key!(out, "connect_ms");
        escape::millis(out, connect);
    }
    if let Some(first_byte) = attempt.first_byte {
        key!(out, "first_byte_ms");
        escape::millis(out, first_byte);
    }
    known!(out, "outcome", attempt.outcome);
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
