//! Reads the configuration and the files it names, at the start and whenever one of them changes.
//!
//! On a thread of its own, because reading and verifying a large database takes longer than a
//! failover may wait. What is valid goes to the controller; what is not is reported to it, and
//! nothing changes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::shadow::ShadowReader;
use crate::config::{self, Config, ConfigError, ConfigErrors, FileWatch, Loaded};
use crate::failover::Command;
use crate::geo::{self, Databases, GeoError};
use crate::model::{Continent, Country, limits};
use crate::routing::{LatencyError, LatencyTable, Tables};

/// How often files are looked at; a change is taken up when it has settled for one more look.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The configuration.
    #[error("{0}")]
    Config(ConfigErrors),
    /// A GeoIP database.
    #[error(transparent)]
    Geoip(#[from] GeoError),
    /// The latency table cannot be read.
    #[error("cannot read the latency table {}", .path.display())]
    LatencyUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The latency table is larger than allowed.
    #[error("the latency table {} has more than {} bytes", .path.display(), limits::LATENCY_TABLE_BYTES)]
    LatencyTooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The latency table has errors.
    #[error("{}", latency_report(.path, .errors))]
    Latency {
        /// The file.
        path: PathBuf,
        /// All of them.
        errors: Vec<LatencyError>,
    },
}

fn latency_report(path: &Path, errors: &[LatencyError]) -> String {
    let lines = errors
        .iter()
        .take(limits::CONFIG_ERRORS)
        .map(|error| format!("error: {}\n  --> {}:{}", error.message, path.display(), error.line));
    lines.collect::<Vec<_>>().join("\n")
}

impl LoadError {
    /// Which kind of file it is: the label of `rhumb_reloads_total`.
    pub fn file(&self) -> &'static str {
        match self {
            Self::Config(_) => "config",
            Self::Geoip(_) => "geoip",
            Self::LatencyUnreadable { .. }
            | Self::LatencyTooLarge { .. }
            | Self::Latency { .. } => "latency",
        }
    }

    /// The error with its causes, for people.
    pub fn report(&self) -> String {
        let mut report = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let words = error.to_string();
            if !report.contains(&words) {
                report.push_str(&format!(": {words}"));
            }
            cause = error.source();
        }
        report
    }
}

/// A configuration with everything it names.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The configuration.
    pub config: Arc<Config>,
    /// The tables that it names.
    pub tables: Tables,
    /// The databases.
    pub geo: Arc<Databases>,
    /// What is probably not meant.
    pub warnings: Vec<ConfigError>,
}

impl Bundle {
    /// Reads the configuration at `path` and all files that it names.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used, with everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Self::load_watched(path, &mut FileWatch::new([]))
    }

    /// The same, with every file under watch before it is read, so that no change is missed.
    pub(super) fn load_watched(path: &Path, watch: &mut FileWatch) -> Result<Self, LoadError> {
        watch.set_paths([path.to_owned()]);
        let Loaded { config, warnings, .. } = load_config(path)?;
        watch.set_paths(paths(&config, path));
        let geo = Arc::new(Databases::open(&config.geoip)?);
        let tables = Tables { latency: load_latency(&config)?, tenants: None };
        Ok(Self { config: Arc::new(config), tables, geo, warnings })
    }
}

/// Every file that a configuration consists of.
fn paths(config: &Config, path: &Path) -> Vec<PathBuf> {
    let Config { geoip, latency, .. } = config;
    let mut paths = vec![path.to_owned()];
    paths.extend(geoip.databases.iter().cloned());
    paths.extend(geoip.asn_database.clone());
    paths.extend(latency.table.clone());
    paths
}

/// The continent of a country, for routing.
pub fn continent_of(country: Country) -> Option<Continent> {
    geo::countries::get(country).map(|facts| facts.continent)
}

fn load_config(path: &Path) -> Result<Loaded, LoadError> {
    config::load(path, &config::environment).map_err(LoadError::Config)
}

fn load_latency(config: &Config) -> Result<Option<Arc<LatencyTable>>, LoadError> {
    let Some(path) = config.latency.table.clone() else { return Ok(None) };
    let unreadable = |source| LoadError::LatencyUnreadable { path: path.clone(), source };
    if std::fs::metadata(&path).map_err(unreadable)?.len() > limits::LATENCY_TABLE_BYTES {
        return Err(LoadError::LatencyTooLarge { path });
    }
    let text = std::fs::read_to_string(&path).map_err(unreadable)?;
    let known = |id: &str| config.regions.iter().any(|region| region.id.as_str() == id);
    match LatencyTable::parse(&text, &known) {
        Ok(table) => Ok(Some(Arc::new(table))),
        Err(errors) => Err(LoadError::Latency { path, errors }),
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
    ) -> std::io::Result<Self> {
        let (requests, received) = sync_channel(1);
        let mut shadow = ShadowReader::new(commands.clone());
        let mut reader =
            Reader { path: path.to_owned(), bundle, commands, pending: BTreeSet::new() };
        let thread =
            std::thread::Builder::new().name("rhumb-files".to_owned()).spawn(move || {
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

    fn read(&mut self, watch: &mut FileWatch) -> Result<Command, LoadError> {
        let Loaded { config, warnings, .. } = load_config(&self.path)?;
        watch.set_paths(paths(&config, &self.path));
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
            true => Some(Arc::new(Databases::open(&config.geoip)?)),
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
        let tables = Tables { latency, tenants: self.bundle.tables.tenants.clone() };
        let config = Arc::new(config);
        self.bundle = Bundle {
            config: Arc::clone(&config),
            tables: tables.clone(),
            geo: geo.clone().unwrap_or_else(|| Arc::clone(&self.bundle.geo)),
            warnings,
        };
        Ok(Command::Adopt { config, tables, geo })
    }
}

/// Everything that is wrong with the files that a valid configuration names, for `rhumb check`.
pub fn inspect(config: &Config) -> Vec<ConfigError> {
    let mut problems = Vec::new();
    if let Err(error) = Databases::open(&config.geoip) {
        let error = LoadError::Geoip(error);
        let file = config.geoip.databases.first().or(config.geoip.asn_database.as_ref());
        problems.push(ConfigError::of_file(
            file.map_or(Path::new(""), PathBuf::as_path),
            error.report(),
        ));
    }
    match load_latency(config) {
        Ok(_) => {}
        Err(LoadError::Latency { path, errors }) => {
            problems.extend(errors.into_iter().map(|error| {
                let mut problem = ConfigError::of_file(&path, error.message);
                problem.line = u32::try_from(error.line).unwrap_or(u32::MAX);
                problem.column = 1;
                problem
            }));
        }
        Err(error) => {
            let file = config.latency.table.as_deref().unwrap_or(Path::new(""));
            problems.push(ConfigError::of_file(file, error.report()));
        }
    }
    problems
}
