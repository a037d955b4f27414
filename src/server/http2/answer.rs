//! The answer on one stream, watched: a client that opens no window for it is noticed by the body
//! not being asked for more.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::proxy::{ResponseBody, Watch};

pin_project! {
    /// A request being answered.
    pub(super) struct Answering<F> {
        #[pin]
        future: F,
        watch: Option<Rc<Watch>>,
    }
}

impl<F> Answering<F> {
    pub(super) fn new(future: F, watch: Rc<Watch>) -> Self {
        Self { future, watch: Some(watch) }
    }
}

impl<F: Future<Output = Result<Response<ResponseBody>, Infallible>>> Future for Answering<F> {
    type Output = Result<Response<WatchedBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.future.poll(cx));
        let watch = this.watch.take();
        Poll::Ready(answer.map(|answer| answer.map(|body| WatchedBody { body, watch })))
    }
}

/// A response body that says when it is not asked for more.
pub(super) struct WatchedBody {
    body: ResponseBody,
    watch: Option<Rc<Watch>>,
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = <ResponseBody as Body>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if let Some(watch) = &this.watch {
            watch.write_progressed();
            if polled.is_ready() {
                // hyper has it now, and comes back for more when the client has taken it.
                watch.write_blocked();
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
