//! How much a worker takes in at a time from clients of HTTP/2: a portion, then a look at its sockets.
//!
//! Sixteen clients with 32 requests each would otherwise have all 512 begun before the first answer of
//! an origin is looked at, and each step of each of them would find its memory cold; and whoever sends
//! thousands of frames at once would keep everybody waiting. Connections take turns, first come first;
//! why is in `docs/decisions/portions.md`.
//!
//! This is no limit: however long origins take, nothing but one look at the sockets comes between two
//! portions.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;
use tokio::task::{spawn_local, yield_now};

use crate::model::limits;

/// What one worker takes in.
#[derive(Debug)]
pub(super) struct Intake {
    /// Streams that may still begin in this portion.
    left: Cell<u32>,
    /// Connections that wait for their turn. While there are some, one of them is called, or one
    /// works, or the next portion is wanted.
    line: RefCell<VecDeque<Rc<Turn>>>,
    wanted: Notify,
}

/// Where a connection stands.
#[derive(Debug)]
struct Turn {
    at: Cell<At>,
    waker: RefCell<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Rest,
    Line,
    Called,
    Work,
}

impl Intake {
    /// Starts the task that lets the next portion begin whenever it is wanted, for as long as the
    /// worker lives.
    pub(super) fn start() -> Rc<Self> {
        let left = Cell::new(limits::STREAMS_PER_PORTION);
        let intake = Rc::new(Self { left, line: RefCell::default(), wanted: Notify::new() });
        let tended = Rc::clone(&intake);
        spawn_local(async move { tended.tend().await });
        intake
    }

    async fn tend(&self) {
        loop {
            self.wanted.notified().await;
            // Whoever yields goes on after the sockets were looked at, behind all that this has woken.
            yield_now().await;
            self.left.set(limits::STREAMS_PER_PORTION);
            self.call();
        }
    }

    fn begun(&self, streams: u32) {
        self.left.set(self.left.get().saturating_sub(streams));
    }

    /// Wakes the first in line that is still there.
    fn call(&self) {
        while let Some(turn) = self.line.borrow_mut().pop_front() {
            if turn.at.get() == At::Line {
                turn.at.set(At::Called);
                return turn.waker.borrow().wake_by_ref();
            }
        }
    }

    /// It is the next one's turn, in this portion or in another.
    fn go_on(&self) {
        if !self.line.borrow().is_empty() {
            match self.left.get() {
                0 => self.wanted.notify_one(),
                _ => self.call(),
            }
        }
    }
}

/// The place of one connection in its worker's intake.
#[derive(Debug)]
pub(super) struct Place {
    intake: Rc<Intake>,
    turn: Rc<Turn>,
}

impl Place {
    pub(super) fn new(intake: &Rc<Intake>) -> Self {
        let turn = Turn { at: Cell::new(At::Rest), waker: RefCell::new(Waker::noop().clone()) };
        Self { intake: Rc::clone(intake), turn: Rc::new(turn) }
    }

    /// Ready when it may work; it says when it has [done](Self::done) so.
    pub(super) fn poll_turn(&self, cx: &Context<'_>) -> Poll<()> {
        let Self { intake, turn } = self;
        match turn.at.get() {
            At::Line => {}
            At::Rest if intake.left.get() == 0 => {
                let mut line = intake.line.borrow_mut();
                if line.is_empty() {
                    intake.wanted.notify_one();
                }
                turn.at.set(At::Line);
                line.push_back(Rc::clone(turn));
            }
            At::Rest | At::Called | At::Work => {
                turn.at.set(At::Work);
                return Poll::Ready(());
            }
        }
        turn.waker.borrow_mut().clone_from(cx.waker());
        Poll::Pending
    }

