//! What bytes of a client come through: a socket, or TLS over one, either with bytes that were
//! read ahead of whoever reads next.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::proxy::Watch;

/// Most bytes that are read ahead at once.
const AHEAD_BYTES: usize = 8 << 10;

/// What a client's bytes come through in the end: a TCP socket, or a pipe in tests.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Closed after this, it is reset: what the client has not taken is forgotten. Otherwise the
    /// kernel keeps that, for as long as the client likes.
    fn forget(&self);
}

impl Socket for TcpStream {
    fn forget(&self) {
        if let Err(error) = self.set_zero_linger() {
            tracing::trace!(%error, "a connection is not reset");
        }
    }
}

/// A stream with bytes that come before what it has still to give.
#[derive(Debug)]
pub(super) struct Ahead<S> {
    stream: S,
    ahead: Bytes,
    /// Bytes that were written.
    written: u64,
}

impl<S> Ahead<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, ahead: Bytes::new(), written: 0 }
    }

    /// The bytes that were read and not taken yet.
    pub(super) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Takes bytes from the front of them.
    pub(super) fn take(&mut self, count: usize) {
        self.ahead.advance(count.min(self.ahead.len()));
    }

    /// Puts bytes before all others. They are copied: `Bytes`, even without a single one, may hold on
    /// to a whole buffer.
    pub(super) fn give_back(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.ahead = join(bytes, &self.ahead);
        }
    }
}

impl<S> Ahead<S> {
    fn count(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = polled {
            self.written += count as u64;
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> Ahead<S> {
    /// Reads some more bytes ahead; 0: there are no more. Nothing is allocated while there is
    /// nothing to read, so that a connection that waits costs its socket alone.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [std::mem::MaybeUninit::uninit(); AHEAD_BYTES];
        let mut buf = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        let more = buf.filled();
        self.ahead = match self.ahead.is_empty() {
            true => Bytes::copy_from_slice(more),
            false => join(&self.ahead, more),
        };
        Poll::Ready(Ok(more.len()))
    }
}

fn join(first: &[u8], second: &[u8]) -> Bytes {
    let mut both = BytesMut::with_capacity(first.len() + second.len());
    both.extend_from_slice(first);
    both.extend_from_slice(second);
    both.freeze()
}

impl<S: AsyncRead + Unpin> AsyncRead for Ahead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = self.ahead.len().min(buf.remaining());
        buf.put_slice(self.ahead.get(..count).unwrap_or_default());
        self.take(count);
        if self.ahead.is_empty() {
            // Lets go of the memory as well.
            self.ahead = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ahead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Clear text or TLS.
#[derive(Debug)]
pub(super) enum Channel<S> {
    Clear(S),
    /// Boxed, because most of what a connection is made of moves with it.
    Tls(Box<TlsStream<Ahead<S>>>),
}

/// What HTTP is spoken through.
pub(super) type Transport<S> = Ahead<Channel<S>>;

impl<S> Transport<S> {
    pub(super) fn clear(socket: Ahead<S>) -> Self {
        let Ahead { stream, ahead, written } = socket;
        Self { stream: Channel::Clear(stream), ahead, written }
    }

    pub(super) fn tls(stream: TlsStream<Ahead<S>>) -> Self {
        Self::new(Channel::Tls(Box::new(stream)))
    }

    /// Bytes that the socket has taken, of whatever kind.
    pub(super) fn taken(&self) -> u64 {
        match &self.stream {
            Channel::Clear(_) => self.written,
            Channel::Tls(stream) => stream.get_ref().0.written,
        }
    }

    /// Tells the watch what the client has taken since `told`, and when it takes no more.
    pub(super) fn note<T>(&self, told: &mut u64, watch: &Watch, polled: &Poll<T>) {
        let taken = self.taken();
        if taken > *told {
            watch.took(taken - *told);
            *told = taken;
        }
        if polled.is_pending() {
            watch.write_blocked();
        }
    }

    /// The socket without what is around it.
    pub(super) fn into_socket(self) -> S {
        match self.stream {
            Channel::Clear(socket) => socket,
            Channel::Tls(stream) => stream.into_inner().0.stream,
        }
    }
}

impl<S: Socket> AsyncRead for Channel<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl<S: Socket> AsyncWrite for Channel<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Clear(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_comes_first() {
        let mut ahead = Ahead::new(());
        ahead.give_back(b"");
        assert_eq!(ahead.ahead(), b"");
        ahead.give_back(b"POST");
        ahead.give_back(b"GET ");
        ahead.give_back(b"");
        assert_eq!(ahead.ahead(), b"GET POST");
    }
}
