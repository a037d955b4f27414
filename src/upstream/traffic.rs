//! Whether anything comes on a connection: silence tells a dead one from one that is busy.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};

/// What has come on a connection.
#[derive(Debug, Default)]
pub(super) struct Traffic(Cell<u64>);

impl Traffic {
    /// How often something was read.
    pub(super) fn received(&self) -> u64 {
        self.0.get()
    }
}

/// A connection that counts what comes.
#[derive(Debug)]
pub(super) struct Observed<T> {
    io: T,
    traffic: Rc<Traffic>,
}

impl<T> Observed<T> {
    pub(super) fn new(io: T, traffic: Rc<Traffic>) -> Self {
        Self { io, traffic }
    }
}

impl<T: Read + Unpin> Read for Observed<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.io).poll_read(cx, buf);
        if read.is_ready() {
            this.traffic.0.set(this.traffic.0.get().wrapping_add(1));
        }
        read
    }
}

impl<T: Write + Unpin> Write for Observed<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }
}
