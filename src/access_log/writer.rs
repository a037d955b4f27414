//! Writing, for as long as it takes: on a thread that waits for disks, pipes and sockets, so that
//! nobody else has to.
//!
//! What cannot be written now is tried again until it can; meanwhile the queue fills, and workers
//! drop and count. A line is written as a whole or begun anew in the file that comes next.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::queue::{Batch, Message};
use super::sink::{OpenError, Sink, Wrote};
use super::thread::Wanted;
use crate::config::LogTarget;
use crate::metrics::{LogSeries, Registry};
use crate::model::limits::{ACCESS_LOG_PAUSE, ACCESS_LOG_RETRY};

/// A target that takes a little time is asked again soon.
const SOON: Duration = Duration::from_millis(5);
/// Targets that are open at once: the one in use, and the one from before a reload.
const OPEN_TARGETS: usize = 2;

/// What writes.
pub(super) struct Writer {
    wanted: Arc<Wanted>,
    registry: Arc<Registry>,
    /// The one used last is the last.
    open: Vec<Open>,
    /// Whether the last attempt to write has failed, and somebody has been told.
    failing: bool,
    /// Since when a target takes nothing for a little time, again and again.
    waits: Option<Instant>,
}

/// A target that is written to.
struct Open {
    target: LogTarget,
    sink: Sink,
    /// When its file is to be opened anew, if that has been asked for.
    anew: Option<Instant>,
}

impl Writer {
    pub(super) fn new(wanted: Arc<Wanted>, registry: Arc<Registry>) -> Self {
        Self { wanted, registry, open: Vec::new(), failing: false, waits: None }
    }

    /// Writes what comes until nothing more can.
    pub(super) fn run(&mut self, received: &Receiver<Message>) {
        loop {
            match self.next(received) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {
                    self.look(None);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Ok(message) = received.try_recv() {
                self.take(message);
            }
            // To be woken for each batch would cost more than to write it, and so would looking for
            // the next one, which is what waiting begins with.
            self.wanted.pause(ACCESS_LOG_PAUSE);
        }
    }

    /// Waits for what comes next; not for long while a file is to be opened anew.
    fn next(&self, received: &Receiver<Message>) -> Result<Message, RecvTimeoutError> {
        match self.open.iter().any(|open| open.anew.is_some()) {
            true => received.recv_timeout(ACCESS_LOG_RETRY),
            false => received.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn take(&mut self, message: Message) {
        self.look(None);
        if let Message::Batch(batch) = message {
            self.put(&batch);
            batch.give_back();
        }
    }

    /// Writes a batch, however long that takes, unless lines belong elsewhere by now. What cannot be
    /// written is counted.
    fn put(&mut self, batch: &Batch) {
        let (target, bytes) = (&batch.settings.to, batch.bytes.as_slice());
        // Bytes that are done with, in whole lines and in all.
        let (mut lines_end, mut at, mut lost) = (0, 0, 0);
        while let Some(left) = bytes.get(at..).filter(|left| !left.is_empty()) {
            if self.look(Some(target)) {
                // It is another one, and a line that was begun has to begin again.
                at = lines_end;
                continue;
            }
            match self.write(target, left) {
                Wrote::Some(count) => {
                    at += count;
                    self.waits = None;
                    self.recovered();
                }
                Wrote::Unfit(count) => {
                    at += count;
                    lost += 1;
                }
                Wrote::Soon => {
                    let since = *self.waits.get_or_insert_with(Instant::now);
                    if since.elapsed() >= ACCESS_LOG_RETRY && self.wanted.has_left(target) {
                        break;
                    }
                    rest(SOON);
                }
                Wrote::Later(error) => {
                    self.fails(&error);
                    if self.wanted.has_left(target) || self.wanted.pause(ACCESS_LOG_RETRY) {
                        break;
                    }
                }
                Wrote::Never(error) => {
                    self.fails(&error);
                    break;
                }
            }
            let whole = bytes.get(..at).and_then(|done| done.iter().rposition(|b| *b == b'\n'));
            lines_end = whole.map_or(0, |end| end + 1);
        }
        self.count(batch, lines_end, lost);
    }

    /// Counts what became of a batch: so many bytes are whole lines that are done with, of which so
    /// many are lost.
    fn count(&self, batch: &Batch, lines_end: usize, lost: u64) {
        let done = match batch.bytes.get(..lines_end) {
            // Which is what mostly happens.
            Some(all) if all.len() == batch.bytes.len() => batch.lines,
            done => done.unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() as u64,
        };
        let series: &LogSeries = &self.registry.log;
        series.written.add(done.saturating_sub(lost));
        series.failed.add(batch.lines.saturating_sub(done) + lost);
    }

    fn write(&mut self, target: &LogTarget, lines: &[u8]) -> Wrote {
        let wrote = match self.sink(target) {
            Ok(sink) => sink.write(lines),
            Err(error) => return Wrote::Later(error.source),
        };
        if matches!((&wrote, target), (Wrote::Later(_), LogTarget::Syslog { .. })) {
            // Whoever listens there next does so on another socket.
            self.open.retain(|open| open.target != *target);
        }
        wrote
    }

    /// The open target.
    fn sink(&mut self, target: &LogTarget) -> Result<&mut Sink, OpenError> {
        match self.open.iter().position(|open| open.target == *target) {
            Some(at) => self.open[at..].rotate_left(1),
            None => {
                let sink = Sink::open(target)?;
                if self.open.len() >= OPEN_TARGETS {
                    self.open.remove(0);
                }
                self.open.push(Open { target: target.clone(), sink, anew: None });
            }
        }
        let last = self.open.len() - 1;
        Ok(&mut self.open[last].sink)
    }

    /// Opens files anew if that is asked for, or was and could not be done. Whether the one that is
    /// written to is another one now.
    fn look(&mut self, writing: Option<&LogTarget>) -> bool {
        let (asked, mut changed) = (self.wanted.take_reopen(), false);
        for open in self.open.iter_mut().filter(|open| Sink::is_file(&open.target)) {
            if !asked && open.anew.is_none_or(|due| Instant::now() < due) {
                continue;
            }
            match Sink::open(&open.target) {
                Ok(fresh) => {
                    (open.sink, open.anew) = (fresh, None);
                    changed |= writing == Some(&open.target);
                    tracing::info!("access log: its file is opened anew");
                }
                Err(error) => {
                    open.anew = Some(Instant::now() + ACCESS_LOG_RETRY);
                    if asked {
                        let why = error.source.to_string();
                        tracing::error!(%error, why, "the access log goes on in the file from before until it can be opened");
                    }
                }
            }
        }
        changed
    }

    fn fails(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(%error, "the access log cannot be written; requests go on without it");
        }
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.failing) {
            let dropped: u64 =
                self.registry.workers().iter().map(|worker| worker.log_lines_dropped.get()).sum();
            tracing::info!(dropped, "the access log is written again");
        }
    }
}

/// For threads that have nothing else to do.
#[expect(clippy::disallowed_methods, reason = "no worker runs here, or none does any more")]
pub(super) fn rest(time: Duration) {
    std::thread::sleep(time);
}
