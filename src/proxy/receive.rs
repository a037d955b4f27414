//! A request's body as it comes in: whether there is one, what is refused before an origin hears of
//! it, and what is kept of it.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use http::header::{EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, Version};
use http_body::Body;
use hyper::body::Incoming;

use super::body::{RequestBody, StreamedBody};
use super::connection::Connection;
use super::error::ErrorReason;
use super::expect::Gate;
use super::forward::{Forward, Replies};
use super::view::View;
use crate::model::limits;

/// A body that is about to come.
pub(super) struct Arriving {
    pub(super) incoming: Incoming,
    pub(super) version: Version,
    /// Whether the client waits to be asked for it.
    pub(super) expects: bool,
    /// Bytes that it may have.
    pub(super) most: Option<u64>,
    /// Whether it may have to be sent again.
    pub(super) keeps: bool,
    pub(super) now: Instant,
}

impl Arriving {
    /// The body. What its head says is looked at; [`Forward::receive`] looks at what comes.
    ///
    /// # Errors
    ///
    /// When it is to be larger than it may.
    pub(super) fn receive(self, view: &Rc<View>) -> Result<(RequestBody, Replies), ErrorReason> {
        let Self { incoming, version, expects, most, keeps, now } = self;
        if incoming.is_end_stream() {
            return Ok((RequestBody::Empty, Replies::default()));
        }
        let length = incoming.size_hint().exact();
        if most.zip(length).is_some_and(|(most, length)| length > most) {
            return Err(ErrorReason::BodyTooLarge);
        }
        let mut body = RequestBody::stream(incoming, version, view, now);
        body.limit(most);
        let gate = expects.then(Gate::default);
        if let Some(gate) = &gate {
            body.wait_for(gate.clone());
        }
        let unseen = !expects && length.is_none();
        let progress = Some(Rc::clone(body.progress()));
        let mut replies = Replies { progress, gate, upload: None, unseen, keeps };
        let mut body = RequestBody::Stream(body);
        if !unseen {
            replies.keep(&mut body, now);
        }
        Ok((body, replies))
    }
}

impl Replies {
    /// Keeps what comes of the body, if it may have to be sent again.
    fn keep(&mut self, body: &mut RequestBody, now: Instant) {
        if self.keeps {
            (*body, self.upload) = std::mem::take(body).keep(now);
        }
    }
}

impl Forward {
    /// Waits for the beginning of a body of unknown length: a client that frames it wrongly from the
    /// start has not spoken to an origin then.
    ///
    /// # Errors
    ///
    /// When it does.
    pub(super) async fn receive(&mut self) -> Result<(), ErrorReason> {
        self.replies.unseen = false;
        let RequestBody::Stream(body) = self.request.body_mut() else { return Ok(()) };
        let connection = self.ticket.connection();
        let begins = begins(connection, body).await.inspect_err(|_| {
            connection.worker.series.malformed.increment();
        });
        if begins? {
            self.replies.keep(self.request.body_mut(), Instant::now());
        } else {
            *self.request.body_mut() = RequestBody::Empty;
            self.request.headers_mut().remove(TRANSFER_ENCODING);
            self.replies = Replies::default();
        }
        Ok(())
    }
}

/// Whether there is a body at all, with its first frame read if it is chunked. Over HTTP/2 nothing can
/// be framed wrongly, and a client may want to hear the origin first: there it is not waited for.
async fn begins(connection: &Connection, body: &mut StreamedBody) -> Result<bool, ErrorReason> {
    let watch = &connection.watch;
    let deadline = body.progress().last() + limits::BODY_PROGRESS_TIMEOUT;
    poll_fn(|cx| match body.poll_first(cx) {
        Poll::Ready(begins) => {
            watch.stop_waiting();
            Poll::Ready(begins)
        }
        Poll::Pending if body.is_http2() => Poll::Ready(Ok(true)),
        Poll::Pending if watch.passed(deadline) => Poll::Ready(Err(ErrorReason::RequestTimeout)),
        Poll::Pending => {
            watch.wait_until(deadline);
            Poll::Pending
        }
    })
    .await
}

/// Whether the client waits to be asked for its body (RFC 9110 section 10.1.1).
pub(super) fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
