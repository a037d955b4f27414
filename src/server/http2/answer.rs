//! The answer on one stream, watched: a client that opens no window for it is noticed by the body
//! not being asked for more.
//!
//! hyper asks for more before what it has been given has left, and not at all behind the last piece.
//! It holds a piece back, though, as long as there is no window for its first byte behind all that
//! went before. So what may have to wait for the client is given to it in pieces that a slow client
//! takes within its time, and of the last one the last byte by itself: when that is taken, all is.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::streams::Streams;
use super::windows::Windows;
use crate::model::limits;
use crate::proxy::{ResponseBody, Watch};

/// What has to be taken within the time that a client has without taking anything.
const PIECE_BYTES: usize =
    (limits::BODY_BYTES_PER_SECOND * limits::BODY_PROGRESS_TIMEOUT.as_secs()) as usize;

pin_project! {
    /// A request being answered.
    pub(super) struct Answering<F> {
        #[pin]
        future: F,
        streams: Rc<Streams>,
        watched: Option<(Rc<Watch>, Rc<RefCell<Windows>>)>,
    }
}

impl<F> Answering<F> {
    pub(super) fn new(
        future: F,
        streams: &Rc<Streams>,
        watch: Rc<Watch>,
        windows: Rc<RefCell<Windows>>,
    ) -> Self {
        Self { future, streams: Rc::clone(streams), watched: Some((watch, windows)) }
    }
}

impl<F: Future<Output = Result<Response<ResponseBody>, Infallible>>> Future for Answering<F> {
    type Output = Result<Response<WatchedBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.streams.holding() {
            // hyper goes on to see whether the client has taken the request back.
            return Poll::Pending;
        }
        let answer = ready!(this.future.poll(cx));
        let watched = this.watched.take();
        Poll::Ready(answer.map(|answer| answer.map(|body| WatchedBody::new(body, watched))))
    }
}

/// A response body that says when it is not asked for more.
pub(super) struct WatchedBody {
    body: ResponseBody,
    watched: Option<(Rc<Watch>, Rc<RefCell<Windows>>)>,
    /// What is left of a piece of the body.
    rest: Bytes,
    /// Bytes that hyper was given last; it may not have given them to h2 yet.
    given: usize,
    /// Bytes that it was given in all.
    total: u64,
}

impl WatchedBody {
    fn new(body: ResponseBody, watched: Option<(Rc<Watch>, Rc<RefCell<Windows>>)>) -> Self {
        Self { body, watched, rest: Bytes::new(), given: 0, total: 0 }
    }

    /// The next bytes to give.
    fn next(&mut self) -> Bytes {
        let fits = self.watched.as_ref().is_none_or(|(_, windows)| {
            let (windows, more) = (windows.borrow(), self.rest.len());
            windows.fits(self.total, more)
        });
        let rest = self.rest.len();
        let count = match rest {
            _ if fits => rest,
            PIECE_BYTES.. => PIECE_BYTES,
            // More is certain to come.
            _ if self.body.size_hint().lower() > 0 => rest,
            2.. => rest - 1,
            _ => rest,
        };
        self.give(count);
        self.rest.split_to(count)
    }

    /// hyper is about to have so many bytes; it comes back for more when h2 has them.
    fn give(&mut self, count: usize) {
        self.given = count;
        self.total = self.total.saturating_add(count as u64);
        if let Some((watch, windows)) = &self.watched {
            windows.borrow_mut().hand(count);
            watch.write_blocked();
        }
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = <ResponseBody as Body>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Some((watch, _)) = &this.watched {
            watch.took(std::mem::take(&mut this.given) as u64);
        }
        if !this.rest.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(this.next()))));
        }
        let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            ended => return Poll::Ready(ended),
        };
        Poll::Ready(Some(Ok(match frame.into_data() {
            Ok(data) => {
                this.rest = data;
                Frame::data(this.next())
            }
            Err(other) => {
                this.give(0);
                other
            }
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest.is_empty() {
            true => self.body.size_hint(),
            false => SizeHint::default(),
        }
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if let Some((_, windows)) = self.watched.as_ref().filter(|_| !self.is_end_stream()) {
            // What hyper holds is lost with it.
            windows.borrow_mut().drop(self.given);
        }
    }
}
