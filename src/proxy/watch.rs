//! What one client connection is waiting for, and until when.
//!
//! Arming a timer for every wait of every request would cost more than routing it. Instead all
//! waits of a connection write their deadline here, and the connection's driver keeps one timer
//! that it moves only when it fires or when a deadline comes to lie before it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::time::Instant as Clock;

use crate::model::limits;

/// What a client connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for the first byte of the first request.
    Fresh,
    /// Waiting for the first byte of a further request.
    Idle,
    /// In the middle of a request's head.
    Head,
    /// A request is being answered.
    Request,
    /// The last response is decided to its end but not yet written to its end.
    Flushing,
}

impl Phase {
    /// For people who look at connections.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Idle => "idle",
            Self::Head => "head",
            Self::Request => "request",
            Self::Flushing => "flushing",
        }
    }
}

/// How far a client connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing has been said yet.
    Accepted,
    /// It says for whom it comes.
    ProxyProtocol,
    /// TLS is agreed on.
    TlsHandshake,
    /// HTTP/1.1 is spoken.
    Http1,
    /// HTTP/2 is spoken.
    Http2,
    /// It has become something else.
    Tunnel,
}

impl Stage {
    /// For people who look at connections.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::ProxyProtocol => "proxy_protocol",
            Self::TlsHandshake => "tls_handshake",
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Tunnel => "tunnel",
        }
    }
}

