//! What a worker has learned of a request so far.
//!
//! Texts are copied into one buffer, because a request's head, the table that decided and the pools
//! must not live as long as the slowest client takes. Entries are used again, so that once a worker
//! is warm nothing is allocated.

use std::hash::Hasher;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Version};
use xxhash_rust::xxh3::Xxh3Default;

use super::digits;
use super::logger::{Ending, Sheet};
use super::moment::Moments;
use super::name::Name;
use super::record::{Attempt, Record};
use super::redact;
use super::text::{Span, Text};
use crate::model::Country;
use crate::model::limits::ACCESS_LOG_ATTEMPTS;

/// Before anybody knows how an attempt ends; it stays where the client leaves.
const UNDER_WAY: &str = "abandoned";

/// The notes on one request.
#[derive(Debug)]
pub struct Entry {
    pub(super) sheet: Rc<Sheet>,
    unix_millis: u64,
    pub(super) text: Text,
    pub(super) id: Span,
    pub(super) trace_id: Span,
    pub(super) client: Span,
    pub(super) country: Option<Country>,
    pub(super) deployment: Option<Rc<Name>>,
    pub(super) rule: Span,
    pub(super) method: Span,
    pub(super) host: Span,
    pub(super) path: Span,
    pub(super) query: Span,
    pub(super) headers: Vec<Option<Span>>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) tried: u32,
    pub(super) protocol: &'static str,
    pub(super) reason: &'static str,
    pub(super) error: &'static str,
    pub(super) cut: &'static str,
    pub(super) generation: Option<u64>,
    pub(super) tenant_hash: Option<u64>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Its method.
    pub method: &'a str,
    /// The host that it is for, if one is known.
    pub host: &'a str,
    /// Its path.
    pub path: &'a str,
    /// Its query, without the `?`.
    pub query: &'a str,
    /// The version of HTTP in which it came.
    pub version: Version,
    /// Its fields.
    pub headers: &'a HeaderMap,
}

/// What a TLS handshake has agreed on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Secured<'a> {
    /// The version of TLS.
    pub version: &'a str,
    /// The cipher suite.
    pub cipher: &'a str,
    /// The name that the client asked for.
    pub sni: &'a str,
}

