//! The answer to the client: an origin's with Rhumb's words added to it, or Rhumb's own.

use http::{HeaderMap, Response, StatusCode, header};

use super::body::ResponseBody;
use super::error::ErrorReason;
use super::forward::{Forward, Outcome};
use super::given::Answered;
use super::handler::refuse;
use super::headers::{X_RHUMB_DECISION, prepare_response};
use super::told;

impl Forward {
    /// The answer to the client.
    pub(super) fn respond(mut self, outcome: Outcome) -> Response<ResponseBody> {
        let (response, exchange) = match outcome {
            Ok(done) => done,
            Err(reason) => return self.fail(reason),
        };
        let (mut parts, incoming) = response.into_parts();
        self.ticket.answered(parts.status.as_u16());
        prepare_response(&mut parts.headers, parts.version, exchange.present);
        self.give_tokens(&mut parts.headers, parts.status);
        if let Some(line) = &self.routed.told {
            tell(&mut parts.headers, line, self.answered_by());
        }
        // What is left of an upload that nobody waits for would stand before the next request.
        let unread = exchange.request.as_ref().is_some_and(|request| !request.finished());
        if unread || self.ticket.connection().watch.draining() {
            parts.headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        }
        parts.version = http::Version::HTTP_11;
        Response::from_parts(parts, ResponseBody::origin(incoming, exchange, self.ticket))
    }

    fn fail(self, reason: ErrorReason) -> Response<ResponseBody> {
        let close = self.replies.progress.is_some_and(|progress| !progress.finished());
        let mut response = refuse(self.ticket, reason, Some(&self.id), close);
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
            now: self.routed.who.moment(),
        };
        answered.give(headers);
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
