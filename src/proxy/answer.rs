//! Response bodies on their way to the client, and what has to live as long as they do.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::body::{BoxError, Progress, RequestBody};
use super::compressed::Compressed;
use super::connection::Connection;
use super::error::ErrorReason;
use super::grpc;
use super::present::Present;
use super::ticket::{InFlight, LEFT, Ticket};
use super::trailers::clean_response;
use crate::compression;
use crate::upstream::Lease;

/// A response body on its way to the client, with everything that must live as long as it does.
#[derive(Debug)]
pub struct ResponseBody {
    source: Source,
    /// `None`: somebody else counts the request.
    ticket: Option<Ticket>,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a box would cost an allocation for nearly all")]
enum Source {
    /// Rhumb's own answer.
    Own(Option<Bytes>),
    /// An origin's.
    Origin(OriginBody),
    /// An origin's, made smaller.
    Compressed(Box<Compressed>),
}

#[derive(Debug)]
pub(super) struct OriginBody {
    incoming: Incoming,
    http2: bool,
    /// The origin has ended it.
    ended: bool,
    /// The client has got its end ahead of the origin.
    cut: bool,
    pace: Pace,
    last: Instant,
    waiting: bool,
    request: Option<Rc<Progress>>,
    lease: Option<Lease<RequestBody>>,
    _in_flight: InFlight,
}

/// How long a response may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Without a byte in either direction.
    pub(super) stall: Duration,
    /// Whether the client may take as little at a time as it likes.
    pub(super) exempt: bool,
    /// Its end must have come then: the deadline of a call.
    pub(super) deadline: Option<Instant>,
}

/// The parts of an exchange that live until its response has been sent.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) lease: Lease<RequestBody>,
    pub(super) in_flight: InFlight,
    pub(super) request: Option<Rc<Progress>>,
    pub(super) pace: Pace,
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
        let source = Source::Own(Some(bytes).filter(|bytes| !bytes.is_empty()));
        Self { source, ticket: Some(ticket) }
    }

    /// None; somebody else counts the request.
    pub(super) fn none() -> Self {
        Self { source: Source::Own(None), ticket: None }
    }

    pub(super) fn origin(
        incoming: Incoming,
        version: Version,
        exchange: Exchange,
        ticket: Ticket,
    ) -> Self {
        let Exchange { lease, in_flight, request, pace, present: _ } = exchange;
        ticket.connection().watch.set_exempt(pace.exempt);
        let source = Source::Origin(OriginBody {
            incoming,
            http2: version == Version::HTTP_2,
            ended: false,
            cut: false,
            pace,
            last: ticket.started(),
            waiting: false,
            request,
            lease: Some(lease),
            _in_flight: in_flight,
        });
        Self { source, ticket: Some(ticket) }
    }

    /// The same, if it is an origin's, through an encoder.
    pub(super) fn compressed(self, stream: compression::Stream) -> Self {
        let (mut this, none) = (self, Source::Own(None));
        this.source = match std::mem::replace(&mut this.source, none) {
            Source::Origin(body) => Source::Compressed(Box::new(Compressed::new(body, stream))),
            other => other,
        };
        this
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
        let polled = match (&mut this.source, &this.ticket) {
            (Source::Origin(body), Some(ticket)) => body.poll_frame(cx, ticket),
            (Source::Compressed(body), Some(ticket)) => body.poll_frame(cx, ticket),
            (Source::Origin(_) | Source::Compressed(_), None) => Poll::Ready(None),
            (Source::Own(bytes), _) => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
        };
        if let (Poll::Ready(Some(Ok(frame))), Some(ticket)) = (&polled, &this.ticket)
            && let Some(data) = frame.data_ref()
        {
            ticket.note(|entry| entry.sent(data.len() as u64));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(bytes) => bytes.is_none(),
            Source::Origin(body) => body.ended || body.incoming.is_end_stream(),
            Source::Compressed(body) => body.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Source::Origin(body) => body.incoming.size_hint(),
            Source::Compressed(_) => SizeHint::default(),
        }
    }
}

/// A response that came to no good end. The cause is in words only: hyper would reset an HTTP/2
/// client's stream for the reason that it finds in there, and some reasons mean that all is well.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the origin sent nothing more for {0:?}")]
    Stalled(Duration),
    #[error("the origin broke off: {0}")]
    Failed(String),
    #[error("the origin ended its response before its end")]
    Cut,
}

impl Broken {
    /// As an error of the body, with a note for the log.
    fn noted(self, ticket: &Ticket) -> BoxError {
        ticket.note(|entry| {
            entry.cut(match self {
                Self::Stalled(_) => "origin_stalled",
                Self::Failed(_) | Self::Cut => "origin_broke_off",
            });
        });
        self.into()
    }
}

impl OriginBody {
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        ticket: &Ticket,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.cut {
            return Poll::Ready(None);
        }
        let connection = ticket.connection();
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            return self.wait(connection, ticket);
        };
        if std::mem::take(&mut self.waiting) {
            connection.watch.stop_waiting();
        }
        Poll::Ready(match frame {
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    clean_response(trailers);
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => Some(Err(Broken::Failed(error.to_string()).noted(ticket))),
            // hyper takes a stream that was reset without an error for one that has ended.
            None if self.http2 && !self.incoming.is_end_stream() => {
                Some(Err(Broken::Cut.noted(ticket)))
            }
            None => {
                self.ended = true;
                None
            }
        })
    }

    /// Waits for the next frame, as long as that may take.
    fn wait(
        &mut self,
        connection: &Connection,
        ticket: &Ticket,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !std::mem::replace(&mut self.waiting, true) {
            self.last = Instant::now();
        }
        let watch = &connection.watch;
        if let Some(deadline) = self.pace.deadline
            && watch.passed(deadline)
        {
            // What has come of the answer is passed on already; trailers end it.
            self.cut = true;
            let mut trailers = HeaderMap::new();
            ticket.note(|entry| entry.cut("deadline"));
            if ticket.grpc() {
                grpc::say(&mut trailers, ErrorReason::UpstreamTimeout);
            }
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        // An upload that moves keeps a stream alive whose answer is silent.
        let moved = self.request.as_ref().map_or(self.last, |request| request.last());
        let until = self.last.max(moved) + self.pace.stall;
        if watch.passed(until) {
            return Poll::Ready(Some(Err(Broken::Stalled(self.pace.stall).noted(ticket))));
        }
        watch.wait_until(self.pace.deadline.map_or(until, |deadline| deadline.min(until)));
        Poll::Pending
    }

    /// The connection serves again only if both messages on it came to their end; an early
    /// response or an unread body leaves bytes on it that belong to no later exchange.
    pub(super) fn finish(&mut self, now: Instant, ticket: Option<&Ticket>) {
        let response_ended = self.ended || self.incoming.is_end_stream();
        if let Some(ticket) = ticket {
            ticket.note(|entry| {
                entry.received(self.request.as_ref().map_or(0, |request| request.bytes()));
                if !response_ended {
                    entry.cut(LEFT);
                }
            });
        }
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
        if let Some(ticket) = &mut self.ticket {
            ticket.ended(now);
        }
        let ticket = self.ticket.as_ref();
        match &mut self.source {
            Source::Own(_) => {}
            Source::Origin(body) => body.finish(now, ticket),
            Source::Compressed(body) => body.finish(now, ticket),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What only some responses need takes no room in all of them.
    #[test]
    fn a_body_is_as_large_as_that_of_an_origin() {
        assert_eq!(size_of::<Source>(), size_of::<OriginBody>());
    }
}
