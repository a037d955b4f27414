//! Making one connection to an endpoint, within its time, and starting what moves its bytes.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use tokio::task::AbortHandle;

use super::dial::{Caller, DialError, Protocol, Route};
use super::interim::Counted;
use super::session::{Driving, Session};
use super::stream::Stream;
use crate::config::EndpointUrl;
use crate::model::{SignalKind, limits};

/// Why a connection could not be made. No byte of a request was sent.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no connection to {url}")]
pub struct ConnectError {
    /// The endpoint.
    pub url: EndpointUrl,
    /// How far it came.
    pub source: DialError,
}

impl ConnectError {
    /// What the endpoint is to blame for, if it is.
    pub fn signal(&self) -> Option<SignalKind> {
        match self.source {
            DialError::Timeout(_) => Some(SignalKind::ConnectTimeout),
            // It works; it is just full.
            DialError::Busy(_) => None,
            // It has not even been asked.
            _ if self.source.is_own_shortage() => None,
            _ => Some(SignalKind::ConnectFailed),
        }
    }
}

/// The task that moves bytes on a connection; it ends at the latest with this.
///
/// Without it a connection that is in the middle of a request body which nobody will complete
/// would stay for as long as its origin does.
#[derive(Debug)]
pub(super) struct Wire(Option<AbortHandle>);

impl Wire {
    /// Lets the task come to its own end: the connection is not HTTP any more.
    pub(super) fn release(&mut self) {
        self.0 = None;
    }

    /// Whether it was.
    pub(super) fn is_released(&self) -> bool {
        self.0.is_none()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

/// A connection, and what is spoken on it.
pub(super) enum Made<B> {
    Http1(SendRequest<B>, Wire),
    Http2(Rc<Session<B>>, Driving),
}

/// Connects, and finds out what is spoken there.
pub(super) async fn make<B>(
    route: &Route,
    caller: Option<Caller>,
    within: Duration,
) -> Result<Made<B>, DialError>
where
    B: Body + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let started = route.may_multiplex().then(Instant::now);
    let (stream, protocol) = route.dial(caller, within).await?;
    match protocol {
        Protocol::Http1 => http1(stream).await,
        Protocol::Http2 => {
            let spent = started.map_or(Duration::ZERO, |started| started.elapsed());
            let opened = Session::open(stream, caller, within.saturating_sub(spent)).await;
            let (session, driving) = opened?;
            Ok(Made::Http2(session, driving))
        }
    }
}

async fn http1<B>(stream: Stream) -> Result<Made<B>, DialError>
where
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (sender, connection) = http1::Builder::new()
        .max_header_size(limits::HEADER_BYTES)
        .max_buf_size(limits::CONNECTION_BUFFER_BYTES)
        .handshake(TokioIo::new(Counted::new(stream)))
        .await
        .map_err(|source| DialError::Http(source.into()))?;
    let task = tokio::task::spawn_local(Serving { connection: connection.with_upgrades() });
    Ok(Made::Http1(sender, Wire(Some(task.abort_handle()))))
}

pin_project! {
    /// The task of a connection. Not an `async` block, which would have room for it twice.
    struct Serving<C> {
        #[pin]
        connection: C,
    }
}

impl<C: Future<Output = hyper::Result<()>>> Future for Serving<C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().connection.poll(cx).map(|ended| {
            if let Err(error) = ended {
                // The request that was on it has been told; nobody else needs to know.
                tracing::trace!(%error, "upstream connection ended");
            }
        })
    }
}
