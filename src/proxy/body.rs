//! Bodies on their way through: never collected, one frame at a time, each side at the pace of
//! the other.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::context::{Connection, View};
use super::expect::Gate;
use super::kept::{KeptBody, KeptUpload};
use super::present::Present;
use super::ticket::{InFlight, Ticket};
use super::trailers::{clean_request, clean_response};
use crate::upstream::Lease;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request body on its way to an origin.
#[derive(Debug)]
pub enum RequestBody {
    /// There is none.
    Empty,
    /// It comes from the client. Boxed, because requests are moved often and most have none.
    Stream(Box<StreamedBody>),
    /// The same, kept as far as it fits, because it may have to be sent again.
    Kept(KeptBody),
}

/// A request body that is still arriving.
#[derive(Debug)]
pub struct StreamedBody {
    incoming: Incoming,
    /// A frame that was read before the origin was chosen.
    first: Option<Frame<Bytes>>,
    gate: Option<Gate>,
    progress: Rc<Progress>,
    /// Whose configuration says what trailers may say.
    view: Rc<View>,
}

/// How far a request body has come; the task that sends it writes, the request's own task reads.
#[derive(Debug)]
pub(super) struct Progress {
    last: Cell<Instant>,
    finished: Cell<bool>,
    failed: Cell<bool>,
    starved: Cell<bool>,
}

impl Progress {
    /// When the last frame moved, or the body ended.
    pub(super) fn last(&self) -> Instant {
        self.last.get()
    }

    /// Whether it was sent to its end.
    pub(super) fn finished(&self) -> bool {
        self.finished.get()
    }

    /// Whether the client broke it off or framed it wrongly.
    pub(super) fn failed(&self) -> bool {
        self.failed.get()
    }

    /// Whether it waits for the client, rather than for the origin to take more.
    pub(super) fn starved(&self) -> bool {
        self.starved.get()
    }

    /// It is sent from its beginning again.
    pub(super) fn restart(&self, now: Instant) {
        self.last.set(now);
        self.finished.set(false);
        self.starved.set(false);
    }

    /// It has been sent to its end.
    pub(super) fn finish(&self) {
        self.finished.set(true);
    }
}

impl RequestBody {
    /// A body that may already have given its first frame.
    pub(super) fn stream(
        incoming: Incoming,
        first: Option<Frame<Bytes>>,
        gate: Option<Gate>,
        view: &Rc<View>,
        now: Instant,
    ) -> (Self, Rc<Progress>) {
        let progress = Rc::new(Progress {
            last: Cell::new(now),
            finished: Cell::new(false),
            failed: Cell::new(false),
            starved: Cell::new(false),
        });
        let (view, sent) = (Rc::clone(view), Rc::clone(&progress));
        let body = StreamedBody { incoming, first, gate, progress: sent, view };
        (Self::Stream(Box::new(body)), progress)
    }

