//! A client's connection from its first byte to its last: the table of contents of its phases.
//!
//! ```text
//! accept ─ (PROXY protocol) ─ (TLS handshake) ─ which protocol ─ HTTP/1.1 or HTTP/2 ─ goodbye
//! ```
//!
//! Every phase has a deadline, and none keeps a buffer while it waits for its first byte.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::AsyncRead;

use super::accept::Hall;
use super::crowd::Counted;
use super::door::{Security, Terms};
use super::goodbye::part;
use super::intake::Place;
use super::keeper::Keeper;
use super::protocol::{Protocol, recognise};
use super::transport::{Ahead, Socket, Transport};
use super::{handshake, http1, http2, introduction};
use crate::model::{ConnectionRefusal, Handshake};
use crate::proxy::{Connection, Peer, Secure, Stage, Watch};

/// A connection that has been accepted.
#[derive(Debug)]
pub(super) struct Arrival {
    /// The socket's other end.
    pub(super) source: SocketAddr,
    /// The socket's own end.
    pub(super) destination: SocketAddr,
    pub(super) terms: Rc<Terms>,
    pub(super) watch: Rc<Watch>,
    pub(super) hall: Rc<Hall>,
    /// Its place among the connections of its client.
    pub(super) counted: Option<Counted>,
}

/// Serves one connection until either side ends it.
pub(super) async fn serve<S: Socket>(stream: S, mut arrival: Arrival) {
    arrival.watch.shown().come_from(arrival.source);
    let mut keeper = Keeper::new(Rc::clone(&arrival.watch));
    let Some((transport, peer, protocol)) = greet(stream, &mut arrival, &mut keeper).await else {
        return;
    };
    let Arrival { terms, watch, hall, counted: _counted, .. } = arrival;
    let connection = Connection::new(Rc::clone(&hall.worker), Rc::new(peer), watch);
    let connection = Rc::new(connection);
    connection.watch.shown().enter(match protocol {
        Protocol::Http1 => Stage::Http1,
        Protocol::Http2 => Stage::Http2,
    });
    match protocol {
        Protocol::Http1 => http1::converse(transport, &connection, &mut keeper, &terms).await,
        Protocol::Http2 => {
            let place = Place::new(&hall.intake);
            http2::converse(transport, &connection, &mut keeper, &terms, place).await;
        }
    }
}

/// All that comes before HTTP; `None`: it came to nothing.
async fn greet<S: Socket>(
    stream: S,
    arrival: &mut Arrival,
    keeper: &mut Keeper,
) -> Option<(Transport<S>, Peer, Protocol)> {
    let terms = Rc::clone(&arrival.terms);
    let listener = &terms.listener;
    let mut socket = Ahead::new(stream);
    more(&mut socket, keeper).await?;
    let (mut source, mut destination) = (arrival.source, arrival.destination);
    if let Some(from) = &listener.proxy_protocol {
        arrival.watch.shown().enter(Stage::ProxyProtocol);
        match introduction::read(&mut socket, keeper, from, source.ip()).await {
            Ok(told) => (source, destination) = told.unwrap_or((source, destination)),
            Err(error) => {
                tracing::debug!(peer = %source, %error, "connection refused");
                arrival.hall.door.series.proxy_protocol_errors.increment();
                return None;
            }
        }
        arrival.watch.shown().come_from(source);
        if !count(arrival, source) {
            part(Transport::clear(socket), &terms.refusal).await;
            return None;
        }
        if socket.ahead().is_empty() {
            more(&mut socket, keeper).await?;
        }
    }
    let mut peer = Peer::new(source, destination);
    peer.redirect = listener.redirect;
    peer.hsts.clone_from(&listener.hsts);
    let (config, certificates) = match &terms.security {
        Security::Tls(config, certificates) => (config, certificates),
        Security::Missing => return None,
        Security::Clear => {
            let protocol = match listener.http2 {
                true => recognise(&mut socket, keeper).await?,
                false => Protocol::Http1,
            };
            return Some((Transport::clear(socket), peer, protocol));
        }
    };
    arrival.watch.shown().enter(Stage::TlsHandshake);
    let shaken = Box::pin(handshake::shake(socket, config, keeper)).await;
    let result = shaken.as_ref().map_or_else(|result| *result, |_| Handshake::Success);
    arrival.hall.door.series.handshake(result);
    let handshake::Agreed { mut transport, secure, protocol } = shaken.ok()?;
    peer.secure = Some(Secure { certificates: Some(Arc::clone(certificates)), ..secure });
    if protocol == Protocol::Http1 {
        let said = more(&mut transport, keeper).await;
        if said.is_none() {
            part(transport, &[]).await;
            return None;
        }
    }
    Some((transport, peer, protocol))
}

/// Counts a connection among those of its client, unless it has too many.
fn count(arrival: &mut Arrival, source: SocketAddr) -> bool {
    let Some(most) = arrival.terms.limits.connections_per_client else { return true };
    arrival.counted = arrival.hall.crowd.enter(source.ip(), most);
    if arrival.counted.is_none() {
        arrival.hall.worker.series.refused(ConnectionRefusal::Client);
    }
    arrival.counted.is_some()
}

/// Reads some more bytes ahead; `None`: the client has left, or time is over.
pub(super) async fn more<S: AsyncRead + Unpin>(
    stream: &mut Ahead<S>,
    keeper: &mut Keeper,
) -> Option<()> {
    match keeper.wait(|cx| stream.poll_more(cx)).await {
        Ok(Ok(1..)) => Some(()),
        _ => None,
    }
}
