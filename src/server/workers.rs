//! All worker threads: starts them, gives them orders, and hears what became of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::crowd::Crowd;
use super::listener::{BindError, Bound};
use super::open::Left;
use super::orders::{Drain, Order, Share};
use super::worker::Worker;
use crate::access_log::Lines;
use crate::dump::Question;
use crate::measure::Networks;
use crate::metrics::Registry;
use crate::model::{EndpointSignal, limits};
use crate::overload::{Gauge, Shares};
use crate::snapshot::Live;
use crate::traces::Traces;

/// Orders that a worker has not got to yet.
const ORDERS_WAITING: usize = 64;

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
    /// Where each worker is asked what it has. There are as many workers as of these.
    pub questions: Vec<mpsc::Receiver<Question>>,
}

/// All worker threads.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    orders: Orders,
    ready: mpsc::Receiver<()>,
    ended: mpsc::Receiver<Left>,
}

/// Gives orders to all workers, from any thread.
#[derive(Clone, Debug)]
pub struct Orders(Vec<mpsc::Sender<Order>>);

impl Workers {
    /// Starts threads that listen nowhere yet.
    ///
    /// # Errors
    ///
    /// The first thread that does not start; those started before it end again.
    pub fn start(parts: WorkersParts) -> Result<Self, StartError> {
        let count = parts.questions.len();
        let (ready_in, ready) = mpsc::channel(count.max(1));
        let (ended_in, ended) = mpsc::channel(count.max(1));
        let crowd = Arc::new(Crowd::default());
        let (mut threads, mut senders) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (number, questions) in parts.questions.into_iter().enumerate() {
            let (sender, orders) = mpsc::channel(ORDERS_WAITING);
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
                questions,
                crowd: Arc::clone(&crowd),
                orders,
                ready: ready_in.clone(),
                ended: ended_in.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("rhumb-worker-{number}"))
                .spawn(move || worker.run())
                .map_err(|source| StartError { number, source })?;
            threads.push(thread);
            senders.push(sender);
        }
        Ok(Self { threads, orders: Orders(senders), ready, ended })
    }

    /// Waits until every worker is there; false if one ended instead.
    pub async fn ready(&mut self) -> bool {
        for _ in 0..self.threads.len() {
            if self.ready.recv().await.is_none() {
                return false;
            }
        }
        true
    }

    /// What gives them orders.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Tells the workers to finish what they have and end, and waits until they have; not for one
    /// that has no ear for it.
    pub async fn drain(&mut self, how: &Drain) -> Left {
        self.orders.drain(how);
        let mut left = Left::default();
        let all = async {
            // Ends when the last worker has said what became of it, or has gone without a word.
            while let Some(one) = self.ended.recv().await {
                left = left.plus(one);
            }
        };
        if tokio::time::timeout(how.timeout + limits::THREAD_ANSWER, all).await.is_err() {
            tracing::error!("a worker does not come to its end; what it has is cut");
        }
        left
    }

    /// Waits for the threads, after it has told those that do not know yet. Returns how many ended
    /// by a panic.
    pub fn join(self) -> usize {
        self.orders.drain(&Drain::default());
        self.threads.into_iter().filter_map(|thread| thread.join().err()).count()
    }
}

impl Orders {
    /// Lets workers accept from the sockets of a listener, each from its own. Returns when all do;
    /// blocks for a moment.
    ///
    /// # Errors
    ///
    /// When a socket cannot be accepted from, or a worker does not answer.
    pub fn listen(&self, bound: &Bound) -> Result<(), BindError> {
        let Bound { configured, address, .. } = *bound;
        let error = |source| BindError { address: configured, source };
        let (done, heard) = sync_channel(self.0.len());
        let shares = bound.shares(self.0.len())?;
        for (orders, sockets) in self.0.iter().zip(shares) {
            let destination = bound.destination();
            let share = Share { configured, address, destination, sockets, done: done.clone() };
            let sent = orders.try_send(Order::Listen(share));
            sent.map_err(|_| error(io::Error::other("a worker takes no orders")))?;
        }
        for _ in &self.0 {
            let result = heard.recv_timeout(limits::THREAD_ANSWER);
            result.map_err(|why| error(io::Error::other(why)))?.map_err(error)?;
        }
        Ok(())
    }

    /// Lets workers close a listener, after whoever is in its queues was accepted.
    pub fn close(&self, address: SocketAddr) {
        for (number, orders) in self.0.iter().enumerate() {
            if orders.try_send(Order::Close(address)).is_err() {
                tracing::error!(worker = number, %address, "a worker takes no orders");
            }
        }
    }

    fn drain(&self, how: &Drain) {
        for orders in &self.0 {
            // A worker that is gone has nothing to drain.
            let _ = orders.try_send(Order::Drain(how.clone()));
        }
    }

    /// Whether every worker answers within [`limits::THREAD_ANSWER`].
    pub async fn all_answer(&self) -> bool {
        let mut answers = Vec::with_capacity(self.0.len());
        for orders in &self.0 {
            let (answer, answered) = oneshot::channel();
            if orders.try_send(Order::Ping(answer)).is_err() {
                return false;
            }
            answers.push(answered);
        }
        let all = async {
            for answered in answers {
                if answered.await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(limits::THREAD_ANSWER, all).await.unwrap_or(false)
    }
}
