//! A record as one JSON object. Written by hand, because it is on the way of every request; a test
//! reads all of it back with another library.

use super::record::{Attempt, Record};
use super::redact::LEFT_OUT;
use super::{digits, escape};

/// Appends a text, if it is known, with its key. Its end is left to what comes next.
macro_rules! known {
    ($out:expr, $key:literal, $value:expr) => {
        let value: &[u8] = $value.as_ref();
        if !value.is_empty() {
            $out.extend_from_slice(concat!("\",\"", $key, "\":\"").as_bytes());
            escape::json($out, value);
        }
    };
}

/// The same of one that needs no other form: of Rhumb's own words, of what can be nothing but letters,
/// digits and dots, and of what was made ready before.
macro_rules! ready {
    ($out:expr, $key:literal, $value:expr) => {
        let value: &[u8] = $value.as_ref();
        if !value.is_empty() {
            $out.extend_from_slice(concat!("\",\"", $key, "\":\"").as_bytes());
            $out.extend_from_slice(value);
        }
    };
}

/// Appends the object, without the end of the line.
pub(super) fn write(out: &mut Vec<u8>, record: &Record<'_>) {
    let (notes, ending) = (record.notes, record.ending);
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(&record.time);
    known!(out, "id", record.text(notes.id));
    known!(out, "trace_id", record.text(notes.trace_id));
    ready!(out, "client", record.client());
    ready!(out, "peer", ending.peer);
    ready!(out, "country", record.country());
    if let Some(hash) = notes.tenant_hash {
        out.extend_from_slice(b"\",\"tenant_hash\":\"");
        digits::hash(out, hash);
    }
    known!(out, "method", record.text(notes.method));
    known!(out, "host", record.text(notes.host));
    known!(out, "path", record.text(notes.path));
    match record.text(notes.query) {
        LEFT_OUT => {
            ready!(out, "query", LEFT_OUT);
        }
        query => {
            known!(out, "query", query);
        }
    }
    ready!(out, "protocol", notes.protocol);
    decision(out, record);
    tls(out, record);
    out.extend_from_slice(b",\"status\":");
    digits::number(out, ending.status.into());
    word(out, b",\"error\":\"", notes.error);
    word(out, b",\"cut\":\"", notes.cut);
    out.extend_from_slice(b",\"bytes_in\":");
    digits::number(out, notes.bytes_in);
    out.extend_from_slice(b",\"bytes_out\":");
    digits::number(out, notes.bytes_out);
    out.extend_from_slice(b",\"duration_ms\":");
    digits::millis(out, ending.duration);
    headers(out, record);
    out.push(b'}');
}

/// One of Rhumb's own words behind a number.
fn word(out: &mut Vec<u8>, key: &[u8], word: &str) {
    if !word.is_empty() {
        out.extend_from_slice(key);
        out.extend_from_slice(word.as_bytes());
        out.push(b'"');
    }
}

/// Ends the text before it.
fn decision(out: &mut Vec<u8>, record: &Record<'_>) {
    let notes = record.notes;
    if let Some(deployment) = &notes.deployment {
        ready!(out, "deployment", deployment.json());
    }
    if let Some(last) = notes.attempts.last() {
        ready!(out, "region", last.region.json());
        ready!(out, "endpoint", last.endpoint.json());
    }
    ready!(out, "reason", notes.reason);
    known!(out, "rule", record.text(notes.rule));
    out.push(b'"');
    if let Some(generation) = notes.generation {
        out.extend_from_slice(b",\"generation\":");
        digits::number(out, generation);
    }
    if let Some((first, others)) = notes.attempts.split_first() {
        out.extend_from_slice(b",\"attempts\":[");
        attempt(out, first);
        for other in others {
            out.push(b',');
            attempt(out, other);
        }
        out.push(b']');
    }
}

fn attempt(out: &mut Vec<u8>, attempt: &Attempt) {
    out.extend_from_slice(b"{\"region\":\"");
    out.extend_from_slice(attempt.region.json());
    out.extend_from_slice(b"\",\"endpoint\":\"");
    out.extend_from_slice(attempt.endpoint.json());
    out.extend_from_slice(b"\",\"outcome\":\"");
    out.extend_from_slice(attempt.outcome.as_bytes());
    out.push(b'"');
    if let Some(connect) = attempt.connect {
        out.extend_from_slice(b",\"connect_ms\":");
        digits::millis(out, connect);
    }
    if let Some(first_byte) = attempt.first_byte {
        out.extend_from_slice(b",\"first_byte_ms\":");
        digits::millis(out, first_byte);
    }
    out.push(b'}');
}

fn tls(out: &mut Vec<u8>, record: &Record<'_>) {
    let Some(secured) = record.ending.secured.filter(|secured| !secured.version.is_empty()) else {
        return;
    };
    out.extend_from_slice(b",\"tls\":{\"version\":\"");
    out.extend_from_slice(secured.version.as_bytes());
    ready!(out, "cipher", secured.cipher);
    known!(out, "sni", secured.sni);
    out.extend_from_slice(b"\"}");
}

fn headers(out: &mut Vec<u8>, record: &Record<'_>) {
    let mut opened = false;
    let names = &record.notes.sheet.settings.headers;
    for (name, span) in names.iter().zip(&record.notes.headers) {
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
