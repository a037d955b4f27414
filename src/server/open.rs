//! The connections of one worker, so that they can be counted, and told to end.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Instant;

use super::seats::Seats;
use crate::dump::{ConnectionDump, Wanted};
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

    /// What can be told of the connections.
    pub(super) fn dump(&self, wanted: &Wanted, now: Instant) -> Vec<ConnectionDump> {
        let seats = self.seats.borrow();
        let watches = seats.iter().filter_map(Weak::upgrade);
        let of_client = |watch: &Rc<Watch>| match wanted.client {
            None => true,
            Some(client) => watch
                .client()
                .is_some_and(|address| address.ip().to_canonical() == client.to_canonical()),
        };
        let watches = watches.filter(of_client).take(wanted.connections);
        watches.map(|watch| told(&watch, now)).collect()
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

fn told(watch: &Watch, now: Instant) -> ConnectionDump {
    let deadline = watch.nearest_deadline();
    ConnectionDump {
        client: watch.client(),
        age_seconds: now.saturating_duration_since(watch.since()).as_secs_f64(),
        stage: watch.stage().as_str(),
        phase: watch.phase().as_str(),
        requests: watch.requests(),
        ends_in_seconds: deadline.map(|at| at.saturating_duration_since(now).as_secs_f64()),
        write_blocked: watch.is_write_blocked(),
        draining: watch.draining(),
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
