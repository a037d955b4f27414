//! Sending a request to the endpoints of its decision, one after the other, until one answers.
//!
//! Which endpoint comes next is `retry`'s choice; what may be sent twice is its rule.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;

use super::answer::{Exchange, Pace};
use super::body::{Progress, RequestBody};
use super::context::{Connection, Series, Upstream, View};
use super::error::ErrorReason;
use super::expect::Gate;
use super::grpc;
use super::headers::RequestId;
use super::identify::Identity;
use super::kept::KeptUpload;
use super::patience::{Patience, Upload};
use super::present::Present;
use super::replay::Wish;
use super::retry::{Tried, is_idempotent, next_permitted, next_target};
use super::saved::SavedRequest;
use super::ticket::{InFlight, Ticket};
use super::upgrade;
use crate::config::Deployment;
use crate::model::{EndpointSignal, SignalKind, limits};
use crate::routing::{Decision, Draws, RegionPosition, permits};
use crate::upstream::{Broken, Caller, ConnectError, DialError, Lease, SendError};

/// What is silent at times, and never complete.
const EVENT_STREAM: &[u8] = b"text/event-stream";

/// A request that has been decided.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) view: Rc<View>,
    pub(super) decision: Decision,
    pub(super) draws: Draws,
    pub(super) who: Identity,
    pub(super) method: Method,
    /// The decision in words, where the client may see it.
    pub(super) told: Option<String>,
    /// An HTTP/1.0 request that names no host.
    pub(super) hostless: bool,
    /// What the request wants its connection to become.
    pub(super) upgrade: Option<upgrade::Wish>,
    /// The time that a call of gRPC is given.
    pub(super) given: Option<Duration>,
}

/// What else there is of a request that has a body.
#[derive(Debug, Default)]
pub(super) struct Replies {
    /// How far it has been sent.
    pub(super) progress: Option<Rc<Progress>>,
    /// What holds it back until the origin asks for it.
    pub(super) gate: Option<Gate>,
    /// What makes it once more.
    pub(super) upload: Option<KeptUpload>,
}

/// A decided request on its way.
#[derive(Debug)]
pub(super) struct Forward {
    pub(super) ticket: Ticket,
    pub(super) routed: Routed,
    pub(super) id: RequestId,
    pub(super) replies: Replies,
    pub(super) saved: Option<SavedRequest>,
    /// Whether it may be sent again although an origin may have received it.
    repeatable: bool,
    patience: Patience,
    pub(super) tried: Tried,
    /// The region that answered.
    pub(super) answered: Option<RegionPosition>,
}

/// What came of all attempts.
pub(super) type Outcome = Result<(Response<Incoming>, Exchange), ErrorReason>;

/// An attempt that brought no response.
struct Failed {
    reason: ErrorReason,
    /// What the endpoint is to blame for, if it is.
    signal: Option<SignalKind>,
    /// The request, if not a byte of it was sent.
    unsent: Option<Request<RequestBody>>,
    /// Whether the origin did not work on it, sent or not.
    untouched: bool,
}

/// Where an attempt goes.
struct Target {
    region: RegionPosition,
    endpoint: Rc<Upstream>,
    series: Series,
}

impl Forward {
    pub(super) fn new(ticket: Ticket, routed: Routed, id: RequestId, replies: Replies) -> Self {
        let plan = &routed.view.snapshot.table.plan;
        let settings = plan.deployment(routed.decision.deployment).map(|plan| &*plan.settings);
        let call = ticket.grpc().then_some(routed.given);
        let patience = Patience::of(settings, call, ticket.started());
        let tried = Tried::default();
        let (saved, repeatable, answered) = (None, false, None);
        Self { ticket, routed, id, replies, saved, repeatable, patience, tried, answered }
    }

    /// Attempts until there is an answer that is meant for the client, or nothing is left to try.
    pub(super) async fn run(&mut self, request: Request<RequestBody>) -> Outcome {
        let terms = self.routed.view.terms(self.routed.decision.deployment);
        let replays = terms.is_some_and(|terms| terms.replays);
        let retries = self.retries() > 0;
        self.repeatable =
            retries && self.replies.progress.is_none() && is_idempotent(request.method());
        let sends_again = self.repeatable
            || self.replies.upload.is_some()
            || retries && self.replies.progress.is_none();
        if sends_again || replays {
            self.saved = Some(SavedRequest::of(&request));
        }
        let answer = self.attempts(request).await?;
        if !replays {
            return Ok(answer);
        }
        let wish = Wish::of(answer.0.headers());
        if wish == Wish::None {
            return Ok(answer);
        }
        let again = self.replay(wish, answer)?;
        let answer = Box::pin(self.attempts(again)).await?;
        match Wish::of(answer.0.headers()) {
            Wish::None => Ok(answer),
            _ => Err(ErrorReason::ReplayLoop),
        }
    }

