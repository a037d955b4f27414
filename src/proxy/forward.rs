//! Sending a request to the endpoints of its decision, one after the other, until one answers.
//!
//! Which endpoint comes next is `retry`'s choice; what may be sent twice is its rule.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::body::{Exchange, Progress, RequestBody};
use super::context::{Connection, Series, Upstream, View};
use super::error::ErrorReason;
use super::expect::Gate;
use super::headers::RequestId;
use super::identify::Identity;
use super::kept::KeptUpload;
use super::present::Present;
use super::replay::Wish;
use super::retry::{Tried, is_idempotent, next_permitted, next_target};
use super::saved::SavedRequest;
use super::ticket::{InFlight, Ticket};
use super::watch::stall_timeout;
use crate::config::Deployment;
use crate::model::{EndpointSignal, SignalKind, limits};
use crate::routing::{Decision, Draws, RegionPosition, permits};
use crate::upstream::{ConnectError, Lease, TooManyInterim};

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
}

/// Where an attempt goes.
struct Target {
    region: RegionPosition,
    endpoint: Rc<Upstream>,
    series: Series,
}

impl Forward {
    pub(super) fn new(ticket: Ticket, routed: Routed, id: RequestId, replies: Replies) -> Self {
        let tried = Tried::default();
        let (saved, repeatable, answered) = (None, false, None);
        Self { ticket, routed, id, replies, saved, repeatable, tried, answered }
    }

