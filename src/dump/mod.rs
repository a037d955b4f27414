//! What a worker has at this moment, for whoever asks: its client connections, its connections to
//! endpoints, its tasks.
//!
//! Each worker is asked over a channel of its own and answers from what it has anyway, between two
//! other things that it does. How much it tells is bounded by who asks. Not here: looking it up
//! (`server`, `proxy`) and showing it (`admin`).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::model::limits;

/// What is asked of a worker.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Client connections to tell of; the rest is counted.
    pub connections: usize,
    /// Endpoints to tell of.
    pub endpoints: usize,
    /// Only those of this client.
    pub client: Option<IpAddr>,
}

impl Wanted {
    /// Numbers only.
    pub const COUNTS: Self = Self { connections: 0, endpoints: 0, client: None };
}

/// A question, and where the answer goes.
#[derive(Debug)]
pub struct Question {
    /// What is asked.
    pub wanted: Wanted,
    /// Where the answer goes; whoever asked may have given up.
    pub answer: oneshot::Sender<WorkerDump>,
}

/// What a worker has.
#[derive(Debug, Default, Serialize)]
pub struct WorkerDump {
    /// Client connections that are open.
    pub connections_open: usize,
    /// Of those that were asked for, these.
    pub connections: Vec<ConnectionDump>,
    /// Endpoints that it has something with.
    pub endpoints: Vec<EndpointDump>,
    /// What it has under way.
    pub under_way: UnderWayDump,
    /// What compresses.
    pub encoders: EncoderDump,
    /// Its tasks.
    pub tasks: TaskDump,
}

/// A client connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConnectionDump {
    /// The client, as a load balancer's PROXY protocol tells, else the other end of the socket.
    pub client: Option<SocketAddr>,
    /// Since it was accepted.
    pub age_seconds: f64,
    /// How far it has come: `accepted`, `proxy_protocol`, `tls_handshake`, `http1`, `http2`, `tunnel`.
    pub stage: &'static str,
    /// What it does: `fresh`, `idle`, `head`, `request`, `flushing`.
    pub phase: &'static str,
    /// Requests that were begun on it.
    pub requests: u64,
    /// Streams of HTTP/2 that are open on it.
    pub streams: usize,
    /// Until it is ended, unless something moves.
    pub ends_in_seconds: Option<f64>,
    /// Whether the client does not take what is written to it.
    pub write_blocked: bool,
    /// Whether it has been told to end.
    pub draining: bool,
}

/// Connections to an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointDump {
    /// Its address.
    pub url: String,
    /// Requests under way there.
    pub outstanding: u32,
    /// Connections of HTTP/1.1 without a request.
    pub idle_connections: usize,
    /// Connections of HTTP/2.
    pub http2_connections: usize,
    /// Requests that failed there in a row.
    pub failures_in_a_row: u32,
}

/// What a worker has under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UnderWayDump {
    /// Requests of HTTP/1.1.
    pub requests: u64,
    /// Requests of HTTP/2.
    pub streams: u64,
    /// Connections and streams that have become something else.
    pub tunnels: u64,
}

/// The encoders of a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EncoderDump {
    /// Responses that are being compressed.
    pub responses: usize,
    /// Memory of all encoders, those included that wait for a response.
    pub bytes: usize,
}

/// The tasks of a worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TaskDump {
    /// Tasks that have not ended.
    pub alive: usize,
    /// Tasks that were woken from outside and wait for their turn.
    pub queued: usize,
    /// Time that was spent on tasks since the start.
    pub busy_seconds: f64,
    /// How often it had nothing to do.
    pub parks: u64,
}

/// The workers, to be asked.
#[derive(Clone, Debug, Default)]
pub struct Census {
    workers: Vec<mpsc::Sender<Question>>,
}

/// An answer, and how long it took.
#[derive(Debug)]
pub struct Answer {
    /// The worker's number.
    pub worker: usize,
    /// What it has, and how long it was until it said so. `None`: it did not, in time.
    pub dump: Option<(WorkerDump, Duration)>,
}

impl Census {
    /// The workers, and for each of them where its questions come in.
    pub fn new(workers: usize) -> (Self, Vec<mpsc::Receiver<Question>>) {
        let channels = (0..workers).map(|_| mpsc::channel(limits::DUMPS_WAITING));
        let (workers, questions) = channels.unzip();
        (Self { workers }, questions)
    }

    /// How many there are.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Asks every worker, all at once.
    pub async fn ask(&self, wanted: Wanted) -> Vec<Answer> {
        let asked = Instant::now();
        let deadline = tokio::time::Instant::now() + limits::DUMP_TIMEOUT;
        let waiting: Vec<_> = self
            .workers
            .iter()
            .map(|worker| {
                let (answer, answered) = oneshot::channel();
                // One that is full of questions has its reasons not to answer.
                worker.try_send(Question { wanted, answer }).ok().map(|()| answered)
            })
            .collect();
        let mut answers = Vec::with_capacity(waiting.len());
        for (worker, answered) in waiting.into_iter().enumerate() {
            let dump = match answered {
                Some(answered) => tokio::time::timeout_at(deadline, answered).await.ok(),
                None => None,
            };
            let dump = dump.and_then(Result::ok).map(|dump| (dump, asked.elapsed()));
            answers.push(Answer { worker, dump });
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Wanted = Wanted { connections: 5, endpoints: 5, client: None };

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_keeps_nobody_waiting_for_long() {
        let (census, mut questions) = Census::new(3);
        let gone = questions.pop();
        drop(gone);
        let silent = questions.pop();
        let mut first = questions.pop().unwrap();
        tokio::spawn(async move {
            while let Some(Question { wanted, answer }) = first.recv().await {
                let dump =
                    WorkerDump { connections_open: wanted.connections, ..WorkerDump::default() };
                answer.send(dump).unwrap();
            }
        });
        for _ in 0..limits::DUMPS_WAITING * 2 {
            let answers = census.ask(ALL).await;
            let open: Vec<_> = answers
                .iter()
                .map(|answer| answer.dump.as_ref().map(|(dump, _)| dump.connections_open))
                .collect();
            assert_eq!(open, [Some(5), None, None]);
        }
        drop(silent);
    }
}
