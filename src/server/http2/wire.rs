//! What an HTTP/2 client's bytes come through, below hyper.
//!
//! The driver of the connection holds it too. So what h2 writes while it is polled, frame by
//! frame, leaves in one piece when it is done (one system call, few TLS records), and a connection
//! that is cut can still be told why after hyper's part has been dropped.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use arrayvec::ArrayVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::flood::Account;
use super::frames::enhance_your_calm;
use crate::model::{Flood, limits};
use crate::proxy::Watch;
use crate::server::transport::{Socket, Transport};

/// From so many bytes on, writing them from where they lie costs less than moving them.
const DIRECT_BYTES: usize = 8 << 10;
/// What is kept of the buffer between two bursts.
const KEPT_BYTES: usize = 16 << 10;
/// Slices that h2 writes at once, with the buffer before them.
const SLICES: usize = 8;

/// A client's transport, shared by hyper and the driver.
#[derive(Debug)]
pub(super) struct Wire<S>(Rc<RefCell<Inner<S>>>);

impl<S> Clone for Wire<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<S> {
    transport: Transport<S>,
    watch: Rc<Watch>,
    account: Account,
    /// Bytes that hyper may still be given in this turn.
    room: Cell<u32>,
    /// What has been read is more than that.
    held: bool,
    /// Hyper has asked for more since it was given something: it has looked at all of that.
    asked: bool,
    /// What has been found out about the client.
    flood: Option<Flood>,
    out: Vec<u8>,
    /// Bytes of `out` that have left.
    left: usize,
    /// Bytes that the socket had taken when somebody looked last.
    taken: u64,
    /// Hyper was told to wait for room.
    starved: bool,
    /// The client has said its last, or is gone.
    ended: bool,
}

impl<S: Socket> Wire<S> {
    pub(super) fn new(transport: Transport<S>, watch: Rc<Watch>, account: Account) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            taken: transport.taken(),
            transport,
            watch,
            account,
            room: Cell::new(limits::HEAD_BYTES_PER_PORTION),
            held: false,
            asked: false,
            flood: None,
            out: Vec::new(),
            left: 0,
            starved: false,
            ended: false,
        })))
    }

    /// A head has become a request.
    pub(super) fn accepted(&self) {
        self.0.borrow_mut().account.accepted();
    }

    /// How many streams may begin at once.
    pub(super) fn pace(&self) -> u32 {
        self.0.borrow().account.pace()
    }

    /// Whether the client's preface is complete.
    pub(super) fn begun(&self) -> bool {
        self.0.borrow().account.begun()
    }

    /// The newest stream, when the client is in the middle of a head.
    pub(super) fn mid_head(&self) -> Option<u32> {
        let Inner { account, .. } = &*self.0.borrow();
        account.mid_head().then(|| account.last_stream())
    }

    /// What the client does too much of, once all that has come has been looked at.
    pub(super) fn flood(&self) -> Option<Flood> {
        let mut inner = self.0.borrow_mut();
        let Inner { account, watch, asked, flood, .. } = &mut *inner;
        if *asked && flood.is_none() {
            *flood = account.settle(|| watch.look());
        }
        *flood
    }

    /// A turn is over. Whether it has left something that has come for the next one.
    pub(super) fn end_turn(&self) -> bool {
        let mut inner = self.0.borrow_mut();
        inner.room.set(limits::HEAD_BYTES_PER_PORTION);
        std::mem::take(&mut inner.held)
    }

    /// Lets everything leave that hyper has written. `Ready(Ok(true))`: hyper has something to do
    /// now that there is room.
    pub(super) fn poll_leave(&self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut inner = self.0.borrow_mut();
        ready!(inner.poll_out(cx))?;
        let flushed = Pin::new(&mut inner.transport).poll_flush(cx);
        inner.note(&flushed);
        ready!(flushed)?;
        Poll::Ready(Ok(std::mem::take(&mut inner.starved)))
    }

    /// Lets go of what is only needed while there is something to say.
    pub(super) fn rest(&self) {
        let mut inner = self.0.borrow_mut();
        if inner.out.is_empty() {
            inner.out = Vec::new();
        }
    }

    /// Whether these words are among what hyper has written and what has not left yet.
    pub(super) fn is_about_to_say(&self, words: &[u8]) -> bool {
        let inner = self.0.borrow();
        memchr::memmem::find(inner.out.get(inner.left..).unwrap_or_default(), words).is_some()
    }

    /// Whether there is nobody left to say goodbye to.
    pub(super) fn ended(&self) -> bool {
        self.0.borrow().ended
    }

    /// Takes it apart once hyper has let go of it: the transport, and what is still to be written
    /// to it. `calm`: behind that, the client is told to calm down, if that can be said at all.
    pub(super) fn into_parts(self, calm: bool) -> Option<(Transport<S>, Vec<u8>)> {
        let mut inner = Rc::into_inner(self.0)?.into_inner();
        inner.out.drain(..inner.left);
        if calm && inner.account.at_boundary() {
            inner.out.extend_from_slice(&enhance_your_calm(inner.account.last_stream()));
        }
        Some((inner.transport, inner.out))
    }
}

