//! A request, from its head to its answer: the table of contents of this module.

use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use http::header::EXPECT;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::answer::ResponseBody;
use super::body::{RequestBody, StreamedBody};
use super::context::{Connection, View};
use super::decide::{self, Decided};
use super::error::ErrorReason;
use super::expect::Gate;
use super::forward::{Forward, Replies, Routed};
use super::grpc;
use super::headers::{RHUMB_HOPS, RequestId, names_nothing, prepare_request};
use super::hops::pass;
use super::identify::{Asked, Identity};
use super::present::Present;
use super::redirect;
use super::respond::{finish, refuse, refuse_with, tell};
use super::said::Hearing;
use super::screen::screen;
use super::ticket::Ticket;
use super::upgrade::{self, Wish};
use crate::config::{Deployment, GrpcStatuses};
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
    let (peer, version) = (Rc::clone(&connection.peer), request.version());
    let mut response = answer(connection, request).await;
    finish(&peer, version, &mut response);
    Ok(response)
}

async fn answer(connection: Rc<Connection>, request: Request<Incoming>) -> Response<ResponseBody> {
    let now = Instant::now();
    connection.watch.request_started(now);
    let (mut parts, incoming) = request.into_parts();
    let call = grpc::is_call(&parts.method, &parts.headers);
    let ticket = Ticket::new(Rc::clone(&connection), now, call);

    let stream = match upgrade::extended_connect(&mut parts) {
        Ok(stream) => stream,
        Err(reason) => return refuse(ticket, reason, None, true),
    };
    let view = connection.worker.view();
    let config = &view.snapshot.config;
    let mut present = Present::of(&parts.headers);
    let ambiguous = connection.watch.take_ambiguous();
    let host = match screen(&mut parts, &mut present, config, ambiguous) {
        Ok(host) => host,
        Err(reason) => {
            connection.worker.series.malformed.increment();
            return refuse(ticket, reason, None, true);
        }
    };
    if let Some(redirect) = connection.peer.redirect {
        let close = !incoming.is_end_stream() || connection.watch.draining();
        return match redirect::answer(redirect, &host, &parts.uri, close) {
            Ok(answer) => own(ticket, answer),
            Err(reason) => refuse(ticket, reason, None, true),
        };
    }
    let snapshot = &view.snapshot;
    let trusted = snapshot.trust.trusts(connection.peer.address());
    let unix = connection.worker.unix(now);
    let mut who = identify(&parts.headers, &present, &view, &connection, trusted, unix);
    let draws = Draws { entropy: connection.worker.entropy(), turn: 0 };
    let asked = Asked::of(&parts, &host);
    let heard = Heard { present: &present, trusted, now };
    let (decided, draws) = decide(&connection, &view, &mut who, &asked, &heard, draws);
    let refused = |why| connection.worker.series.token_refused(why);
    let passed = pass(&parts.headers, &snapshot.hops, &snapshot.keys.signing, unix, refused);

    let version = parts.version;
    let offer = match present.rare_hop {
        true => upgrade::offered(&parts, !incoming.is_end_stream()),
        false => None,
    };
    origin_form(&mut parts.uri, &mut parts.headers);
    let id = prepare_request(&mut parts.headers, version, trusted, config, &present, &connection);
    match passed {
        Ok(Some(onward)) => drop(parts.headers.insert(RHUMB_HOPS, onward)),
        Ok(None) => {}
        Err(way) => {
            return refuse_with(ticket, ErrorReason::LoopDetected, Some(&id), &way, false);
        }
    }
    let decision = match decided.outcome {
        Ok(decision) => decision,
        Err(refusal) => return refuse_told(ticket, refusal, &id, decided.told.as_deref()),
    };
    let terms = view.terms(decision.deployment);
    if let Some(terms) = terms.filter(|terms| terms.gives_tokens) {
        terms.withhold(&mut parts.headers);
    }
    let plan = snapshot.table.plan.deployment(decision.deployment);
    let settings = plan.map(|plan| &*plan.settings);
    let Ok(upgrade) = wished(&connection, settings, (offer, stream), &mut parts) else {
        return refuse(ticket, ErrorReason::NotImplemented, Some(&id), true);
    };
    let expects = present.expect && version == Version::HTTP_11 && expects_continue(&parts.headers);
    let most = settings.and_then(|settings| settings.streams.max_body_bytes);
    let arriving = Arriving { incoming, version, expects, most, now };
    let (mut body, mut replies) = match arriving.receive(&connection, &view).await {
        Ok(received) => received,
        Err(reason) => {
            if reason != ErrorReason::BodyTooLarge {
                connection.worker.series.malformed.increment();
            }
            return refuse(ticket, reason, Some(&id), true);
        }
    };
    if terms.is_some_and(|terms| terms.replays) || call && settings.is_some_and(retries_calls) {
        (body, replies.upload) = body.keep(now);
    }
    if present.lengths == 0 && !body.is_end_stream() {
        // Unless it is said, hyper sends no body of unknown length with a GET.
        parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    parts.version = Version::HTTP_11;
    let (hostless, told, method) = (host.is_empty(), decided.told, parts.method.clone());
    let given = if call { grpc::timeout(&parts.headers) } else { None };
    let request = Request::from_parts(parts, body);
    let routed = Routed { view, decision, draws, who, method, told, hostless, upgrade, given };
    let mut forward = Forward::new(ticket, routed, id, replies);
    let outcome = forward.run(request).await;
    forward.respond(outcome)
}

/// What the request may have its connection become: an offer that may not be passed on is left out.
///
/// # Errors
///
/// When the client has asked for nothing else.
fn wished(
    connection: &Connection,
    settings: Option<&Deployment>,
    (offer, stream): (Option<HeaderValue>, Option<OnUpgrade>),
    parts: &mut Parts,
) -> Result<Option<Wish>, ()> {
    let allowed = settings.map_or(&[][..], |settings| &settings.streams.upgrades);
    let wish = match stream {
        Some(stream) => {
            let nonce = [connection.worker.entropy(), connection.worker.entropy()];
            let wish = Wish::stream(stream, allowed, nonce, &mut parts.headers);
            Some(wish.ok_or(())?)
        }
        None => offer.filter(|offer| upgrade::is_allowed(offer, allowed)).map(Wish::Connection),
    };
    if let Some(wish) = &wish {
        wish.ask(&mut parts.headers);
    }
    Ok(wish)
}

/// Whether calls that nobody has worked on are made again.
fn retries_calls(settings: &Deployment) -> bool {
    settings.retries.attempts > 0 && settings.retries.grpc_statuses != GrpcStatuses::NONE
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
    let client = geo::client(connection.peer.address(), headers, trust);
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

/// A body that is about to come.
struct Arriving {
    incoming: Incoming,
    version: Version,
    /// Whether the client waits to be asked for it.
    expects: bool,
    /// Bytes that it may have.
    most: Option<u64>,
    now: Instant,
}

impl Arriving {
    /// The body. What is known from the start to be wrong is refused before an origin hears of it.
    async fn receive(
        self,
        connection: &Connection,
        view: &Rc<View>,
    ) -> Result<Received, ErrorReason> {
        let Self { incoming, version, expects, most, now } = self;
        if incoming.is_end_stream() {
            return Ok((RequestBody::Empty, Replies::default()));
        }
        let length = incoming.size_hint().exact();
        if most.zip(length).is_some_and(|(most, length)| length > most) {
            return Err(ErrorReason::BodyTooLarge);
        }
        let mut body = RequestBody::stream(incoming, version, view, now);
        body.limit(most);
        let mut gate = None;
        if expects {
            body.wait_for(gate.insert(Gate::default()).clone());
        } else if length.is_none() && !begins(connection, &mut body, version, now).await? {
            return Ok((RequestBody::Empty, Replies::default()));
        }
        let progress = Some(Rc::clone(body.progress()));
        Ok((RequestBody::Stream(body), Replies { progress, gate, upload: None }))
    }
}

fn expects_continue(headers: &http::HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Whether there is a body at all, with its first frame read if it is chunked: a client that frames
/// it wrongly from the start has not spoken to an origin then. Over HTTP/2 nothing can be framed
/// wrongly, and a client may want to hear the origin first: there it is not waited for.
async fn begins(
    connection: &Connection,
    body: &mut StreamedBody,
    version: Version,
    now: Instant,
) -> Result<bool, ErrorReason> {
    let watch = &connection.watch;
    let deadline = now + limits::BODY_PROGRESS_TIMEOUT;
    poll_fn(|cx| match body.poll_first(cx) {
        Poll::Ready(begins) => {
            watch.stop_waiting();
            Poll::Ready(begins)
        }
        Poll::Pending if version == Version::HTTP_2 => Poll::Ready(Ok(true)),
        Poll::Pending if watch.passed(deadline) => Poll::Ready(Err(ErrorReason::RequestTimeout)),
        Poll::Pending => {
            watch.wait_until(deadline);
            Poll::Pending
        }
    })
    .await
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

/// An answer of Rhumb's own that is no refusal.
fn own(mut ticket: Ticket, answer: Response<bytes::Bytes>) -> Response<ResponseBody> {
    ticket.answered(answer.status().as_u16());
    answer.map(|body| ResponseBody::own(body, ticket))
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
