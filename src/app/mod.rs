//! The composition root: the only module that sees everything, and wires it together.
//!
//! ```text
//! main thread      signals, start, stop
//! rhumb-control    controller, probes, admin address
//! rhumb-files      watches and reads files, sends them to the controller
//! rhumb-traces     sends spans
//! rhumb-log        writes the access log
//! rhumb-worker-N   requests
//! ```

mod bundle;
mod control;
mod files;
mod inspect;
mod legacy;
mod load_error;
mod ports;
mod prefixes;
mod pressure;
mod retired;
mod shadow;
pub mod systemd;
mod tenants;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;

use self::files::{FileParts, FileThread};
use self::ports::Ports;
use crate::access_log::AccessLogThread;
use crate::admin::{Doors, Readiness};
use crate::config::{Config, ConfigError, FileWatch, Overridden, Overrides};
use crate::dump::Census;
use crate::failover::{Controller, ControllerParts, Handle, Policy};
use crate::handover::{Given, Inherited};
use crate::measure::Networks;
use crate::metrics::Registry;
use crate::model::limits;
use crate::names::first_answers;
use crate::overload::Gauge;
use crate::profile::Profiler;
use crate::routing::Tables;
use crate::server::{BindError, Drain, Left, Orders, StartError, Workers, WorkersParts};
use crate::snapshot::{Live, Snapshot};
use crate::traces::{Exporter, ExporterParts, Traces};

pub use bundle::{Bundle, continent_of};
pub use inspect::{Inspection, inspect, inspect_names};
pub use legacy::{Legacy, Passing};
pub use load_error::LoadError;

