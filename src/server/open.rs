//! The connections of one worker, so that they can be counted, and told to end.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use super::seats::Seats;
use crate::model::limits;
use crate::proxy::{Watch, WorkerContext};

/// The connections of one worker.
#[derive(Debug, Default)]
pub(super) struct OpenConnections {
    seats: RefCell<Seats<Weak<Watch>>>,
    left: tokio::sync::Notify,
}

impl OpenConnections {
    pub(super) fn count(&self) -> usize {
        self.seats.borrow().len()
    }

    /// Takes a connection in for as long as what is returned lives.
    pub(super) fn enter(self: &Rc<Self>, watch: &Rc<Watch>, worker: &Rc<WorkerContext>) -> Entered {
        let seat = self.seats.borrow_mut().enter(Rc::downgrade(watch));
        worker.series.accepted.increment();
        Entered { seat, open: Rc::clone(self), worker: Rc::clone(worker) }
    }

    /// Tells every connection to end after its request, and waits until all have, or time is up.
    pub(super) async fn drain(&self) {
        let watches: Vec<_> = self.seats.borrow().iter().cloned().collect();
        for watch in watches.iter().filter_map(Weak::upgrade) {
            watch.drain();
        }
        let all_left = async {
            while self.count() > 0 {
                self.left.notified().await;
            }
        };
        if tokio::time::timeout(limits::DRAIN_TIMEOUT, all_left).await.is_err() {
            tracing::warn!(connections = self.count(), "drain timed out; closing the rest");
        }
    }
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
