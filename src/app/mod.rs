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
mod error;
mod files;
mod inspect;
mod legacy;
mod load_error;
mod plans;
mod ports;
mod prefixes;
mod prepare;
mod pressure;
mod pulse;
mod renew;
mod retired;
mod shadow;
pub mod systemd;
mod tenants;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use self::control::ControlThread;
use self::files::{FileParts, FileThread};
use self::ports::Ports;
use crate::access_log::AccessLogThread;
use crate::admin::{Doors, Readiness};
use crate::config::{ConfigError, Overridden, Overrides};
use crate::failover::Handle;
use crate::handover::Inherited;
use crate::metrics::Registry;
use crate::server::{Drain, Left, Workers};
use crate::snapshot::Live;
use crate::traces::Exporter;

pub use bundle::{Bundle, continent_of};
pub use error::AppError;
pub use inspect::{Inspection, inspect, inspect_names};
pub use legacy::{Legacy, Passing};
pub use load_error::{LoadError, causes};
pub use plans::Plans;
pub use pulse::Pulse;

/// How often it is looked whether all endpoints have been checked once.
const FIRST_CHECKS_LOOK: Duration = Duration::from_millis(20);

/// A Rhumb that runs, or is about to.
#[derive(Debug)]
pub struct App {
    workers: Workers,
    control: ControlThread,
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
    pub async fn drain(&mut self, timeout: Duration, successor: Option<Passing>) -> Left {
        self.readiness.set(false);
        let passed_on = match successor {
            // No reload comes in between: the other process knows of none.
            Some(Passing { given, mut grip }) => grip.leave(Some(&given.left)),
            None => self.ports.hold().await.leave(None),
        };
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