    /// Attempts until there is a response, or nothing is left to try.
    async fn attempts(&mut self, mut request: Request<RequestBody>) -> Outcome {
        self.count_decision();
        let retries = self.retries();
        let mut last = ErrorReason::Unreachable;
        // A call that an endpoint has declined, in case there is no other one.
        let mut declined: Option<(Response<Incoming>, Exchange)> = None;
        loop {
            let Some(target) = self.target(&request, &mut last) else { break };
            if let Some((response, exchange)) = declined.take() {
                exchange.abandon(&response);
            }
            self.ticket.count_in(&target.series);
            let failed = match self.attempt(&target, request).await {
                Ok(done) => {
                    self.answered = Some(target.region);
                    let retry = self.tried.count() <= retries && self.in_time();
                    match self.declined(&done.0).filter(|_| retry) {
                        Some(again) => request = again,
                        None => return Ok(done),
                    }
                    declined = Some(done);
                    self.look_again(&request)?;
                    continue;
                }
                Err(failed) => failed,
            };
            last = failed.reason;
            if let Some(kind) = failed.signal {
                self.blame(&target, kind);
            }
            let untouched = failed.untouched;
            match failed.unsent.or_else(|| self.once_more(untouched)) {
                Some(again) if self.tried.count() <= retries && self.in_time() => request = again,
                _ => break,
            }
            self.look_again(&request)?;
        }
        let in_time = self.patience.deadline().is_none_or(|end| Instant::now() < end);
        declined.ok_or(if in_time { last } else { ErrorReason::UpstreamTimeout })
    }

    /// The call once more, if the response says in its head that nobody has worked on it, by a code
    /// that the deployment takes for that, and if all of its messages are still here.
    fn declined(&self, response: &Response<Incoming>) -> Option<Request<RequestBody>> {
        let upload = self.replies.upload.as_ref().filter(|_| self.ticket.grpc())?;
        let code = grpc::status(response.headers()).filter(|_| response.body().is_end_stream())?;
        if !self.settings()?.retries.grpc_statuses.contains(code) {
            return None;
        }
        let mut request = self.saved.as_ref()?.restore();
        *request.body_mut() = upload.send(Instant::now())?;
        Some(request)
    }

    /// The request once more, if it may be sent twice.
    fn repeated(&self) -> Option<Request<RequestBody>> {
        Some(self.saved.as_ref().filter(|_| self.repeatable)?.restore())
    }

    /// The same; one that no origin has worked on may be sent twice in any case, if there is still
    /// enough of it.
    fn once_more(&self, untouched: bool) -> Option<Request<RequestBody>> {
        if !untouched {
            return self.repeated();
        }
        let mut request = self.saved.as_ref()?.restore();
        if self.replies.progress.is_some() {
            *request.body_mut() = self.replies.upload.as_ref()?.send(Instant::now())?;
        }
        Some(request)
    }

    fn retries(&self) -> u32 {
        self.settings().map_or(0, |settings| settings.retries.attempts)
    }

    pub(super) fn settings(&self) -> Option<&Arc<Deployment>> {
        let plan = &self.routed.view.snapshot.table.plan;
        Some(&plan.deployment(self.routed.decision.deployment)?.settings)
    }

    fn count_decision(&self) {
        let Routed { view, decision, .. } = &self.routed;
        let worker = &self.ticket.connection().worker;
        let series = view.series(worker, decision.deployment, decision.order.first().copied());
        if let Some(counter) = series.decisions.get(decision.reason as usize) {
            counter.increment();
        }
        if decision.reported {
            series.residency_reported.increment();
        }
    }

    /// The next endpoint, marked as tried. `last` is what there is to say if there is none.
    fn target(&mut self, request: &Request<RequestBody>, last: &mut ErrorReason) -> Option<Target> {
        let terms = self.routed.view.terms(self.routed.decision.deployment);
        let (position, index) = match terms.is_some_and(|terms| terms.guarded) {
            true => self.guarded(request, last)?,
            false => self.unguarded()?,
        };
        let Routed { view, decision, .. } = &self.routed;
        let table = &view.snapshot.table;
        let region = table.plan.deployment(decision.deployment)?.region(position)?;
        let endpoint = Rc::clone(view.endpoint(region.endpoints.get(index)?.id)?);
        let worker = &self.ticket.connection().worker;
        let series = Rc::clone(view.series(worker, decision.deployment, Some(position)));
        if self.tried.count() > 0 {
            series.retries.increment();
        }
        self.tried.push(endpoint.id());
        Some(Target { region: position, endpoint, series })
    }

