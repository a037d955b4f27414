//! A worker's side of the log: entries under way, and lines that are about to be handed on.
//!
//! Lines are collected until there are enough of them, or until the first has waited long enough.
//! No request is woken or kept waiting for that: the worker's own task sleeps until the first line
//! of a batch comes, and once for each batch after that.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::entry::{Entry, Secured};
use super::line;
use super::moment::Moments;
use super::queue::{Batch, Lines};
use super::redact::Rule;
use super::syslog::Frame;
use super::writer::rest;
use crate::config::{AccessLog, LogTarget};
use crate::metrics::WorkerSeries;
use crate::model::limits::{
    ACCESS_LOG_BATCH_BYTES, ACCESS_LOG_BATCH_TIME, ACCESS_LOG_LAST, ACCESS_LOG_RECORDS,
    ACCESS_LOG_ROOMS, ACCESS_LOG_VALUE_BYTES,
};

/// Between two tries to hand on the last lines.
const LAST_TRIES: Duration = Duration::from_millis(5);

/// The settings of a log, worked out for use.
#[derive(Debug)]
pub struct Sheet {
    pub(super) settings: Arc<AccessLog>,
    /// What of each header field may be logged.
    pub(super) rules: Box<[Rule]>,
    /// What stands in front of each line.
    pub(super) frame: Option<Frame>,
    /// Random numbers below it are logged.
    threshold: u64,
}

impl Sheet {
    /// The sheet for these settings; the one from before, if they are the same.
    pub fn of(settings: Option<&Arc<AccessLog>>, before: Option<&Rc<Self>>) -> Option<Rc<Self>> {
        let settings = settings?;
        let same = before.filter(|before| Arc::ptr_eq(&before.settings, settings));
        Some(same.map_or_else(|| Rc::new(Self::new(Arc::clone(settings))), Rc::clone))
    }

    fn new(settings: Arc<AccessLog>) -> Self {
        let frame = match &settings.to {
            LogTarget::Syslog { facility, .. } => {
                let system = rustix::system::uname();
                Some(Frame::new(*facility, system.nodename().to_bytes(), std::process::id()))
            }
            LogTarget::Stdout | LogTarget::File(_) => None,
        };
        Self {
            rules: settings.headers.iter().map(Rule::of).collect(),
            frame,
            // A share of 1 becomes the largest number there is.
            threshold: (settings.sample * 2_f64.powi(64)) as u64,
            settings,
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// The status that the client got.
    pub status: u16,
    /// From the end of the request's head.
    pub duration: Duration,
    /// The address of the connection's other end.
    pub peer: &'a [u8],
    /// What TLS has agreed on; `None`: clear text.
    pub secured: Option<Secured<'a>>,
    /// A random number.
    pub entropy: u64,
}

/// A worker's side of the log.
#[derive(Debug)]
pub struct Logger {
    lines: Lines,
    series: Arc<WorkerSeries>,
    batch: RefCell<Option<Batch>>,
    /// Room of batches that have been written.
    rooms: Receiver<Vec<u8>>,
    home: SyncSender<Vec<u8>>,
    #[expect(clippy::vec_box, reason = "they are handed out in their boxes")]
    spare: RefCell<Vec<Box<RefCell<Entry>>>>,
    /// Whether the task of [`Self::tend`] knows that there is something to hand on.
    armed: Cell<bool>,
    wake: Notify,
    moments: Moments,
}

impl Logger {
    /// Hands lines on there, and counts what is dropped.
    pub fn new(lines: Lines, series: Arc<WorkerSeries>) -> Self {
        let (home, rooms) = sync_channel(ACCESS_LOG_ROOMS);
        Self {
            lines,
            series,
            batch: RefCell::default(),
            rooms,
            home,
            spare: RefCell::default(),
            armed: Cell::default(),
            wake: Notify::new(),
            moments: Moments::default(),
        }
    }

    /// Notes on a request that came at that moment, in milliseconds since 1970.
    pub fn begin(&self, sheet: &Rc<Sheet>, unix_millis: u64) -> Box<RefCell<Entry>> {
        match self.spare.borrow_mut().pop() {
            Some(mut entry) => {
                entry.get_mut().renew(sheet, unix_millis);
                entry
            }
            None => Box::new(RefCell::new(Entry::new(Rc::clone(sheet), unix_millis))),
        }
    }

    /// Writes the line of a request, if it is one of the sample.
    pub fn end(&self, mut entry: Box<RefCell<Entry>>, ending: &Ending<'_>) {
        let notes = entry.get_mut();
        let threshold = notes.sheet.threshold;
        if threshold == u64::MAX || ending.entropy < threshold || notes.matters(ending.status) {
            self.write(notes, ending);
        }
        let mut spare = self.spare.borrow_mut();
        if spare.len() < ACCESS_LOG_RECORDS && notes.room() <= ACCESS_LOG_VALUE_BYTES {
            spare.push(entry);
        }
    }

    fn write(&self, notes: &Entry, ending: &Ending<'_>) {
        let mut batch = self.batch.borrow_mut();
        let settings = &notes.sheet.settings;
        let other = |batch: &mut Batch| !Arc::ptr_eq(&batch.settings, settings);
        if let Some(full) = batch.take_if(other) {
            self.hand_on(full);
        }
        let lines = batch.get_or_insert_with(|| Batch {
            settings: Arc::clone(settings),
            bytes: self.rooms.try_recv().unwrap_or_else(|_| {
                Vec::with_capacity(ACCESS_LOG_BATCH_BYTES + ACCESS_LOG_VALUE_BYTES)
            }),
            lines: 0,
            home: self.home.clone(),
        });
        line::write(&mut lines.bytes, &notes.sheet, &notes.record(ending, &self.moments));
        lines.lines += 1;
        if let Some(full) = batch.take_if(|batch| batch.bytes.len() >= ACCESS_LOG_BATCH_BYTES) {
            self.hand_on(full);
        } else if !self.armed.replace(true) {
            self.wake.notify_one();
        }
    }

    fn hand_on(&self, batch: Batch) {
        if let Err(dropped) = self.lines.send(batch) {
            self.series.log_lines_dropped.add(dropped.lines);
        }
    }

    /// Hands on what has waited for long enough, for as long as the worker lives.
    pub async fn tend(&self) {
        loop {
            self.wake.notified().await;
            tokio::time::sleep(ACCESS_LOG_BATCH_TIME).await;
            self.armed.set(false);
            let waiting = self.batch.borrow_mut().take();
            if let Some(batch) = waiting {
                self.hand_on(batch);
            }
        }
    }
}

impl Drop for Logger {
    /// The worker has ended, and its last lines may wait for room.
    fn drop(&mut self) {
        let Some(mut batch) = self.batch.take() else { return };
        let end = Instant::now() + ACCESS_LOG_LAST / 2;
        loop {
            match self.lines.send(batch) {
                Ok(()) => return,
                Err(full) if Instant::now() < end => batch = full,
                Err(dropped) => return self.series.log_lines_dropped.add(dropped.lines),
            }
            rest(LAST_TRIES);
        }
    }
}
