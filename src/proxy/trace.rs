//! A request's place in a trace: the headers that say so, and notes for the span of a request that is
//! recorded.
//!
//! Without `tracing` in the configuration the headers of clients are passed on as they are. What the
//! headers mean is `traces`' business.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::Instant;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};

use super::connection::Connection;
use super::headers::RequestId;
use super::present::Present;
use super::target::path;
use super::ticket::Ticket;
use super::view::View;
use crate::model::limits::{TRACE_TEXT_BYTES, TRACESTATE_BYTES};
use crate::routing::{Decision, Refusal, Table};
use crate::traces::{
    AttemptSpan, Begun, DecisionNote, Outlet, RequestNote, RequestSpan, State, TraceContext, begin,
    passed_on,
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What is known of a request's trace.
#[derive(Debug, Default)]
pub(super) struct Traced {
    /// What is noted, if it is recorded: apart, so that the others have no room for it.
    record: Option<Box<RefCell<RequestSpan>>>,
}

impl Traced {
    /// Notes something about the request, if it is recorded.
    #[inline]
    pub(super) fn note(&self, note: impl FnOnce(&mut RequestSpan)) {
        if let Some(Ok(mut record)) = self.record.as_ref().map(|record| record.try_borrow_mut()) {
            note(&mut record);
        }
    }

    /// Notes something about the attempt that is under way.
    #[inline]
    pub(super) fn note_attempt(&self, note: impl FnOnce(&mut AttemptSpan)) {
        self.note(|record| {
            if let Some(attempt) = record.last_attempt() {
                note(attempt);
            }
        });
    }

    /// Notes what was decided.
    pub(super) fn note_decision(&self, table: &Table, outcome: Result<&Decision, &Refusal>) {
        self.note(|record| record.decision = decision(table, outcome));
    }

    /// Notes that an attempt begins.
    #[inline]
    pub(super) fn attempt(&self, attempt: impl FnOnce() -> Option<AttemptSpan>) {
        self.note(|record| {
            if let Some(attempt) = attempt() {
                record.attempt(attempt);
            }
        });
    }

    /// Tells an origin that it works for the attempt under way. Of a request that is not recorded,
    /// every origin is told the same.
    #[inline]
    pub(super) fn tell_origin(&self, headers: &mut HeaderMap) {
        self.note(|record| {
            let context = record.begun.context;
            if let Some(AttemptSpan { span, .. }) = record.last_attempt() {
                say(headers, TraceContext { span: *span, ..context });
            }
        });
    }

    /// Notes that the head of the response to an attempt is there.
    #[inline]
    pub(super) fn answered<B>(&self, response: &Response<B>, started: Instant) {
        self.note_attempt(|attempt| {
            attempt.first_byte = Some(started.elapsed());
            attempt.answer = Some((response.status().as_u16(), response.version()));
        });
    }

    /// Notes that the attempt under way has failed.
    pub(super) fn failed(&self, why: &'static str) {
        self.note_attempt(|attempt| {
            attempt.ended = Some(Instant::now());
            attempt.error = Some(why);
        });
    }

    /// The request has ended; tells the exporter, or how many spans are lost.
    pub(super) fn end(&mut self, now: Instant, outlet: &Outlet) -> Result<(), u64> {
        let Some(record) = self.record.take() else { return Ok(()) };
        let mut record = Box::new(record.into_inner());
        record.ended = now;
        outlet.send(record)
    }
}

/// Takes part in the trace of a request, or starts one, if the configuration says so. Of the head, what
/// is between two hops has gone.
pub(super) fn take_part(
    ticket: &mut Ticket,
    parts: &mut Parts,
    present: &Present,
    (view, trusted): (&View, bool),
    (client, id): (IpAddr, &RequestId),
) {
    let Some(settings) = &view.snapshot.config.tracing else { return };
    let worker = &ticket.connection().worker;
    let entropy = [worker.entropy() ^ worker.traces.salt(), worker.entropy(), worker.entropy()];
    let received = if present.traceparent { received(&parts.headers) } else { None };
    let begun = begin(settings, received, trusted, entropy);
    say(&mut parts.headers, begun.context);
    let state = if present.tracestate { pass_on(&mut parts.headers, &begun) } else { None };
    ticket.note(|entry| entry.trace_id(begun.context.trace.to_string().as_bytes()));
    if begun.is_sampled() {
        let state = state.as_ref().and_then(|state| copied(state, TRACESTATE_BYTES));
        let request = asked(parts, ticket.connection(), client, id);
        let record = RequestSpan::new(begun, state, ticket.started(), request);
        ticket.trace.record = Some(Box::new(RefCell::new(record)));
    }
}

/// What the client says of its trace; more than one line says nothing.
fn received(headers: &HeaderMap) -> Option<TraceContext> {
    let mut lines = headers.get_all(TRACEPARENT).iter();
    let line = lines.next().filter(|_| lines.next().is_none())?;
    TraceContext::parse(line.as_bytes())
}

fn say(headers: &mut HeaderMap, context: TraceContext) {
    if let Ok(value) = HeaderValue::from_bytes(&context.to_bytes()) {
        headers.insert(TRACEPARENT, value);
    }
}

/// The state goes on with its trace, and with no other one.
fn pass_on(headers: &mut HeaderMap, begun: &Begun) -> Option<HeaderValue> {
    let state = match begun.parent {
        Some(_) => passed_on(headers.get_all(TRACESTATE).iter().map(HeaderValue::as_bytes)),
        None => State::Nothing,
    };
    let other = match state {
        State::Same => return headers.get(TRACESTATE).cloned(),
        State::Other(value) => HeaderValue::from_maybe_shared(bytes::Bytes::from(value)).ok(),
        State::Nothing => None,
    };
    match other.clone() {
        Some(value) => drop(headers.insert(TRACESTATE, value)),
        None => drop(headers.remove(TRACESTATE)),
    }
    other
}

/// The beginning of a value, in memory of its own: another handle on it would keep all of the head
/// that it came in for as long as the record waits.
fn copied(value: &HeaderValue, most: usize) -> Option<HeaderValue> {
    let bytes = value.as_bytes();
    HeaderValue::from_bytes(bytes.get(..most).unwrap_or(bytes)).ok()
}

fn asked(parts: &Parts, connection: &Connection, client: IpAddr, id: &RequestId) -> RequestNote {
    let path = path(&parts.uri);
    let path = path.get(..path.floor_char_boundary(TRACE_TEXT_BYTES)).unwrap_or(path);
    let value = |name| copied(parts.headers.get(name)?, TRACE_TEXT_BYTES);
    let method = parts.method.as_str().as_bytes();
    let method = method.get(..TRACE_TEXT_BYTES).and_then(|cut| Method::from_bytes(cut).ok());
    RequestNote {
        method: method.unwrap_or_else(|| parts.method.clone()),
        host: value(header::HOST),
        path: path.into(),
        secure: connection.secure(),
        version: parts.version,
        client,
        peer: connection.peer.source,
        user_agent: value(header::USER_AGENT),
        id: id.as_str().map(Into::into),
    }
}

fn decision(table: &Table, outcome: Result<&Decision, &Refusal>) -> Option<DecisionNote> {
    let (deployment, reason) = match outcome {
        Ok(decision) => (decision.deployment, decision.reason.as_str()),
        Err(refusal) => (refusal.deployment?, refusal.why.as_str()),
    };
    let deployment = table.plan.deployment(deployment)?;
    let decision = outcome.ok();
    let region = decision.and_then(|decision| deployment.region(*decision.order.first()?));
    let rule = decision.and_then(|decision| deployment.rule(decision.rule?));
    Some(DecisionNote {
        deployment: deployment.name.clone(),
        region: region.map(|region| region.id.clone()),
        reason,
        rule: rule.map(|rule| rule.id.clone()),
        generation: table.generation,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn what_waits_to_be_sent_keeps_nothing_of_the_head_it_came_in() {
        let head = Bytes::from(vec![b'a'; 8_000]);
        let value = HeaderValue::from_maybe_shared(head.slice(..5_000)).unwrap();
        let copy = copied(&value, 1_024).unwrap();
        assert_eq!(copy.as_bytes(), &head[..1_024]);
        assert_eq!(copied(&value, 5_000).unwrap(), value);
        drop(value);
        assert!(head.is_unique(), "something of it is kept");
        drop(copy);
    }
}