    /// It has done what there was to do, and this much of the portion with it.
    pub(super) fn done(&self, streams: u32) {
        self.intake.begun(streams);
        self.turn.at.set(At::Rest);
        self.intake.go_on();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Also where it ended in the middle of its work: the others are not to wait for it for ever.
        if matches!(self.turn.at.replace(At::Rest), At::Called | At::Work) {
            self.intake.go_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::UnixStream;
    use tokio::runtime::{Builder, LocalOptions};
    use tokio::task::JoinHandle;

    use super::*;

    type Said = Rc<RefCell<Vec<&'static str>>>;

    fn on_a_worker(test: impl AsyncFnOnce(Rc<Intake>, Said)) {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            test(Intake::start(), Said::default()).await;
        });
    }

    /// Waits for its turn, and begins so many streams then.
    fn begin(intake: &Rc<Intake>, said: &Said, name: &'static str, streams: u32) -> JoinHandle<()> {
        let (said, place) = (Rc::clone(said), Place::new(intake));
        spawn_local(async move {
            poll_fn(|cx| place.poll_turn(cx)).await;
            said.borrow_mut().push(name);
            place.done(streams);
        })
    }

    #[test]
    fn after_a_portion_what_has_come_back_is_looked_at_first() {
        on_a_worker(async |intake, said| {
            let (mut origin, here) = UnixStream::pair().unwrap();
            let answered = Rc::clone(&said);
            let answer = spawn_local(async move {
                here.readable().await.unwrap();
                answered.borrow_mut().push("answer");
            });
            // The answer is waited for, and comes before either of them has its turn.
            yield_now().await;
            origin.write_all(b"x").await.unwrap();
            let portion = limits::STREAMS_PER_PORTION;
            let all = [begin(&intake, &said, "one", portion), begin(&intake, &said, "two", 1)];
            for task in all.into_iter().chain([answer]) {
                task.await.unwrap();
            }
            assert_eq!(*said.borrow(), ["one", "answer", "two"]);
        });
    }

    #[test]
    fn without_an_answer_all_begin_in_the_order_in_which_they_came() {
        on_a_worker(async |intake, said| {
            let portion = limits::STREAMS_PER_PORTION;
            let names = ["one", "two", "three", "four", "five"];
            let streams = [portion, 1, portion + 5, 0, portion];
            let all = names.into_iter().zip(streams);
            let all: Vec<_> = all.map(|(name, it)| begin(&intake, &said, name, it)).collect();
            for task in all {
                task.await.unwrap();
            }
            assert_eq!(*said.borrow(), names);
            assert!(intake.line.borrow().is_empty());
        });
    }

    #[test]
    fn whoever_leaves_the_line_holds_nobody_up() {
        on_a_worker(async |intake, said| {
            intake.begun(limits::STREAMS_PER_PORTION);
            let cx = &mut Context::from_waker(Waker::noop());
            let waiting = [(); 3].map(|()| Place::new(&intake));
            assert!(waiting.iter().all(|place| place.poll_turn(cx).is_pending()));
            let last = begin(&intake, &said, "last", 1);
            let [in_line, called, working] = waiting;
            // One goes while it waits, one when it is called, one in the middle of its work.
            drop(in_line);
            while called.turn.at.get() != At::Called {
                yield_now().await;
            }
            drop(called);
            while working.poll_turn(cx).is_pending() {
                yield_now().await;
            }
            assert_eq!(working.turn.at.get(), At::Work);
            drop(working);
            last.await.unwrap();
            assert_eq!(*said.borrow(), ["last"]);
        });
    }

    #[test]
    fn nobody_waits_while_there_is_room() {
        on_a_worker(async |intake, _| {
            let cx = &mut Context::from_waker(Waker::noop());
            let places = [(); 2].map(|()| Place::new(&intake));
            for _ in 0..limits::STREAMS_PER_PORTION {
                assert!(places.iter().all(|place| place.poll_turn(cx).is_ready()));
                places.iter().zip([0, 1]).for_each(|(place, streams)| place.done(streams));
            }
            assert!(places[0].poll_turn(cx).is_pending());
        });
    }
}
