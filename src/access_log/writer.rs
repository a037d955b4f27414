//! The thread that writes: it waits for disks, pipes and sockets, so that nobody else has to.
//!
//! What cannot be written now is tried again until it can; meanwhile the queue fills, and workers
//! drop and count. A line is written as a whole or begun anew in the file that comes next.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::sink::{OpenError, Sink, Wrote, open_file};
use crate::config::{AccessLog, LogTarget};
use crate::metrics::{LogSeries, Registry};
use crate::model::limits::{ACCESS_LOG_LAST, ACCESS_LOG_QUEUE, ACCESS_LOG_RETRY};

/// A target that takes a little time is asked again soon.
const SOON: Duration = Duration::from_millis(5);
/// Targets that are open at once: the one in use, and the one from before a reload.
const OPEN_TARGETS: usize = 2;

/// Lines on their way.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) settings: Arc<AccessLog>,
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
}

#[derive(Debug)]
enum Message {
    Batch(Batch),
    /// Look at what is wanted.
    Look,
}

/// Where workers put lines.
#[derive(Clone, Debug)]
pub struct Lines(SyncSender<Message>);

impl Lines {
    /// To nobody: all of them are dropped.
    pub fn nowhere() -> Self {
        Self(sync_channel(1).0)
    }

    /// Hands lines on, or back.
    pub(super) fn send(&self, batch: Batch) -> Result<(), Batch> {
        match self.0.try_send(Message::Batch(batch)) {
            Err(TrySendError::Full(Message::Batch(batch)))
            | Err(TrySendError::Disconnected(Message::Batch(batch))) => Err(batch),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// What the thread is asked for, beside lines. No worker touches it.
#[derive(Debug, Default)]
struct Wanted {
    asked: Mutex<Asked>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    reopen: bool,
    stop: bool,
}

impl Wanted {
    fn ask(&self, change: impl FnOnce(&mut Asked)) {
        change(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Whether files are to be opened anew; says so once.
    fn take_reopen(&self) -> bool {
        std::mem::take(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner).reopen)
    }

    /// Waits, unless there is something to do. Whether it is time to end.
    fn pause(&self, most: Duration) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |asked: &mut Asked| !asked.stop && !asked.reopen;
        let waited = self.changed.wait_timeout_while(asked, most, idle);
        waited.unwrap_or_else(PoisonError::into_inner).0.stop
    }
}

/// The thread that writes.
#[derive(Debug)]
pub struct AccessLogThread {
    lines: Lines,
    wanted: Arc<Wanted>,
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

/// Why the thread could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no thread for it.
    #[error("cannot start the thread that writes the access log")]
    Thread(#[source] io::Error),
}

/// Whether a log could be written there: its file can be opened. Of syslog nothing is asked, because
/// it may come later.
///
/// # Errors
///
/// When it cannot.
pub fn verify(settings: &AccessLog) -> Result<(), OpenError> {
    match &settings.to {
        LogTarget::File(path) => open_file(path).map(drop),
        LogTarget::Stdout | LogTarget::Syslog { .. } => Ok(()),
    }
}

impl AccessLogThread {
    /// Starts it. It sleeps while there is no log; a reload may bring one.
    ///
    /// # Errors
    ///
    /// When there is a log whose file cannot be opened.
    pub fn start(
        settings: Option<&AccessLog>,
        registry: &Arc<Registry>,
    ) -> Result<Self, StartError> {
        if let Some(settings) = settings {
            verify(settings)?;
        }
        let (sender, received) = sync_channel(ACCESS_LOG_QUEUE);
        let (end, ended) = sync_channel(1);
        let wanted = Arc::new(Wanted::default());
        let mut writer = Writer {
            wanted: Arc::clone(&wanted),
            registry: Arc::clone(registry),
            open: Vec::new(),
            failing: false,
        };
        let thread = std::thread::Builder::new().name("rhumb-log".to_owned());
        let thread = thread.spawn(move || {
            writer.run(&received);
            // Nobody may be waiting any more.
            let _ = end.send(());
        });
        let thread = thread.map_err(StartError::Thread)?;
        Ok(Self { lines: Lines(sender), wanted, ended, thread })
    }

    /// Where workers put lines.
    pub fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// Opens the file anew: it has been renamed, and the next line belongs into the one that now has
    /// its name. Returns at once.
    pub fn reopen(&self) {
        self.wanted.ask(|asked| asked.reopen = true);
        // A thread that has lines to write looks by itself.
        let _ = self.lines.0.try_send(Message::Look);
    }

    /// Writes what is left and ends; gives up when that takes too long. To be called when the
    /// workers have ended. Whether everything was written that could be.
    pub fn stop(self) -> bool {
        let Self { lines, wanted, ended, thread } = self;
        wanted.ask(|asked| asked.stop = true);
        drop(lines);
        if ended.recv_timeout(ACCESS_LOG_LAST).is_err() && !thread.is_finished() {
            tracing::warn!("the access log takes nothing more; its last lines are lost");
            return false;
        }
        if thread.join().is_err() {
            tracing::error!("the thread that writes the access log had ended by a panic");
            return false;
        }
        true
    }
}

struct Writer {
    wanted: Arc<Wanted>,
    registry: Arc<Registry>,
    /// The one used last is the last.
    open: Vec<(LogTarget, Sink)>,
    /// Whether the last attempt to write has failed, and somebody has been told.
    failing: bool,
}

impl Writer {
    fn run(&mut self, received: &Receiver<Message>) {
        while let Ok(message) = received.recv() {
            self.look();
            if let Message::Batch(batch) = message {
                self.put(&batch);
            }
        }
    }

    /// Writes a batch, however long that takes. What cannot be written is counted.
    fn put(&mut self, batch: &Batch) {
        let (target, bytes) = (&batch.settings.to, batch.bytes.as_slice());
        // Bytes that are done with, in whole lines and in all.
        let (mut lines_end, mut at, mut lost) = (0, 0, 0);
        while let Some(left) = bytes.get(at..).filter(|left| !left.is_empty()) {
            if self.look() && Sink::is_file(target) {
                // It is another one, and a line that was begun has to begin again.
                at = lines_end;
                continue;
            }
            match self.write(target, left) {
                Wrote::Some(count) => {
                    at += count;
                    self.recovered();
                }
                Wrote::Unfit(count) => {
                    at += count;
                    lost += 1;
                }
                Wrote::Soon => rest(SOON),
                Wrote::Later(error) => {
                    self.fails(&error);
                    if self.wanted.pause(ACCESS_LOG_RETRY) {
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
        let done = bytes.get(..lines_end).unwrap_or_default();
        let done = done.iter().filter(|byte| **byte == b'\n').count() as u64;
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
            self.open.retain(|(known, _)| known != target);
        }
        wrote
    }

    /// The open target.
    fn sink(&mut self, target: &LogTarget) -> Result<&mut Sink, OpenError> {
        match self.open.iter().position(|(known, _)| known == target) {
            Some(at) => self.open[at..].rotate_left(1),
            None => {
                let sink = Sink::open(target)?;
                if self.open.len() >= OPEN_TARGETS {
                    self.open.remove(0);
                }
                self.open.push((target.clone(), sink));
            }
        }
        let last = self.open.len() - 1;
        Ok(&mut self.open[last].1)
    }

    /// Opens files anew if that is asked for. Whether one is another one now.
    fn look(&mut self) -> bool {
        if !self.wanted.take_reopen() {
            return false;
        }
        let mut changed = false;
        for (target, sink) in self.open.iter_mut().filter(|(target, _)| Sink::is_file(target)) {
            match Sink::open(target) {
                Ok(fresh) => {
                    *sink = fresh;
                    changed = true;
                }
                Err(error) => {
                    let why = error.source.to_string();
                    tracing::error!(%error, why, "the access log goes on in the file from before");
                }
            }
        }
        tracing::info!(changed, "access log: files are opened anew");
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
