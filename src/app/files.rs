//! Reads the configuration and the files it names again whenever one of them changes.
//!
//! On a thread of its own, because reading and verifying a large database takes longer than a
//! failover may wait. What is valid goes to the controller; what is not is reported to it, and
//! nothing changes. What is read is the business of `bundle`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use super::bundle::{Bundle, load_config, load_keys, load_latency, open_geoip, paths, warned};
use super::load_error::LoadError;
use super::retired::Retired;
use super::shadow::ShadowReader;
use super::tenants;
use crate::config::{Config, FileWatch, Loaded};
use crate::failover::Command;
use crate::routing::Tables;
use crate::snapshot::Live;
use crate::tls::Tls;
use crate::tokens::Keys;

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

impl FileThread {
    pub(super) fn start(
        path: &Path,
        mut watch: FileWatch,
        bundle: Bundle,
        commands: mpsc::Sender<Command>,
        live: Arc<Live>,
    ) -> std::io::Result<Self> {
        let (requests, received) = sync_channel(1);
        let mut retired = Retired::new(live);
        let mut shadow = ShadowReader::new(commands.clone(), bundle.overrides.clone());
        let mut reader =
            Reader { path: path.to_owned(), bundle, commands, pending: BTreeSet::new() };
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
    /// Files that have changed since they were last read and found valid.
    pending: BTreeSet<PathBuf>,
}

impl Reader {
    fn reload(&mut self, watch: &mut FileWatch) {
        let command = match self.read(watch) {
            Ok(command) => {
                self.pending.clear();
                command
            }
            Err(error) => Command::Reject { file: error.file(), report: error.report() },
        };
        if self.commands.blocking_send(command).is_err() {
            tracing::error!("the controller is gone; the table can no longer change");
        }
    }

    /// Passes databases over that have become too old since they were read.
    fn age(&mut self, now: SystemTime) {
        let Some(aged) = self.bundle.geo.at(now) else { return };
        self.bundle.geo = Arc::new(warned(aged));
        // The controller is gone only when the process ends, or has said so loudly.
        let _ = self.commands.blocking_send(Command::Age(Arc::clone(&self.bundle.geo)));
    }

    fn read(&mut self, watch: &mut FileWatch) -> Result<Command, LoadError> {
        let overrides = self.bundle.overrides.clone();
        let Loaded { config, warnings, files, overridden, .. } =
            load_config(&self.path, &overrides)?;
        watch.set_paths(paths(&config, &self.path).into_iter().chain(files));
        for warning in &warnings {
            if !self.bundle.warnings.iter().any(|known| known.message == warning.message) {
                tracing::warn!("{warning}");
            }
        }
        let touched = |path: &PathBuf| self.pending.contains(path);
        let old = &self.bundle.config;
        let geo_stale = config.geoip != old.geoip
            || config.geoip.databases.iter().chain(&config.geoip.asn_database).any(touched);
        let geo = match geo_stale {
            true => Some(open_geoip(&config)?),
            false => None,
        };
        let latency_stale = config.latency != old.latency
            || config.regions != old.regions
            || config.latency.table.iter().any(touched);
        let latency = match latency_stale
            && (config.latency.table.is_some() || old.latency.table.is_some())
        {
            true => load_latency(&config)?,
            false => self.bundle.tables.latency.clone(),
        };
        let file = |config: &Config| config.tenants.as_ref().map(|it| it.file.clone());
        let tenants_stale = file(&config) != file(old)
            || config.regions != old.regions
            || file(&config).iter().any(touched);
        let tenants = match tenants_stale {
            true => tenants::load(&config)?,
            false => self.bundle.tables.tenants.clone(),
        };
        let tables = Tables { latency, tenants };
        let keys_stale = config.signing != old.signing
            || !Keys::paths(&config).eq(Keys::paths(old))
            || Keys::paths(&config).any(|path| self.pending.contains(path));
        let keys = match keys_stale {
            true => Arc::new(load_keys(&config)?),
            false => Arc::clone(&self.bundle.keys),
        };
        let tls_stale = Tls::differs(&config, old)
            || Tls::paths(&config).any(|path| self.pending.contains(path));
        let tls = match tls_stale {
            true => Arc::new(Tls::load(&config, Some(&self.bundle.tls))?),
            false => {
                self.bundle.tls.warn_of_insecure();
                Arc::clone(&self.bundle.tls)
            }
        };
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
        Ok(Command::Adopt { config, tables, geo, keys, tls })
    }
}
