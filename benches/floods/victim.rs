//! Well-behaved clients beside an attack: HTTP/1.1, HTTP/2, WebSocket and gRPC, each at a steady rate
//! over one connection, with the time that every exchange took.
//!
//! Here: exchanges. Not here: when they count (`driver` divides them into phases).

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// An exchange that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// A turn that comes later than this was kept waiting by the exchange before it: the wait counts.
const LATE: Duration = Duration::from_millis(5);
/// What is sent and has to come back.
const TEXT: &[u8] = b"thirty-two bytes of plain text..";

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    WebSocket,
    Grpc,
}

impl Protocol {
    pub(crate) const ALL: [Self; 4] = [Self::Http1, Self::Http2, Self::WebSocket, Self::Grpc];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::WebSocket => "websocket",
            Self::Grpc => "grpc",
        }
    }
}

/// Where the proxy listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) http1: u16,
    pub(crate) http2: u16,
}

/// What became of the exchanges of a phase.
#[derive(Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) micros: Vec<u64>,
    pub(crate) failures: u64,
    pub(crate) last_failure: Option<String>,
}

impl Outcome {
    /// Percent of exchanges that went well.
    pub(crate) fn success(&self) -> f64 {
        let good = self.micros.len() as f64;
        100.0 * good / (good + self.failures as f64).max(1.0)
    }

    /// The time that so many percent of the exchanges stayed below, in milliseconds.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        let index = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
        sorted.get(index.saturating_sub(1)).map_or(f64::NAN, |&micros| micros as f64 / 1_000.0)
    }
}

/// One client and what it has to tell.
#[derive(Clone)]
pub(crate) struct Victim {
    pub(crate) protocol: Protocol,
    outcome: Arc<Mutex<Outcome>>,
}

impl Victim {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self { protocol, outcome: Arc::default() }
    }

    /// What happened since the last time.
    pub(crate) fn take(&self) -> Outcome {
        std::mem::take(&mut self.outcome.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Exchanges for ever, so many a second.
    pub(crate) async fn live(self, ports: Ports, rate: u32) {
        let mut turns = interval_at(Instant::now(), Duration::from_secs(1) / rate.max(1));
        turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut session = None;
        loop {
            let due = turns.tick().await;
            let now = Instant::now();
            let start = if now - due > LATE { due } else { now };
            let done = match timeout(PATIENCE, self.turn(&mut session, ports)).await {
                Ok(done) => done,
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")),
            };
            let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
            match done {
                Ok(()) => {
                    outcome.micros.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(0));
                }
                Err(error) => {
                    outcome.failures += 1;
                    outcome.last_failure = Some(error.to_string());
                    session = None;
                    // The turns that were missed meanwhile are not made up for.
                    turns.reset();
                }
            }
        }
    }

    async fn turn(&self, session: &mut Option<Session>, ports: Ports) -> io::Result<()> {
        if session.is_none() {
            *session = Some(Session::open(self.protocol, ports).await?);
        }
        match session {
            Some(session) => session.exchange().await,
            None => Ok(()),
        }
    }
}

/// A connection that is used for one exchange after the other.
enum Session {
    Http1(TcpStream),
    Http2(SendRequest<Bytes>),
    WebSocket(TcpStream),
    Grpc(SendRequest<Bytes>),
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Session {
    async fn open(protocol: Protocol, ports: Ports) -> io::Result<Self> {
        let http2 = matches!(protocol, Protocol::Http2 | Protocol::Grpc);
        let port = if http2 { ports.http2 } else { ports.http1 };
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        if protocol == Protocol::Http1 {
            return Ok(Self::Http1(stream));
        }
        if protocol == Protocol::WebSocket {
            upgrade(&mut stream).await?;
            return Ok(Self::WebSocket(stream));
        }
        let (send, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        let session = if protocol == Protocol::Grpc { Self::Grpc } else { Self::Http2 };
        Ok(session(send))
    }

    async fn exchange(&mut self) -> io::Result<()> {
        match self {
            Self::Http1(stream) => http1(stream).await,
            Self::WebSocket(stream) => text(stream).await,
            Self::Http2(send) => http2(send).await.map_err(io::Error::other)?,
            Self::Grpc(send) => grpc(send).await.map_err(io::Error::other)?,
        }
    }
}

async fn http1(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"GET /small HTTP/1.1\r\nHost: web.test\r\n\r\n").await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nhello\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(wrong("the connection ended"));
        }
    }
    if answer.starts_with(b"HTTP/1.1 200 ") { Ok(()) } else { Err(wrong("not 200")) }
}

async fn upgrade(stream: &mut TcpStream) -> io::Result<()> {
    let head = b"GET /socket HTTP/1.1\r\nHost: sockets.test\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    if answer.starts_with(b"HTTP/1.1 101 ") { Ok(()) } else { Err(wrong("not 101")) }
}

async fn text(stream: &mut TcpStream) -> io::Result<()> {
    // Final text frame, masked with zeros: what is sent is what comes back.
    let mut frame = vec![0x81, 0x80 | 32, 0, 0, 0, 0];
    frame.extend_from_slice(TEXT);
    stream.write_all(&frame).await?;
    let mut back = [0; 34];
    stream.read_exact(&mut back).await?;
    if back[..2] == [0x81, 32] && back[2..] == *TEXT { Ok(()) } else { Err(wrong("other text")) }
}

async fn http2(send: &mut SendRequest<Bytes>) -> Result<io::Result<()>, h2::Error> {
    let mut request = Request::new(());
    *request.uri_mut() = http::Uri::from_static("http://web.test/small");
    let mut ready = send.clone().ready().await?;
    let (response, _) = ready.send_request(request, true)?;
    let response = response.await?;
    let good = response.status() == 200;
    let body = whole(&mut response.into_body()).await?;
    Ok(if good && body == b"hello\n" { Ok(()) } else { Err(wrong("not 200")) })
}

async fn grpc(send: &mut SendRequest<Bytes>) -> Result<io::Result<()>, h2::Error> {
    let mut request = Request::new(());
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static("http://grpc.test/test.Echo/Unary");
    let fields = request.headers_mut();
    fields.insert("content-type", http::HeaderValue::from_static("application/grpc"));
    fields.insert("te", http::HeaderValue::from_static("trailers"));
    let mut message = vec![0, 0, 0, 0, 32];
    message.extend_from_slice(TEXT);
    let mut ready = send.clone().ready().await?;
    let (response, mut stream) = ready.send_request(request, false)?;
    stream.send_data(message.clone().into(), true)?;
    let mut body = response.await?.into_body();
    let back = whole(&mut body).await?;
    let trailers = body.trailers().await?.unwrap_or_default();
    let good = trailers.get("grpc-status").is_some_and(|status| status == "0") && back == message;
    Ok(if good { Ok(()) } else { Err(wrong("not status 0")) })
}

async fn whole(body: &mut h2::RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
