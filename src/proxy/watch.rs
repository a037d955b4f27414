//! What one client connection is waiting for, and until when.
//!
//! Arming a timer for every wait of every request would cost more than routing it. Instead all
//! waits of a connection write their deadline here, and the connection's driver keeps one timer
//! that it moves only when it fires or when a deadline comes to lie before it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::time::Instant as Clock;

use super::shown::Shown;
use super::uptake::Uptake;
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

/// The waits of one client connection, or of one stream of it.
#[derive(Debug)]
pub struct Watch {
    shown: Shown,
    phase: Cell<Phase>,
    phase_deadline: Cell<Option<Instant>>,
    request_deadline: Cell<Option<Instant>>,
    uptake: Uptake,
    /// The connection that this is a stream of.
    connection: Option<Rc<Self>>,
    clock: Cell<Instant>,
    ambiguous: Cell<bool>,
    draining: Cell<bool>,
    leave_by: Cell<Option<Instant>>,
    expired: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Watch {
    /// A connection that was accepted at `now`.
    pub fn new(now: Instant) -> Self {
        let watch = Self::bare(now, None);
        watch.begin(now, limits::FIRST_BYTE_TIMEOUT);
        watch
    }

    /// A stream of this connection whose request has been read already.
    pub fn stream(connection: &Rc<Self>) -> Self {
        Self::bare(connection.clock(), Some(Rc::clone(connection)))
    }

    fn bare(now: Instant, connection: Option<Rc<Self>>) -> Self {
        Self {
            shown: Shown::new(now),
            phase: Cell::new(Phase::Fresh),
            phase_deadline: Cell::default(),
            request_deadline: Cell::default(),
            uptake: Uptake::new(),
            connection,
            clock: Cell::new(now),
            ambiguous: Cell::default(),
            draining: Cell::default(),
            leave_by: Cell::default(),
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

    /// What people who look at connections are shown of it.
    pub fn shown(&self) -> &Shown {
        &self.shown
    }

    /// The nearest of its deadlines, as far as they are set; sets none.
    pub fn nearest_deadline(&self) -> Option<Instant> {
        self.nearest(self.uptake.present_deadline())
    }

    fn nearest(&self, write_deadline: Option<Instant>) -> Option<Instant> {
        let deadlines =
            [self.present_phase_deadline(), self.request_deadline.get(), write_deadline];
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
        self.uptake.set_exempt(false);
        self.shown.count_request();
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
            // Where it took long, somebody has looked at the clock since.
            let idle = self.clock.get() + limits::KEEP_ALIVE_IDLE_TIMEOUT;
            self.phase_deadline.set(self.phase_deadline.get().map(|deadline| deadline.max(idle)));
        }
    }

    /// The client does not take what is written to it.
    pub fn write_blocked(&self) {
        self.uptake.wait();
    }

    /// The client took so many bytes, and is not waited for now.
    pub fn took(&self, bytes: u64) {
        self.uptake.take(bytes, self.whole(), || self.look());
    }

    /// Whether the client is waited for to take something.
    pub fn is_write_blocked(&self) -> bool {
        self.uptake.waits()
    }

    /// Whether the client is too slow in taking what is written to it.
    pub fn stuck(&self, now: Instant) -> bool {
        self.uptake.is_over(self.whole(), now)
    }

    /// Whether the client may take as little at a time as it likes.
    pub fn set_exempt(&self, exempt: bool) {
        self.uptake.set_exempt(exempt);
    }

    /// Whether it may.
    pub fn is_exempt(&self) -> bool {
        self.uptake.exempt()
    }

    /// What the client takes of the connection that this is a stream of.
    fn whole(&self) -> Option<&Uptake> {
        self.connection.as_deref().map(|connection| &connection.uptake)
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

    /// The same, but for a request that may be on its way: it may come until so much after `now`,
    /// unless the connection has been idle for longer than that already.
    pub fn drain_after(&self, now: Instant, patience: Duration) {
        let idle_since = self.phase_deadline.get().filter(|_| self.phase.get() == Phase::Idle);
        let idle_since = idle_since.and_then(|by| by.checked_sub(limits::KEEP_ALIVE_IDLE_TIMEOUT));
        if idle_since.is_none_or(|since| since + patience > now) {
            self.leave_by.set(Some(now + patience));
        }
        self.drain();
    }

    /// Until when a connection that is told to go may wait for a request that is on its way; `None`
    /// when it may not, or is not told.
    pub fn may_wait_until(&self) -> Option<Instant> {
        self.leave_by.get()
    }

    /// For a driver: whether the connection has to go now if it has no request. Reads the clock,
    /// but only of connections that are told to go.
    pub fn must_leave(&self) -> bool {
        self.draining.get() && self.leave_by.get().is_none_or(|by| self.look() >= by)
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
        if self.phase.get() == Phase::Idle {
            // Not in between two requests that came at once.
            self.uptake.refill();
        }
        let write_deadline = self.uptake.deadline(self.whole(), || self.look());
        self.nearest(write_deadline)
    }

    /// What is written to its end has as long as the client goes on taking it.
    fn present_phase_deadline(&self) -> Option<Instant> {
        let writing = self.phase.get() == Phase::Flushing && self.uptake.waits();
        self.phase_deadline.get().filter(|_| !writing)
    }

    /// For the driver, when its timer fired at `now`: whether the connection has to go. If not,
    /// the request under way may have something to do.
    pub fn fired(&self, now: Instant) -> bool {
        self.clock.set(now);
        let over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if over(self.present_phase_deadline()) || self.stuck(now) {
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
