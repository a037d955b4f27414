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
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use super::retired::Retired;
use super::shadow::ShadowReader;
use super::tenants;
use crate::config::{self, Config, ConfigError, ConfigErrors, FileWatch, Loaded, Severity};
use crate::failover::Command;
use crate::geo::{self, Age, Databases, GeoError};
use crate::model::{Continent, Country, limits};
use crate::routing::{LatencyError, LatencyTable, Tables, TenantError};
use crate::snapshot::Live;
use crate::tls::{Tls, TlsError};
use crate::tokens::{Keys, KeysError};

/// How often files are looked at; a change is taken up when it has settled for one more look.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// How far the thread that reads files stands back.
const NICENESS: i32 = 10;

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
    /// The file of tenants cannot be read.
    #[error("cannot read the file of tenants {}", .path.display())]
    TenantsUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file of tenants is larger than allowed.
    #[error("the file of tenants {} has more than {} bytes", .path.display(), limits::TENANTS_BYTES)]
    TenantsTooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file of tenants has errors.
    #[error("{}", tenants_report(.path, .errors))]
    Tenants {
        /// The file.
        path: PathBuf,
        /// All of them.
        errors: Vec<TenantError>,
    },
    /// A key set cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A file of certificates or keys cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

fn latency_report(path: &Path, errors: &[LatencyError]) -> String {
    line_report(path, errors.iter().map(|error| (error.line, error.message.as_str())))
}

fn tenants_report(path: &Path, errors: &[TenantError]) -> String {
    line_report(path, errors.iter().map(|error| (error.line, error.message.as_str())))
}

fn line_report<'a>(path: &Path, errors: impl Iterator<Item = (usize, &'a str)>) -> String {
    let lines = errors
        .take(limits::CONFIG_ERRORS)
        .map(|(line, message)| format!("error: {message}\n  --> {}:{line}", path.display()));
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
            Self::TenantsUnreadable { .. }
            | Self::TenantsTooLarge { .. }
            | Self::Tenants { .. } => "tenants",
            Self::Keys(_) => "keys",
            Self::Tls(_) => "tls",
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
    /// The keys.
    pub keys: Arc<Keys>,
    /// What handshakes need.
    pub tls: Arc<Tls>,
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
        let Loaded { config, warnings, files, .. } = load_config(path)?;
        watch.set_paths(paths(&config, path).into_iter().chain(files));
        let geo = open_geoip(&config)?;
        let tables = Tables { latency: load_latency(&config)?, tenants: tenants::load(&config)? };
        let keys = Arc::new(load_keys(&config)?);
        let tls = Arc::new(Tls::load(&config, None)?);
        Ok(Self { config: Arc::new(config), tables, geo, keys, tls, warnings })
    }
}

/// Every file that a configuration consists of.
fn paths(config: &Config, path: &Path) -> Vec<PathBuf> {
    let Config { geoip, latency, tenants, .. } = config;
    let mut paths = vec![path.to_owned()];
    paths.extend(geoip.databases.iter().cloned());
    paths.extend(geoip.asn_database.clone());
    paths.extend(latency.table.clone());
    paths.extend(tenants.as_ref().map(|tenants| tenants.file.clone()));
    paths.extend(Keys::paths(config).map(Path::to_owned));
    paths.extend(Tls::paths(config).map(Path::to_owned));
    paths
}

/// The continent of a country, for routing.
pub fn continent_of(country: Country) -> Option<Continent> {
    geo::countries::get(country).map(|facts| facts.continent)
}

fn load_config(path: &Path) -> Result<Loaded, LoadError> {
    config::load(path, &config::environment).map_err(LoadError::Config)
}

/// The databases, less those that are too old by now.
fn open_geoip(config: &Config) -> Result<Arc<Databases>, LoadError> {
    let databases = Databases::open(&config.geoip)?;
    Ok(Arc::new(match databases.at(SystemTime::now()) {
        Some(aged) => warned(aged),
        None => databases,
    }))
}

