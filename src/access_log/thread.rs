//! The thread that writes, seen from outside: start, what it is asked for, stop. What it does is
//! `writer`'s.

use std::io;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::queue::{Lines, Message};
use super::sink::{OpenError, open_file};
use super::writer::Writer;
use crate::config::{AccessLog, LogTarget};
use crate::metrics::Registry;
use crate::model::limits::{ACCESS_LOG_LAST, ACCESS_LOG_QUEUE};

/// What the thread is asked for, beside lines. No worker touches it.
#[derive(Debug, Default)]
pub struct Wanted {
    asked: Mutex<Asked>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Asked {
    reopen: bool,
    stop: bool,
    /// Where lines belong now; those of requests from before a reload belong elsewhere.
    target: Option<LogTarget>,
}

impl Wanted {
    fn ask(&self, change: impl FnOnce(&mut Asked)) {
        change(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Says where lines belong from now on: what an earlier target does not take, no new line waits
    /// behind. Returns at once.
    pub fn adopt(&self, settings: Option<&AccessLog>) {
        self.ask(|asked| asked.target = settings.map(|settings| settings.to.clone()));
    }

    /// Whether lines belong there no more.
    pub(super) fn has_left(&self, target: &LogTarget) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.target.as_ref() != Some(target)
    }

    /// Whether files are to be opened anew; says so once.
    pub(super) fn take_reopen(&self) -> bool {
        std::mem::take(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner).reopen)
    }

    /// Waits, unless there is something to do. Whether it is time to end.
    pub(super) fn pause(&self, most: Duration) -> bool {
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
        wanted.adopt(settings);
        let mut writer = Writer::new(Arc::clone(&wanted), Arc::clone(registry));
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

    /// Where a reload says what it has changed.
    pub fn wanted(&self) -> Arc<Wanted> {
        Arc::clone(&self.wanted)
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