    fn unguarded(&self) -> Option<(RegionPosition, usize)> {
        let Routed { view, decision, draws, .. } = &self.routed;
        let load = |id| view.outstanding(id);
        next_target(&view.snapshot.table, decision, &self.tried, draws.entropy, load)
    }

    /// The same, with the law asked once more.
    fn guarded(
        &mut self,
        request: &Request<RequestBody>,
        last: &mut ErrorReason,
    ) -> Option<(RegionPosition, usize)> {
        let Routed { view, decision, draws, .. } = &self.routed;
        let table = &view.snapshot.table;
        let deployment = table.plan.deployment(decision.deployment)?;
        let worker = &self.ticket.connection().worker;
        let mut decision = decision.clone();
        let target = self.with_facts(request, |facts| {
            let load = |id| view.outstanding(id);
            next_permitted(table, &mut decision, &self.tried, draws.entropy, load, |position| {
                let permitted = permits(deployment, facts, position);
                if !permitted {
                    worker.series.residency_violations.increment();
                    *last = ErrorReason::ResidencyUnavailable;
                }
                permitted
            })
        });
        self.routed.decision = decision;
        target
    }

    fn in_time(&self) -> bool {
        let most = self.settings().map_or(limits::REQUEST_TIMEOUT, |s| s.timeouts.request);
        let now = Instant::now();
        now.saturating_duration_since(self.ticket.started()) < most && !self.is_over(now)
    }

    /// Whether the time that a call was given is over.
    fn is_over(&self, now: Instant) -> bool {
        self.patience.deadline().is_some_and(|deadline| deadline <= now)
    }

    fn blame(&self, target: &Target, kind: SignalKind) {
        if let Some(counter) = target.series.signals.get(kind as usize) {
            counter.increment();
        }
        let endpoint = target.endpoint.id();
        let consecutive = target.endpoint.failed();
        self.ticket.connection().worker.signal(EndpointSignal { endpoint, kind, consecutive });
    }

    /// One endpoint. A kept connection that turns out to be dead says nothing about its endpoint:
    /// the request goes there again on a new one, if it may be sent again at all.
    async fn attempt(
        &self,
        target: &Target,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Exchange), Failed> {
        // A first attempt starts with the request, as good as.
        let first = self.tried.count() <= 1 && self.replies.progress.is_none();
        let started = if first { self.ticket.started() } else { Instant::now() };
        let in_flight = InFlight::new(&target.series);
        if self.routed.hostless {
            // HTTP/1.1 has to name one (RFC 9112 section 3.2), so the endpoint is told its own.
            name_host(&mut request, &target.endpoint);
        }
        let peer = &self.ticket.connection().peer;
        let caller = Caller { source: peer.source, destination: peer.destination };
        // What is to become a tunnel gets a connection of its own.
        let mut kept = match self.routed.upgrade {
            None => target.endpoint.checkout(started, &caller),
            Some(_) => None,
        };
        let mut connecting = Duration::ZERO;
        let mut refusals = 0;
        let (response, lease) = loop {
            let lease = match kept.take() {
                Some(lease) => lease,
                // Boxed, so that the many requests that need none have no room for it.
                None => match Box::pin(self.connect(target, &caller)).await {
                    Ok((lease, took)) => {
                        connecting = took;
                        lease
                    }
                    Err(error) => return Err(self.unconnected(&error, request)),
                },
            };
            if !self.is_spoken(&lease) {
                lease.give_back(Instant::now());
                let reason = ErrorReason::UpstreamProtocol;
                return Err(Failed {
                    reason,
                    signal: None,
                    unsent: Some(request),
                    untouched: false,
                });
            }
            self.log(target, &request);
            let reused = lease.reused();
            match self.exchange(lease, request, started).await {
                Ok(done) => break done,
                // Connections of HTTP/2 end with notice; so do those that are made instead.
                Err(failed) if failed.untouched && refusals < limits::UPSTREAM_REFUSALS => {
                    refusals += 1;
                    match failed.unsent.or_else(|| self.once_more(true)) {
                        Some(again) => request = again,
                        None => return Err(Failed { unsent: None, ..failed }),
                    }
                }
                Err(failed) if reused && failed.signal == Some(SignalKind::Reset) => {
                    match failed.unsent.or_else(|| self.repeated()) {
                        Some(again) => request = again,
                        None => return Err(Failed { unsent: None, ..failed }),
                    }
                }
                Err(failed) => return Err(failed),
            }
        };
        let present = Present::of(response.headers());
        if !present.has_one_end() {
            return Err(Failed::protocol());
        }
        target.endpoint.succeeded();
        let now = Instant::now();
        let took = now.saturating_duration_since(started);
        target.series.upstream_duration.record(took);
        if self.replies.progress.is_none() {
            let client = self.routed.who.client().address;
            target.series.answered(client, took.saturating_sub(connecting), now);
        }
        let pace = self.pace(&response);
        let request = self.replies.progress.clone();
        Ok((response, Exchange { lease, in_flight, request, pace, present }))
    }

