//! The streams of one HTTP/2 connection: a task each, which share one timer and a limit.
//!
//! hyper hands every stream to an executor right after it has called the service, so the waits of
//! a request get from the one to the other through a cell. A stream that the client has taken back
//! counts until its task has noticed and is gone: as long as it may have a request at an origin, no
//! other has one in its place. Those that come after a portion of them wait in line for the
//! connection's next turns; until then all that can happen to them is that they are taken back.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use pin_project_lite::pin_project;
use tokio::task::spawn_local;

use super::line::Line;
use crate::model::{Flood, limits};
use crate::proxy::{Connection, Watch};
use crate::server::seats::Seats;

/// The streams of one connection.
#[derive(Debug)]
pub(super) struct Streams {
    connection: Rc<Connection>,
    /// The watch of the stream that is about to be executed.
    next: RefCell<Option<Rc<Watch>>>,
    seats: RefCell<Seats<Rc<Watch>>>,
    /// Streams that are being worked on.
    running: Cell<u32>,
    most: u32,
    /// Streams that have come since the last turn.
    new: Cell<u32>,
    /// How many more may begin until the next turn.
    may_begin: Cell<u32>,
    /// One that has not begun is being polled.
    holding: Cell<bool>,
    /// Streams whose client may be as slow as it likes.
    exempt: Cell<u32>,
    line: RefCell<Line>,
    /// The first moment at which one of them has to look at the time.
    soonest: Cell<Option<Instant>>,
}

impl Streams {
    pub(super) fn new(connection: Rc<Connection>, most: u32) -> Self {
        Self {
            connection,
            next: RefCell::default(),
            seats: RefCell::default(),
            running: Cell::new(0),
            most,
            new: Cell::new(0),
            may_begin: Cell::new(0),
            holding: Cell::new(false),
            exempt: Cell::new(0),
            line: RefCell::default(),
            soonest: Cell::default(),
        }
    }

    /// A new stream, for its service.
    pub(super) fn begin(&self) -> Rc<Connection> {
        let stream = self.connection.stream();
        self.connection.watch.shown().count_request();
        *self.next.borrow_mut() = Some(Rc::clone(&stream.watch));
        self.new.set(self.new.get().saturating_add(1));
        Rc::new(stream)
    }

    /// At the end of a turn: lets so many of the streams that are there begin, those that have waited
    /// before those that are new, and tells how many there are of those.
    pub(super) fn let_begin(&self, most: u32) -> u32 {
        self.may_begin.set(most);
        let mut called = 0;
        while !self.line.borrow().is_empty() && self.take_place() {
            if let Some(waker) = self.line.borrow_mut().call() {
                waker.wake();
            }
            called += 1;
        }
        if self.may_begin.get() == 0 && !self.line.borrow().is_empty() {
            self.connection.watch.wake();
        }
        self.new.take().saturating_add(called).min(most)
    }

    /// Takes one of the places of those that are worked on, if there is one.
    fn take_place(&self) -> bool {
        let (running, left) = (self.running.get(), self.may_begin.get());
        let there_is = left > 0 && running < self.most;
        if there_is {
            self.running.set(running + 1);
            self.may_begin.set(left - 1);
        }
        there_is
    }

    /// Whether what is polled now has to wait for its turn.
    pub(super) fn holding(&self) -> bool {
        self.holding.get()
    }

    /// Lets people who look at the connection know how many streams are open.
    fn tell(&self) {
        self.connection.watch.shown().set_streams(self.seats.borrow().len());
    }

    /// Whether no stream is open.
    pub(super) fn is_empty(&self) -> bool {
        self.seats.borrow().len() == 0
    }

    /// Whether there is a stream whose client may be as slow as it likes.
    pub(super) fn any_exempt(&self) -> bool {
        self.exempt.get() > 0
    }

    /// The first moment at which [`look`](Self::look) has something to do.
    pub(super) fn soonest(&self) -> Option<Instant> {
        self.soonest.get()
    }

    /// Wakes every stream whose wait is over at `now`, and lets those go that take nothing.
    pub(super) fn look(&self, now: Instant) {
        if self.soonest.get().is_none_or(|soonest| soonest > now) {
            return;
        }
        let mut soonest = None;
        for watch in self.seats.borrow().iter() {
            let Some(deadline) = watch.next_deadline() else { continue };
            if deadline > now {
                soonest = Some(soonest.map_or(deadline, |soonest: Instant| soonest.min(deadline)));
            } else if watch.fired(now) {
                self.connection.worker.series.flooded(Flood::Stalled);
                watch.expire();
            } else {
                watch.wake();
            }
        }
        self.soonest.set(soonest);
    }

