//! The socket of a client connection, between the kernel and hyper.
//!
//! It tells the connection's watch what moves, scans heads as they come in, and gives hyper's own
//! refusals (an unreadable head gets a bare status line) the body that every refusal of Rhumb has.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::head_scan::HeadScan;
use crate::model::limits;
use crate::proxy::{ErrorReason, Phase, Watch, WorkerContext, refusal_bytes};

/// A client's socket.
#[derive(Debug)]
pub(super) struct ClientIo {
    stream: TcpStream,
    watch: Rc<Watch>,
    worker: Rc<WorkerContext>,
    scan: HeadScan,
    /// What goes out in place of hyper's refusal.
    refusal: Option<Refusal>,
}

#[derive(Debug)]
struct Refusal {
    bytes: Vec<u8>,
    sent: usize,
}

impl ClientIo {
    pub(super) fn new(stream: TcpStream, watch: Rc<Watch>, worker: Rc<WorkerContext>) -> Self {
        Self { stream, watch, worker, scan: HeadScan::default(), refusal: None }
    }

    /// Says goodbye to a client whose head did not come in time, as far as the socket takes it.
    pub(super) fn refuse_slow_head(&self) {
        if self.watch.phase() == Phase::Head {
            // The connection ends in any case; a client that does not read has itself to blame.
            let _ = self.stream.try_write(&refusal_bytes(ErrorReason::RequestTimeout));
        }
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
        let long_line = self.scan.request_line_bytes() > limits::URI_BYTES;
        let reason = match start.get(9..12) {
            Some(b"414") => ErrorReason::UriTooLong,
            Some(b"431") if long_line => ErrorReason::UriTooLong,
            Some(b"431") => ErrorReason::HeadersTooLarge,
            _ => ErrorReason::Malformed,
        };
        self.worker.series.malformed.increment();
        self.worker.refused_unread(reason.status());
        self.refusal = Some(Refusal { bytes: refusal_bytes(reason), sent: 0 });
    }

    fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(refusal) = &mut self.refusal {
            let rest = refusal.bytes.get(refusal.sent..).unwrap_or_default();
            if rest.is_empty() {
                self.refusal = None;
                break;
            }
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            refusal.sent += n;
        }
        Poll::Ready(Ok(()))
    }

    fn noted(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &polled {
            Poll::Pending => self.watch.write_blocked(),
            Poll::Ready(_) => self.watch.write_progressed(),
        }
        polled
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.received(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientIo {
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
        self.watch.flushed();
        // A TCP socket has nothing of its own to flush.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