    /// Calls of gRPC need HTTP/2, and what is to become a tunnel needs a connection of its own.
    fn is_spoken(&self, lease: &Lease<RequestBody>) -> bool {
        match lease.is_http2() {
            true => self.routed.upgrade.is_none(),
            false => !self.ticket.grpc(),
        }
    }

    fn pace(&self, response: &Response<Incoming>) -> Pace {
        let streams = self.settings().map(|settings| &settings.streams);
        let is_silent = self.ticket.grpc()
            || streams.is_some_and(|streams| streams.exempt)
            || is_event_stream(response.headers());
        let idle = || streams.map_or(limits::STREAM_IDLE_TIMEOUT, |streams| streams.idle);
        let stall = if is_silent { idle() } else { limits::BODY_PROGRESS_TIMEOUT };
        Pace { stall, deadline: self.patience.deadline() }
    }

    /// Tells what an endpoint is about to see.
    fn log(&self, target: &Target, request: &Request<RequestBody>) {
        tracing::debug!(
            target: "rhumb::request",
            id = self.id.as_str(),
            method = request.method().as_str(),
            host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()),
            uri = %request.uri(),
            region = self.region(target.region),
            "request forwarded"
        );
    }

    /// A region's id.
    pub(super) fn region(&self, position: RegionPosition) -> Option<&str> {
        let plan = &self.routed.view.snapshot.table.plan;
        let region = plan.deployment(self.routed.decision.deployment)?.region(position)?;
        Some(region.id.as_str())
    }

    /// A new connection, and how long it took to make.
    async fn connect(
        &self,
        target: &Target,
        caller: &Caller,
    ) -> Result<(Lease<RequestBody>, Duration), ConnectError> {
        let most = self.settings().map_or(limits::CONNECT_TIMEOUT, |s| s.timeouts.connect);
        let started = Instant::now();
        let left = self.patience.deadline().map(|end| end.saturating_duration_since(started));
        let most = left.map_or(most, |left| left.min(most));
        let lease = match self.routed.upgrade {
            None => target.endpoint.connect(most, caller).await?,
            Some(_) => target.endpoint.connect_http1(most, caller).await?,
        };
        let now = Instant::now();
        let took = now.saturating_duration_since(started);
        if lease.is_first() {
            target.series.connected(took, now);
            self.ticket.connection().worker.series.upstream_connections.increment();
        }
        Ok((lease, took))
    }

    fn unconnected(&self, error: &ConnectError, request: Request<RequestBody>) -> Failed {
        let failed = Failed::connect(error, request);
        if self.is_over(Instant::now()) {
            // It had less time than connecting may take.
            Failed { reason: ErrorReason::UpstreamTimeout, signal: None, ..failed }
        } else if self.routed.upgrade.is_some() && matches!(error.source, DialError::Protocol) {
            Failed { reason: ErrorReason::UpstreamProtocol, signal: None, ..failed }
        } else {
            failed
        }
    }

    /// Sends the request and waits for the head of its response.
    async fn exchange(
        &self,
        mut lease: Lease<RequestBody>,
        mut request: Request<RequestBody>,
        started: Instant,
    ) -> Result<(Response<Incoming>, Lease<RequestBody>), Failed> {
        // Over HTTP/2 hyper says nothing of interim answers, and an early one costs no connection.
        if let Some(gate) = self.replies.gate.as_ref().filter(|_| lease.is_http2()) {
            gate.open();
        }
        if let Some(gate) = self.replies.gate.clone() {
            hyper::ext::on_informational(&mut request, move |response| {
                if response.status() == StatusCode::CONTINUE {
                    gate.open();
                }
            });
        }
        let http2 = lease.is_http2();
        let mut sending = pin!(lease.send(request));
        let connection = self.ticket.connection();
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(result) = sending.as_mut().poll(cx) {
                connection.watch.stop_waiting();
                return Poll::Ready(Ok(result));
            }
            self.poll_patience(connection, started).map(Err)
        })
        .await;
        match outcome {
            Ok(Ok(response)) if !self.is_fit(&response) => Err(Failed::protocol()),
            Ok(Ok(response)) => {
                // An origin that says yes without `100 Continue` may still read while it answers;
                // one that says no is not sent what it refused.
                if let Some(gate) =
                    self.replies.gate.as_ref().filter(|_| response.status().is_success())
                {
                    gate.open();
                }
                Ok((response, lease))
            }
            Ok(Err(error)) => Err(self.broken(error, http2)),
            Err(reason) => {
                let is_slow = reason == ErrorReason::UpstreamTimeout
                    && self.patience.blames(started, Instant::now());
                let signal = is_slow.then_some(SignalKind::FirstByteTimeout);
                if signal.is_some() {
                    lease.doubt();
                }
                Err(Failed { reason, signal, unsent: None, untouched: false })
            }
        }
    }

    /// Whether a response changes protocols only as the request wished.
    fn is_fit(&self, response: &Response<Incoming>) -> bool {
        let status = response.status();
        match &self.routed.upgrade {
            Some(wish) if status == StatusCode::SWITCHING_PROTOCOLS => {
                wish.is_granted(response.headers())
            }
            Some(wish) => wish.may_be_answered(status),
            None => status != StatusCode::SWITCHING_PROTOCOLS,
        }
    }

    /// Waits no longer than this exchange may take in the state it is in.
    fn poll_patience(&self, connection: &Connection, started: Instant) -> Poll<ErrorReason> {
        loop {
            let (deadline, reason) = self.deadline(started);
            if !connection.watch.passed(deadline) {
                connection.watch.wait_until(deadline);
                return Poll::Pending;
            }
            match &self.replies.gate {
                // The origin did not say; RFC 9110 section 10.1.1 lets the body go then.
                Some(gate) if !gate.is_open() => gate.open(),
                _ => return Poll::Ready(reason),
            }
        }
    }

    fn deadline(&self, started: Instant) -> (Instant, ErrorReason) {
        if self.replies.gate.as_ref().is_some_and(|gate| !gate.is_open()) {
            let most = limits::EXPECT_CONTINUE_TIMEOUT;
            return (started + most, ErrorReason::UpstreamTimeout);
        }
        let upload = self.replies.progress.as_ref().map(|progress| Upload {
            last: progress.last(),
            finished: progress.finished(),
            starved: progress.starved(),
            waited: progress.waited(),
            bytes: progress.bytes(),
        });
        self.patience.until(started, upload)
    }

    fn broken(&self, mut error: SendError<RequestBody>, http2: bool) -> Failed {
        tracing::debug!(broken = ?error.broken(), why = error.detail(), "exchange broke");
        let unsent = error.take_message();
        let failure = self.replies.progress.as_ref().and_then(|progress| progress.failure());
        let (reason, signal) = match error.broken() {
            _ if failure.is_some() => (failure.unwrap_or(ErrorReason::Malformed), None),
            Broken::Protocol => (ErrorReason::UpstreamProtocol, None),
            Broken::Unsent | Broken::Refused | Broken::Reset => {
                (ErrorReason::UpstreamReset, Some(SignalKind::Reset))
            }
        };
        let untouched =
            http2 && signal.is_some() && matches!(error.broken(), Broken::Unsent | Broken::Refused);
        Failed { reason, signal, unsent, untouched }
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let start = content_type.and_then(|value| value.get(..EVENT_STREAM.len()));
    start.is_some_and(|start| start.eq_ignore_ascii_case(EVENT_STREAM))
}

fn name_host(request: &mut Request<RequestBody>, endpoint: &Upstream) {
    if let Ok(authority) = HeaderValue::try_from(endpoint.url().authority()) {
        request.headers_mut().insert(header::HOST, authority);
    }
}

impl Failed {
    /// The response cannot be understood.
    fn protocol() -> Self {
        let reason = ErrorReason::UpstreamProtocol;
        Self { reason, signal: None, unsent: None, untouched: false }
    }

    fn connect(error: &ConnectError, request: Request<RequestBody>) -> Self {
        tracing::debug!(%error, why = error.source.detail(), "attempt failed");
        let (reason, signal) = (ErrorReason::Unreachable, error.signal());
        Self { reason, signal, unsent: Some(request), untouched: true }
    }
}
