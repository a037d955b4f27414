//! Reads the configuration and the files it names again whenever one of them changes.
//!
//! On a thread of its own, because reading and verifying a large database takes longer than a
//! failover may wait. What is valid goes to the controller; what is not is reported to it, and
//! nothing changes. What is read is the business of `bundle`, and which of it again that of `renew`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, oneshot};

use super::bundle::{Bundle, load_config, paths, warned};
use super::load_error::{LoadError, causes};
use super::ports::{Change, Ports};
use super::renew::Renewal;
use super::retired::Retired;
use super::shadow::ShadowReader;
use crate::access_log;
use crate::config::{Config, ConfigError, FileWatch, Loaded};
use crate::failover::Command;
use crate::names::{Book, first_answers_blocking};
use crate::routing::Tables;
use crate::server::BindError;
use crate::snapshot::Live;

/// How often files are looked at; a change is taken up when it has settled for one more look.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// How far the thread that reads files stands back.
const NICENESS: i32 = 10;

/// Lets requests go first where cores are few: a file of a million lines takes a while to read. On
/// Linux this is about the calling thread alone.
fn give_way() {
    if cfg!(target_os = "linux")
        && let Err(error) = rustix::process::setpriority_process(None, NICENESS)
    {
        tracing::debug!(%error, "the thread that reads files keeps its priority");
    }
}

/// The thread that watches files.
#[derive(Debug)]
pub(super) struct FileThread {
    /// A message asks for a reload; hanging up ends the thread.
    requests: SyncSender<()>,
    thread: JoinHandle<()>,
}

/// What the thread works with.
#[derive(Debug)]
pub(super) struct FileParts {
    /// The configuration.
    pub(super) path: PathBuf,
    /// Its files, under watch since before they were read.
    pub(super) watch: FileWatch,
    /// What was read.
    pub(super) bundle: Bundle,
    /// Where changes go.
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) live: Arc<Live>,
    pub(super) ports: Ports,
    /// What the access log is asked for.
    pub(super) log: Arc<access_log::Wanted>,
    /// Hears when a reload that was asked for is over.
    pub(super) reloaded: mpsc::Sender<()>,
    /// What times of names count from.
    pub(super) epoch: Instant,
}

impl FileThread {
    pub(super) fn start(parts: FileParts) -> std::io::Result<Self> {
        let FileParts { path, mut watch, bundle, commands, live, ports, log, reloaded, epoch } =
            parts;
        let (requests, received) = sync_channel(1);
        let mut retired = Retired::new(live);
        let mut shadow = ShadowReader::new(commands.clone(), bundle.overrides.clone());
        let pending = BTreeSet::new();
        let mut reader = Reader { path, bundle, commands, ports, log, epoch, pending };
        let thread =
            std::thread::Builder::new().name("rhumb-files".to_owned()).spawn(move || {
                give_way();
                loop {
                    let forced = match received.recv_timeout(LOOK_INTERVAL) {
                        Ok(()) => true,
                        Err(RecvTimeoutError::Timeout) => false,
                        Err(RecvTimeoutError::Disconnected) => return,
                    };
                    let changed = watch.poll();
                    if forced || !changed.is_empty() {
                        reader.pending.extend(changed);
                        reader.reload(&mut watch);
                    }
                    if forced {
                        // When word of an earlier one waits still, it is as good.
                        let _ = reloaded.try_send(());
                    }
                    reader.age(SystemTime::now());
                    retired.sweep();
                    shadow.look(reader.bundle.config.shadow.as_ref(), forced);
                }
            })?;
        Ok(Self { requests, thread })
    }

    pub(super) fn reload(&self) {
        // When a request is waiting already, it will read what this one would.
        let _ = self.requests.try_send(());
    }

    pub(super) fn stop(self) {
        drop(self.requests);
        if self.thread.join().is_err() {
            tracing::error!("the thread that watches files had ended by a panic; this is a bug");
        }
    }
}

