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

use super::body::{RequestBody, ResponseBody};
use super::context::{Connection, View};
use super::decide::{self, Decided};
use super::error::ErrorReason;
use super::expect::Gate;
use super::forward::{Forward, Replies, Routed};
use super::headers::{RHUMB_HOPS, RequestId, names_nothing, prepare_request};
use super::hops::pass;
use super::identify::{Asked, Identity};
use super::present::Present;
use super::respond::tell;
use super::said::Hearing;
use super::screen::screen;
use super::ticket::Ticket;
use crate::geo;
use crate::model::limits;
use crate::routing::{self, Draws, Refusal};

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

    let view = connection.worker.view();
    let config = &view.snapshot.config;
    let mut present = Present::of(&parts.headers);
    let ambiguous = connection.watch.take_ambiguous();
    let host = match screen(&mut parts, &mut present, config, ambiguous) {
        Ok(host) => host,
        Err(reason) => {
            connection.worker.series.malformed.increment();
            return Ok(refuse(ticket, reason, None, true));
        }
    };
    let snapshot = &view.snapshot;
    let trusted = snapshot.trust.trusts(connection.peer);
    let unix = connection.worker.unix(now);
    let mut who = identify(&parts.headers, &present, &view, &connection, trusted, unix);
    let draws = Draws { entropy: connection.worker.entropy(), turn: 0 };
    let asked = Asked::of(&parts, &host);
    let heard = Heard { present: &present, trusted, now };
    let (decided, draws) = decide(&connection, &view, &mut who, &asked, &heard, draws);
    let refused = |why| connection.worker.series.token_refused(why);
    let passed = pass(&parts.headers, &snapshot.hops, &snapshot.keys.signing, unix, refused);

    let version = parts.version;
    origin_form(&mut parts.uri, &mut parts.headers);
    let id = prepare_request(&mut parts.headers, version, trusted, config, &present, &connection);
    match passed {
        Ok(Some(onward)) => drop(parts.headers.insert(RHUMB_HOPS, onward)),
        Ok(None) => {}
        Err(way) => return Ok(looped(ticket, &way, &id)),
    }
    let decision = match decided.outcome {
        Ok(decision) => decision,
        Err(refusal) => return Ok(refuse_told(ticket, refusal, &id, decided.told.as_deref())),
    };
    let terms = view.terms(decision.deployment);
    if let Some(terms) = terms.filter(|terms| terms.gives_tokens) {
        terms.withhold(&mut parts.headers);
    }
    let expects = present.expect && version == Version::HTTP_11 && expects_continue(&parts.headers);
    let (mut body, mut replies) = match receive(&connection, &view, expects, incoming, now).await {
        Ok(received) => received,
        Err(reason) => {
            connection.worker.series.malformed.increment();
            return Ok(refuse(ticket, reason, Some(&id), true));
        }
    };
    if terms.is_some_and(|terms| terms.replays) {
        (body, replies.upload) = body.keep(now);
    }
    if present.lengths == 0 && !body.is_end_stream() {
        // Unless it is said, hyper sends no body of unknown length with a GET.
        parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    parts.version = Version::HTTP_11;
    let (hostless, told, method) = (host.is_empty(), decided.told, parts.method.clone());
    let request = Request::from_parts(parts, body);
    let routed = Routed { view, decision, draws, who, method, told, hostless };
    let mut forward = Forward::new(ticket, routed, id, replies);
    let outcome = forward.run(request).await;
    Ok(forward.respond(outcome))
}

/// Who asks, and from where.
fn identify(
    headers: &http::HeaderMap,
    present: &Present,
    view: &View,
    connection: &Connection,
    trusted: bool,
    unix: u64,
) -> Identity {
    let trust = &view.snapshot.trust;
    let client = geo::client(connection.peer, headers, trust);
    let vouched = trusted && trust.country_headers.iter().any(|name| present.may_have(name));
    let found = view.place(client.address);
    let location = geo::vouched(found.location, vouched, headers, trust);
    Identity::new(client, location, found.built, unix)
}

/// How a request came in.
struct Heard<'a> {
    present: &'a Present,
    trusted: bool,
    now: Instant,
}

/// Finds the deployment, listens to what the request says on its terms, and decides with the
/// worker's next turn there.
fn decide(
    connection: &Connection,
    view: &View,
    who: &mut Identity,
    asked: &Asked<'_>,
    heard: &Heard<'_>,
    draws: Draws,
) -> (Decided, Draws) {
    let Heard { present, trusted, now } = *heard;
    let table = &view.snapshot.table;
    let Some(index) = routing::deployment(table, asked.host, asked.path) else {
        return (decide::nowhere(view, who, asked, draws), draws);
    };
    if let (Some(terms), Some(deployment)) = (view.terms(index), table.plan.deployment(index)) {
        who.keep(terms, asked.headers, || present.connection && !names_nothing(asked.headers));
        if terms.listens || present.word {
            let settings = &deployment.settings;
            let refused = |why| connection.worker.series.token_refused(why);
            let (keys, unix) = (&view.snapshot.keys.signing, who.moment());
            let hearing =
                Hearing { deployment: settings, keys, trusted, now: unix, refused: &refused };
            who.hear(&hearing, asked, |token, source| {
                let set = view.snapshot.keys.set(source)?;
                let verify = || set.verify(token, source, unix);
                let known = view.claims.borrow_mut().find(index, token, unix, verify);
                known.inspect_err(|why| refused(*why)).ok()
            });
        }
    }
    let draws = Draws { turn: view.turn(index), ..draws };
    (decide::decide(view, &connection.worker, index, who, asked, (draws, now)), draws)
}

type Received = (RequestBody, Replies);

/// The body, with its first frame read when it is chunked: a client that frames it wrongly from
/// the start is refused before an origin hears of it.
async fn receive(
    connection: &Connection,
    view: &Rc<View>,
    expects: bool,
    mut incoming: Incoming,
    now: Instant,
) -> Result<Received, ErrorReason> {
    if incoming.is_end_stream() {
        return Ok((RequestBody::Empty, Replies::default()));
    }
    if expects {
        let gate = Gate::default();
        let (body, progress) = RequestBody::stream(incoming, None, Some(gate.clone()), view, now);
        return Ok((body, Replies { progress: Some(progress), gate: Some(gate), upload: None }));
    }
    let mut first = None;
    if incoming.size_hint().exact().is_none() {
        first = first_frame(connection, &mut incoming, now).await?;
        if first.is_none() {
            return Ok((RequestBody::Empty, Replies::default()));
        }
    }
    let (body, progress) = RequestBody::stream(incoming, first, None, view, now);
    Ok((body, Replies { progress: Some(progress), ..Replies::default() }))
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
    // Where there was only a fragment, `http` keeps an empty path that says it is `/`.
    let target = uri.path_and_query().cloned().filter(|target| target.as_str() != "/");
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

/// A decision's refusal, with the decision in words for whoever may see it.
fn refuse_told(
    ticket: Ticket,
    refusal: Refusal,
    id: &RequestId,
    told: Option<&str>,
) -> Response<ResponseBody> {
    let mut response = refuse(ticket, refusal.why.into(), Some(id), false);
    if let Some(line) = told {
        tell(response.headers_mut(), line, None);
    }
    response
}

/// The answer to a request that goes round in circles.
fn looped(mut ticket: Ticket, way: &[String], id: &RequestId) -> Response<ResponseBody> {
    ticket.answered(ErrorReason::LoopDetected.status());
    let close = ticket.connection().watch.draining();
    ErrorReason::looped(id.as_str(), way, close).map(|body| ResponseBody::own(body, ticket))
}