impl<S: Socket> Inner<S> {
    fn note<T>(&mut self, polled: &Poll<io::Result<T>>) {
        self.transport.note(&mut self.taken, &self.watch, polled);
    }

    /// Writes what waits in the buffer.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let rest = self.out.get(self.left..).unwrap_or_default();
            if rest.is_empty() {
                self.out.clear();
                self.out.shrink_to(KEPT_BYTES);
                self.left = 0;
                return Poll::Ready(Ok(()));
            }
            let polled = Pin::new(&mut self.transport).poll_write(cx, rest);
            self.note(&polled);
            match ready!(polled)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.left += count,
            }
        }
    }

    /// Writes what waits and then these, from where they lie; tells how much of these has left.
    fn poll_direct(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let waits = self.out.len() - self.left;
            let polled = {
                let waiting = self.out.get(self.left..).filter(|waiting| !waiting.is_empty());
                let mut slices: ArrayVec<_, SLICES> =
                    waiting.map(IoSlice::new).into_iter().collect();
                let room = slices.remaining_capacity();
                slices.extend(bufs.iter().take(room).map(|buf| IoSlice::new(buf)));
                Pin::new(&mut self.transport).poll_write_vectored(cx, &slices)
            };
            self.note(&polled);
            let count = ready!(polled)?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.left += count.min(waits);
            if let Some(count @ 1..) = count.checked_sub(waits) {
                self.out.clear();
                self.left = 0;
                return Poll::Ready(Ok(count));
            }
        }
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let total: usize = bufs.iter().map(|buf| buf.len()).sum();
        let direct = total >= DIRECT_BYTES;
        let taken = if direct {
            self.poll_direct(cx, bufs)
        } else {
            if self.out.len() - self.left + total > limits::WRITE_BUFFER_BYTES {
                self.starved = true;
                ready!(self.poll_out(cx))?;
                self.starved = false;
            }
            for buf in bufs {
                self.out.extend_from_slice(buf);
            }
            Poll::Ready(Ok(total))
        };
        // What is written from where it lies wakes this task by itself; only room in the buffer is
        // noticed by nobody else.
        self.starved |= taken.is_pending() && self.left < self.out.len();
        let mut taken_bytes = ready!(taken)?;
        let count = taken_bytes;
        for buf in bufs {
            let part = buf.get(..taken_bytes.min(buf.len())).unwrap_or_default();
            self.account.sent(part);
            taken_bytes -= part.len();
        }
        Poll::Ready(Ok(count))
    }
}

impl<S: Socket> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        let Inner { transport, account, watch, room, held, asked, flood, ended, .. } = &mut *inner;
        *asked = true;
        if flood.is_some() || *held {
            // The driver is about to see it; it looks after each time that it lets hyper work.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut *transport).poll_read(cx, buf));
        *ended |= read.is_err() || buf.filled().len() == before && buf.remaining() > 0;
        let bytes = buf.filled().get(before..).unwrap_or_default();
        let (count, found) = account.received(bytes, room, || watch.look());
        *flood = found;
        if flood.is_some() {
            // Nothing of a flood is worked on.
            buf.set_filled(before);
            return Poll::Pending;
        }
        let rest = bytes.get(count..).unwrap_or_default();
        if !rest.is_empty() {
            transport.give_back(rest);
            *held = true;
            buf.set_filled(before + count);
            if count == 0 {
                return Poll::Pending;
            }
        }
        *asked = false;
        Poll::Ready(read)
    }
}

impl<S: Socket> AsyncWrite for Wire<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_take(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_take(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The driver does it, once for all that is written now.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The end itself is `goodbye`'s.
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Instant;

    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::super::frames::HEADERS;
    use super::super::frames::tests::bytes;
    use super::super::windows::Windows;
    use super::*;
    use crate::server::transport::Ahead;

    #[tokio::test]
    async fn heads_that_h2_has_not_looked_at_yet_are_not_taken_for_refused_ones() {
        let (mut client, near) = duplex(64 << 10);
        let watch = Rc::new(Watch::new(Instant::now()));
        let windows = Rc::new(RefCell::new(Windows::new()));
        let account = Account::new(0, watch.look(), windows);
        let mut wire = Wire::new(Transport::clear(Ahead::new(near)), watch, account);
        let heads: Vec<_> =
            (0..250).flat_map(|number| bytes(20, HEADERS, 0x5, number * 2 + 1)).collect();
        client.write_all(&heads).await.unwrap();
        let cx = &mut Context::from_waker(Waker::noop());
        let mut space = vec![0; heads.len()];
        let mut buf = ReadBuf::new(&mut space);
        assert!(Pin::new(&mut wire).poll_read(cx, &mut buf).is_ready());
        assert_eq!(buf.filled().len(), heads.len());
        // Something to be written comes first.
        assert_eq!(wire.flood(), None);
        for _ in 0..150 {
            wire.accepted();
        }
        assert!(Pin::new(&mut wire).poll_read(cx, &mut ReadBuf::new(&mut [0])).is_pending());
        assert_eq!(wire.flood(), None, "a hundred of them");
    }
}
