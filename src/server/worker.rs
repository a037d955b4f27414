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
use crate::dump::{Question, TaskDump, WorkerDump};
use crate::measure::Networks;
use crate::metrics::Registry;
use crate::model::{EndpointSignal, limits};
use crate::proxy::WorkerContext;
use crate::snapshot::Live;

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
    /// Where each worker is asked what it has; one that has none is never asked.
    pub questions: Vec<mpsc::Receiver<Question>>,
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
        let mut questions = parts.questions.into_iter();
        for (number, listeners) in parts.listeners.into_iter().enumerate() {
            let worker = Worker {
                number,
                live: Arc::clone(&parts.live),
                registry: Arc::clone(&parts.registry),
                networks: Arc::clone(&parts.networks),
                signals: parts.signals.clone(),
                questions: questions.next(),
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
    questions: Option<mpsc::Receiver<Question>>,
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
        let Self { number, live, registry, networks, signals, questions, .. } = self;
        let Self { crowd, mut draining, ready, .. } = self;
        let context =
            WorkerContext::new(number, Arc::clone(&live), Arc::clone(&registry), networks, signals);
        let context = Rc::new(context);
        let open = Rc::new(OpenConnections::default());
        let mut accepting = JoinSet::new();
        for (configured, listener) in listeners.0 {
            let hall = Rc::new(Hall {
                door: Door::new(configured, &live, &registry),
                worker: Rc::clone(&context),
                open: Rc::clone(&open),
                crowd: Arc::clone(&crowd),
            });
            accepting.spawn_local(accept(TcpListener::from_std(listener)?, hall));
        }
        if let Some(questions) = questions {
            spawn_local(tell(questions, Rc::clone(&context), Rc::clone(&open)));
        }
        spawn_local(reap(Rc::clone(&context)));
        spawn_local(tend(Rc::clone(&context)));
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

/// Answers what is asked of this worker.
async fn tell(
    mut questions: mpsc::Receiver<Question>,
    context: Rc<WorkerContext>,
    open: Rc<OpenConnections>,
) {
    while let Some(Question { wanted, answer }) = questions.recv().await {
        let endpoints = if wanted.connections == 0 { 0 } else { limits::DUMPED_ENDPOINTS };
        let dump = WorkerDump {
            connections_open: open.count(),
            connections: open.dump(&wanted, tokio::time::Instant::now().into_std()),
            endpoints: context.dump_endpoints(endpoints),
            tasks: tasks(),
        };
        // Whoever asked may have given up.
        let _ = answer.send(dump);
    }
}

fn tasks() -> TaskDump {
    let metrics = tokio::runtime::Handle::current().metrics();
    TaskDump {
        alive: metrics.num_alive_tasks(),
        queued: metrics.global_queue_depth(),
        busy_seconds: metrics.worker_total_busy_duration(0).as_secs_f64(),
        parks: metrics.worker_park_count(0),
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