/// Says which databases are not asked.
fn warned(databases: Databases) -> Databases {
    for (info, age) in databases.info().zip(databases.ages(SystemTime::now())) {
        let file = info.origin.display();
        match age {
            Age::Expired => tracing::warn!(%file, "GeoIP database is too old; it is not asked"),
            Age::Fresh | Age::Stale => tracing::info!(%file, "GeoIP database is asked"),
        }
    }
    databases
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

fn load_keys(config: &Config) -> Result<Keys, KeysError> {
    Keys::load(config, |path| {
        if std::fs::metadata(path)?.len() > limits::JWKS_BYTES {
            let message = format!("it has more than {} bytes", limits::JWKS_BYTES);
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message));
        }
        std::fs::read(path)
    })
}

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
        let mut shadow = ShadowReader::new(commands.clone());
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
        let Loaded { config, warnings, files, .. } = load_config(&self.path)?;
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
        let tls_stale = config.listeners != old.listeners
            || config.regions != old.regions
            || Tls::paths(&config).any(|path| self.pending.contains(path));
        let tls = match tls_stale {
            true => Arc::new(Tls::load(&config, Some(&self.bundle.tls))?),
            false => Arc::clone(&self.bundle.tls),
        };
        let config = Arc::new(config);
        self.bundle = Bundle {
            config: Arc::clone(&config),
            tables: tables.clone(),
            geo: geo.clone().unwrap_or_else(|| Arc::clone(&self.bundle.geo)),
            keys: Arc::clone(&keys),
            tls: Arc::clone(&tls),
            warnings,
        };
        Ok(Command::Adopt { config, tables, geo, keys, tls })
    }
}

/// Everything that is wrong with the files that a valid configuration names, for `rhumb check`.
pub fn inspect(config: &Config) -> Vec<ConfigError> {
    let mut problems = Vec::new();
    match Databases::open(&config.geoip) {
        Ok(databases) => problems.extend(too_old(&databases)),
        Err(error) => {
            let file = config.geoip.databases.first().or(config.geoip.asn_database.as_ref());
            let file = file.map_or(Path::new(""), PathBuf::as_path);
            problems.push(ConfigError::of_file(file, LoadError::Geoip(error).report()));
        }
    }
    if let Err(error) = load_latency(config) {
        let file = config.latency.table.as_deref();
        problems.extend(problems_of(error, file.unwrap_or(Path::new(""))));
    }
    match tenants::load(config) {
        Ok(table) => {
            let pins = table.iter().flat_map(|table| table.iter());
            let pins = pins.map(|(tenant, region, _)| (tenant, region.as_str()));
            problems.extend(config::pins_outside_policy(config, pins));
        }
        Err(error) => {
            let file = config.tenants.as_ref().map(|tenants| tenants.file.as_path());
            problems.extend(problems_of(error, file.unwrap_or(Path::new(""))));
        }
    }
    if let Err(error) = load_keys(config) {
        let (KeysError::Unreadable { path, .. } | KeysError::Unusable { path, .. }) = &error;
        let path = path.clone();
        problems.push(ConfigError::of_file(&path, LoadError::Keys(error).report()));
    }
    problems
}

/// Warnings of databases that would not be asked.
fn too_old(databases: &Databases) -> Vec<ConfigError> {
    let now = SystemTime::now();
    let Some(aged) = databases.at(now) else { return Vec::new() };
    let expired = aged.info().zip(aged.ages(now)).filter(|(_, age)| *age == Age::Expired);
    let warning = |file: &Path| {
        let message = "it was built longer ago than `geoip` allows, and would not be asked";
        let mut problem = ConfigError::of_file(file, message);
        problem.severity = Severity::Warning;
        problem
    };
    expired.map(|(info, _)| warning(info.origin)).collect()
}

/// An error of a file, or all errors of its lines.
fn problems_of(error: LoadError, file: &Path) -> Vec<ConfigError> {
    let lines: Vec<_> = match error {
        LoadError::Latency { errors, .. } => {
            errors.into_iter().map(|error| (error.line, error.message)).collect()
        }
        LoadError::Tenants { errors, .. } => {
            errors.into_iter().map(|error| (error.line, error.message)).collect()
        }
        error => return vec![ConfigError::of_file(file, error.report())],
    };
    let problem = |(line, message)| {
        let mut problem = ConfigError::of_file(file, message);
        problem.line = u32::try_from(line).unwrap_or(u32::MAX);
        problem.column = 1;
        problem
    };
    lines.into_iter().map(problem).collect()
}
