//! The connections of one worker, so that they can be counted, and told to end.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use tokio::time::Instant as Clock;

use super::seats::Seats;
use crate::dump::{ConnectionDump, Wanted};
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

    /// What can be told of the connections. Others have their turn in between, however many there are.
    pub(super) async fn dump(&self, wanted: &Wanted, now: Instant) -> Vec<ConnectionDump> {
        let mut found = Vec::new();
        let mut from = 0;
        while found.len() < wanted.connections && from < self.seats.borrow().places() {
            if from > 0 {
                tokio::task::yield_now().await;
            }
            self.dump_some(from, wanted, now, &mut found);
            from += limits::DUMP_STEP;
        }
        found
    }

    fn dump_some(
        &self,
        from: usize,
        wanted: &Wanted,
        now: Instant,
        found: &mut Vec<ConnectionDump>,
    ) {
        let seats = self.seats.borrow();
        let of_client = |watch: &Rc<Watch>| match wanted.client {
            None => true,
            Some(client) => watch
                .shown()
                .client()
                .is_some_and(|address| address.ip().to_canonical() == client.to_canonical()),
        };
        let watches = seats.part(from, limits::DUMP_STEP).filter_map(Weak::upgrade);
        let room = wanted.connections.saturating_sub(found.len());
        found.extend(watches.filter(of_client).take(room).map(|watch| told(&watch, now)));
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

fn told(watch: &Watch, now: Instant) -> ConnectionDump {
    let (shown, deadline) = (watch.shown(), watch.nearest_deadline());
    ConnectionDump {
        client: shown.client(),
        age_seconds: now.saturating_duration_since(shown.since()).as_secs_f64(),
        stage: shown.stage().as_str(),
        phase: watch.phase().as_str(),
        requests: shown.requests(),
        streams: shown.streams(),
        ends_in_seconds: deadline.map(|at| at.saturating_duration_since(now).as_secs_f64()),
        write_blocked: watch.is_write_blocked(),
        draining: watch.draining(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::tests::fixture::run;

    #[test]
    fn connections_are_found_however_many_there_are() {
        run(async {
            let (open, now) = (OpenConnections::default(), Instant::now());
            let count = limits::DUMP_STEP * 2 + 3;
            let watches: Vec<_> = (0..count)
                .map(|number| {
                    let watch = Rc::new(Watch::new(now));
                    let last = u8::from(number + 1 == count);
                    watch.shown().come_from(([192, 0, 2, last], 1).into());
                    open.seats.borrow_mut().enter(Rc::downgrade(&watch));
                    watch
                })
                .collect();
            let wanted = |connections, client: Option<&str>| {
                let client = client.map(|address| address.parse().unwrap());
                Wanted { connections, client, ..Wanted::COUNTS }
            };
            for (connections, client, expected) in [
                (0, None, 0),
                (1, None, 1),
                (limits::DUMP_STEP + 1, None, limits::DUMP_STEP + 1),
                (usize::MAX, None, count),
                (5, Some("192.0.2.1"), 1),
                (5, Some("::ffff:192.0.2.1"), 1),
                (5, Some("192.0.2.2"), 0),
            ] {
                let found = open.dump(&wanted(connections, client), now).await;
                assert_eq!(found.len(), expected, "{connections} {client:?}");
            }
            drop(watches);
            assert_eq!(open.dump(&wanted(5, None), now).await, [], "they have gone");
        });
    }
}