/// The waits of one client connection, or of one stream of it.
#[derive(Debug)]
pub struct Watch {
    /// For people who look at connections; nothing is decided by it.
    stage: Cell<Stage>,
    client: Cell<Option<SocketAddr>>,
    since: Instant,
    requests: Cell<u64>,
    phase: Cell<Phase>,
    phase_deadline: Cell<Option<Instant>>,
    request_deadline: Cell<Option<Instant>>,
    write_blocked: Cell<bool>,
    write_deadline: Cell<Option<Instant>>,
    clock: Cell<Instant>,
    ambiguous: Cell<bool>,
    draining: Cell<bool>,
    expired: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Watch {
    /// A connection that was accepted at `now`.
    pub fn new(now: Instant) -> Self {
        let watch = Self::stream(now);
        watch.begin(now, limits::FIRST_BYTE_TIMEOUT);
        watch
    }

    /// A stream whose request has been read already.
    pub fn stream(now: Instant) -> Self {
        Self {
            stage: Cell::new(Stage::Accepted),
            client: Cell::default(),
            since: now,
            requests: Cell::default(),
            phase: Cell::new(Phase::Fresh),
            phase_deadline: Cell::default(),
            request_deadline: Cell::default(),
            write_blocked: Cell::default(),
            write_deadline: Cell::default(),
            clock: Cell::new(now),
            ambiguous: Cell::default(),
            draining: Cell::default(),
            expired: Cell::default(),
            waker: RefCell::default(),
        }
    }

    /// From `now` on, the first byte of what comes next may take so long.
    pub fn begin(&self, now: Instant, most: Duration) {
        self.phase.set(Phase::Fresh);
        self.phase_deadline.set(Some(now + most));
        self.clock.set(now);
    }

    /// Waits for the first byte of a further request until `deadline`.
    pub fn idle_until(&self, deadline: Instant) {
        self.phase.set(Phase::Idle);
        self.phase_deadline.set(Some(deadline));
    }

    /// Something is under way that has deadlines of its own.
    pub fn busy(&self) {
        self.phase.set(Phase::Request);
        self.phase_deadline.set(None);
    }

    /// The connection has come so far.
    pub fn enter(&self, stage: Stage) {
        self.stage.set(stage);
    }

    /// How far the connection has come.
    pub fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// The client is at that address, as far as is known.
    pub fn come_from(&self, client: SocketAddr) {
        self.client.set(Some(client));
    }

    /// Where the client is.
    pub fn client(&self) -> Option<SocketAddr> {
        self.client.get()
    }

    /// When it was accepted.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// A request was begun on the connection.
    pub fn count_request(&self) {
        self.requests.set(self.requests.get() + 1);
    }

    /// Requests that were begun on the connection.
    pub fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Whether the client does not take what is written to it.
    pub fn is_write_blocked(&self) -> bool {
        self.write_blocked.get()
    }

    /// The nearest of its deadlines, as far as they are set.
    pub fn nearest_deadline(&self) -> Option<Instant> {
        let deadlines =
            [self.phase_deadline.get(), self.request_deadline.get(), self.write_deadline.get()];
        deadlines.into_iter().flatten().min()
    }

    /// Until when the present phase may last.
    pub fn phase_deadline(&self) -> Option<Instant> {
        self.phase_deadline.get()
    }

    /// What the connection is doing.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Bytes came while no request was under way.
    pub fn bytes_received(&self) {
        if matches!(self.phase.get(), Phase::Fresh | Phase::Idle) {
            self.phase.set(Phase::Head);
            // Most heads come whole; the driver sets a deadline for those that do not.
            self.phase_deadline.set(None);
        }
    }

    /// A request's head is complete.
    pub fn request_started(&self, now: Instant) {
        self.phase.set(Phase::Request);
        self.phase_deadline.set(None);
        self.clock.set(now);
        self.count_request();
    }

    /// The response is decided to its end.
    pub fn request_ended(&self, now: Instant) {
        self.phase.set(Phase::Flushing);
        self.phase_deadline.set(Some(now + limits::KEEP_ALIVE_IDLE_TIMEOUT));
        self.request_deadline.set(None);
    }

    /// Everything that was written has left.
    pub fn flushed(&self) {
        if self.phase.get() == Phase::Flushing {
            self.phase.set(Phase::Idle);
        }
    }

    /// The client does not take what is written to it.
    pub fn write_blocked(&self) {
        self.write_blocked.set(true);
    }

    /// The client took something.
    pub fn write_progressed(&self) {
        if self.write_blocked.get() {
            self.write_blocked.set(false);
            self.write_deadline.set(None);
        }
    }

    /// Whether the client has taken nothing for as long as it may.
    pub fn stuck(&self, now: Instant) -> bool {
        self.write_deadline.get().is_some_and(|deadline| deadline <= now)
    }

    /// The request under way waits until `deadline`.
    pub fn wait_until(&self, deadline: Instant) {
        self.request_deadline.set(Some(deadline));
    }

    /// The request under way waits for nothing.
    pub fn stop_waiting(&self) {
        self.request_deadline.set(None);
    }

    /// Whether a deadline has passed, as far as the driver has looked.
    pub fn passed(&self, deadline: Instant) -> bool {
        self.clock.get() >= deadline
    }

    /// The time when the driver or a request last looked.
    pub fn clock(&self) -> Instant {
        self.clock.get()
    }

    /// The head now being read frames its body in two ways.
    pub fn mark_ambiguous(&self) {
        self.ambiguous.set(true);
    }

    /// Whether the head that was just read frames its body in two ways; asks once.
    pub fn take_ambiguous(&self) -> bool {
        self.ambiguous.replace(false)
    }

    /// Remembers how to wake the connection's task; the same one as long as it lives.
    pub fn remember(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if known.is_none() {
            *known = Some(waker.clone());
        }
    }

    /// The process is about to end: no further request on this connection.
    pub fn drain(&self) {
        self.draining.set(true);
        self.wake();
    }

    /// Lets the task look at what has changed.
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// It has to go; the task sees it when it looks next.
    pub fn expire(&self) {
        self.expired.set(true);
        self.wake();
    }

    /// Whether it has to go.
    pub fn expired(&self) -> bool {
        self.expired.get()
    }

    /// Whether the process is about to end.
    pub fn draining(&self) -> bool {
        self.draining.get()
    }

    /// For the driver, after it let the connection work: the next moment to look again. Reads the
    /// clock only when a wait began for which nobody set a deadline yet.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.phase.get() == Phase::Head && self.phase_deadline.get().is_none() {
            self.phase_deadline.set(Some(self.look() + limits::REQUEST_HEAD_TIMEOUT));
        }
        if self.write_blocked.get() && self.write_deadline.get().is_none() {
            self.write_deadline.set(Some(self.look() + limits::BODY_PROGRESS_TIMEOUT));
        }
        self.nearest_deadline()
    }

    /// For the driver, when its timer fired at `now`: whether the connection has to go. If not,
    /// the request under way may have something to do.
    pub fn fired(&self, now: Instant) -> bool {
        self.clock.set(now);
        let over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if over(self.phase_deadline.get()) || over(self.write_deadline.get()) {
            return true;
        }
        if over(self.request_deadline.get()) {
            // The request is about to be asked; if it wants to go on waiting it says so again.
            self.request_deadline.set(None);
        }
        false
    }

    /// The time; the watch remembers it.
    pub fn look(&self) -> Instant {
        // The runtime's clock, which tests can stop; otherwise the same.
        let now = Clock::now().into_std();
        self.clock.set(now);
        now
    }
}
