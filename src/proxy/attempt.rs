//! One attempt: the request goes to one endpoint, over a kept connection or a new one, and the head of
//! its response is waited for.
//!
//! Which endpoint that is, and what follows if it brought nothing, is `forward`.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::answer::{Exchange, Pace};
use super::body::RequestBody;
use super::connection::Connection;
use super::counted::Series;
use super::error::ErrorReason;
use super::forward::{Answer, Forward, Routed};
use super::patience::Upload;
use super::present::Present;
use super::ticket::InFlight;
use super::view::Upstream;
use crate::model::{SignalKind, limits};
use crate::routing::RegionPosition;
use crate::traces::{AttemptSpan, SpanId};
use crate::upstream::{Broken, Caller, ConnectError, DialError, Lease, SendError};

/// What is silent at times, and never complete.
const EVENT_STREAM: &[u8] = b"text/event-stream";

/// Where an attempt goes.
pub(super) struct Target {
    pub(super) region: RegionPosition,
    pub(super) endpoint: Rc<Upstream>,
    pub(super) series: Series,
}

impl Target {
    /// Counts what an attempt met there.
    pub(super) fn count(&self, kind: SignalKind) {
        if let Some(counter) = self.series.signals.get(kind as usize) {
            counter.increment();
        }
    }
}

/// An attempt that brought no response.
pub(super) struct Failed {
    pub(super) reason: ErrorReason,
    /// What the endpoint is to blame for, if it is.
    pub(super) signal: Option<SignalKind>,
    /// Whether not a byte of the request was sent: it is still there.
    pub(super) unsent: bool,
    /// Whether the origin did not work on it, sent or not.
    pub(super) untouched: bool,
}

