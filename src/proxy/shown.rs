//! What people who look at connections are shown of one. Nothing is decided by it: what a connection
//! waits for is `watch`.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Instant;

/// How far a client connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing has been said yet.
    Accepted,
    /// It says for whom it comes.
    ProxyProtocol,
    /// TLS is agreed on.
    TlsHandshake,
    /// HTTP/1.1 is spoken.
    Http1,
    /// HTTP/2 is spoken.
    Http2,
    /// It has become something else.
    Tunnel,
}

impl Stage {
    /// For people who look at connections.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::ProxyProtocol => "proxy_protocol",
            Self::TlsHandshake => "tls_handshake",
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Tunnel => "tunnel",
        }
    }
}

/// What is known of one client connection.
#[derive(Debug)]
pub struct Shown {
    stage: Cell<Stage>,
    client: Cell<Option<SocketAddr>>,
    since: Instant,
    requests: Cell<u64>,
    streams: Cell<usize>,
}

impl Shown {
    /// A connection that was accepted at `since`.
    pub(super) fn new(since: Instant) -> Self {
        Self {
            stage: Cell::new(Stage::Accepted),
            client: Cell::default(),
            since,
            requests: Cell::default(),
            streams: Cell::default(),
        }
    }

    /// The connection has come so far.
    pub fn enter(&self, stage: Stage) {
        self.stage.set(stage);
    }

    /// How far the connection has come.
    pub fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// The client is at that address, as far as is known.
    pub fn come_from(&self, client: SocketAddr) {
        self.client.set(Some(client));
    }

    /// Where the client is.
    pub fn client(&self) -> Option<SocketAddr> {
        self.client.get()
    }

    /// When it was accepted.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// A request was begun on the connection.
    pub fn count_request(&self) {
        self.requests.set(self.requests.get() + 1);
    }

    /// Requests that were begun on the connection.
    pub fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// So many streams of HTTP/2 are open on the connection.
    pub fn set_streams(&self, count: usize) {
        self.streams.set(count);
    }

    /// Streams of HTTP/2 that are open on the connection.
    pub fn streams(&self) -> usize {
        self.streams.get()
    }
}
