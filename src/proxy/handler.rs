//! A request, from its head to its answer: the table of contents of this module.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::header::EXPECT;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, Version, header};
use http_body::{Body, Frame};
use hyper::body::Incoming;

use super::body::{Progress, RequestBody, ResponseBody};
use super::context::{Connection, View};
use super::error::ErrorReason;
use super::expect::Gate;
use super::forward::{Forward, Routed};
use super::headers::{RequestId, prepare_request};
use super::present::Present;
use super::screen::{path, screen};
use super::ticket::Ticket;
use crate::geo;
use crate::model::{Client, Location, limits};
use crate::routing::{
    self, Conditions, Decision, Draws, Facts, NoTrace, Refusal, RefusalReason, Words,
};

/// Answers one request. Never fails: what goes wrong becomes an answer.
///
/// # Errors
///
/// None.
pub async fn handle(
    connection: Rc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let now = Instant::now();
    connection.watch.request_started(now);
    let ticket = Ticket::new(Rc::clone(&connection), now);
    let (mut parts, incoming) = request.into_parts();

    let present = Present::of(&parts.headers);
    let host = match screen(&parts, &present, connection.watch.take_ambiguous()) {
        Ok(host) => host,
        Err(reason) => {
            connection.worker.series.malformed.increment();
            return Ok(refuse(ticket, reason, None, true));
        }
    };
    let view = connection.worker.view();
    let trusted = view.snapshot.trust.trusts(connection.peer);
    let who = Identity::of(&parts.headers, &present, &view, &connection, trusted);
    let draws = Draws { entropy: connection.worker.entropy(), turn: 0 };
    let facts = who.facts(&parts.method, &host, path(&parts.uri), &parts.headers);
    let decided = decide(&view, &facts, draws);

    let version = parts.version;
    origin_form(&mut parts.uri, &mut parts.headers);
    let trust = &view.snapshot.trust;
    let id = prepare_request(&mut parts.headers, version, trusted, trust, &present, &connection);
    let (decision, draws) = match decided {
        Ok(decided) => decided,
        Err(refusal) => return Ok(refuse(ticket, reason(refusal), Some(&id), false)),
    };
    let expects = present.expect && version == Version::HTTP_11 && expects_continue(&parts.headers);
    let (body, progress, gate) = match receive(&connection, expects, incoming, now).await {
        Ok(body) => body,
        Err(reason) => {
            connection.worker.series.malformed.increment();
            return Ok(refuse(ticket, reason, Some(&id), true));
        }
    };
    parts.version = Version::HTTP_11;
    let request = Request::from_parts(parts, body);
    let hostless = host.is_empty();
    let routed = Routed { view, decision, draws, who, hostless };
    let mut forward = Forward::new(ticket, routed, id, progress, gate);
    let outcome = forward.run(request).await;
    Ok(forward.respond(outcome))
}

/// Who asks, and from where: the facts that outlive the request's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    client: Client,
    location: Location,
}

impl Identity {
    fn of(
        headers: &http::HeaderMap,
        present: &Present,
        view: &View,
        connection: &Connection,
        trusted: bool,
    ) -> Self {
        let trust = &view.snapshot.trust;
        let client = geo::client(connection.peer, headers, trust);
        let vouched = trusted && trust.country_headers.iter().any(|name| present.may_have(name));
        let location = geo::vouched(view.place(client.address), vouched, headers, trust);
        Self { client, location }
    }

    pub(super) fn facts<'a>(
        &'a self,
        method: &'a http::Method,
        host: &'a str,
        path: &'a str,
        headers: &'a http::HeaderMap,
    ) -> Facts<'a> {
        let Self { client, location } = *self;
        Facts {
            method,
            host,
            path,
            query: "",
            headers,
            client,
            location,
            geoip_built: None,
            tenant: None,
            now: 0,
            words: Words::default(),
        }
    }
}

/// Decides with the worker's next turn in that deployment.
fn decide(view: &View, facts: &Facts<'_>, draws: Draws) -> Result<(Decision, Draws), Refusal> {
    let table = &view.snapshot.table;
    let Some(index) = routing::deployment(table, facts.host, facts.path) else {
        let refusal = Refusal::NO_DEPLOYMENT;
        view.try_candidate(facts, &Conditions::NONE, draws, Err(&refusal));
        return Err(refusal);
    };
    let draws = Draws { turn: view.turn(index), ..draws };
    let decided = routing::decide_in(table, index, facts, &Conditions::NONE, draws, &mut NoTrace);
    view.try_candidate(facts, &Conditions::NONE, draws, decided.as_ref());
    Ok((decided?, draws))
}

fn reason(refusal: Refusal) -> ErrorReason {
    match refusal.why {
        RefusalReason::NoDeployment => ErrorReason::NoDeployment,
        _ => ErrorReason::NoHealthyRegion,
    }
}

type Received = (RequestBody, Option<Rc<Progress>>, Option<Gate>);

/// The body, with its first frame read when it is chunked: a client that frames it wrongly from
/// the start is refused before an origin hears of it.
async fn receive(
    connection: &Connection,
    expects: bool,
    mut incoming: Incoming,
    now: Instant,
) -> Result<Received, ErrorReason> {
    if incoming.is_end_stream() {
        return Ok((RequestBody::Empty, None, None));
    }
    if expects {
        let gate = Gate::default();
        let (body, progress) = RequestBody::stream(incoming, None, Some(gate.clone()), now);
        return Ok((body, Some(progress), Some(gate)));
    }
    let mut first = None;
    if incoming.size_hint().exact().is_none() {
        first = first_frame(connection, &mut incoming, now).await?;
        if first.is_none() {
            return Ok((RequestBody::Empty, None, None));
        }
    }
    let (body, progress) = RequestBody::stream(incoming, first, None, now);
    Ok((body, Some(progress), None))
}

fn expects_continue(headers: &http::HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

async fn first_frame(
    connection: &Connection,
    incoming: &mut Incoming,
    now: Instant,
) -> Result<Option<Frame<Bytes>>, ErrorReason> {
    let watch = &connection.watch;
    let deadline = now + limits::BODY_PROGRESS_TIMEOUT;
    let frame = poll_fn(|cx| match Pin::new(&mut *incoming).poll_frame(cx) {
        Poll::Ready(frame) => {
            watch.stop_waiting();
            Poll::Ready(frame.transpose().map_err(|_| ErrorReason::Malformed))
        }
        Poll::Pending if watch.passed(deadline) => Poll::Ready(Err(ErrorReason::RequestTimeout)),
        Poll::Pending => {
            watch.wait_until(deadline);
            Poll::Pending
        }
    });
    frame.await
}

/// What an origin server is sent: the path and query alone, and the authority as `Host`.
fn origin_form(uri: &mut Uri, headers: &mut http::HeaderMap) {
    let Some(authority) = uri.authority() else { return };
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        headers.insert(header::HOST, host);
    }
    let target = uri.path_and_query().cloned().filter(|target| target.as_str() != "");
    *uri = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
}

/// Rhumb's own answer.
pub(super) fn refuse(
    mut ticket: Ticket,
    reason: ErrorReason,
    id: Option<&RequestId>,
    close: bool,
) -> Response<ResponseBody> {
    ticket.answered(reason.status());
    let close = close || ticket.connection().watch.draining();
    let id = id.and_then(RequestId::as_str);
    reason.response(id, close).map(|body| ResponseBody::own(body, ticket))
}