struct Reader {
    path: PathBuf,
    bundle: Bundle,
    commands: mpsc::Sender<Command>,
    ports: Ports,
    log: Arc<access_log::Wanted>,
    /// What times of names count from.
    epoch: Instant,
    /// Files that have changed since they were last read and found valid.
    pending: BTreeSet<PathBuf>,
}

impl Reader {
    fn reload(&mut self, watch: &mut FileWatch) {
        // While another process takes over, nothing moves under its feet.
        let mut ports = self.ports.hold_blocking();
        let prepare = |config: &Config| ports.prepare(config);
        match self.read(watch, prepare) {
            Ok((command, change)) => {
                self.pending.clear();
                // Before the first line of the new log, so that none of them is taken for an old one.
                self.log.adopt(self.bundle.config.access_log.as_deref());
                self.send(command);
                // A listener is spoken at as the configuration says that has it.
                self.settle();
                ports.apply(change);
            }
            Err(error) => {
                self.send(Command::Reject { file: error.file(), report: causes(&error) });
            }
        }
    }

    fn send(&self, command: Command) {
        if self.commands.blocking_send(command).is_err() {
            tracing::error!("the controller is gone; the table can no longer change");
        }
    }

    /// Waits until the controller has done what it was sent.
    fn settle(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.blocking_send(Command::Status(reply)).is_ok() {
            // If it is gone, that has been said.
            let _ = answer.blocking_recv();
        }
    }

    /// Passes databases over that have become too old since they were read.
    fn age(&mut self, now: SystemTime) {
        let Some(aged) = self.bundle.geo.at(now) else { return };
        self.bundle.geo = Arc::new(warned(aged));
        // The controller is gone only when the process ends, or has said so loudly.
        let _ = self.commands.blocking_send(Command::Age(Arc::clone(&self.bundle.geo)));
    }

    fn read(
        &mut self,
        watch: &mut FileWatch,
        prepare: impl FnOnce(&Config) -> Result<Change, BindError>,
    ) -> Result<(Command, Change), LoadError> {
        let overrides = self.bundle.overrides.clone();
        let Loaded { config, warnings, files, overridden, .. } =
            load_config(&self.path, &overrides)?;
        watch.set_paths(paths(&config, &self.path).into_iter().chain(files));
        self.warn(&warnings);
        let old = &self.bundle;
        let renewal = Renewal { old, config: &config, pending: &self.pending };
        let geo = renewal.geo()?;
        let (latency, tenants) = (renewal.latency()?, renewal.tenants()?);
        let tables = Tables { latency, tenants, ..Tables::default() };
        let (keys, tls) = (renewal.keys()?, renewal.tls()?);
        if let Some(log) = config.access_log.as_deref()
            && config.access_log != old.config.access_log
        {
            access_log::verify(log)?;
        }
        let names = self.first_answers(&config);
        // Last, because it is seen from outside.
        let change = prepare(&config)?;
        let config = Arc::new(config);
        self.bundle = Bundle {
            config: Arc::clone(&config),
            tables: tables.clone(),
            geo: geo.clone().unwrap_or_else(|| Arc::clone(&self.bundle.geo)),
            keys: Arc::clone(&keys),
            tls: Arc::clone(&tls),
            warnings,
            overridden,
            overrides,
        };
        Ok((Command::Adopt { config, tables, geo, keys, tls, names }, change))
    }

    /// Tells of what was not so before.
    fn warn(&self, warnings: &[ConfigError]) {
        for warning in warnings {
            if !self.bundle.warnings.iter().any(|known| known.message == warning.message) {
                tracing::warn!("{warning}");
            }
        }
    }

    /// Asks for names that are new, so that the table that has them knows where they are.
    fn first_answers(&self, config: &Config) -> Book {
        let known = &self.bundle.config;
        first_answers_blocking(config, Some(known), self.epoch).unwrap_or_else(|error| {
            tracing::error!(%error, "new names of endpoints are looked up later");
            Book::default()
        })
    }
}