    /// The same body, which can be sent again as far as what has come of it fits.
    pub(super) fn keep(self, now: Instant) -> (Self, Option<KeptUpload>) {
        let Self::Stream(source) = self else { return (self, None) };
        let kept = KeptUpload::new(source);
        // Nothing has been let go yet, so there is always a first sending.
        let first = kept.send(now).unwrap_or(Self::Empty);
        (first, Some(kept))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Stream(body) => body.poll_frame(cx),
            Self::Kept(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(body) => body.is_end_stream(),
            Self::Kept(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(body) => body.size_hint(),
            Self::Kept(body) => body.size_hint(),
        }
    }
}

impl StreamedBody {
    pub(super) fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.incoming.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self.first {
            Some(_) => SizeHint::default(),
            None => self.incoming.size_hint(),
        }
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(mut first) = self.first.take() {
            self.pass_on(&mut first);
            self.progress.finished.set(first.is_trailers());
            return Poll::Ready(Some(Ok(first)));
        }
        if let Some(gate) = &self.gate {
            ready!(gate.poll_open(cx));
        }
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        self.progress.starved.set(polled.is_pending());
        let mut frame = ready!(polled);
        self.progress.last.set(Instant::now());
        if let Some(Ok(frame)) = &mut frame {
            self.pass_on(frame);
        }
        match &frame {
            // Nothing comes behind trailers, and nobody asks once more.
            Some(Ok(frame)) => {
                self.progress.finished.set(frame.is_trailers() || self.incoming.is_end_stream());
            }
            Some(Err(_)) => self.progress.failed.set(true),
            None => self.progress.finished.set(true),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn pass_on(&self, frame: &mut Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_mut() {
            clean_request(trailers, &self.view.snapshot.config);
        }
    }
}

/// A response body on its way to the client, with everything that must live as long as it does.
#[derive(Debug)]
pub struct ResponseBody {
    source: Source,
    ticket: Ticket,
}

#[derive(Debug)]
enum Source {
    /// Rhumb's own answer.
    Own(Option<Bytes>),
    /// An origin's.
    Origin(OriginBody),
}

#[derive(Debug)]
struct OriginBody {
    incoming: Incoming,
    ended: bool,
    stall_timeout: Duration,
    stalled_until: Option<Instant>,
    request: Option<Rc<Progress>>,
    lease: Option<Lease<RequestBody>>,
    _in_flight: InFlight,
}

/// The parts of an exchange that live until its response has been sent.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) lease: Lease<RequestBody>,
    pub(super) in_flight: InFlight,
    pub(super) request: Option<Rc<Progress>>,
    pub(super) stall_timeout: Duration,
    /// Fields of the response.
    pub(super) present: Present,
}

impl Exchange {
    /// Ends an exchange whose response nobody is given.
    pub(super) fn abandon(self, response: &http::Response<Incoming>) {
        let request_ended = self.request.as_ref().is_none_or(|request| request.finished());
        if request_ended && response.body().is_end_stream() {
            self.lease.give_back(Instant::now());
        }
    }
}

impl ResponseBody {
    pub(super) fn own(bytes: Bytes, ticket: Ticket) -> Self {
        Self { source: Source::Own(Some(bytes).filter(|bytes| !bytes.is_empty())), ticket }
    }

    pub(super) fn origin(incoming: Incoming, exchange: Exchange, ticket: Ticket) -> Self {
        let Exchange { lease, in_flight, request, stall_timeout, present: _ } = exchange;
        let source = Source::Origin(OriginBody {
            incoming,
            ended: false,
            stall_timeout,
            stalled_until: None,
            request,
            lease: Some(lease),
            _in_flight: in_flight,
        });
        Self { source, ticket }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        match &mut this.source {
            Source::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Origin(body) => body.poll_frame(cx, this.ticket.connection()),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(bytes) => bytes.is_none(),
            Source::Origin(body) => body.ended || body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Source::Origin(body) => body.incoming.size_hint(),
        }
    }
}

/// An origin stopped sending in the middle of a response.
#[derive(Debug, thiserror::Error)]
#[error("the origin sent nothing more for {0:?}")]
struct Stalled(Duration);

impl OriginBody {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        connection: &Connection,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let watch = &connection.watch;
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(mut frame) => {
                if self.stalled_until.take().is_some() {
                    watch.stop_waiting();
                }
                self.ended |= frame.is_none();
                if let Some(Ok(frame)) = &mut frame
                    && let Some(trailers) = frame.trailers_mut()
                {
                    clean_response(trailers);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                let until =
                    *self.stalled_until.get_or_insert_with(|| Instant::now() + self.stall_timeout);
                if watch.passed(until) {
                    return Poll::Ready(Some(Err(Stalled(self.stall_timeout).into())));
                }
                watch.wait_until(until);
                Poll::Pending
            }
        }
    }

    /// The connection serves again only if both messages on it came to their end; an early
    /// response or an unread body leaves bytes on it that belong to no later exchange.
    fn finish(&mut self, now: Instant) {
        let response_ended = self.ended || self.incoming.is_end_stream();
        let request_ended = self.request.as_ref().is_none_or(|request| request.finished());
        if response_ended
            && request_ended
            && let Some(lease) = self.lease.take()
        {
            lease.give_back(now);
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let now = Instant::now();
        self.ticket.ended(now);
        if let Source::Origin(body) = &mut self.source {
            body.finish(now);
        }
    }
}
