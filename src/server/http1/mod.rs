//! HTTP/1.1 with one client: hyper does the protocol, the driver here its time.
//!
//! A connection that was idle for a moment gives hyper's state and its buffers back, and costs
//! little more than its socket until the next bytes come.

mod head_scan;
mod io;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use self::io::ClientIo;
use super::client::more;
use super::door::Terms;
use super::goodbye::{abandon, part};
use super::keeper::Keeper;
use super::transport::{Socket, Transport};
use crate::model::limits;
use crate::proxy::{self, Connection, ErrorReason, Phase, Stage, Watch, refusal_bytes_to};

/// Why hyper's part came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nothing is under way.
    Idle,
    /// The last message has been exchanged.
    Done,
    /// The client took too long.
    Late,
    /// It does not take what is written to it.
    Stuck,
}

/// Serves one client, whose first bytes have been read ahead, until either side ends it.
pub(super) async fn converse<S: Socket>(
    mut transport: Transport<S>,
    connection: &Rc<Connection>,
    keeper: &mut Keeper,
    terms: &Terms,
) {
    // Boxed, so that what it takes to serve requests is not there in between.
    while let Some(idle) = Box::pin(serve(transport, connection, keeper, terms)).await {
        transport = idle;
        if transport.ahead().is_empty() && more(&mut transport, keeper).await.is_none() {
            return part(transport, &[]).await;
        }
    }
}

/// Serves requests as long as they come. What it returns is idle; `None`: it has ended.
async fn serve<S: Socket>(
    transport: Transport<S>,
    connection: &Rc<Connection>,
    keeper: &mut Keeper,
    terms: &Terms,
) -> Option<Transport<S>> {
    let watch = Rc::clone(&keeper.watch);
    let serving = Rc::clone(connection);
    let uri_bytes = terms.limits.uri_bytes;
    let io = ClientIo::new(transport, Rc::clone(&watch), Rc::clone(connection), uri_bytes);
    let service = service_fn(move |request| proxy::handle(Rc::clone(&serving), request));
    let mut conn = http1::Builder::new()
        .max_header_size(terms.limits.header_bytes)
        .max_buf_size(limits::CONNECTION_BUFFER_BYTES.max(terms.limits.header_bytes))
        .serve_connection(TokioIo::new(io), service);
    let mut leaving = false;
    let end = poll_fn(|cx| {
        watch.remember(cx.waker());
        loop {
            if !leaving && is_time_to_leave(&watch) {
                leaving = true;
                Pin::new(&mut conn).graceful_shutdown();
            }
            if let Poll::Ready(result) = Pin::new(&mut conn).poll(cx) {
                if let Err(error) = result {
                    tracing::trace!(%error, "client connection ended");
                }
                return Poll::Ready(End::Done);
            }
            if !leaving && is_time_to_leave(&watch) {
                // The request that it waited for has just begun.
                continue;
            }
            let rest = rest(&watch);
            let patience = watch.may_wait_until().filter(|_| !leaving);
            let deadlines = rest.into_iter().chain(watch.next_deadline()).chain(patience);
            let Some(deadline) = deadlines.min() else {
                return Poll::Pending;
            };
            match keeper.timer.poll(cx, deadline) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(now) if watch.fired(now) => {
                    let stuck = watch.stuck(now);
                    return Poll::Ready(if stuck { End::Stuck } else { End::Late });
                }
                Poll::Ready(now) if rest.is_some_and(|rest| rest <= now) => {
                    return Poll::Ready(End::Idle);
                }
                // The request under way has a deadline to look at.
                Poll::Ready(_) => {}
            }
        }
    })
    .await;
    let parts = conn.into_parts();
    let io = parts.io.into_inner();
    let gone = io.ended();
    let mut transport = io.into_inner();
    if end == End::Idle {
        transport.give_back(&parts.read_buf);
        return Some(transport);
    }
    if let Some(tunnel) = connection.take_tunnel() {
        watch.shown().enter(Stage::Tunnel);
        tunnel.run(transport, parts.read_buf).await;
    } else if end == End::Stuck {
        abandon(transport);
    } else if end == End::Late && watch.phase() == Phase::Head {
        let refusal = refusal_bytes_to(&connection.peer, ErrorReason::RequestTimeout);
        part(transport, &refusal).await;
    } else if !gone {
        part(transport, &[]).await;
    }
    None
}

/// Whether hyper is to be told that there will be no further request: at once while one is under
/// way, which is answered with `Connection: close`; else when one that is on its way has had its
/// time to arrive.
fn is_time_to_leave(watch: &Watch) -> bool {
    watch.draining() && (watch.phase() == Phase::Request || watch.must_leave())
}

/// When a connection that waits for its next request has waited long enough to give back what it
/// does not need for that.
fn rest(watch: &Watch) -> Option<Instant> {
    let begun = limits::KEEP_ALIVE_IDLE_TIMEOUT.saturating_sub(limits::PARK_AFTER);
    let deadline = watch.phase_deadline().filter(|_| watch.phase() == Phase::Idle)?;
    deadline.checked_sub(begun)
}