/// How often it is looked whether all endpoints have been checked once.
const FIRST_CHECKS_LOOK: Duration = Duration::from_millis(20);

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
    /// The thread that sends traces could not be started.
    #[error("cannot start the thread that sends traces")]
    Traces(#[source] std::io::Error),
    /// The access log could not be started.
    #[error(transparent)]
    AccessLog(#[from] crate::access_log::StartError),
    /// Signals cannot be received.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// A worker ended while starting; the log says why.
    #[error("a worker ended while starting; see the log")]
    WorkerEnded,
}

/// A configuration with everything it names, read for the first time.
#[derive(Debug)]
pub struct Plans {
    path: PathBuf,
    watch: FileWatch,
    bundle: Bundle,
}

impl Plans {
    /// Reads the configuration at `path`, with what `overrides` set of it, and what it names.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used.
    pub fn read(path: &Path, overrides: Overrides) -> Result<Self, LoadError> {
        let mut watch = FileWatch::new([]);
        let bundle = Bundle::load_watched(path, &mut watch, overrides)?.with_tls()?;
        Ok(Self { path: path.to_owned(), watch, bundle })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.bundle.config
    }
}

/// A Rhumb that runs, or is about to.
#[derive(Debug)]
pub struct App {
    workers: Workers,
    control: control::ControlThread,
    access_log: AccessLogThread,
    traces: Exporter,
    /// Before it serves, what its thread will work with.
    files: Result<FileThread, Option<FileParts>>,
    readiness: Readiness,
    ports: Ports,
    doors: Doors,
    reloaded: Option<mpsc::Receiver<()>>,
    /// Where requests are accepted, when it began.
    pub addresses: Vec<SocketAddr>,
    /// Where operators are answered, when it began.
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
    /// Reads the configuration at `path`, with what `overrides` set of it, and starts everything.
    /// Returns once every worker accepts connections.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from starting; nothing keeps running then.
    pub async fn start(path: &Path, overrides: Overrides) -> Result<Self, AppError> {
        let mut app = Self::prepare(Plans::read(path, overrides)?, &mut Inherited::new()).await?;
        app.serve().await?;
        Ok(app)
    }

    /// Starts everything, but accepts no connection yet. Takes from `inherited` what the
    /// configuration has a use for.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from starting; nothing keeps running then.
    pub async fn prepare(plans: Plans, inherited: &mut Inherited) -> Result<Self, AppError> {
        let epoch = Instant::now();
        let Plans { path, watch, bundle } = plans;
        let config = Arc::clone(&bundle.config);
        let worker_count = worker_count(&config);
        let ports = Ports::open(&config, worker_count, inherited)?;
        let held = ports.hold().await;
        let (addresses, admin_address) = (held.addresses(), held.admin());
        drop(held);

        let names = first_answers(&config, None, epoch).await;
        let tables = Tables { places: names.places(), ..bundle.tables.clone() };
        let policy = Policy::new(Arc::clone(&config), tables, continent_of, epoch.elapsed())
            .counting_from(unix_seconds() as u64);
        let live = Arc::new(Live::new(first_snapshot(&policy, &bundle)));
        let registry = Arc::new(Registry::default());
        let networks = Arc::new(Networks::default());
        let access_log = AccessLogThread::start(config.access_log.as_deref(), &registry)?;
        let (controller, handle) = Controller::new(ControllerParts {
            policy,
            geo: Arc::clone(&bundle.geo),
            keys: Arc::clone(&bundle.keys),
            tls: Arc::clone(&bundle.tls),
            names,
            live: Arc::clone(&live),
            registry: Arc::clone(&registry),
            epoch,
        });
        let readiness = Readiness::default();
        let gauge = Arc::new(Gauge::default());
        let watch_pressure = pressure::Watch::new(&live, &gauge, worker_count);
        let shares = watch_pressure.shares();
        let (census, questions) = Census::new(worker_count);
        let (admin, doors) = crate::admin::Admin {
            handle: handle.clone(),
            live: Arc::clone(&live),
            registry: Arc::clone(&registry),
            networks: Arc::clone(&networks),
            gauge: Arc::clone(&gauge),
            census,
            profiler: Profiler::default(),
            readiness: readiness.clone(),
            started_unix_seconds: unix_seconds(),
        }
        .server();
        let control = control::ControlThread::start(controller, admin, watch_pressure)
            .map_err(AppError::Control)?;
        let traces = Arc::new(Traces::default());
        let exporter = Exporter::start(ExporterParts {
            traces: Arc::clone(&traces),
            live: Arc::clone(&live),
            registry: Arc::clone(&registry),
        })
        .map_err(AppError::Traces)?;
        let mut workers = Workers::start(WorkersParts {
            live: Arc::clone(&live),
            registry: Arc::clone(&registry),
            networks,
            signals: handle.signals.clone(),
            gauge,
            shares,
            traces,
            lines: access_log.lines(),
            questions,
        })?;
        if !workers.ready().await {
            return Err(AppError::WorkerEnded);
        }
        let (warnings, overridden) = (bundle.warnings.clone(), bundle.overridden.clone());
        let (reloaded_in, reloaded) = mpsc::channel(1);
        let files = FileParts {
            path,
            watch,
            bundle,
            commands: handle.commands.clone(),
            live: Arc::clone(&live),
            ports: ports.clone(),
            reloaded: reloaded_in,
            epoch,
        };
        Ok(Self {
            workers,
            control,
            access_log,
            traces: exporter,
            files: Err(Some(files)),
            readiness,
            ports,
            doors,
            reloaded: Some(reloaded),
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

    /// Waits until every endpoint that is checked has been checked once, or for `most`.
    pub async fn first_checks(&self, most: Duration) {
        let mut look = tokio::time::interval(FIRST_CHECKS_LOOK);
        let all = async {
            loop {
                look.tick().await;
                let Some(status) = self.handle.status().await else { return };
                let mut endpoints = status.regions.iter().flatten().flat_map(|r| &r.endpoints);
                if endpoints.all(|endpoint| endpoint.failures + endpoint.successes > 0) {
                    return;
                }
            }
        };
        // Origins that do not answer are no reason to stay behind.
        let _ = tokio::time::timeout(most, all).await;
    }

    /// Accepts connections from now on.
    ///
    /// # Errors
    ///
    /// When a socket cannot be accepted from, or the thread that watches files cannot be started.
    pub async fn serve(&mut self) -> Result<(), AppError> {
        let mut held = self.ports.hold().await;
        held.serve(self.workers.orders().clone(), self.doors.clone())?;
        drop(held);
        self.readiness.set(true);
        if let Err(parts) = &mut self.files
            && let Some(parts) = parts.take()
        {
            self.files = Ok(FileThread::start(parts).map_err(AppError::Files)?);
        }
        Ok(())
    }

    /// Reads the configuration again now, and the files that it names where they have changed.
    pub fn reload(&self) {
        if let Ok(files) = &self.files {
            files.reload();
        }
    }

    /// Hears when a reload that was asked for is over; to be had once.
    pub fn reloaded(&mut self) -> Option<mpsc::Receiver<()>> {
        self.reloaded.take()
    }

    /// What can be passed on to a new process.
    pub fn legacy(&self) -> Legacy {
        Legacy::new(self.ports.clone())
    }

    /// Whether the control thread and every worker answer.
    pub fn pulse(&self) -> Pulse {
        Pulse { handle: self.handle.clone(), orders: self.workers.orders().clone() }
    }

    /// Opens the file of the access log anew: it has been renamed. Returns at once.
    pub fn reopen_log(&self) {
        self.access_log.reopen();
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

    /// Says to load balancers that no traffic is wanted any more; what comes is served.
    pub fn unready(&self) {
        self.readiness.set(false);
    }

    /// Stops accepting, and lets what is under way finish for at most `timeout`. `successor` is
    /// the process that accepts instead.
    pub async fn drain(&mut self, timeout: Duration, successor: Option<&Given>) -> Left {
        self.readiness.set(false);
        let passed_on = self.ports.hold().await.leave(successor.map(|given| &*given.left));
        self.workers.drain(&Drain { timeout, passed_on }).await
    }

    /// Ends, and if it was not drained before, drains for the usual time. False when a thread had
    /// to be given up on.
    pub fn stop(self) -> bool {
        let Self { workers, control, files, traces, access_log, readiness, handle, .. } = self;
        readiness.set(false);
        let panics = workers.join();
        // That not all of the log could be written is said, and is no failure of requests.
        access_log.stop();
        drop(handle);
        if let Ok(files) = files {
            files.stop();
        }
        // After the last request, whose span it still sends.
        let sent = traces.stop();
        control.stop() && sent && panics == 0
    }
}

/// Whether the threads answer.
#[derive(Clone, Debug)]
pub struct Pulse {
    handle: Handle,
    orders: Orders,
}

impl Pulse {
    /// Asks them all.
    pub async fn is_there(&self) -> bool {
        let control = tokio::time::timeout(limits::THREAD_ANSWER, self.handle.status());
        matches!(control.await, Ok(Some(_))) && self.orders.all_answer().await
    }
}

fn first_snapshot(policy: &Policy, bundle: &Bundle) -> Snapshot {
    let config = &bundle.config;
    Snapshot {
        table: Arc::clone(policy.table()),
        config: Arc::clone(config),
        tls: Arc::clone(&bundle.tls),
        geo: Arc::clone(&bundle.geo),
        trust: Arc::new(config.client.clone()),
        keys: Arc::clone(&bundle.keys),
        hops: config.hops.clone(),
        shadow: None,
    }
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn worker_count(config: &Config) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    config.workers.map_or(cores, NonZeroUsize::get)
}
