//! The composition root: the only module that sees everything, and wires it together.
//!
//! ```text
//! main thread      signals, start, stop
//! rhumb-control    controller, probes, admin address
//! rhumb-files      watches and reads files, sends them to the controller
//! rhumb-worker-N   requests
//! ```

mod bundle;
mod control;
mod files;
mod inspect;
mod load_error;
mod retired;
mod shadow;
mod tenants;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::admin::Readiness;
use crate::config::{Config, ConfigError, FileWatch, Overridden, Overrides};
use crate::dump::Census;
use crate::failover::{Controller, ControllerParts, Handle, Policy};
use crate::measure::Networks;
use crate::metrics::Registry;
use crate::profile::Profiler;
use crate::server::{BindError, Listeners, StartError, Workers, WorkersParts};
use crate::snapshot::{Live, Snapshot};

pub use bundle::{Bundle, continent_of};
pub use inspect::{Inspection, inspect};
pub use load_error::LoadError;

/// Why Rhumb did not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A file is not valid.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// An address could not be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A worker could not be started.
    #[error(transparent)]
    Worker(#[from] StartError),
    /// The control thread could not be started.
    #[error("cannot start the control thread")]
    Control(#[source] std::io::Error),
    /// The file thread could not be started.
    #[error("cannot start the thread that watches files")]
    Files(#[source] std::io::Error),
    /// Signals cannot be received.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// A worker ended while starting; the log says why.
    #[error("a worker ended while starting; see the log")]
    WorkerEnded,
}

/// A running Rhumb.
#[derive(Debug)]
pub struct App {
    workers: Workers,
    control: control::ControlThread,
    files: files::FileThread,
    readiness: Readiness,
    /// Where requests are accepted.
    pub addresses: Vec<SocketAddr>,
    /// Where operators are answered.
    pub admin: SocketAddr,
    /// What is probably not meant in the configuration.
    pub warnings: Vec<ConfigError>,
    /// What the environment has set of it.
    pub overridden: Vec<Overridden>,
    /// Number of workers.
    pub worker_count: usize,
    handle: Handle,
    live: Arc<Live>,
    registry: Arc<Registry>,
}

impl App {
    /// Reads the configuration at `path`, less what `overrides` set, and starts everything. Returns once every worker accepts
    /// connections.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from starting; nothing keeps running then.
    pub async fn start(path: &Path, overrides: Overrides) -> Result<Self, AppError> {
        let epoch = Instant::now();
        let mut watch = FileWatch::new([]);
        let bundle = Bundle::load_watched(path, &mut watch, overrides)?.with_tls()?;
        let config = Arc::clone(&bundle.config);
        let worker_count = worker_count(&config);
        let addresses: Vec<_> = config.listeners.iter().map(|listener| listener.address).collect();
        let (listeners, addresses) = Listeners::open(&addresses, worker_count)?;
        let admin = control::bind_admin(config.admin.address)?;

        let policy =
            Policy::new(Arc::clone(&config), bundle.tables.clone(), continent_of, epoch.elapsed())
                .counting_from(unix_seconds() as u64);
        let live = Arc::new(Live::new(Snapshot {
            table: Arc::clone(policy.table()),
            config: Arc::clone(&config),
            tls: Arc::clone(&bundle.tls),
            geo: Arc::clone(&bundle.geo),
            trust: Arc::new(config.client.clone()),
            keys: Arc::clone(&bundle.keys),
            hops: config.hops.clone(),
            shadow: None,
        }));
        let registry = Arc::new(Registry::default());
        let networks = Arc::new(Networks::default());
        let (controller, handle) = Controller::new(ControllerParts {
            policy,
            geo: Arc::clone(&bundle.geo),
            keys: Arc::clone(&bundle.keys),
            tls: Arc::clone(&bundle.tls),
            live: Arc::clone(&live),
            registry: Arc::clone(&registry),
            epoch,
        });
        let readiness = Readiness::default();
        let (census, questions) = Census::new(worker_count);
        let admin = crate::admin::Admin {
            handle: handle.clone(),
            live: Arc::clone(&live),
            registry: Arc::clone(&registry),
            networks: Arc::clone(&networks),
            census,
            profiler: Profiler::default(),
            readiness: readiness.clone(),
            started_unix_seconds: unix_seconds(),
        }
        .on(admin);
        let admin_address = admin.address();
        let control =
            control::ControlThread::start(controller, admin).map_err(AppError::Control)?;
        let mut workers = Workers::start(WorkersParts {
            listeners,
            live: Arc::clone(&live),
            registry: Arc::clone(&registry),
            networks,
            signals: handle.signals.clone(),
            questions,
        })?;
        if !workers.ready().await {
            return Err(AppError::WorkerEnded);
        }
        readiness.set(true);
        let (warnings, overridden) = (bundle.warnings.clone(), bundle.overridden.clone());
        let commands = handle.commands.clone();
        let files = files::FileThread::start(path, watch, bundle, commands, Arc::clone(&live))
            .map_err(AppError::Files)?;
        Ok(Self {
            workers,
            control,
            files,
            readiness,
            addresses,
            admin: admin_address,
            warnings,
            overridden,
            worker_count,
            handle,
            live,
            registry,
        })
    }

    /// Reads the configuration again now, and the files that it names where they have changed.
    pub fn reload(&self) {
        self.files.reload();
    }

    /// The controller's handle.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The place of the current snapshot.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Everything that is counted.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Stops accepting, lets requests under way finish within the drain time, and ends. False
    /// when a thread had to be given up on.
    pub fn stop(self) -> bool {
        let Self { workers, control, files, readiness, handle, .. } = self;
        readiness.set(false);
        let panics = workers.drain();
        drop(handle);
        files.stop();
        control.stop() && panics == 0
    }
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn worker_count(config: &Config) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    config.workers.map_or(cores, NonZeroUsize::get)
}
