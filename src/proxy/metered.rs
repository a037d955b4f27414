//! The client's side of a tunnel with a meter: what goes through it is noted for the access log.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::ticket::Ticket;

/// A stream of a request whose log is told how much is read and written.
#[derive(Debug)]
pub(super) struct Metered<'a, S> {
    stream: S,
    ticket: &'a Ticket,
    read: u64,
}

impl<'a, S> Metered<'a, S> {
    /// So many bytes have been read from it already.
    pub(super) fn new(stream: S, ticket: &'a Ticket, read: usize) -> Self {
        ticket.note(|entry| entry.received(read as u64));
        Self { stream, ticket, read: read as u64 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<'_, S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        this.read += buffer.filled().len().saturating_sub(before) as u64;
        this.ticket.note(|entry| entry.received(this.read));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<'_, S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let count = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        this.ticket.note(|entry| entry.sent(count as u64));
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
