//! The connections of one worker, so that they can be counted, and told to end.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use tokio::time::Instant as Clock;

use super::seats::Seats;
use crate::model::limits;
use crate::proxy::{Watch, WorkCounts, WorkerContext};

/// The connections of one worker.
#[derive(Debug, Default)]
pub(super) struct OpenConnections {
    seats: RefCell<Seats<Weak<Watch>>>,
    left: tokio::sync::Notify,
    draining: Cell<bool>,
}

/// What became of a worker's connections when the process was to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// What came to its end, however it did.
    pub finished: WorkCounts,
    /// What was still under way when time was up.
    pub cut: WorkCounts,
}

impl Left {
    /// Both workers' together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { finished: self.finished.plus(other.finished), cut: self.cut.plus(other.cut) }
    }
}

impl OpenConnections {
    pub(super) fn count(&self) -> usize {
        self.seats.borrow().len()
    }

    /// Takes a connection in for as long as what is returned lives.
    pub(super) fn enter(self: &Rc<Self>, watch: &Rc<Watch>, worker: &Rc<WorkerContext>) -> Entered {
        let seat = self.seats.borrow_mut().enter(Rc::downgrade(watch));
        worker.series.accepted.increment();
        if self.draining.get() {
            tell(watch, Clock::now().into_std());
        }
        Entered { seat, open: Rc::clone(self), worker: Rc::clone(worker) }
    }

    /// Tells every connection to end after its request, those that come as well, and waits until
    /// all have, or `timeout` is over. Shortly before that, tunnels are told. Nobody comes any more
    /// once `closed` is done.
    pub(super) async fn drain(
        &self,
        worker: &WorkerContext,
        timeout: Duration,
        closed: impl Future<Output = ()>,
    ) -> Left {
        let before = worker.under_way.ended();
        self.draining.set(true);
        let now = Clock::now();
        let watches: Vec<_> = self.seats.borrow().iter().cloned().collect();
        for watch in watches.iter().filter_map(Weak::upgrade) {
            tell(&watch, now.into_std());
        }
        let all_left = async {
            closed.await;
            while self.count() > 0 {
                self.left.notified().await;
            }
        };
        let farewell = async {
            tokio::time::sleep_until(now + until_farewell(timeout)).await;
            worker.under_way.say_farewell();
            tokio::time::sleep_until(now + timeout).await;
        };
        tokio::select! {
            () = all_left => {}
            () = farewell => {}
        }
        Left { finished: worker.under_way.ended().since(before), cut: worker.under_way.now() }
    }
}

fn tell(watch: &Watch, now: Instant) {
    watch.drain_after(now, limits::DRAIN_PATIENCE);
}

/// When tunnels are told: some time before the end, or at half time if there is not much.
fn until_farewell(timeout: Duration) -> Duration {
    timeout.saturating_sub(limits::TUNNEL_GOODBYE).max(timeout / 2)
}

/// Makes room when a connection ends, however it ends.
#[derive(Debug)]
pub(super) struct Entered {
    seat: usize,
    open: Rc<OpenConnections>,
    worker: Rc<WorkerContext>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.worker.series.closed.increment();
        self.open.seats.borrow_mut().leave(self.seat);
        self.open.left.notify_one();
    }
}
