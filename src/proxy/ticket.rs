//! What is counted of one request, whatever becomes of it: a ticket is drawn when the head is
//! complete and counted when it is dropped, be that after the last byte or because the client left.
//! Where requests are logged, it has the notes for that, too.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use super::connection::Connection;
use super::counted::Series;
use super::trace::Traced;
use super::under_way::Work;
use super::view::View;
use crate::access_log::Entry;

/// The status counted for a client that left before it had a response, as nginx counts it.
const CLIENT_LEFT: u16 = 499;
/// The same in words.
pub(super) const LEFT: &str = "client_left";

/// One request from its head to its end.
#[derive(Debug)]
pub(super) struct Ticket {
    connection: Rc<Connection>,
    series: Series,
    started: Instant,
    ended: Option<Instant>,
    status: u16,
    grpc: bool,
    /// Its trace.
    pub(super) trace: Traced,
    /// `None`: it is not logged.
    log: Option<Box<RefCell<Entry>>>,
    work: Work,
}

impl Ticket {
    /// `grpc`: the client speaks it, and is to be answered in it.
    pub(super) fn new(connection: Rc<Connection>, started: Instant, grpc: bool) -> Self {
        let series = Rc::clone(&connection.worker.unrouted);
        let (trace, work) = (Traced::default(), connection.work);
        connection.worker.under_way.begin(work);
        let (ended, status, log) = (None, CLIENT_LEFT, None);
        Self { connection, series, started, ended, status, grpc, trace, log, work }
    }

    /// From here on notes are taken, if the configuration wants that.
    pub(super) fn log_as(&mut self, view: &View) {
        if let Some(sheet) = &view.log {
            let worker = &self.connection.worker;
            self.log = Some(worker.log.begin(sheet, worker.unix_millis(self.started)));
        }
    }

    /// Takes a note for the access log, if there is one.
    #[inline]
    pub(super) fn note(&self, note: impl FnOnce(&mut Entry)) {
        if let Some(Ok(mut entry)) = self.log.as_ref().map(|log| log.try_borrow_mut()) {
            note(&mut entry);
        }
    }

    /// From here on the request counts there.
    pub(super) fn count_in(&mut self, series: &Series) {
        self.series = Rc::clone(series);
    }

    /// The end, when somebody has looked at the clock already.
    pub(super) fn ended(&mut self, now: Instant) {
        self.ended = Some(now);
    }

    /// The response's status.
    pub(super) fn answered(&mut self, status: u16) {
        self.status = status;
        self.trace.note(|record| record.status = Some(status));
    }

    /// What is left of it is a tunnel.
    pub(super) fn become_tunnel(&mut self) {
        self.connection.worker.under_way.change(self.work, Work::Tunnel);
        self.work = Work::Tunnel;
    }

    /// Whether the client speaks gRPC.
    pub(super) fn grpc(&self) -> bool {
        self.grpc
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let now = self.ended.unwrap_or_else(Instant::now);
        let duration = now.saturating_duration_since(self.started);
        self.series.requests.increment(self.status);
        self.series.request_duration.record(duration);
        self.connection.worker.under_way.end(self.work);
        self.connection.watch.request_ended(now);
        self.connection.worker.end_trace(&mut self.trace, now);
        if self.status == CLIENT_LEFT {
            self.note(|entry| entry.cut(LEFT));
        }
        if let Some(entry) = self.log.take() {
            self.connection.log(entry, self.status, duration);
        }
    }
}

/// One attempt at a region, counted as in flight for as long as it lives: of its deployment for
/// people, and of all deployments together for the region's limit.
#[derive(Debug)]
pub(super) struct InFlight(Series);

impl InFlight {
    pub(super) fn new(series: &Series) -> Self {
        series.started.increment();
        if let Some(tally) = series.tally() {
            tally.enter();
        }
        Self(Rc::clone(series))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.ended.increment();
        if let Some(tally) = self.0.tally() {
            tally.leave();
        }
    }
}
