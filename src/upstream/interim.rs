//! Counts the informational responses (1xx) that an origin sends before a response of HTTP/1.1.
//!
//! hyper passes over them for as long as they come. Here the bytes are looked at on their way to
//! it, as far as that question goes: whether a message is informational stands in its tenth byte,
//! and its head ends with an empty line. Nothing is changed and nothing is kept. What a response
//! otherwise says is hyper's business.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::model::limits::INTERIM_RESPONSES;

/// An origin that does not come to the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the origin sent more than {INTERIM_RESPONSES} informational responses to one request")]
pub(super) struct TooManyInterim;

/// A stream to an origin that ends when there are too many.
#[derive(Debug)]
pub(super) struct Counted<S> {
    stream: S,
    count: Count,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    seen: u32,
    place: Place,
}

/// Where in what an origin sends the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// So many bytes into a status line.
    Start(u8),
    /// In the head of an informational response; in a line that is empty so far, or not.
    Head { empty: bool },
    /// In a response that is one, or behind it.
    Beyond,
    /// Behind a 101: what comes is no HTTP any more.
    Tunnel,
}

impl Default for Place {
    fn default() -> Self {
        Self::Start(0)
    }
}

/// How a status line starts.
const VERSION: &[u8] = b"HTTP/1.";
/// Where the status code starts in `HTTP/1.1 100`.
const CODE_AT: u8 = 9;
const SECOND_DIGIT: u8 = CODE_AT + 1;
const THIRD_DIGIT: u8 = CODE_AT + 2;

impl Count {
    /// A request is written: another response begins, unless that to the last one has not come.
    fn written(&mut self) {
        if self.place == Place::Beyond {
            *self = Self::default();
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.place, Place::Beyond | Place::Tunnel)
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), TooManyInterim> {
        let mut bytes = bytes.iter();
        while !self.is_over()
            && let Some(byte) = bytes.next()
        {
            self.place = match (self.place, byte) {
                // hyper takes empty lines before a response.
                (Place::Start(0), b'\r' | b'\n') => Place::Start(0),
                (Place::Start(CODE_AT), b'1') => {
                    self.seen += 1;
                    if self.seen > INTERIM_RESPONSES {
                        return Err(TooManyInterim);
                    }
                    Place::Start(CODE_AT + 1)
                }
                (Place::Start(SECOND_DIGIT), b'0') => Place::Start(THIRD_DIGIT),
                (Place::Start(THIRD_DIGIT), b'1') => Place::Tunnel,
                (Place::Start(SECOND_DIGIT | THIRD_DIGIT), _) => Place::Head { empty: false },
                (Place::Start(CODE_AT), _) | (Place::Beyond, _) => Place::Beyond,
                // Content that came after an early response, while the request was still sent.
                (Place::Start(at), byte)
                    if VERSION.get(usize::from(at)).is_some_and(|b| b != byte) =>
                {
                    Place::Beyond
                }
                (Place::Start(at), _) => Place::Start(at + 1),
                (Place::Tunnel, _) => Place::Tunnel,
                (Place::Head { empty: true }, b'\n') => Place::Start(0),
                (Place::Head { .. }, b'\n') => Place::Head { empty: true },
                (head @ Place::Head { .. }, b'\r') => head,
                (Place::Head { .. }, _) => Place::Head { empty: false },
            };
        }
        Ok(())
    }
}

impl<S> Counted<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, count: Count::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if !self.count.is_over() {
            let fresh = buf.filled().get(before..).unwrap_or_default();
            let counted = self.count.read(fresh);
            counted.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.count.written();
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.count.written();
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
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

#[cfg(test)]
mod tests {
    use super::*;

    const HINT: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    const LAST: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 100 in a body";

    fn told(count: &mut Count, bytes: &[u8], piece: usize) -> Result<(), TooManyInterim> {
        bytes.chunks(piece).try_for_each(|piece| count.read(piece))
    }

    #[test]
    fn as_many_as_allowed_and_a_response_of_any_content_pass() {
        for piece in [1, 3, 7, 1000] {
            let mut count = Count::default();
            for _ in 0..3 {
                for _ in 0..INTERIM_RESPONSES {
                    assert_eq!(told(&mut count, HINT, piece), Ok(()));
                    count.written();
                }
                assert_eq!(told(&mut count, &LAST.repeat(20), piece), Ok(()));
                assert_eq!(count.place, Place::Beyond);
                count.written();
                assert_eq!((count.seen, count.place), (0, Place::Start(0)));
            }
        }
    }

    #[test]
    fn one_more_is_too_many_however_it_comes() {
        for head in [HINT, b"HTTP/1.1 100 \n\n", b"HTTP/1.0 199 x\r\na: \r\r\n\n\r\n"] {
            for piece in [1, 5, 1000] {
                let mut count = Count::default();
                let most = INTERIM_RESPONSES as usize;
                assert_eq!(told(&mut count, &head.repeat(most), piece), Ok(()));
                assert_eq!(told(&mut count, head, piece), Err(TooManyInterim));
            }
        }
    }

    #[test]
    fn a_tunnel_is_left_alone_for_good() {
        let mut count = Count::default();
        assert_eq!(told(&mut count, b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 4), Ok(()));
        for _ in 0..20 {
            count.written();
            assert_eq!(told(&mut count, HINT, 5), Ok(()));
        }
        assert_eq!(count.place, Place::Tunnel);
    }

    #[test]
    fn empty_lines_before_a_response_hide_nothing() {
        let mut count = Count::default();
        let head = b"\nHTTP/1.1 100 x\r\n\r\n\r\n";
        assert_eq!(told(&mut count, &head.repeat(9), 1000), Err(TooManyInterim));
    }
}
