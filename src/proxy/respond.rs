//! The answer to the client: an origin's with Rhumb's words added to it, or Rhumb's own.

use std::rc::Rc;

use bytes::Bytes;
use http::header::{CONNECTION, STRICT_TRANSPORT_SECURITY};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;

use super::answer::{Exchange, ResponseBody};
use super::error::ErrorReason;
use super::forward::{Answer, Forward, Outcome};
use super::given::Answered;
use super::grpc;
use super::headers::{RequestId, X_RHUMB_DECISION, prepare_response};
use super::peer::Peer;
use super::present::Present;
use super::shed;
use super::ticket::Ticket;
use super::told;
use super::tunnel::Tunnel;
use super::upgrade::Wish;
use crate::model::{Shed, limits};

impl Forward {
    /// The answer to the client.
    pub(super) fn respond(mut self: Box<Self>, outcome: Outcome) -> Response<ResponseBody> {
        let Answer { response, exchange } = match outcome {
            Ok(answer) => answer,
            Err(reason) => return self.fail(reason),
        };
        if let Some(wish) = self.routed.upgrade.take()
            && response.status() == StatusCode::SWITCHING_PROTOCOLS
        {
            return self.change(wish, response, exchange);
        }
        let (mut parts, incoming) = response.into_parts();
        self.ticket.answered(parts.status.as_u16());
        self.prepare(&mut parts, exchange.present);
        // What is left of an upload that nobody waits for would stand before the next request.
        let unread = exchange.request.as_ref().is_some_and(|request| !request.finished());
        if unread || self.ticket.connection().watch.draining() {
            parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let compressed = match &self.routed.compression {
            None => None,
            Some(asked) => self.compress(asked, &mut parts, incoming.is_end_stream()),
        };
        let version = std::mem::replace(&mut parts.version, Version::HTTP_11);
        let mut body = ResponseBody::origin(incoming, version, exchange, self.ticket);
        if let Some(stream) = compressed {
            body = body.compressed(stream);
        }
        Response::from_parts(parts, body)
    }

    /// Makes the origin's head the client's.
    fn prepare(&self, parts: &mut http::response::Parts, present: Present) {
        prepare_response(&mut parts.headers, parts.version, present);
        self.give_tokens(&mut parts.headers, parts.status);
        if let Some(line) = &self.routed.told {
            tell(&mut parts.headers, line, self.answered_by());
        }
    }

    /// Both have agreed: what is left of the connection, or of the stream, is a tunnel.
    fn change(
        mut self: Box<Self>,
        wish: Wish,
        mut response: Response<Incoming>,
        exchange: Exchange,
    ) -> Response<ResponseBody> {
        let origin = hyper::upgrade::on(&mut response);
        let (mut parts, _) = response.into_parts();
        self.prepare(&mut parts, exchange.present);
        wish.grant(&mut parts);
        parts.version = Version::HTTP_11;
        self.ticket.answered(parts.status.as_u16());
        let idle = self.settings().map_or(limits::STREAM_IDLE_TIMEOUT, |s| s.streams.idle);
        let connection = Rc::clone(self.ticket.connection());
        let Exchange { mut lease, in_flight, .. } = exchange;
        lease.upgraded();
        let websocket = wish.is_websocket();
        let tunnel = Tunnel::new((origin, websocket), idle, self.ticket, in_flight, lease);
        match wish {
            Wish::Connection(_) => connection.become_tunnel(tunnel),
            Wish::Stream { client, .. } => drop(spawn_local(async move {
                match client.await {
                    Ok(client) => tunnel.run(TokioIo::new(client), Bytes::new()).await,
                    Err(error) => tracing::debug!(%error, "the client left before its tunnel"),
                }
            })),
        }
        Response::from_parts(parts, ResponseBody::none())
    }

    fn fail(self: Box<Self>, reason: ErrorReason) -> Response<ResponseBody> {
        if let Some(progress) = &self.replies.progress {
            self.ticket.note(|entry| entry.received(progress.bytes()));
        }
        let close = self.replies.progress.is_some_and(|progress| !progress.finished());
        let mut response = match reason {
            ErrorReason::Overloaded => {
                let why = if self.short { Shed::Descriptors } else { Shed::Capacity };
                shed::refuse(self.ticket, why, Some(&self.id), close)
            }
            reason => refuse(self.ticket, reason, Some(&self.id), close),
        };
        if let Some(line) = &self.routed.told {
            tell(response.headers_mut(), line, None);
        }
        response
    }

    /// The region that answered.
    fn answered_by(&self) -> Option<&str> {
        self.region(self.answered?)
    }

    fn give_tokens(&self, headers: &mut HeaderMap, status: StatusCode) {
        let snapshot = &self.routed.view.snapshot;
        let terms = self.routed.view.terms(self.routed.decision.deployment);
        let Some(terms) = terms.filter(|terms| terms.gives_tokens) else { return };
        terms.withdraw(headers);
        let (Some(deployment), Some(region)) = (self.settings(), self.answered_by()) else {
            return;
        };
        let answered = Answered {
            deployment,
            keys: &snapshot.keys.signing,
            said: self.routed.who.said.as_deref(),
            decision: &self.routed.decision,
            region,
            method: &self.routed.method,
            status,
            secure: self.ticket.connection().secure(),
            now: self.routed.who.moment(),
        };
        answered.give(headers);
    }
}

/// Rhumb's own answer, in the protocol that the client speaks; `close` ends an HTTP/1.1 connection
/// after it.
pub(super) fn refuse(
    ticket: Ticket,
    reason: ErrorReason,
    id: Option<&RequestId>,
    close: bool,
) -> Response<ResponseBody> {
    refuse_with(ticket, reason, id, &[], close)
}

/// The same to a request that goes round in circles, with its way.
pub(super) fn refuse_with(
    mut ticket: Ticket,
    reason: ErrorReason,
    id: Option<&RequestId>,
    way: &[String],
    close: bool,
) -> Response<ResponseBody> {
    let close = close || ticket.connection().watch.draining();
    let mut response = reason.response_to(id.and_then(RequestId::as_str), way, close);
    if reason == ErrorReason::Overloaded {
        shed::say_when(response.headers_mut(), &ticket.connection().worker);
    }
    // Counted as what it is, also where the client is told in another way.
    ticket.answered(reason.status());
    ticket.trace.note(|record| record.error = Some(reason.as_str()));
    ticket.note(|entry| entry.refused(reason.as_str()));
    if ticket.grpc() {
        response = grpc::translate(response, reason);
    }
    response.map(|body| ResponseBody::own(body, ticket))
}

/// What every answer of a connection has or has not, whoever gave it.
pub(super) fn finish(peer: &Peer, version: Version, response: &mut Response<ResponseBody>) {
    let headers = response.headers_mut();
    if version == Version::HTTP_2 {
        // Connections of HTTP/2 are not ended by an answer.
        headers.remove(CONNECTION);
    }
    // An origin's own passes over clear text as well: there may be TLS in front of Rhumb.
    if let Some(hsts) = peer.own_hsts() {
        headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
}

/// Tells the decision to whoever may see it, and who answered in the end.
pub(super) fn tell(headers: &mut HeaderMap, line: &str, answered: Option<&str>) {
    let value = match answered {
        Some(region) => told::header(&format!("answered={region} {line}")),
        None => told::header(line),
    };
    if let Some(value) = value {
        headers.insert(X_RHUMB_DECISION, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::peer::Secure;
    use super::*;

    #[test]
    fn every_answer_says_what_its_connection_wants_said() {
        let hsts = "max-age=31536000; includeSubDomains";
        let address = ([127, 0, 0, 1], 80).into();
        let mut peer = Peer::new(address, address);
        peer.hsts = Some(HeaderValue::from_static(hsts));
        let finished = |peer: &Peer, version| {
            let mut response = Response::new(ResponseBody::none());
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
                .headers_mut()
                .append(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=1"));
            finish(peer, version, &mut response);
            let of = |name| response.headers().get_all(name).iter().cloned().collect::<Vec<_>>();
            (of(CONNECTION), of(STRICT_TRANSPORT_SECURITY))
        };
        let clear = finished(&peer, Version::HTTP_11);
        assert_eq!(
            (clear.0, clear.1),
            (vec!["close".parse().unwrap()], vec!["max-age=1".parse().unwrap()])
        );
        peer.secure = Some(Secure::default());
        let (connection, said) = finished(&peer, Version::HTTP_2);
        assert_eq!((connection, said), (vec![], vec![hsts.parse().unwrap()]));
        peer.hsts = None;
        assert_eq!(finished(&peer, Version::HTTP_2).1, ["max-age=1"]);
    }
}
