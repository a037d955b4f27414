//! Clients: some connect anew for every request, some stay, some listen to a stream, some hold a
//! WebSocket.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::Options;
use crate::contestant::Contestant;
use crate::tally::{Deed, Fate, Tally, fate_of};

/// Connections that are being made at once.
const MOST: usize = 4_096;
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two messages of a WebSocket, and two requests of a connection that stays.
const PAUSE: Duration = Duration::from_millis(100);
/// One of so many new connections goes to the listener that comes and goes.
const VISITS: u64 = 10;

/// Everything that is under way.
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

/// What every client has.
#[derive(Clone)]
struct Client {
    port: u16,
    lasts: Duration,
    tally: Arc<Tally>,
    stop: watch::Receiver<bool>,
}

impl Load {
    pub(crate) fn start(options: &Options, to: &Contestant, tally: &Arc<Tally>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let client = Client {
            port: to.port,
            lasts: Duration::from_millis(options.lasts_ms),
            tally: Arc::clone(tally),
            stop: stopped,
        };
        let mut clients = JoinSet::new();
        clients.spawn(client.clone().come(options.rate, to.visited));
        for _ in 0..options.kept {
            clients.spawn(client.clone().stay());
        }
        for _ in 0..options.streams {
            clients.spawn(client.clone().listen());
        }
        for _ in 0..options.websockets {
            clients.spawn(client.clone().talk());
        }
        Self { stop, clients }
    }

    /// Lets everything come to its end.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.clients.join_all().await;
    }
}

impl Client {
    fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    fn count(&self, deed: Deed, since: Instant, done: &io::Result<()>) {
        match done {
            Ok(()) => self.tally.good(deed, since.elapsed()),
            Err(error) => self.tally.count(deed, fate_of(error)),
        }
    }

    /// New connections, so many a second, whatever becomes of them.
    async fn come(self, rate: u32, visited: u16) {
        let mut turns = interval(Duration::from_secs(1) / rate.max(1));
        turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let room = Arc::new(Semaphore::new(MOST));
        let mut under_way = JoinSet::new();
        let mut number = 0;
        while !self.stopped() {
            turns.tick().await;
            number += 1;
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let (deed, port) = match number % VISITS {
                0 => (Deed::Visit, visited),
                _ => (Deed::Fresh, self.port),
            };
            let client = self.clone();
            under_way.spawn(async move {
                let since = Instant::now();
                let done = patient(once(port)).await;
                client.count(deed, since, &done);
                drop(place);
            });
            while under_way.try_join_next().is_some() {}
        }
        under_way.join_all().await;
    }

    /// Requests on one connection for as long as it is kept.
    async fn stay(self) {
        let mut kept = None;
        while !self.stopped() {
            let since = Instant::now();
            let used = kept.is_some();
            let mut stream = match kept.take() {
                Some(stream) => stream,
                None => match connect(self.port).await {
                    Ok(stream) => stream,
                    Err(error) => {
                        self.count(Deed::Kept, since, &Err(error));
                        continue;
                    }
                },
            };
            match patient(ask(&mut stream, "/small", "")).await {
                Ok(answer) => {
                    self.tally.good(Deed::Kept, since.elapsed());
                    kept = answer.keeps.then_some(stream);
                }
                Err(error) if used && error.kind() == io::ErrorKind::NotConnected => {
                    self.tally.count(Deed::Kept, Fate::ClosedIdle);
                }
                Err(error) => self.count(Deed::Kept, since, &Err(error)),
            }
            sleep(PAUSE).await;
        }
    }

    /// One streamed answer after the other.
    async fn listen(self) {
        while !self.stopped() {
            let heard = async {
                let mut stream = connect(self.port).await?;
                let path = format!("/stream/{}", self.lasts.as_millis());
                ask(&mut stream, &path, "Connection: close\r\n").await.map(drop)
            };
            let done = patient(heard).await;
            match done {
                Ok(()) => self.tally.count(Deed::Stream, Fate::Good),
                Err(error) => self.count(Deed::Stream, Instant::now(), &Err(error)),
            }
        }
    }

    /// One WebSocket after the other.
    async fn talk(self) {
        while !self.stopped() {
            match patient(self.conversation()).await {
                Ok(fate) => self.tally.count(Deed::WebSocket, fate),
                Err(error) => self.tally.count(Deed::WebSocket, fate_of(&error)),
            }
        }
    }

    async fn conversation(&self) -> io::Result<Fate> {
        let mut stream = connect(self.port).await?;
        let head = "GET /socket HTTP/1.1\r\nHost: web.test\r\nUpgrade: websocket\r\n\
                    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        let answer = head_of(&mut stream).await?;
        if !answer.starts_with(b"HTTP/1.1 101 ") {
            return Ok(Fate::Wrong);
        }
        let until = Instant::now() + self.lasts;
        while Instant::now() < until {
            // A final text frame, masked with zeros: what is sent is what comes back.
            stream.write_all(b"\x81\x84\0\0\0\0word").await?;
            let mut back = [0; 2];
            stream.read_exact(&mut back).await?;
            if back[0] == 0x88 {
                return Ok(Fate::Told);
            }
            let mut word = [0; 4];
            stream.read_exact(&mut word).await?;
            if back != [0x81, 4] || word != *b"word" {
                return Ok(Fate::Wrong);
            }
            sleep(PAUSE).await;
        }
        Ok(Fate::Good)
    }
}

/// What an answer says of its connection.
struct Answer {
    keeps: bool,
}

async fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn patient<T>(doing: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, doing).await.map_err(|_| io::ErrorKind::TimedOut)?
}

/// One request on a connection of its own.
async fn once(port: u16) -> io::Result<()> {
    let mut stream = connect(port).await?;
    ask(&mut stream, "/small", "Connection: close\r\n").await.map(drop)
}

/// A request, and its answer to the last byte, which is a line feed after a line feed.
async fn ask(stream: &mut TcpStream, path: &str, fields: &str) -> io::Result<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: web.test\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let head = head_of(stream).await?;
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200 ") {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut tail = Vec::new();
    let chunked = head.contains("\r\ntransfer-encoding: chunked");
    let end: &[u8] = if chunked { b"\r\n0\r\n\r\n" } else { b"hello\n" };
    while !tail.ends_with(end) {
        if stream.read_buf(&mut tail).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Answer { keeps: !head.contains("\r\nconnection: close") })
}

/// The head of an answer; not connected: there is none, and no byte of one.
async fn head_of(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if head.is_empty() && error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(io::ErrorKind::NotConnected.into());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(head)
}
