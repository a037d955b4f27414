//! A worker: one thread with its own runtime, sockets, pools and counts.
//!
//! What it is told while it runs comes as orders (`orders`); who gives them is `workers`.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet, spawn_local};

use super::accept::{Hall, accept};
use super::crowd::Crowd;
use super::door::Door;
use super::intake::Intake;
use super::open::{Left, OpenConnections};
use super::orders::{Drain, Order, Share};
use super::refusals::Refusals;
use crate::access_log::Lines;
use crate::dump::{Question, TaskDump, WorkerDump};
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

/// What one worker is made of.
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) live: Arc<Live>,
    pub(super) registry: Arc<Registry>,
    pub(super) networks: Arc<Networks>,
    pub(super) signals: mpsc::Sender<EndpointSignal>,
    pub(super) gauge: Arc<Gauge>,
    pub(super) shares: Shares,
    pub(super) traces: Arc<Traces>,
    pub(super) lines: Lines,
    /// Where it is asked what it has.
    pub(super) questions: mpsc::Receiver<Question>,
    pub(super) crowd: Arc<Crowd>,
    pub(super) orders: mpsc::Receiver<Order>,
    /// Dropped without a word when it does not get that far.
    pub(super) ready: mpsc::Sender<()>,
    /// The same.
    pub(super) ended: mpsc::Sender<Left>,
}

/// What a worker has between its first and its last order.
struct Post {
    context: Rc<WorkerContext>,
    live: Arc<Live>,
    registry: Arc<Registry>,
    crowd: Arc<Crowd>,
    open: Rc<OpenConnections>,
    /// Connections that there are descriptors for.
    most: usize,
    refusals: Rc<Refusals>,
    intake: Rc<Intake>,
    desks: Vec<Desk>,
    /// Listeners that are being closed.
    closing: JoinSet<()>,
}

/// A socket that is accepted from.
struct Desk {
    address: SocketAddr,
    listener: Rc<TcpListener>,
    hall: Rc<Hall>,
    accepting: JoinHandle<()>,
}

impl Worker {
    pub(super) fn run(self) {
        let number = self.number;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .map_err(|error| tracing::error!(worker = number, %error, "no runtime"));
        let Ok(runtime) = runtime else { return };
        runtime.block_on(self.serve());
    }

    async fn serve(self) {
        let Self { number, live, registry, networks, signals, gauge, traces, lines, .. } = self;
        let Self { questions, shares, crowd, mut orders, ready, ended, .. } = self;
        let context = Rc::new(WorkerContext::new(WorkerParts {
            number,
            live: Arc::clone(&live),
            registry: Arc::clone(&registry),
            networks,
            signals,
            gauge,
            traces: traces.outlet(),
            lines,
        }));
        let refusals = Rc::new(Refusals::new(shares.refusals));
        let open = Rc::<OpenConnections>::default();
        spawn_local(tell(questions, Rc::clone(&context), Rc::clone(&open)));
        spawn_local(reap(Rc::clone(&context)));
        spawn_local(tend(Rc::clone(&context)));
        spawn_local(tend_log(Rc::clone(&context)));
        spawn_local(tend_refusals(Rc::clone(&refusals)));
        let mut post = Post {
            context,
            live,
            registry,
            crowd,
            open,
            most: shares.connections,
            refusals,
            intake: Intake::start(),
            desks: Vec::new(),
            closing: JoinSet::new(),
        };
        // Whoever waits for readiness may have given up.
        let _ = ready.send(()).await;
        drop(ready);
        // Nobody left to give orders: the process is about to end.
        let mut drain = Drain::default();
        while let Some(order) = orders.recv().await {
            match order {
                Order::Listen(share) => post.listen(share),
                Order::Close(address) => post.close(|desk| desk.address == address),
                Order::Ping(answer) => drop(answer.send(())),
                Order::Drain(how) => {
                    drain = how;
                    break;
                }
            }
        }
        // The same.
        let _ = ended.send(post.leave(&drain).await).await;
    }
}

impl Post {
    /// Accepts from more sockets.
    fn listen(&mut self, share: Share) {
        let Share { configured, address, destination, sockets, done } = share;
        let mut result = Ok(());
        for socket in sockets {
            match self.hall(configured, destination, socket) {
                Ok((listener, hall)) => {
                    let accepting = spawn_local(accept(Rc::clone(&listener), Rc::clone(&hall)));
                    self.desks.push(Desk { address, listener, hall, accepting });
                }
                Err(error) => result = Err(error),
            }
        }
        // Whoever asked has stopped waiting.
        let _ = done.send(result);
    }

    fn hall(
        &self,
        configured: SocketAddr,
        destination: Option<SocketAddr>,
        socket: std::net::TcpListener,
    ) -> io::Result<(Rc<TcpListener>, Rc<Hall>)> {
        let listener = Rc::new(TcpListener::from_std(socket)?);
        let hall = Rc::new(Hall {
            door: Door::new(configured, &self.live, &self.registry),
            destination,
            worker: Rc::clone(&self.context),
            open: Rc::clone(&self.open),
            crowd: Arc::clone(&self.crowd),
            most: self.most,
            refusals: Rc::clone(&self.refusals),
            intake: Rc::clone(&self.intake),
        });
        Ok((listener, hall))
    }

    /// Closes sockets that nobody else has, after whoever is in their queues was accepted.
    fn close(&mut self, which: impl Fn(&Desk) -> bool) {
        for desk in self.desks.extract_if(.., |desk| which(desk)) {
            desk.accepting.abort();
            self.closing.spawn_local(async move {
                let rest = accept(desk.listener, desk.hall);
                // It looks into the queue one last time when time is up.
                let _ = tokio::time::timeout(limits::LISTENER_LINGER, rest).await;
            });
        }
        while self.closing.try_join_next().is_some() {}
    }

    /// Comes to its end.
    async fn leave(mut self, drain: &Drain) -> Left {
        self.close(|desk| !drain.passed_on.contains(&desk.address));
        // Others accept from these: their queues are theirs now.
        self.desks.drain(..).for_each(|desk| desk.accepting.abort());
        let Self { closing, open, context, .. } = self;
        let closed = async move { drop(closing.join_all().await) };
        open.drain(&context, drain.timeout, closed).await
    }
}

/// Answers what is asked of this worker.
async fn tell(
    mut questions: mpsc::Receiver<Question>,
    context: Rc<WorkerContext>,
    open: Rc<OpenConnections>,
) {
    while let Some(Question { wanted, answer }) = questions.recv().await {
        let now = tokio::time::Instant::now().into_std();
        let dump = WorkerDump {
            connections: open.dump(&wanted, now).await,
            connections_open: open.count(),
            endpoints: context.dump_endpoints(wanted.endpoints),
            under_way: context.dump_under_way(),
            encoders: context.dump_encoders(),
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

async fn tend_log(context: Rc<WorkerContext>) {
    context.tend_log().await;
}

async fn tend_refusals(refusals: Rc<Refusals>) {
    refusals.tend().await;
}
