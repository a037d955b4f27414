//! A request, from its head to its answer: the table of contents of this module.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::answer::ResponseBody;
use super::compressed::asked_compression;
use super::connection::Connection;
use super::decide::{Heard, decide_first};
use super::error::ErrorReason;
use super::forward::{Forward, Routed};
use super::grpc;
use super::headers::{RHUMB_HOPS, RequestId, prepare_request};
use super::hops::{Way, pass};
use super::host::HostName;
use super::identify::{Asked, identify};
use super::later::Later;
use super::present::Present;
use super::receive::{Arriving, expects_continue};
use super::redirect;
use super::respond::{finish, refuse, refuse_with, tell};
use super::screen::screen;
use super::shed;
use super::target::origin_form;
use super::ticket::Ticket;
use super::trace;
use super::upgrade::{self, Wish};
use super::view::View;
use crate::config::{Deployment, GrpcStatuses};
use crate::model::Shed;
use crate::routing::{Refusal, RefusalReason};

/// An answer instead of a request that is forwarded. Boxed: few are.
type Refused = Box<Response<ResponseBody>>;

/// Answers one request. Never fails: what goes wrong becomes an answer.
///
/// Nothing is done before the future is asked: a client may have taken the request back by then.
///
/// # Errors
///
/// None.
pub fn handle(
    connection: Rc<Connection>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> {
    Later::new(move || {
        let (peer, version) = (Rc::clone(&connection.peer), request.version());
        let begun = begin(&connection, request);
        async move {
            let mut response = match begun {
                Ok(mut forward) => {
                    let outcome = forward.run().await;
                    forward.respond(outcome)
                }
                Err(response) => *response,
            };
            finish(&peer, version, &mut response);
            Ok(response)
        }
    })
}

/// All that is done before an origin hears of the request. Nothing in it waits.
fn begin(connection: &Rc<Connection>, request: Request<Incoming>) -> Result<Box<Forward>, Refused> {
    let now = Instant::now();
    connection.watch.request_started(now);
    let (mut parts, incoming) = request.into_parts();
    let has_body = !incoming.is_end_stream();
    let view = connection.worker.view();
    let call = grpc::is_call(&parts.method, &parts.headers);
    let mut ticket = Ticket::new(Rc::clone(connection), now, call);
    ticket.log_as(&view);

    let understood = understand(connection, &view, &mut parts);
    ticket.note_head(&parts, understood.as_ref().map_or("", |understood| &understood.host));
    let admitted = understood.and_then(|understood| {
        admit(connection, &parts, &understood.host, has_body).map(|()| understood)
    });
    let Understood { host, present, stream } = match admitted {
        Ok(understood) => understood,
        Err(stop) => return Err(stop.answer(ticket)),
    };
    let trusted = view.snapshot.trust.trusts(connection.peer.address());
    let unix = connection.worker.unix(now);
    let mut who = identify(&parts.headers, &present, &view, connection, trusted, unix);
    let asked = Asked::of(&parts, &host);
    let heard = Heard { present: &present, trusted, now };
    let (decided, draws) = decide_first(connection, &view, &mut who, &asked, &heard);
    ticket.note_identity(&view, &who, &asked, &decided.outcome);

    let onward = Onward { connection, view: &view, trusted, unix };
    let (id, offer) = match onward.prepare(&mut parts, &present, has_body) {
        Ok(prepared) => prepared,
        Err((id, way)) => {
            ticket.note_id(&id);
            let reason = ErrorReason::LoopDetected;
            return Err(Box::new(refuse_with(ticket, reason, Some(&id), &way, false)));
        }
    };
    let asking = (who.client().address, &id);
    trace::take_part(&mut ticket, &mut parts, &present, (&view, trusted), asking);
    ticket.note_id(&id);
    let decision = match decided.outcome {
        Ok(decision) => decision,
        Err(refusal) => {
            ticket.trace.note_decision(&view.snapshot.table, Err(&refusal));
            return Err(Box::new(refuse_told(ticket, refusal, &id, decided.told.as_deref())));
        }
    };
    let terms = view.terms(decision.deployment);
    if let Some(terms) = terms.filter(|terms| terms.gives_tokens) {
        terms.withhold(&mut parts.headers);
    }
    let plan = view.snapshot.table.plan.deployment(decision.deployment);
    let settings = plan.map(|plan| &*plan.settings);
    if settings.is_some_and(|settings| shed::gives_way(&connection.worker, settings, &who)) {
        return Err(Box::new(shed::refuse(ticket, Shed::Priority, Some(&id), has_body)));
    }
    let Ok(upgrade) = wished(connection, settings, (offer, stream), &mut parts) else {
        return Err(Box::new(refuse(ticket, ErrorReason::NotImplemented, Some(&id), true)));
    };
    let keeps =
        terms.is_some_and(|terms| terms.replays) || call && settings.is_some_and(retries_calls);
    let arriving = arriving(incoming, (&mut parts, &present), settings, keeps, (connection, now));
    let (body, replies) = match arriving.receive(&view) {
        Ok(received) => received,
        Err(reason) => return Err(Box::new(refuse(ticket, reason, Some(&id), true))),
    };
    if present.lengths == 0 && !body.is_end_stream() {
        // Unless it is said, hyper sends no body of unknown length with a GET.
        parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let (hostless, told, method) = (host.is_empty(), decided.told, parts.method.clone());
    let given = if call { grpc::timeout(&parts.headers) } else { None };
    let compression = asked_compression(settings.filter(|_| !call), &parts.headers);
    let routed =
        Routed { view, decision, draws, who, method, told, hostless, upgrade, given, compression };
    Ok(Forward::new(ticket, routed, id, Request::from_parts(parts, body), replies))
}

/// A request that is understood in one way only.
struct Understood {
    host: HostName,
    present: Present,
    /// What an extended CONNECT is to become.
    stream: Option<OnUpgrade>,
}

/// Why nothing is decided for a request, and with it the answer.
enum Stop {
    /// `true` ends an HTTP/1.1 connection after it.
    Refused(ErrorReason, bool),
    /// There is no memory for it.
    Shed,
    /// An answer of Rhumb's own that is no refusal.
    Answered(Box<Response<Bytes>>),
}

impl Stop {
    fn answer(self, mut ticket: Ticket) -> Refused {
        Box::new(match self {
            Self::Refused(reason, close) => refuse(ticket, reason, None, close),
            Self::Shed => shed::refuse(ticket, Shed::Memory, None, true),
            Self::Answered(answer) => {
                ticket.answered(answer.status().as_u16());
                answer.map(|body| ResponseBody::own(body, ticket))
            }
        })
    }
}

/// Finds the one meaning of a request.
fn understand(connection: &Connection, view: &View, parts: &mut Parts) -> Result<Understood, Stop> {
    if shed::refuses_all(&connection.worker) {
        return Err(Stop::Shed);
    }
    let stream = upgrade::extended_connect(parts).map_err(|reason| Stop::Refused(reason, true))?;
    let mut present = Present::of(&parts.headers);
    let ambiguous = connection.watch.take_ambiguous();
    match screen(parts, &mut present, &view.snapshot.config, ambiguous) {
        Ok(host) => Ok(Understood { host, present, stream }),
        Err(reason) => {
            connection.worker.series.malformed.increment();
            Err(Stop::Refused(reason, true))
        }
    }
}

/// Whether this listener answers requests for that host itself, whichever deployment they are for.
fn admit(connection: &Connection, parts: &Parts, host: &str, has_body: bool) -> Result<(), Stop> {
    if connection.peer.misdirected(host) {
        return Err(Stop::Refused(ErrorReason::Misdirected, has_body));
    }
    let Some(redirect) = connection.peer.redirect else { return Ok(()) };
    let close = has_body || connection.watch.draining();
    Err(match redirect::answer(redirect, host, &parts.uri, close) {
        Ok(answer) => Stop::Answered(Box::new(answer)),
        Err(reason) => Stop::Refused(reason, true),
    })
}

/// The body of a request that is about to be forwarded, before any of it is looked at.
fn arriving(
    incoming: Incoming,
    (parts, present): (&mut Parts, &Present),
    settings: Option<&Deployment>,
    keeps: bool,
    (connection, now): (&Connection, Instant),
) -> Arriving {
    let version = std::mem::replace(&mut parts.version, Version::HTTP_11);
    Arriving {
        incoming,
        version,
        expects: present.expect && version == Version::HTTP_11 && expects_continue(&parts.headers),
        most: settings.and_then(|settings| settings.streams.max_body_bytes),
        keeps: keeps && shed::keeps_bodies(&connection.worker),
        now,
    }
}

/// What makes a client's head the one that an origin is sent.
struct Onward<'a> {
    connection: &'a Connection,
    view: &'a View,
    trusted: bool,
    unix: u64,
}

impl Onward<'_> {
    /// The request's id, and the protocol that an HTTP/1.1 client offers to change to.
    ///
    /// # Errors
    ///
    /// When the request goes round in circles: the way that it took.
    fn prepare(
        &self,
        parts: &mut Parts,
        present: &Present,
        has_body: bool,
    ) -> Result<(RequestId, Option<HeaderValue>), (RequestId, Way)> {
        let Self { connection, view, trusted, unix } = *self;
        let snapshot = &view.snapshot;
        let refused = |why| connection.worker.series.token_refused(why);
        let passed = pass(&parts.headers, &snapshot.hops, &snapshot.keys.signing, unix, refused);
        let offer = match present.rare_hop {
            true => upgrade::offered(parts, has_body),
            false => None,
        };
        origin_form(&mut parts.uri, &mut parts.headers);
        let (version, config) = (parts.version, &snapshot.config);
        let headers = &mut parts.headers;
        let id = prepare_request(headers, version, trusted, config, present, connection);
        match passed {
            Ok(Some(onward)) => drop(headers.insert(RHUMB_HOPS, onward)),
            Ok(None) => {}
            Err(way) => return Err((id, way)),
        }
        Ok((id, offer))
    }
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

/// A decision's refusal, with the decision in words for whoever may see it.
fn refuse_told(
    ticket: Ticket,
    refusal: Refusal,
    id: &RequestId,
    told: Option<&str>,
) -> Response<ResponseBody> {
    let mut response = match refusal.why {
        RefusalReason::Overloaded => shed::refuse(ticket, Shed::Capacity, Some(id), false),
        why => refuse(ticket, why.into(), Some(id), false),
    };
    if let Some(line) = told {
        tell(response.headers_mut(), line, None);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_size<F>(_: impl FnOnce(Rc<Connection>, Request<Incoming>) -> F) -> usize {
        size_of::<F>()
    }

    /// Every stream has one, and every connection of HTTP/1.1: what few requests need is boxed.
    #[test]
    fn a_request_has_no_room_for_what_few_need() {
        assert!(future_size(handle) <= 768, "{}", future_size(handle));
    }
}
