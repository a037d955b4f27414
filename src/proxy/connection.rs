//! A client connection, or one stream of it, as its requests see it. How its bytes come and go is
//! `server`'s business.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use http::HeaderValue;

use super::context::WorkerContext;
use super::peer::Peer;
use super::tunnel::Tunnel;
use super::under_way::Work;
use super::watch::Watch;
use crate::access_log::{Ending, Entry};

/// One client connection, as its requests see it.
#[derive(Debug)]
pub struct Connection {
    /// Its worker.
    pub worker: Rc<WorkerContext>,
    /// Its waits.
    pub watch: Rc<Watch>,
    /// The other end.
    pub peer: Rc<Peer>,
    /// What it becomes when its client and an origin agree on another protocol. Boxed: few do, and every
    /// stream has room for it.
    tunnel: RefCell<Option<Box<Tunnel>>>,
    /// What a request on it is.
    pub(super) work: Work,
}

impl Connection {
    /// A connection of `peer` that was accepted at `now`.
    pub fn new(worker: Rc<WorkerContext>, peer: Rc<Peer>, watch: Rc<Watch>) -> Self {
        Self { worker, watch, peer, tunnel: RefCell::default(), work: Work::Request }
    }

    /// One stream of an HTTP/2 connection, with waits of its own.
    pub fn stream(&self) -> Self {
        let watch = Watch::stream(&self.watch);
        if self.watch.draining() {
            watch.drain();
        }
        let stream = Self::new(Rc::clone(&self.worker), Rc::clone(&self.peer), Rc::new(watch));
        Self { work: Work::Stream, ..stream }
    }

    /// Whether the client came over TLS.
    pub(super) fn secure(&self) -> bool {
        self.peer.secure.is_some()
    }

    /// Lets the connection become a tunnel once its response head has been written.
    pub(super) fn become_tunnel(&self, tunnel: Tunnel) {
        *self.tunnel.borrow_mut() = Some(Box::new(tunnel));
    }

    /// What the connection has become, for its driver; asks once.
    pub fn take_tunnel(&self) -> Option<Tunnel> {
        self.tunnel.borrow_mut().take().map(|tunnel| *tunnel)
    }

    /// Logs a request of it that has ended with this status after so long.
    pub(super) fn log(&self, entry: Box<RefCell<Entry>>, status: u16, duration: Duration) {
        let (peer, secured) = (self.peer.text.as_bytes(), self.peer.secured());
        let entropy = self.worker.entropy();
        self.worker.log.end(entry, &Ending { status, duration, peer, secured, entropy });
    }

    /// The client's verified certificate, as origins are told of it.
    pub(super) fn certificate(&self) -> Option<&HeaderValue> {
        self.peer.secure.as_ref()?.certificate.as_ref()
    }
}
