//! A worker: one thread with its own runtime, sockets, pools and counts.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_local};

use super::connection::serve;
use super::listener::Listeners;
use crate::measure::Networks;
use crate::metrics::Registry;
use crate::model::{EndpointSignal, limits};
use crate::proxy::{Connection, Peer, Watch, WorkerContext};
use crate::snapshot::Live;

/// How often idle upstream connections are looked through.
const REAP_INTERVAL: Duration = Duration::from_secs(5);
/// How often what was measured is handed on.
const TEND_INTERVAL: Duration = limits::NETWORK_LOOK;
/// How long a worker that cannot accept waits before it tries again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
        let mut threads = Vec::with_capacity(parts.listeners.len());
        for (number, listeners) in parts.listeners.into_iter().enumerate() {
            let worker = Worker {
                number,
                live: Arc::clone(&parts.live),
                registry: Arc::clone(&parts.registry),
                networks: Arc::clone(&parts.networks),
                signals: parts.signals.clone(),
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
        let Self { number, live, registry, networks, signals, mut draining, ready } = self;
        let context = Rc::new(WorkerContext::new(number, live, registry, networks, signals));
        let open = Rc::new(OpenConnections::default());
        let mut accepting = JoinSet::new();
        for listener in listeners.0 {
            let listener = TcpListener::from_std(listener)?;
            accepting.spawn_local(accept(listener, Rc::clone(&context), Rc::clone(&open)));
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

async fn accept(listener: TcpListener, context: Rc<WorkerContext>, open: Rc<OpenConnections>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(stream, peer, &context, &open),
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                // Most likely no descriptor is free: connections wait in the kernel's queue until
                // one is, and the worker does not spin.
                context.series.accept_failures.increment();
                tracing::warn!(%error, "cannot accept connections; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The connection was gone before it was accepted; the next one may be fine.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

fn admit(
    stream: TcpStream,
    peer: SocketAddr,
    context: &Rc<WorkerContext>,
    open: &Rc<OpenConnections>,
) {
    if open.count() >= limits::CONNECTIONS_PER_WORKER {
        context.series.refused.increment();
        return;
    }
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!(%error, "client left before it was served");
        return;
    }
    let Ok(local) = stream.local_addr() else { return };
    let watch = Rc::new(Watch::new(Instant::now()));
    let peer = Rc::new(Peer::new(peer, local));
    let connection = Rc::new(Connection::new(Rc::clone(context), peer, watch));
    let place = open.enter(&connection.watch);
    let context = Rc::clone(context);
    context.series.accepted.increment();
    let open = Rc::clone(open);
    spawn_local(async move {
        let _leave = Leave { place, open, context };
        serve(stream, connection).await;
    });
}

/// The connections of one worker, so that they can be told to end.
#[derive(Debug, Default)]
struct OpenConnections {
    places: RefCell<Places>,
    left: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct Places {
    watches: Vec<Option<Weak<Watch>>>,
    free: Vec<usize>,
}

impl OpenConnections {
    fn count(&self) -> usize {
        let places = self.places.borrow();
        places.watches.len() - places.free.len()
    }

    fn enter(&self, watch: &Rc<Watch>) -> usize {
        let mut places = self.places.borrow_mut();
        let place = places.free.pop().unwrap_or(places.watches.len());
        let entry = Some(Rc::downgrade(watch));
        match places.watches.get_mut(place) {
            Some(slot) => *slot = entry,
            None => places.watches.push(entry),
        }
        place
    }

    fn leave(&self, place: usize) {
        let mut places = self.places.borrow_mut();
        if let Some(slot) = places.watches.get_mut(place) {
            *slot = None;
            places.free.push(place);
        }
        drop(places);
        self.left.notify_one();
    }

    /// Tells every connection to end after its request, and waits until all have, or time is up.
    async fn drain(&self) {
        let watches: Vec<_> = self.places.borrow().watches.iter().flatten().cloned().collect();
        for watch in watches.iter().filter_map(Weak::upgrade) {
            watch.drain();
        }
        let all_left = async {
            while self.count() > 0 {
                self.left.notified().await;
            }
        };
        if tokio::time::timeout(limits::DRAIN_TIMEOUT, all_left).await.is_err() {
            tracing::warn!(connections = self.count(), "drain timed out; closing the rest");
        }
    }
}

/// Makes room when a connection ends, however it ends.
struct Leave {
    place: usize,
    open: Rc<OpenConnections>,
    context: Rc<WorkerContext>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.context.series.closed.increment();
        self.open.leave(self.place);
    }
}
