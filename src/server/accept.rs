//! Takes connections in at one listener, as far as the limits go, and turns the others away.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use super::client::{self, Arrival};
use super::crowd::{Counted, Crowd};
use super::door::{Door, Terms};
use super::intake::Intake;
use super::open::OpenConnections;
use super::refusals::Refusals;
use crate::model::{ConnectionRefusal, limits};
use crate::overload::{Level, is_shortage};
use crate::proxy::{Watch, WorkerContext};

/// What connections of one listener come into.
#[derive(Debug)]
pub(super) struct Hall {
    pub(super) door: Door,
    /// Where connections go, if that is the same for all of them.
    pub(super) destination: Option<SocketAddr>,
    pub(super) worker: Rc<WorkerContext>,
    pub(super) open: Rc<OpenConnections>,
    pub(super) crowd: Arc<Crowd>,
    /// Connections that there are descriptors for, whatever is configured.
    pub(super) most: usize,
    pub(super) refusals: Rc<Refusals>,
    pub(super) intake: Rc<Intake>,
}

/// Accepts until it is told to stop.
pub(super) async fn accept(listener: Rc<TcpListener>, hall: Rc<Hall>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => receive(stream, peer, &hall).await,
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => hall.pause(&error).await,
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

/// Takes a connection in or turns it away; waits while there is no room for either.
async fn receive(mut stream: TcpStream, peer: SocketAddr, hall: &Rc<Hall>) {
    loop {
        let terms = hall.door.terms();
        let why = match hall.judge(peer, &terms) {
            Ok(counted) => return admit(stream, peer, hall, terms, counted),
            Err(why) => why,
        };
        // Without readiness in the reactor it wakes nobody.
        let Ok(socket) = stream.into_std() else { return };
        if hall.refusals.takes(&socket) {
            hall.worker.series.refused(why);
            return hall.refusals.refuse(socket, &terms.refusal);
        }
        // By then there may be room inside as well.
        hall.refusals.looked().await;
        let Ok(again) = TcpStream::from_std(socket) else { return };
        stream = again;
    }
}

fn admit(
    stream: TcpStream,
    peer: SocketAddr,
    hall: &Rc<Hall>,
    terms: Rc<Terms>,
    counted: Option<Counted>,
) {
    let Some(destination) = hall.destination.or_else(|| stream.local_addr().ok()) else { return };
    let watch = Rc::new(Watch::new(tokio::time::Instant::now().into_std()));
    let entered = hall.open.enter(&watch, &hall.worker);
    let arrival =
        Arrival { source: peer, destination, terms, watch, hall: Rc::clone(hall), counted };
    spawn_local(async move {
        client::serve(stream, arrival).await;
        drop(entered);
    });
}

impl Hall {
    /// Whether a connection may come in, with its place among those of its client.
    fn judge(&self, peer: SocketAddr, terms: &Terms) -> Result<Option<Counted>, ConnectionRefusal> {
        if self.worker.pressure().memory >= Level::High {
            return Err(ConnectionRefusal::Memory);
        }
        if self.open.count() >= terms.limits.connections_per_worker.min(self.most) {
            return Err(ConnectionRefusal::Worker);
        }
        // Behind a PROXY protocol header is another client than the one that connects.
        match terms.limits.connections_per_client {
            Some(most) if terms.listener.proxy_protocol.is_none() => {
                self.crowd.enter(peer.ip(), most).map(Some).ok_or(ConnectionRefusal::Client)
            }
            _ => Ok(None),
        }
    }

    /// Most likely no descriptor is free: connections wait in the kernel's queue until one is, and
    /// the worker does not spin.
    async fn pause(&self, error: &io::Error) {
        self.worker.series.accept_failures.increment();
        if is_shortage(error) {
            // What waits for requests is not given back for this: a client without a way to an
            // origin would be no gain.
            self.worker.gauge().note_exhausted();
        }
        if self.worker.gauge().may_complain(Instant::now()) {
            tracing::warn!(%error, "cannot accept connections; they wait");
        }
        tokio::time::sleep(limits::SHORTAGE_PAUSE).await;
    }
}
