//! What an HTTP/1.1 client's bytes come through, below hyper.
//!
//! It tells the connection's watch what moves, scans heads as they come in, and gives hyper's own
//! refusals (an unreadable head gets a bare status line) the body that every refusal of Rhumb has.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::head_scan::HeadScan;
use crate::proxy::{Connection, ErrorReason, Phase, Watch, refusal_bytes_to};
use crate::server::transport::{Socket, Transport};

/// A client's transport, watched.
#[derive(Debug)]
pub(super) struct ClientIo<S> {
    stream: Transport<S>,
    watch: Rc<Watch>,
    connection: Rc<Connection>,
    /// Bytes that a request target may have.
    uri_bytes: usize,
    scan: HeadScan,
    /// Bytes that the socket had taken when somebody looked last.
    taken: u64,
    /// The client has said its last, or is gone.
    ended: bool,
    /// What goes out in place of hyper's refusal.
    refusal: Option<Refusal>,
}

#[derive(Debug)]
struct Refusal {
    bytes: Vec<u8>,
    sent: usize,
}

impl<S> ClientIo<S> {
    pub(super) fn new(
        stream: Transport<S>,
        watch: Rc<Watch>,
        connection: Rc<Connection>,
        uri_bytes: usize,
    ) -> Self {
        let (scan, taken) = (HeadScan::default(), stream.taken());
        Self { stream, watch, connection, uri_bytes, scan, taken, ended: false, refusal: None }
    }

    /// Whether there is nobody left to say goodbye to.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    pub(super) fn into_inner(self) -> Transport<S> {
        self.stream
    }

    fn received(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if matches!(self.watch.phase(), Phase::Fresh | Phase::Idle) {
            self.scan = HeadScan::default();
            self.watch.bytes_received();
        }
        if self.watch.phase() == Phase::Head && self.scan.push(bytes) {
            self.watch.mark_ambiguous();
        }
    }

    /// Whether hyper is about to write a refusal of its own: a response while no request is
    /// under way can be nothing else.
    fn is_refusal(&self, start: &[u8]) -> bool {
        matches!(self.watch.phase(), Phase::Fresh | Phase::Head | Phase::Idle)
            && start.starts_with(b"HTTP/1.1 4")
    }

    fn replace_refusal(&mut self, start: &[u8]) {
        let long_line = self.scan.request_line_bytes() > self.uri_bytes;
        let reason = match start.get(9..12) {
            Some(b"414") => ErrorReason::UriTooLong,
            Some(b"431") if long_line => ErrorReason::UriTooLong,
            Some(b"431") => ErrorReason::HeadersTooLarge,
            _ => ErrorReason::Malformed,
        };
        let Connection { worker, peer, .. } = &*self.connection;
        worker.series.malformed.increment();
        worker.refused_unread(reason, peer);
        self.refusal = Some(Refusal { bytes: refusal_bytes_to(peer, reason), sent: 0 });
    }

    /// Tells the watch what the client has taken, and whether it takes more.
    fn noted<T>(&mut self, polled: Poll<T>) -> Poll<T> {
        self.stream.note(&mut self.taken, &self.watch, &polled);
        polled
    }
}

impl<S: Socket> ClientIo<S> {
    fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(refusal) = &mut self.refusal {
            let rest = refusal.bytes.get(refusal.sent..).unwrap_or_default();
            if rest.is_empty() {
                self.refusal = None;
                break;
            }
            let polled = Pin::new(&mut self.stream).poll_write(cx, rest);
            let n = ready!(self.noted(polled))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if let Some(refusal) = &mut self.refusal {
                refusal.sent += n;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Socket> AsyncRead for ClientIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.ended |= read.is_err() || buf.filled().len() == before && buf.remaining() > 0;
        self.received(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(read)
    }
}

impl<S: Socket> AsyncWrite for ClientIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_refusal(buf) {
            self.replace_refusal(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.noted(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = bufs.iter().find(|buf| !buf.is_empty())
            && self.is_refusal(first)
        {
            self.replace_refusal(first);
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.noted(polled)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(cx))?;
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        ready!(self.noted(polled))?;
        self.watch.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The end itself is `goodbye`'s, or there is none because a tunnel begins.
        self.poll_flush(cx)
    }
}