impl Forward {
    /// One endpoint. A kept connection that turns out to be dead says nothing about its endpoint:
    /// the request goes there again on a new one, if it may be sent again at all.
    pub(super) async fn attempt(&mut self, target: &Target) -> Result<Answer, Failed> {
        // A first attempt starts with the request, as good as.
        let first = self.tried.count() <= 1 && self.replies.progress.is_none();
        let started = if first { self.ticket.started() } else { Instant::now() };
        let in_flight = InFlight::new(&target.series);
        self.trace(target, started);
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
                        self.ticket.trace.note_attempt(|attempt| attempt.connect = Some(took));
                        self.ticket.note(|entry| entry.connected(took));
                        lease
                    }
                    Err(error) => return Err(self.unconnected(&error)),
                },
            };
            if !self.is_spoken(&lease) {
                lease.give_back(Instant::now());
                return Err(Failed { unsent: true, ..Failed::protocol() });
            }
            if self.routed.hostless {
                // HTTP/1.1 has to name one (RFC 9112 section 3.2), so the endpoint is told its own.
                name_host(&mut self.request, &target.endpoint);
            }
            self.ticket.trace.tell_origin(self.request.headers_mut());
            self.log(target);
            let reused = lease.reused();
            match self.exchange(lease, started).await {
                Ok(done) => break done,
                // Connections of HTTP/2 end with notice; so do those that are made instead.
                Err(failed) if failed.untouched && refusals < limits::UPSTREAM_REFUSALS => {
                    refusals += 1;
                    if !failed.unsent && !self.repeat(true) {
                        return Err(failed);
                    }
                }
                Err(failed) if reused && failed.signal == Some(SignalKind::Reset) => {
                    if !failed.unsent && !self.repeat(false) {
                        return Err(failed);
                    }
                }
                Err(failed) => return Err(failed),
            }
        };
        let present = Present::of(response.headers());
        if !present.has_one_end() {
            return Err(Failed::protocol());
        }
        self.count_answer(target, started, connecting);
        self.judge(target, &response);
        self.ticket.trace.answered(&response, started);
        let pace = self.pace(&response);
        let request = self.replies.progress.clone();
        Ok(Answer { response, exchange: Exchange { lease, in_flight, request, pace, present } })
    }

    /// Notes the attempt, if the request is recorded.
    fn trace(&self, target: &Target, started: Instant) {
        self.ticket.trace.attempt(|| {
            let Routed { view, decision, .. } = &self.routed;
            let deployment = view.snapshot.table.plan.deployment(decision.deployment)?;
            let region = deployment.region(target.region)?.id.clone();
            let span = SpanId::from_entropy(self.ticket.connection().worker.entropy());
            Some(AttemptSpan::new(span, started, region, target.endpoint.url().clone()))
        });
    }

    /// The head of a response has come.
    fn count_answer(&self, target: &Target, started: Instant, connecting: Duration) {
        target.endpoint.succeeded();
        let now = Instant::now();
        let took = now.saturating_duration_since(started);
        target.series.upstream_duration.record(took);
        self.note_answer(took);
        if self.replies.progress.is_none() {
            let client = self.routed.who.client().address;
            target.series.answered(client, took.saturating_sub(connecting), now);
        }
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
        Pace { stall, exempt: is_silent, deadline: self.patience.deadline() }
    }

    /// Tells what an endpoint is about to see.
    fn log(&self, target: &Target) {
        tracing::debug!(
            target: "rhumb::request",
            id = self.id.as_str(),
            method = self.request.method().as_str(),
            host = self.request.headers().get(header::HOST).and_then(|host| host.to_str().ok()),
            uri = %self.request.uri(),
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
        let lease = match self.dial(target, caller, most).await {
            Err(error) if error.source.is_own_shortage() => {
                // What waits for requests gives its descriptors back, and then there may be one.
                self.ticket.connection().worker.relieve();
                tokio::task::yield_now().await;
                self.dial(target, caller, most).await?
            }
            lease => lease?,
        };
        let now = Instant::now();
        let took = now.saturating_duration_since(started);
        if lease.is_first() {
            target.series.connected(took, now);
            self.ticket.connection().worker.series.upstream_connections.increment();
        }
        Ok((lease, took))
    }

    async fn dial(
        &self,
        target: &Target,
        caller: &Caller,
        most: Duration,
    ) -> Result<Lease<RequestBody>, ConnectError> {
        match self.routed.upgrade {
            None => target.endpoint.connect(most, caller).await,
            Some(_) => target.endpoint.connect_http1(most, caller).await,
        }
    }

    fn unconnected(&mut self, error: &ConnectError) -> Failed {
        let failed = Failed::connect(error);
        if error.source.is_own_shortage() {
            self.short = true;
            return Failed { reason: ErrorReason::Overloaded, ..failed };
        }
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
        &mut self,
        mut lease: Lease<RequestBody>,
        started: Instant,
    ) -> Result<(Response<Incoming>, Lease<RequestBody>), Failed> {
        // Over HTTP/2 hyper says nothing of interim answers, and an early one costs no connection.
        if let Some(gate) = self.replies.gate.as_ref().filter(|_| lease.is_http2()) {
            gate.open();
        }
        if let Some(gate) = self.replies.gate.clone() {
            hyper::ext::on_informational(&mut self.request, move |response| {
                if response.status() == StatusCode::CONTINUE {
                    gate.open();
                }
            });
        }
        let http2 = lease.is_http2();
        let mut sending = pin!(lease.send(std::mem::take(&mut self.request)));
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
                Err(Failed { reason, signal, unsent: false, untouched: false })
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

    fn broken(&mut self, mut error: SendError<RequestBody>, http2: bool) -> Failed {
        tracing::debug!(broken = ?error.broken(), why = error.detail(), "exchange broke");
        let unsent = error.take_message().map(|request| self.request = request).is_some();
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
        Self { reason, signal: None, unsent: false, untouched: false }
    }

    fn connect(error: &ConnectError) -> Self {
        tracing::debug!(%error, why = error.source.detail(), "attempt failed");
        let (reason, signal) = (ErrorReason::Unreachable, error.signal());
        Self { reason, signal, unsent: true, untouched: true }
    }
}