    /// Lets all streams go.
    pub(super) fn end(&self) {
        for watch in self.seats.borrow().iter() {
            watch.expire();
        }
    }

    /// The connection's timer must not fire later than this.
    fn look_by(&self, deadline: Instant) {
        if self.soonest.get().is_none_or(|soonest| deadline < soonest) {
            self.soonest.set(Some(deadline));
            self.connection.watch.wake();
        }
    }
}

/// What hyper runs streams on.
#[derive(Clone, Debug)]
pub(super) struct Executor(pub(super) Rc<Streams>);

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Executor {
    fn execute(&self, future: F) {
        let streams = Rc::clone(&self.0);
        // What is not a stream that has just begun is the sending half of one that has become a
        // tunnel: it counts as a stream, which had its turn, and nobody else watches it.
        let watch = streams.next.borrow_mut().take();
        let stand = if watch.is_some() { Stand::New } else { Stand::On };
        let watch = watch.unwrap_or_else(|| {
            streams.running.set(streams.running.get() + 1);
            let watch = Watch::stream(&streams.connection.watch);
            watch.set_exempt(true);
            Rc::new(watch)
        });
        if streams.is_empty() {
            streams.connection.watch.busy();
        }
        let place = streams.seats.borrow_mut().enter(Rc::clone(&watch));
        streams.tell();
        let seat = Seat { place, watch, streams, stand, exempt: false };
        spawn_local(Stream { future, seat });
    }
}

/// A stream's place among the others, and what is left when it goes.
#[derive(Debug)]
struct Seat {
    place: usize,
    watch: Rc<Watch>,
    streams: Rc<Streams>,
    stand: Stand,
    /// Whether it counts as exempt.
    exempt: bool,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    New,
    /// In line, or called, with this number. Who has been called has a place among those that are
    /// worked on.
    InLine(u64),
    On,
}

impl Seat {
    /// Whether it has to wait for a turn of its connection.
    fn waits(&mut self, cx: &Context<'_>) -> bool {
        let streams = &self.streams;
        let mut line = streams.line.borrow_mut();
        self.stand = match self.stand {
            Stand::InLine(number) if line.holds(number, cx.waker()) => return true,
            Stand::New if !line.is_empty() || !streams.take_place() => {
                // Nobody else calls for that turn.
                streams.connection.watch.wake();
                Stand::InLine(line.enter(cx.waker()))
            }
            Stand::New | Stand::InLine(_) | Stand::On => Stand::On,
        };
        self.stand != Stand::On
    }

    /// Counts it, if it has become one whose client may be as slow as it likes.
    fn note_exempt(&mut self) {
        if !self.exempt && self.watch.is_exempt() {
            self.exempt = true;
            self.streams.exempt.set(self.streams.exempt.get() + 1);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Self { place, watch, streams, stand, exempt } = self;
        streams.seats.borrow_mut().leave(*place);
        streams.tell();
        if *exempt {
            streams.exempt.set(streams.exempt.get().saturating_sub(1));
        }
        let had_place = match *stand {
            Stand::New => false,
            Stand::InLine(number) => !streams.line.borrow_mut().leave(number),
            Stand::On => true,
        };
        if had_place {
            streams.running.set(streams.running.get().saturating_sub(1));
            if !streams.line.borrow().is_empty() {
                // Its next turn has a place for one of those.
                streams.connection.watch.wake();
            }
        }
        if streams.is_empty() {
            // Its last request told the time, unless it came to none.
            let connection = &streams.connection.watch;
            let since = watch.phase_deadline();
            let until = || connection.look() + limits::KEEP_ALIVE_IDLE_TIMEOUT;
            connection.idle_until(since.unwrap_or_else(until));
        }
    }
}

pin_project! {
    /// The task of one stream.
    struct Stream<F> {
        #[pin]
        future: F,
        // Behind the future, so that it is given up after it.
        seat: Seat,
    }
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let watch = Rc::clone(&this.seat.watch);
        if watch.expired() {
            // Dropped, the stream is reset.
            return Poll::Ready(());
        }
        watch.remember(cx.waker());
        let waited = matches!(this.seat.stand, Stand::InLine(_));
        let waits = this.seat.waits(cx);
        if waits || waited {
            // What has been taken back meanwhile does not begin.
            let streams = &this.seat.streams;
            streams.holding.set(true);
            let polled = this.future.as_mut().poll(cx);
            streams.holding.set(false);
            if waits || polled.is_ready() {
                return polled;
            }
        }
        let polled = this.future.poll(cx);
        this.seat.note_exempt();
        if polled.is_pending()
            && let Some(deadline) = watch.next_deadline()
        {
            this.seat.streams.look_by(deadline);
        }
        polled
    }
}
