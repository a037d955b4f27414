//! Takes connections in at one listener, as far as the limits go.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use super::client::{self, Arrival};
use super::crowd::Crowd;
use super::door::Door;
use super::open::OpenConnections;
use crate::model::ConnectionRefusal;
use crate::proxy::{ErrorReason, Watch, WorkerContext, refusal_bytes};

/// How long a worker that cannot accept waits before it tries again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What connections of one listener come into.
#[derive(Debug)]
pub(super) struct Hall {
    pub(super) door: Door,
    pub(super) worker: Rc<WorkerContext>,
    pub(super) open: Rc<OpenConnections>,
    pub(super) crowd: Arc<Crowd>,
}

/// Accepts until it is told to stop.
pub(super) async fn accept(listener: Rc<TcpListener>, hall: Rc<Hall>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(stream, peer, &hall),
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                // Most likely no descriptor is free: connections wait in the kernel's queue until
                // one is, and the worker does not spin.
                hall.worker.series.accept_failures.increment();
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

fn admit(stream: TcpStream, peer: SocketAddr, hall: &Rc<Hall>) {
    let terms = hall.door.terms();
    let clear = terms.listener.tls.is_none();
    if hall.open.count() >= terms.limits.connections_per_worker {
        return refuse(&stream, clear, ConnectionRefusal::Worker, &hall.worker);
    }
    // Behind a PROXY protocol header is another client than the one that connects.
    let counted = match terms.limits.connections_per_client {
        Some(most) if terms.listener.proxy_protocol.is_none() => {
            match hall.crowd.enter(peer.ip(), most) {
                Some(counted) => Some(counted),
                None => return refuse(&stream, clear, ConnectionRefusal::Client, &hall.worker),
            }
        }
        _ => None,
    };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!(%error, "client left before it was served");
        return;
    }
    let Ok(local) = stream.local_addr() else { return };
    let watch = Rc::new(Watch::new(tokio::time::Instant::now().into_std()));
    let entered = hall.open.enter(&watch, &hall.worker);
    let arrival =
        Arrival { source: peer, destination: local, terms, watch, hall: Rc::clone(hall), counted };
    spawn_local(async move {
        client::serve(stream, arrival).await;
        drop(entered);
    });
}

/// A client without a place hears so, if that costs nothing more than a write that cannot block.
fn refuse(stream: &TcpStream, clear: bool, why: ConnectionRefusal, worker: &WorkerContext) {
    worker.series.refused(why);
    if clear {
        let _ = socket2::SockRef::from(stream).send(&refusal_bytes(ErrorReason::Overloaded));
    }
}
