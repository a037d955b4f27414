//! One client connection from accept to close: hyper does the protocol, the driver here its time.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::client_io::ClientIo;
use crate::model::limits;
use crate::proxy::{self, Connection};

/// Serves one connection until either side ends it.
pub(super) async fn serve(stream: TcpStream, connection: Rc<Connection>) {
    let watch = Rc::clone(&connection.watch);
    let io = ClientIo::new(stream, Rc::clone(&watch), Rc::clone(&connection.worker));
    let service = service_fn(move |request| proxy::handle(Rc::clone(&connection), request));
    let mut conn = http1::Builder::new()
        .max_header_size(limits::HEADER_BYTES)
        .max_buf_size(limits::CONNECTION_BUFFER_BYTES)
        .serve_connection(TokioIo::new(io), service);
    let mut timer = Timer::default();
    let mut draining = false;
    let in_time = poll_fn(|cx| {
        watch.remember(cx.waker());
        loop {
            if watch.draining() && !draining {
                draining = true;
                Pin::new(&mut conn).graceful_shutdown();
            }
            if let Poll::Ready(result) = Pin::new(&mut conn).poll(cx) {
                if let Err(error) = result {
                    tracing::trace!(%error, "client connection ended");
                }
                return Poll::Ready(true);
            }
            let Some(deadline) = watch.next_deadline() else { return Poll::Pending };
            match timer.poll(cx, deadline) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(now) if watch.fired(now) => return Poll::Ready(false),
                // The request under way has a deadline to look at.
                Poll::Ready(_) => {}
            }
        }
    })
    .await;
    if !in_time {
        conn.into_parts().io.into_inner().refuse_slow_head();
    }
}

/// A timer that is moved as seldom as possible.
#[derive(Debug, Default)]
struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    registered: bool,
}

impl Timer {
    /// Ready with the time when `deadline` has passed. A timer that is set too early is left
    /// alone until it fires; only one that is set too late is moved.
    fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<Instant> {
        let sleep =
            self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        if deadline < sleep.deadline().into_std() {
            sleep.as_mut().reset(deadline.into());
            self.registered = false;
        }
        if self.registered && !sleep.is_elapsed() {
            // It knows whom to wake already: a task keeps its waker.
            return Poll::Pending;
        }
        self.registered = true;
        loop {
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if now >= deadline {
                return Poll::Ready(now);
            }
            sleep.as_mut().reset(deadline.into());
        }
    }
}
