//! The traffic of the demo: clients on kept-alive connections, each request as one of the sample.
//!
//! On a thread of its own, so that drawing or waiting elsewhere does not show in the durations.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::error::DemoError;
use super::places::{Each, position};
use super::sample::SampleClient;
use super::tally::{Done, Failure, Tally};
use super::watcher::Watcher;
use super::world::{self, Answer, Verdict, World};
use crate::snapshot::Live;

/// Connections to Rhumb.
const CONNECTIONS: u32 = 16;
/// A request that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest body of an answer.
const BODY_BYTES: usize = 64 << 10;
/// How often the table in use is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// What the clients, the watcher and the one who plays the demo share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clients: Vec<SampleClient>,
    pub(super) live: Arc<Live>,
    pub(super) proxy: SocketAddr,
    pub(super) origins: Each<SocketAddr>,
    /// Requests that are sent belong to this phase.
    pub(super) phase: AtomicUsize,
    world: Mutex<World>,
    tally: Mutex<Tally>,
}

impl Shared {
    pub(super) fn new(
        clients: Vec<SampleClient>,
        live: Arc<Live>,
        proxy: SocketAddr,
        origins: Each<SocketAddr>,
    ) -> Self {
        let now = Instant::now();
        Self {
            clients,
            live,
            proxy,
            origins,
            phase: AtomicUsize::new(0),
            world: Mutex::new(World::new([0; super::places::COUNT], now)),
            tally: Mutex::new(Tally::new(now)),
        }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running clients.
#[derive(Debug)]
pub(super) struct Traffic {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Traffic {
    /// Starts the clients, which send `rate` requests a second together, and the watcher.
    pub(super) fn start(
        shared: &Arc<Shared>,
        mut watcher: Watcher,
        rate: u32,
    ) -> Result<Self, DemoError> {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(DemoError::Runtime)?;
        let shared = Arc::clone(shared);
        let thread = std::thread::Builder::new().name("demo-clients".to_owned()).spawn(move || {
            runtime.block_on(async {
                let mut tasks = Vec::new();
                for number in 0..CONNECTIONS {
                    let shared = Arc::clone(&shared);
                    let stopped = stopped.clone();
                    tasks.push(tokio::spawn(client(shared, number, rate, stopped)));
                }
                let mut look = tokio::time::interval(LOOK);
                look.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while !*stopped.borrow() {
                    look.tick().await;
                    watcher.look(&shared);
                }
                for task in tasks {
                    // A client that broke is missing from the count, which the report notices.
                    if let Err(error) = task.await {
                        tracing::error!(%error, "a client of the demo broke; this is a bug");
                    }
                }
            });
        });
        Ok(Self { stop, thread: thread.map_err(DemoError::Runtime)? })
    }

    /// Lets requests under way finish, and ends. False when a client broke.
    pub(super) fn stop(self) -> bool {
        // Whoever listens is gone already when nobody does.
        let _ = self.stop.send(true);
        self.thread.join().is_ok()
    }
}

async fn client(shared: Arc<Shared>, number: u32, rate: u32, stopped: watch::Receiver<bool>) {
    let pause = Duration::from_secs(1) * CONNECTIONS / rate.max(1);
    let first = tokio::time::Instant::now() + pause * number / CONNECTIONS;
    let mut due = tokio::time::interval_at(first, pause);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Each connection walks through the whole sample, from a place of its own.
    let offset = shared.clients.len() * number as usize / CONNECTIONS as usize;
    let walk = shared.clients.iter().cycle().skip(offset);
    let mut connection = None;
    for who in walk {
        due.tick().await;
        if *stopped.borrow() {
            return;
        }
        let phase = shared.phase.load(Ordering::Relaxed);
        let before = world::open(&shared.live.load());
        let sent = Instant::now();
        let asked = tokio::time::timeout(TIMEOUT, ask(&mut connection, shared.proxy, who)).await;
        let at = Instant::now();
        let asked = asked.unwrap_or(Err(Failure::Timeout));
        let result = match asked {
            Ok(region) => {
                let after = world::open(&shared.live.load());
                let mut open = before;
                for (open, after) in open.iter_mut().zip(after) {
                    *open |= after;
                }
                judge(&shared, who, Answer { region, sent, open }).await
            }
            Err(failure) => {
                connection = None;
                Err(failure)
            }
        };
        let took = at.saturating_duration_since(sent);
        shared.tally().add(Done { phase, country: who.country, at, took, result });
    }
}

/// Judges an answer. When a region was passed by that should be alive, that is looked at first:
/// somebody may have killed its process by hand.
async fn judge(
    shared: &Shared,
    who: &SampleClient,
    answer: Answer,
) -> Result<(usize, bool), Failure> {
    let mut verdict = shared.world().judge(who, answer);
    if matches!(verdict, Verdict::Wrong { .. }) {
        // Perhaps a table has just come that the watcher has not seen yet.
        let mut world = shared.world();
        world.observe(&shared.live.load(), Instant::now());
        verdict = world.judge(who, answer);
    }
    match verdict {
        Verdict::Right { moved } => Ok((answer.region, moved)),
        Verdict::Wrong { expected } => {
            let wrong = Failure::WrongRegion { got: answer.region, expected };
            let Some(origin) = shared.origins.get(expected) else { return Err(wrong) };
            match TcpStream::connect(origin).await {
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    shared.world().died(expected, answer.sent);
                    Ok((answer.region, false))
                }
                _ => Err(wrong),
            }
        }
    }
}

type Sender = SendRequest<Empty<Bytes>>;

/// What the demo reads of an origin's answer.
#[derive(Deserialize)]
struct Described {
    region: String,
    headers: Headers,
}

#[derive(Deserialize)]
struct Headers {
    #[serde(rename = "x-forwarded-for")]
    forwarded_for: Option<String>,
}

/// Asks Rhumb as that client; the region that answered.
async fn ask(
    connection: &mut Option<Sender>,
    proxy: SocketAddr,
    who: &SampleClient,
) -> Result<usize, Failure> {
    let mut sender = match connection.take().filter(|sender| !sender.is_closed()) {
        Some(sender) => sender,
        None => connect(proxy).await?,
    };
    let broken = |error: hyper::Error| Failure::Broken(error.to_string());
    sender.ready().await.map_err(broken)?;
    let address = who.address.to_string();
    let request = Request::get("/v1/hello")
        .header(header::HOST, proxy.to_string())
        .header("x-forwarded-for", &address)
        .body(Empty::new())
        .map_err(|error| Failure::Broken(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), BODY_BYTES).collect().await;
    let body = body.map_err(|error| Failure::Broken(error.to_string()))?.to_bytes();
    if status != 200 {
        return Err(Failure::Status(status));
    }
    let region = read(&body, &address).map_err(Failure::Foreign)?;
    *connection = Some(sender);
    Ok(region)
}

/// Which region gave this answer; also makes sure that it answers our request.
fn read(body: &[u8], address: &str) -> Result<usize, String> {
    let described: Described = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let saw = described.headers.forwarded_for.unwrap_or_default();
    if saw.split(',').next().map(str::trim) != Some(address) {
        return Err(format!("it is for {saw:?}, not for {address}"));
    }
    position(&described.region).ok_or_else(|| format!("of region {:?}", described.region))
}

async fn connect(proxy: SocketAddr) -> Result<Sender, Failure> {
    let failed = |error: std::io::Error| Failure::Connect(error.to_string());
    let stream = TcpStream::connect(proxy).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let shaken = handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|error| Failure::Connect(error.to_string()))?;
    tokio::spawn(async move {
        // A request on it learns of an error by itself.
        let _ = connection.await;
    });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_those_of_origins_to_this_client() {
        let body =
            br#"{"region":"eu-west-1","headers":{"x-forwarded-for":"192.0.2.1, 127.0.0.1"}}"#;
        assert_eq!(read(body, "192.0.2.1"), Ok(1));
        assert!(read(body, "192.0.2.2").is_err());
        let unknown = br#"{"region":"mars","headers":{"x-forwarded-for":"192.0.2.1"}}"#;
        assert!(read(unknown, "192.0.2.1").is_err());
        assert!(read(b"{}", "192.0.2.1").is_err());
    }
}