    /// Attempts until there is an answer that is meant for the client, or nothing is left to try.
    pub(super) async fn run(&mut self, request: Request<RequestBody>) -> Outcome {
        let terms = self.routed.view.terms(self.routed.decision.deployment);
        let replays = terms.is_some_and(|terms| terms.replays);
        let retries = self.retries() > 0;
        self.repeatable =
            retries && self.replies.progress.is_none() && is_idempotent(request.method());
        if self.repeatable || replays {
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
        let answer = self.attempts(again).await?;
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
        loop {
            let Some(target) = self.target(&request, &mut last) else { break };
            self.ticket.count_in(&target.series);
            let failed = match self.attempt(&target, request).await {
                Ok(done) => {
                    self.answered = Some(target.region);
                    return Ok(done);
                }
                Err(failed) => failed,
            };
            last = failed.reason;
            if let Some(kind) = failed.signal {
                self.blame(&target, kind);
            }
            let again = failed.unsent.or_else(|| self.repeated());
            match again {
                Some(again) if self.tried.count() <= retries && self.in_time() => request = again,
                _ => break,
            }
            self.look_again(&request)?;
        }
        Err(last)
    }

    /// The request once more, if it may be sent twice.
    fn repeated(&self) -> Option<Request<RequestBody>> {
        Some(self.saved.as_ref().filter(|_| self.repeatable)?.restore())
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
        self.ticket.started().elapsed() < most
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
        let mut kept = target.endpoint.checkout(started);
        let mut connecting = Duration::ZERO;
        let (response, lease) = loop {
            let lease = match kept.take() {
                Some(lease) => lease,
                None => match self.connect(target).await {
                    Ok((lease, took)) => {
                        connecting = took;
                        lease
                    }
                    Err(error) => return Err(Failed::connect(&error, request)),
                },
            };
            self.log(target, &request);
            let reused = lease.reused();
            match self.exchange(lease, request, started).await {
                Ok(done) => break done,
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
        let stall_timeout = stall_timeout(response.headers());
        let request = self.replies.progress.clone();
        Ok((response, Exchange { lease, in_flight, request, stall_timeout, present }))
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
    ) -> Result<(Lease<RequestBody>, Duration), ConnectError> {
        let most = self.settings().map_or(limits::CONNECT_TIMEOUT, |s| s.timeouts.connect);
        let started = Instant::now();
        let lease = target.endpoint.connect(most).await?;
        let now = Instant::now();
        let took = now.saturating_duration_since(started);
        target.series.connected(took, now);
        self.ticket.connection().worker.series.upstream_connections.increment();
        Ok((lease, took))
    }

    /// Sends the request and waits for the head of its response.
    async fn exchange(
        &self,
        mut lease: Lease<RequestBody>,
        mut request: Request<RequestBody>,
        started: Instant,
    ) -> Result<(Response<Incoming>, Lease<RequestBody>), Failed> {
        if let Some(gate) = self.replies.gate.clone() {
            hyper::ext::on_informational(&mut request, move |response| {
                if response.status() == StatusCode::CONTINUE {
                    gate.open();
                }
            });
        }
        let mut sending = pin!(lease.sender.try_send_request(request));
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
            Ok(Ok(response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                // Nobody asked for another protocol: `Upgrade` was not passed on.
                Err(Failed::protocol())
            }
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
            Ok(Err(mut error)) => {
                let unsent = error.take_message();
                Err(self.broken(&error.into_error(), unsent))
            }
            Err(reason) => {
                let signal = (reason == ErrorReason::UpstreamTimeout)
                    .then_some(SignalKind::FirstByteTimeout);
                Err(Failed { reason, signal, unsent: None })
            }
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
        let timeouts = self.settings().map(|settings| &settings.timeouts);
        let first_byte = timeouts.map_or(limits::RESPONSE_HEAD_TIMEOUT, |t| t.first_byte);
        if self.replies.gate.as_ref().is_some_and(|gate| !gate.is_open()) {
            let most = limits::EXPECT_CONTINUE_TIMEOUT;
            return (started + most, ErrorReason::UpstreamTimeout);
        }
        match &self.replies.progress {
            Some(progress) if !progress.finished() => {
                let reason = match progress.starved() {
                    true => ErrorReason::RequestTimeout,
                    false => ErrorReason::UpstreamTimeout,
                };
                (progress.last().max(started) + limits::BODY_PROGRESS_TIMEOUT, reason)
            }
            Some(progress) => (progress.last() + first_byte, ErrorReason::UpstreamTimeout),
            None => {
                let whole = timeouts.map_or(limits::REQUEST_TIMEOUT, |t| t.request);
                let deadline = (started + first_byte).min(self.ticket.started() + whole);
                (deadline, ErrorReason::UpstreamTimeout)
            }
        }
    }

    fn broken(&self, error: &hyper::Error, unsent: Option<Request<RequestBody>>) -> Failed {
        let client_broke_off =
            self.replies.progress.as_ref().is_some_and(|progress| progress.failed());
        let (reason, signal) = if client_broke_off {
            (ErrorReason::Malformed, None)
        } else if error.is_parse() || is_endless(error) {
            (ErrorReason::UpstreamProtocol, None)
        } else {
            (ErrorReason::UpstreamReset, Some(SignalKind::Reset))
        };
        Failed { reason, signal, unsent }
    }
}

/// Whether the connection was ended because of too many informational responses.
fn is_endless(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    let cause = cause.and_then(std::io::Error::get_ref);
    cause.and_then(|cause| cause.downcast_ref::<TooManyInterim>()).is_some()
}

fn name_host(request: &mut Request<RequestBody>, endpoint: &Upstream) {
    if let Ok(authority) = HeaderValue::try_from(endpoint.url().authority()) {
        request.headers_mut().insert(header::HOST, authority);
    }
}

impl Failed {
    /// The response cannot be understood.
    fn protocol() -> Self {
        Self { reason: ErrorReason::UpstreamProtocol, signal: None, unsent: None }
    }

    fn connect(error: &ConnectError, request: Request<RequestBody>) -> Self {
        let signal = match error {
            ConnectError::Timeout { .. } => SignalKind::ConnectTimeout,
            ConnectError::Io { .. } | ConnectError::Handshake { .. } => SignalKind::ConnectFailed,
        };
        tracing::debug!(%error, "attempt failed");
        Self { reason: ErrorReason::Unreachable, signal: Some(signal), unsent: Some(request) }
    }
}
