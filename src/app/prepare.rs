//! Everything is put together: what is shared is made, and every thread is started with its part of
//! it. No connection is accepted yet.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;

use super::control::ControlThread;
use super::files::FileParts;
use super::ports::Ports;
use super::{App, AppError, Bundle, Plans, continent_of, pressure};
use crate::access_log::AccessLogThread;
use crate::admin::{Admin, AdminServer, Doors, Readiness};
use crate::config::Config;
use crate::dump::Census;
use crate::failover::{Controller, ControllerParts, Handle, Policy};
use crate::handover::Inherited;
use crate::measure::Networks;
use crate::metrics::Registry;
use crate::names::{Book, first_answers};
use crate::overload::Gauge;
use crate::profile::Profiler;
use crate::routing::Tables;
use crate::server::{Workers, WorkersParts};
use crate::snapshot::{Live, Snapshot};
use crate::traces::{Exporter, ExporterParts, Traces};

/// What more than one thread has.
struct Shared {
    live: Arc<Live>,
    registry: Arc<Registry>,
    networks: Arc<Networks>,
    gauge: Arc<Gauge>,
    traces: Arc<Traces>,
    readiness: Readiness,
}

impl App {
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
        let (addresses, admin) = (held.addresses(), held.admin());
        drop(held);

        let names = first_answers(&config, None, epoch).await;
        let policy = policy(&bundle, &names, epoch);
        let shared = Shared::new(bundle.snapshot(Arc::clone(policy.table())));
        let access_log = AccessLogThread::start(config.access_log.as_deref(), &shared.registry)?;
        let (controller, handle) = shared.controller(&bundle, policy, names, epoch);
        let watch_pressure = pressure::Watch::new(&shared.live, &shared.gauge, worker_count);
        let shares = watch_pressure.shares();
        let (census, questions) = Census::new(worker_count);
        let (desk, doors) = shared.admin(&handle, census);
        let control = ControlThread::start(controller, desk, watch_pressure);
        let control = control.map_err(AppError::Control)?;
        let traces = shared.exporter()?;
        let mut workers = Workers::start(WorkersParts {
            live: Arc::clone(&shared.live),
            registry: Arc::clone(&shared.registry),
            networks: shared.networks,
            signals: handle.signals.clone(),
            gauge: shared.gauge,
            shares,
            traces: shared.traces,
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
            live: Arc::clone(&shared.live),
            ports: ports.clone(),
            log: access_log.wanted(),
            reloaded: reloaded_in,
            epoch,
        };
        Ok(Self {
            workers,
            control,
            access_log,
            traces,
            files: Err(Some(files)),
            readiness: shared.readiness,
            ports,
            doors,
            reloaded: Some(reloaded),
            addresses,
            admin,
            warnings,
            overridden,
            worker_count,
            handle,
            live: shared.live,
            registry: shared.registry,
        })
    }
}

impl Shared {
    fn new(first: Snapshot) -> Self {
        Self {
            live: Arc::new(Live::new(first)),
            registry: Arc::default(),
            networks: Arc::default(),
            gauge: Arc::default(),
            traces: Arc::default(),
            readiness: Readiness::default(),
        }
    }

    fn controller(
        &self,
        bundle: &Bundle,
        policy: Policy,
        names: Book,
        epoch: Instant,
    ) -> (Controller, Handle) {
        Controller::new(ControllerParts {
            policy,
            geo: Arc::clone(&bundle.geo),
            keys: Arc::clone(&bundle.keys),
            tls: Arc::clone(&bundle.tls),
            names,
            live: Arc::clone(&self.live),
            registry: Arc::clone(&self.registry),
            epoch,
        })
    }

    /// What answers operators, and where its sockets go in.
    fn admin(&self, handle: &Handle, census: Census) -> (AdminServer, Doors) {
        Admin {
            handle: handle.clone(),
            live: Arc::clone(&self.live),
            registry: Arc::clone(&self.registry),
            networks: Arc::clone(&self.networks),
            gauge: Arc::clone(&self.gauge),
            census,
            profiler: Profiler::default(),
            readiness: self.readiness.clone(),
            started_unix_seconds: unix_seconds(),
        }
        .server()
    }

    fn exporter(&self) -> Result<Exporter, AppError> {
        Exporter::start(ExporterParts {
            traces: Arc::clone(&self.traces),
            live: Arc::clone(&self.live),
            registry: Arc::clone(&self.registry),
        })
        .map_err(AppError::Traces)
    }
}

fn policy(bundle: &Bundle, names: &Book, epoch: Instant) -> Policy {
    let tables = Tables { places: names.places(), ..bundle.tables.clone() };
    Policy::new(Arc::clone(&bundle.config), tables, continent_of, epoch.elapsed())
        .counting_from(unix_seconds() as u64)
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn worker_count(config: &Config) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    config.workers.map_or(cores, NonZeroUsize::get)
}