impl Entry {
    /// Of a request that came at that moment, in milliseconds since 1970.
    pub(super) fn new(sheet: Rc<Sheet>, unix_millis: u64) -> Self {
        Self {
            sheet,
            unix_millis,
            text: Text::default(),
            id: Span::default(),
            trace_id: Span::default(),
            client: Span::default(),
            country: None,
            deployment: None,
            rule: Span::default(),
            method: Span::default(),
            host: Span::default(),
            path: Span::default(),
            query: Span::default(),
            headers: Vec::new(),
            attempts: Vec::new(),
            tried: 0,
            protocol: "",
            reason: "",
            error: "",
            cut: "",
            generation: None,
            tenant_hash: None,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// Makes it one of another request, in the room that it has.
    pub(super) fn renew(&mut self, sheet: &Rc<Sheet>, unix_millis: u64) {
        let (mut text, mut headers, mut attempts) = (
            std::mem::take(&mut self.text),
            std::mem::take(&mut self.headers),
            std::mem::take(&mut self.attempts),
        );
        text.clear();
        headers.clear();
        attempts.clear();
        *self = Self { text, headers, attempts, ..Self::new(Rc::clone(sheet), unix_millis) };
    }

    /// Bytes that it keeps while it is used by nobody.
    pub(super) fn room(&self) -> usize {
        self.text.room()
    }

    /// The request's head, as far as it may be logged.
    pub fn head(&mut self, head: &Head<'_>) {
        self.method = self.text.keep(head.method.as_bytes());
        self.host = self.text.keep(head.host.as_bytes());
        self.path = self.text.keep(head.path.as_bytes());
        let sheet = Rc::clone(&self.sheet);
        let logged = sheet.settings.query;
        if !head.query.is_empty() {
            self.query =
                self.text.keep_with(|out| redact::query(out, head.query.as_bytes(), logged));
        }
        self.protocol = match head.version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2",
            Version::HTTP_3 => "HTTP/3",
            _ => "HTTP/1.1",
        };
        self.headers.clear();
        for (name, rule) in sheet.settings.headers.iter().zip(&sheet.rules) {
            let mut values = head.headers.get_all(name).iter().map(HeaderValue::as_bytes);
            let span = values.next().map(|first| {
                self.text.keep_with(|out| {
                    rule.apply(out, first, logged);
                    for value in values {
                        out.extend_from_slice(b", ");
                        rule.apply(out, value, logged);
                    }
                })
            });
            self.headers.push(span);
        }
    }

    /// The id under which all logs know it.
    pub fn id(&mut self, id: &[u8]) {
        self.id = self.text.keep(id);
    }

    /// The trace that it belongs to.
    pub fn trace_id(&mut self, id: &[u8]) {
        self.trace_id = self.text.keep(id);
    }

    /// Who asks, if that is not the connection's other end.
    pub fn client(&mut self, address: IpAddr) {
        self.client = match address {
            IpAddr::V4(address) => self.text.keep_with(|out| digits::address(out, address)),
            IpAddr::V6(address) => self.text.keep_display(address),
        };
    }

    /// From where.
    pub fn country(&mut self, country: Option<Country>) {
        self.country = country;
    }

    /// On whose behalf. Only a hash is kept, which tells tenants apart.
    pub fn tenant(&mut self, name: &str) {
        let mut hasher = Xxh3Default::new();
        hasher.update(name.as_bytes());
        self.tenant_hash = Some(hasher.finish());
    }

    /// The deployment that answers.
    pub fn deployment(&mut self, name: Rc<Name>) {
        self.deployment = Some(name);
    }

    /// What was decided, and by which table.
    pub fn decided(&mut self, reason: &'static str, rule: Option<&str>, generation: u64) {
        self.reason = reason;
        self.rule = rule.map(|rule| self.text.keep(rule.as_bytes())).unwrap_or_default();
        self.generation = Some(generation);
    }

    /// An attempt begins.
    pub fn attempt(&mut self, region: Rc<Name>, endpoint: Rc<Name>) {
        self.tried = self.tried.saturating_add(1);
        if self.attempts.len() >= ACCESS_LOG_ATTEMPTS {
            // The last one is the one that matters.
            self.attempts.pop();
        }
        // Most requests need no second one, and many are under way at once.
        self.attempts.reserve_exact(1);
        self.attempts.push(Attempt {
            region,
            endpoint,
            connect: None,
            first_byte: None,
            outcome: UNDER_WAY,
        });
    }

    /// The attempt needed a new connection, which took so long to make.
    pub fn connected(&mut self, took: Duration) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.connect = Some(took);
        }
    }

    /// The attempt has ended; `first_byte`: after so long the head of a response was there.
    pub fn attempt_ended(&mut self, outcome: &'static str, first_byte: Option<Duration>) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.outcome = outcome;
            attempt.first_byte = first_byte.or(attempt.first_byte);
        }
    }

    /// Rhumb answers itself.
    pub fn refused(&mut self, error: &'static str) {
        self.error = error;
    }

    /// The response has ended before its end; the first reason counts.
    pub fn cut(&mut self, why: &'static str) {
        if self.cut.is_empty() {
            self.cut = why;
        }
    }

    /// So many bytes of the request's body have come.
    pub fn received(&mut self, bytes: u64) {
        self.bytes_in = bytes;
    }

    /// So many bytes more of the response's body have been handed to the connection.
    pub fn sent(&mut self, bytes: u64) {
        self.bytes_out = self.bytes_out.saturating_add(bytes);
    }

    /// Whether it is logged whatever the sample.
    pub(super) fn matters(&self, status: u16) -> bool {
        !self.error.is_empty() || status >= 500
    }

    pub(super) fn record<'a>(&'a self, ending: &'a Ending<'a>, moments: &Moments) -> Record<'a> {
        Record { notes: self, ending, time: moments.text(self.unix_millis) }
    }
}
