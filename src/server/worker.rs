//! A worker: one thread with its own runtime, sockets, pools and counts.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_local};

use super::accept::{Hall, accept};
use super::crowd::Crowd;
use super::door::Door;
use super::listener::Listeners;
use super::open::OpenConnections;
use super::refusals::Refusals;
use crate::access_log::Lines;
use crate::measure::Networks;
use crate::metrics::Registry;
use crate::model::{EndpointSignal, limits};
use crate::overload::{Gauge, Shares};
use crate::proxy::{WorkerContext, WorkerParts};
use crate::snapshot::Live;
use crate::traces::Traces;

/// How often idle upstream connections are looked through.
const REAP_INTERVAL: Duration = Duration::from_secs(5);
/// How often what was measured is handed on.
const TEND_INTERVAL: Duration = limits::NETWORK_LOOK;

/// A worker thread that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start worker {number}")]
pub struct StartError {
    /// Which one.
    pub number: usize,
    /// Why.
    pub source: io::Error,
}

/// What workers are made of.
#[derive(Debug)]
pub struct WorkersParts {
    /// The sockets of each worker.
    pub listeners: Vec<Listeners>,
    /// Where the current snapshot is.
    pub live: Arc<Live>,
    /// Where things are counted.
    pub registry: Arc<Registry>,
    /// Times of client networks.
    pub networks: Arc<Networks>,
    /// Where failures are reported.
    pub signals: mpsc::Sender<EndpointSignal>,
    /// What the process is short of.
    pub gauge: Arc<Gauge>,
    /// What each worker may have at once.
    pub shares: Shares,
    /// Where spans go.
    pub traces: Arc<Traces>,
    /// Where lines of the access log go.
    pub lines: Lines,
}

/// All worker threads.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    drain: watch::Sender<bool>,
    ready: mpsc::Receiver<()>,
}

impl Workers {
    /// Starts a thread for each set of sockets.
    ///
    /// # Errors
    ///
    /// The first thread that does not start; those started before it end again.
    pub fn start(parts: WorkersParts) -> Result<Self, StartError> {
        let (drain, draining) = watch::channel(false);
        let (ready_in, ready) = mpsc::channel(parts.listeners.len().max(1));
        let crowd = Arc::new(Crowd::default());
        let mut threads = Vec::with_capacity(parts.listeners.len());
        for (number, listeners) in parts.listeners.into_iter().enumerate() {
            let worker = Worker {
                number,
                live: Arc::clone(&parts.live),
                registry: Arc::clone(&parts.registry),
                networks: Arc::clone(&parts.networks),
                signals: parts.signals.clone(),
                gauge: Arc::clone(&parts.gauge),
                shares: parts.shares,
                traces: Arc::clone(&parts.traces),
                lines: parts.lines.clone(),
                crowd: Arc::clone(&crowd),
                draining: draining.clone(),
                ready: ready_in.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("rhumb-worker-{number}"))
                .spawn(move || worker.run(listeners))
                .map_err(|source| StartError { number, source })?;
            threads.push(thread);
        }
        Ok(Self { threads, drain, ready })
    }

    /// Waits until every worker accepts connections; false if one ended instead.
    pub async fn ready(&mut self) -> bool {
        for _ in 0..self.threads.len() {
            if self.ready.recv().await.is_none() {
                return false;
            }
        }
        true
    }

    /// Tells the workers to finish what they have and end, and waits for that. Returns how many
    /// ended by a panic.
    pub fn drain(self) -> usize {
        // Without a receiver every worker has ended already.
        let _ = self.drain.send(true);
        self.threads.into_iter().filter_map(|thread| thread.join().err()).count()
    }
}

struct Worker {
    number: usize,
    live: Arc<Live>,
    registry: Arc<Registry>,
    networks: Arc<Networks>,
    signals: mpsc::Sender<EndpointSignal>,
    gauge: Arc<Gauge>,
    shares: Shares,
    traces: Arc<Traces>,
    lines: Lines,
    crowd: Arc<Crowd>,
    draining: watch::Receiver<bool>,
    ready: mpsc::Sender<()>,
}

impl Worker {
    fn run(self, listeners: Listeners) {
        let number = self.number;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .map_err(|error| tracing::error!(worker = number, %error, "no runtime"));
        let Ok(runtime) = runtime else { return };
        if let Err(error) = runtime.block_on(self.serve(listeners)) {
            tracing::error!(worker = number, %error, "worker cannot listen");
        }
    }

    async fn serve(self, listeners: Listeners) -> io::Result<()> {
        let Self { number, live, registry, networks, signals, gauge, traces, .. } = self;
        let Self { shares, lines, crowd, mut draining, ready, .. } = self;
        let context = WorkerContext::new(WorkerParts {
            number,
            live: Arc::clone(&live),
            registry: Arc::clone(&registry),
            networks,
            signals,
            gauge,
            traces: traces.outlet(),
            lines,
        });
        let context = Rc::new(context);
        let refusals = Rc::new(Refusals::new(shares.refusals));
        let open = Rc::new(OpenConnections::default());
        let mut accepting = JoinSet::new();
        for (configured, listener) in listeners.0 {
            let hall = Rc::new(Hall {
                door: Door::new(configured, &live, &registry),
                worker: Rc::clone(&context),
                open: Rc::clone(&open),
                crowd: Arc::clone(&crowd),
                most: shares.connections,
                refusals: Rc::clone(&refusals),
            });
            accepting.spawn_local(accept(TcpListener::from_std(listener)?, hall));
        }
        spawn_local(reap(Rc::clone(&context)));
        spawn_local(tend(Rc::clone(&context)));
        spawn_local(async move { refusals.tend().await });
        spawn_local(tend_log(Rc::clone(&context)));
        // Whoever waits for readiness may have given up.
        let _ = ready.send(()).await;
        drop(ready);
        // An error means that the sender is gone, and the process with it.
        let _ = draining.wait_for(|draining| *draining).await;
        accepting.shutdown().await;
        open.drain().await;
        Ok(())
    }
}

async fn reap(context: Rc<WorkerContext>) {
    let mut interval = tokio::time::interval(REAP_INTERVAL);
    loop {
        context.reap(interval.tick().await.into_std());
    }
}

async fn tend(context: Rc<WorkerContext>) {
    let mut interval = tokio::time::interval(TEND_INTERVAL);
    loop {
        interval.tick().await;
        context.tend();
    }
}

async fn tend_log(context: Rc<WorkerContext>) {
    context.tend_log().await;
}
