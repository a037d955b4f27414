//! One HTTP/2 connection to an endpoint: how it is opened, how many streams it carries, when it
//! must not be given more.
//!
//! It counts streams itself and never has hyper hold one back: a request that waits inside a
//! connection can neither be moved to another one nor be told why it waits. Which connection a
//! request gets is the pool's choice.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hyper::body::Body;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::task::AbortHandle;

use super::carried::Carried;
use super::dial::{Caller, DialError};
use super::stream::Stream;
use super::traffic::{Observed, Traffic};
use crate::model::limits;

/// More than a peer can allow, so that it tells whether the peer has said what it allows.
const UNSAID: usize = usize::MAX - 1;

/// One connection with its streams.
#[derive(Debug)]
pub(super) struct Session<B> {
    sender: RefCell<SendRequest<Carried<B>>>,
    shared: Rc<Shared>,
    streams: Cell<usize>,
    /// Nothing new goes there; what is under way comes to its end.
    retired: Cell<bool>,
    /// Whose connection it is, if it is not everyone's.
    caller: Option<Caller>,
    born: Instant,
    /// Whether it was used since somebody last looked for idle ones.
    used: Cell<bool>,
    idle_since: Cell<Option<Instant>>,
}

/// What its tasks tell of it.
#[derive(Debug)]
struct Shared {
    /// Streams that the peer allows.
    allowed: Cell<usize>,
    traffic: Rc<Traffic>,
    /// Who waits for what the peer allows.
    watcher: RefCell<Option<Waker>>,
    /// The task that moves bytes.
    task: RefCell<Option<AbortHandle>>,
}

/// What is left to do after a session was made: runs until the connection ends.
pub(super) type Driving = Pin<Box<dyn Future<Output = ()>>>;

impl<B> Session<B> {
    /// Streams that are open.
    pub(super) fn streams(&self) -> usize {
        self.streams.get()
    }

    /// Streams that it can carry.
    pub(super) fn capacity(&self) -> usize {
        self.shared.allowed.get().min(limits::UPSTREAM_STREAMS_PER_CONNECTION)
    }

    /// Whether it takes another stream at `now`, of this caller.
    pub(super) fn has_room(&self, now: Instant, caller: Option<&Caller>) -> bool {
        self.streams.get() < self.capacity() && self.is_open(now) && self.caller.as_ref() == caller
    }

    /// Whether it may be used at all.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        !self.retired.get()
            && now.saturating_duration_since(self.born) < limits::POOL_CONNECTION_LIFETIME
            && !self.sender.borrow().is_closed()
    }

    /// Gives it nothing more.
    pub(super) fn retire(&self) {
        self.retired.set(true);
    }

    /// Whether it has been without a stream for too long, as far as those who look can tell.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        if self.used.replace(false) || self.streams.get() > 0 {
            self.idle_since.set(None);
            return false;
        }
        let since = self.idle_since.get().unwrap_or(now);
        self.idle_since.set(Some(since));
        now.saturating_duration_since(since) >= limits::POOL_IDLE_TIMEOUT
    }

    /// A stream is about to be opened. Returns how many bytes had come, to tell silence by.
    pub(super) fn open_stream(&self) -> u64 {
        self.streams.set(self.streams.get() + 1);
        self.used.set(true);
        self.shared.traffic.received()
    }

    /// A stream is over.
    pub(super) fn close_stream(&self) {
        self.streams.set(self.streams.get().saturating_sub(1));
    }

    /// Bytes that have come.
    pub(super) fn received(&self) -> u64 {
        self.shared.traffic.received()
    }

    /// Where requests are sent.
    pub(super) fn sender(&self) -> &RefCell<SendRequest<Carried<B>>> {
        &self.sender
    }
}

impl<B> Session<B>
where
    B: Body + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Speaks HTTP/2 on a connection, and waits for the peer to say what it allows (RFC 9113
    /// section 3.4): only then is it known that it speaks HTTP/2 at all, and how many requests it
    /// takes. `Driving` has to be run for anything to happen from then on.
    pub(super) async fn open(
        stream: Stream,
        caller: Option<Caller>,
        within: Duration,
    ) -> Result<(Rc<Self>, Driving), DialError> {
        let opening = Self::open_patiently(stream, caller);
        tokio::time::timeout(within, opening).await.map_err(|_| DialError::Timeout(within))?
    }

    async fn open_patiently(
        stream: Stream,
        caller: Option<Caller>,
    ) -> Result<(Rc<Self>, Driving), DialError> {
        notice_death(&stream);
        let shared = Rc::new(Shared {
            allowed: Cell::new(UNSAID),
            traffic: Rc::default(),
            watcher: RefCell::default(),
            task: RefCell::default(),
        });
        let io = Observed::new(TokioIo::new(stream), Rc::clone(&shared.traffic));
        let handshake = builder(Tasks(Rc::clone(&shared))).handshake(io);
        let (sender, mut connection) =
            handshake.await.map_err(|source| DialError::Http(Arc::new(source)))?;
        // Whatever becomes of this attempt, its task does not outlive it.
        let unsettled = Unsettled(&shared);
        settle(&mut connection, &shared).await?;
        drop(unsettled);
        let driving = drive(connection, Rc::clone(&shared));
        let session = Self {
            sender: RefCell::new(sender),
            shared,
            streams: Cell::default(),
            retired: Cell::default(),
            caller,
            born: Instant::now(),
            used: Cell::new(true),
            idle_since: Cell::default(),
        };
        Ok((Rc::new(session), Box::pin(driving)))
    }
}

