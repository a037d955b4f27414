//! What the log tells, and how that is changed while the program runs, for a while.
//!
//! Not here: the access log, which is about requests and has nothing to do with this one.

use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::dispatcher;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::model::limits;

/// Why a filter is not taken.
#[derive(Debug, thiserror::Error)]
pub enum LogLevelError {
    /// It is no filter.
    #[error("{filter:?} is no log filter")]
    Malformed {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// It is longer than any filter has to be.
    #[error("the log filter has more than {} bytes", limits::LOG_FILTER_BYTES)]
    TooLong,
    /// The log has been taken away.
    #[error("the log cannot be changed any more")]
    Gone(#[from] reload::Error),
    /// There is a log already.
    #[error(transparent)]
    Taken(#[from] TryInitError),
}

/// What is told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogState {
    /// The filter.
    pub filter: String,
    /// The filter that the program was started with.
    pub usual: String,
    /// When the usual one comes back.
    pub until: Option<Instant>,
}

/// The log's filter, to be changed while the program runs. It is found through the log itself, which
/// the process has one of.
#[derive(Clone, Debug)]
pub struct LogLevel(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    filter: reload::Handle<EnvFilter, Registry>,
    state: Mutex<LogState>,
    watched: AtomicBool,
}

/// A part of the log that does nothing there; it is what [`LogLevel::of_process`] looks for.
impl<S: tracing::Subscriber> Layer<S> for LogLevel {}

impl LogLevel {
    /// Starts the log of this process: messages that pass `filter` go to standard error, as JSON or as
    /// text.
    ///
    /// # Errors
    ///
    /// When that is no filter, or there is a log already.
    pub fn install(filter: &str, json: bool) -> Result<(), LogLevelError> {
        let (layer, control) = Self::new(filter)?;
        let log = tracing_subscriber::registry().with(layer).with(control);
        if json {
            log.with(fmt::layer().json().flatten_event(true).with_writer(stderr)).try_init()?;
        } else {
            let text = fmt::layer().with_target(false).with_ansi(stderr().is_terminal());
            log.with(text.with_writer(stderr)).try_init()?;
        }
        Ok(())
    }

    fn new(filter: &str) -> Result<(reload::Layer<EnvFilter, Registry>, Self), LogLevelError> {
        let (layer, handle) = reload::Layer::new(parse(filter)?);
        let filter = filter.to_owned();
        let state = LogState { usual: filter.clone(), filter, until: None };
        let (state, watched) = (Mutex::new(state), AtomicBool::default());
        Ok((layer, Self(Arc::new(Shared { filter: handle, state, watched }))))
    }

    /// The filter of this process's log; `None` where it was not started by [`Self::install`].
    pub fn of_process() -> Option<Self> {
        dispatcher::get_default(|log| log.downcast_ref::<Self>().cloned())
    }

    /// What is told now.
    pub fn state(&self) -> LogState {
        self.lock().clone()
    }

    /// Tells what passes `filter`, until `lifetime` after `now`.
    ///
    /// # Errors
    ///
    /// When it is no filter; nothing has changed then.
    pub fn change(
        &self,
        filter: &str,
        now: Instant,
        lifetime: Duration,
    ) -> Result<(), LogLevelError> {
        let parsed = parse(filter)?;
        let mut state = self.lock();
        self.0.filter.reload(parsed)?;
        state.filter = filter.to_owned();
        state.until = now.checked_add(lifetime).filter(|_| state.filter != state.usual);
        Ok(())
    }

    /// Tells again what it was started with.
    ///
    /// # Errors
    ///
    /// When the log is gone.
    pub fn reset(&self) -> Result<(), LogLevelError> {
        let usual = self.lock().usual.clone();
        self.change(&usual, Instant::now(), Duration::ZERO)
    }

    /// Whether a change has an end that nobody watches yet; the caller has to, from now on.
    pub fn begin_watch(&self) -> bool {
        let has_end = self.lock().until.is_some();
        has_end && !self.0.watched.swap(true, Ordering::AcqRel)
    }

    /// Goes back to the usual filter if it is time for that. False: there is nothing to watch any
    /// more.
    pub fn watch(&self, now: Instant) -> bool {
        let until = self.lock().until;
        if until.is_some_and(|until| until > now) {
            return true;
        }
        self.0.watched.store(false, Ordering::Release);
        if until.is_some() {
            match self.reset() {
                Ok(()) => tracing::info!("the log tells what it usually does again"),
                Err(error) => tracing::warn!(%error, "the log tells more or less than it should"),
            }
        }
        // Somebody may have changed it right now and not begun to watch.
        self.begin_watch()
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What clients can make a library warn of, as often as they like; it is counted (`rhumb_floods_total`).
/// Whoever wants to read it names the library.
const QUIET: [&str; 1] = ["h2"];

fn parse(filter: &str) -> Result<EnvFilter, LogLevelError> {
    if filter.len() > limits::LOG_FILTER_BYTES {
        return Err(LogLevelError::TooLong);
    }
    // Without regular expressions: building one takes whatever time and memory it likes.
    let builder = EnvFilter::builder().with_regex(false);
    let parsed = builder
        .parse(filter)
        .map_err(|source| LogLevelError::Malformed { filter: filter.to_owned(), source })?;
    let unnamed = QUIET.into_iter().filter(|library| !filter.contains(library));
    let quiet = unnamed.filter_map(|library| format!("{library}=off").parse::<Directive>().ok());
    Ok(quiet.fold(parsed, EnvFilter::add_directive))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of this thread alone.
    fn log() -> (LogLevel, dispatcher::DefaultGuard) {
        let (layer, control) = LogLevel::new("warn").unwrap();
        let log = tracing_subscriber::registry().with(layer).with(control.clone());
        (control, log.set_default())
    }

    #[test]
    fn it_is_found_through_the_log() {
        let (_control, _log) = log();
        assert_eq!(LogLevel::of_process().unwrap().state().filter, "warn");
    }

    #[test]
    fn a_change_holds_for_a_while() {
        let (control, _log) = log();
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        assert!(!tracing::enabled!(tracing::Level::DEBUG));
        control.change("debug", now, Duration::from_secs(5)).unwrap();
        assert!(tracing::enabled!(tracing::Level::DEBUG));
        assert_eq!(control.state().until, Some(later));
        assert!(control.begin_watch() && !control.begin_watch(), "one is enough");
        assert!(control.watch(now));
        assert!(tracing::enabled!(tracing::Level::DEBUG));
        assert!(!control.watch(later));
        assert!(!tracing::enabled!(tracing::Level::DEBUG));
        let usual = LogState { filter: "warn".into(), usual: "warn".into(), until: None };
        assert_eq!(control.state(), usual);
        assert!(!control.begin_watch());
    }

    #[test]
    fn what_clients_can_make_a_library_say_is_told_only_to_those_who_ask() {
        let (control, _log) = log();
        let told = |filter| {
            control.change(filter, Instant::now(), Duration::from_secs(5)).unwrap();
            [
                tracing::enabled!(target: "h2::proto", tracing::Level::ERROR),
                tracing::enabled!(target: "h2::proto", tracing::Level::WARN),
                tracing::enabled!(target: "rhumb", tracing::Level::WARN),
            ]
        };
        for (filter, expected) in [
            ("info", [false, false, true]),
            ("trace", [false, false, true]),
            ("off", [false, false, false]),
            ("error,h2=warn", [true, true, false]),
            ("h2::proto=trace", [true, true, false]),
        ] {
            assert_eq!(told(filter), expected, "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter_changes_nothing() {
        let (control, _log) = log();
        let before = control.state();
        for filter in ["a=b=c", "rhumb=loud", &"x,".repeat(limits::LOG_FILTER_BYTES)] {
            assert!(control.change(filter, Instant::now(), Duration::from_secs(1)).is_err());
            assert_eq!(control.state(), before);
        }
    }
}