type Connection<B> = http2::Connection<Observed<TokioIo<Stream>>, Carried<B>, Tasks>;

/// Waits until the peer has said what it allows.
async fn settle<B>(connection: &mut Connection<B>, shared: &Shared) -> Result<(), DialError>
where
    B: Body + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    poll_fn(|cx| {
        let ended = Pin::new(&mut *connection).poll(cx);
        shared.allowed.set(connection.current_max_send_streams());
        match ended {
            Poll::Ready(Ok(())) => Poll::Ready(Err(DialError::Closed)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(DialError::Http(Arc::new(error)))),
            Poll::Pending if shared.allowed.get() != UNSAID => Poll::Ready(Ok(())),
            Poll::Pending => {
                *shared.watcher.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}

/// Hands requests to the connection until it ends, and keeps in mind what the peer allows.
async fn drive<B>(mut connection: Connection<B>, shared: Rc<Shared>)
where
    B: Body + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let ended = poll_fn(|cx| {
        let ended = Pin::new(&mut connection).poll(cx);
        shared.allowed.set(connection.current_max_send_streams());
        if shared.allowed.get() == 0 {
            // It may allow some later.
            *shared.watcher.borrow_mut() = Some(cx.waker().clone());
        }
        ended
    });
    if let Err(error) = ended.await {
        // The requests that were on it have been told; nobody else needs to know.
        tracing::trace!(%error, "upstream connection ended");
    }
}

fn builder(tasks: Tasks) -> http2::Builder<Tasks> {
    let mut builder = http2::Builder::new(tasks);
    builder
        .timer(TokioTimer::new())
        .initial_max_send_streams(UNSAID)
        .initial_stream_window_size(limits::UPSTREAM_STREAM_WINDOW)
        .initial_connection_window_size(limits::UPSTREAM_CONNECTION_WINDOW)
        .max_send_buf_size(limits::UPSTREAM_STREAM_SEND_BYTES)
        .max_header_list_size(limits::HEADER_BYTES as u32)
        .max_concurrent_reset_streams(limits::UPSTREAM_RESET_STREAMS)
        .max_local_error_reset_streams(limits::UPSTREAM_STREAM_ERRORS)
        .keep_alive_interval(limits::UPSTREAM_PING_INTERVAL)
        .keep_alive_timeout(limits::UPSTREAM_PING_TIMEOUT);
    builder
}

/// Lets the system notice when the other host is gone. PINGs could do the same sooner than they do
/// here, but gRPC servers take frequent ones for an attack.
fn notice_death(stream: &Stream) {
    let socket = SockRef::from(stream.tcp());
    let silence = limits::UPSTREAM_SILENCE;
    let keepalive =
        TcpKeepalive::new().with_time(silence / 2).with_interval(silence / 8).with_retries(4);
    let set = socket.set_tcp_keepalive(&keepalive).and_then(|()| {
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(silence))?;
        Ok(())
    });
    if let Err(error) = set {
        tracing::debug!(%error, "a dead connection will be noticed late");
    }
}

/// Ends the task of a connection that came to nothing.
struct Unsettled<'a>(&'a Shared);

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if self.0.allowed.get() == UNSAID
            && let Some(task) = self.0.task.borrow_mut().take()
        {
            task.abort();
        }
    }
}

/// Runs hyper's tasks on this thread.
#[derive(Clone)]
struct Tasks(Rc<Shared>);

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, future: F) {
        let mut task = self.0.task.borrow_mut();
        if task.is_some() {
            tokio::task::spawn_local(future);
            return;
        }
        // The first one moves the bytes.
        let moving = Moving { future: Box::pin(future), shared: Rc::clone(&self.0) };
        *task = Some(tokio::task::spawn_local(moving).abort_handle());
    }
}

/// Moves bytes, and lets those look who wait for what the peer allows.
struct Moving<F> {
    future: Pin<Box<F>>,
    shared: Rc<Shared>,
}

impl<F: Future<Output = ()>> Future for Moving<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let done = self.future.as_mut().poll(cx);
        if let Some(watcher) = self.shared.watcher.borrow_mut().take() {
            watcher.wake();
        }
        done
    }
}
