//! A connection in use by one request, or a stream of one.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::SendRequest;
use pin_project_lite::pin_project;

use super::carried::{Brake, Carried};
use super::connect::Wire;
use super::dial::Caller;
use super::failure::SendError;
use super::http2_head;
use super::pool::{Endpoint, Idle, Outstanding};
use super::session::Session;

/// What one request sends and receives over, counted as outstanding until it is dropped.
///
/// A pointer: it goes through many hands, each of which would copy it.
#[derive(Debug)]
pub struct Lease<B>(Box<Held<B>>);

#[derive(Debug)]
struct Held<B> {
    // Dropped first: whoever waits for the stream finds the load as it is.
    way: Way<B>,
    outstanding: Outstanding<B>,
    reused: bool,
    /// Whether the connection was made for this request.
    made: bool,
}

#[derive(Debug)]
enum Way<B> {
    /// A connection that is nobody else's.
    Http1 { sender: SendRequest<B>, wire: Wire, born: Instant, caller: Option<Caller> },
    /// A stream of a connection that others use too.
    Http2(Stream<B>),
}

/// One stream of a session, from before it is opened.
#[derive(Debug)]
struct Stream<B> {
    session: Rc<Session<B>>,
    endpoint: Rc<Endpoint<B>>,
    /// Stops the request's body.
    brake: Option<Rc<Brake>>,
    /// What had come on the connection when the request went.
    received: u64,
}

impl<B> Drop for Stream<B> {
    fn drop(&mut self) {
        if let Some(brake) = self.brake.take() {
            brake.pull();
        }
        self.session.close_stream();
        self.endpoint.stream_freed();
    }
}

impl<B> Lease<B> {
    /// A connection of HTTP/1.1.
    pub(super) fn http1(
        endpoint: &Rc<Endpoint<B>>,
        (sender, wire): (SendRequest<B>, Wire),
        born: Instant,
        caller: Option<Caller>,
        reused: bool,
    ) -> Self {
        let way = Way::Http1 { sender, wire, born, caller };
        Self::new(way, endpoint, reused, !reused)
    }

    /// A stream of a session that has room.
    pub(super) fn http2(
        endpoint: &Rc<Endpoint<B>>,
        session: &Rc<Session<B>>,
        reused: bool,
    ) -> Self {
        let (received, made) = session.open_stream();
        let way = Way::Http2(Stream {
            session: Rc::clone(session),
            endpoint: Rc::clone(endpoint),
            brake: None,
            received,
        });
        Self::new(way, endpoint, reused, made)
    }

    fn new(way: Way<B>, endpoint: &Rc<Endpoint<B>>, reused: bool, made: bool) -> Self {
        let outstanding = Outstanding::new(Rc::clone(endpoint));
        Self(Box::new(Held { way, outstanding, reused, made }))
    }

    /// Whether other requests went over this connection before.
    pub fn reused(&self) -> bool {
        self.0.reused
    }

    /// Whether the connection was made for this request, or for it first.
    pub fn is_first(&self) -> bool {
        self.0.made
    }

    /// A connection that was made for this request after all.
    pub(super) fn fresh(mut self) -> Self {
        (self.0.reused, self.0.made) = (false, true);
        self
    }

    /// Whether HTTP/2 is spoken on it.
    pub fn is_http2(&self) -> bool {
        matches!(self.0.way, Way::Http2(_))
    }

    /// The endpoint it leads to.
    pub fn endpoint(&self) -> &Rc<Endpoint<B>> {
        self.0.outstanding.endpoint()
    }

    /// The request on it waited in vain. A connection on which nothing at all has come since gets no
    /// further requests: it may be dead, and nobody would notice for a while.
    pub fn doubt(&self) {
        if let Way::Http2(stream) = &self.0.way
            && stream.session.received() == stream.received
        {
            stream.session.retire();
        }
    }

    /// The connection is not HTTP any more: what holds its upgraded form has it now.
    pub fn upgraded(&mut self) {
        if let Way::Http1 { wire, .. } = &mut self.0.way {
            wire.release();
        }
    }

    /// Gives the connection back for the next request. Only after an exchange that ended cleanly:
    /// the request was sent to its end and the response read to its end.
    pub fn give_back(self, now: Instant) {
        let Held { way, outstanding, .. } = *self.0;
        match way {
            // What has become something else is no connection for requests.
            Way::Http1 { wire, .. } if wire.is_released() => {}
            Way::Http1 { sender, wire, born, caller } => {
                let idle = Idle { sender, wire, born, since: now, caller };
                outstanding.endpoint().take_back(idle);
            }
            Way::Http2(mut stream) => stream.brake = None,
        }
    }
}

impl<B> Lease<B>
where
    B: Body + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Sends a request in the form of HTTP/1.1, whatever is spoken on the connection: target in
    /// origin form, `Host`. The future is the exchange; dropping it ends that, for HTTP/2 without
    /// the connection.
    ///
    /// # Errors
    ///
    /// When no response came; with the request, if nothing of it was sent.
    pub fn send(
        &mut self,
        mut request: Request<B>,
    ) -> impl Future<Output = Result<Response<Incoming>, SendError<B>>> + use<B> {
        match &mut self.0.way {
            Way::Http1 { sender, .. } => Sent::Http1 { exchange: sender.try_send_request(request) },
            Way::Http2(stream) => match http2_head::prepare(&mut request, stream.endpoint.url()) {
                true => {
                    let request = stream.carry(request);
                    let mut sender = stream.session.sender().borrow_mut();
                    Sent::Http2 { exchange: sender.try_send_request(request) }
                }
                false => Sent::Not { request: Some(request) },
            },
        }
    }
}

pin_project! {
    /// An exchange that has begun. Not an `async` block, which would have room for it twice.
    #[project = SentProjected]
    enum Sent<A, C, B> {
        Http1 { #[pin] exchange: A },
        Http2 { #[pin] exchange: C },
        /// The request has no form in the protocol that is spoken. `None`: this was said.
        Not { request: Option<Request<B>> },
    }
}

impl<A, C, B> Future for Sent<A, C, B>
where
    A: Future<Output = Result<Response<Incoming>, TrySendError<Request<B>>>>,
    C: Future<Output = Result<Response<Incoming>, TrySendError<Request<Carried<B>>>>>,
    B: Body,
{
    type Output = Result<Response<Incoming>, SendError<B>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            SentProjected::Http1 { exchange } => {
                exchange.poll(cx).map_err(|error| SendError::of(error, |body| body))
            }
            SentProjected::Http2 { exchange } => exchange.poll(cx).map_err(|error| {
                let mut error = SendError::of(error, Carried::into_body);
                error.with_message(http2_head::restore);
                error
            }),
            SentProjected::Not { request } => match request.take() {
                Some(request) => Poll::Ready(Err(SendError::unspeakable(request))),
                None => Poll::Pending,
            },
        }
    }
}

impl<B> Stream<B>
where
    B: Body,
{
    /// The request as it goes over the stream.
    fn carry(&mut self, request: Request<B>) -> Request<Carried<B>> {
        let request = request.map(Carried::new);
        self.brake = request.body().brake();
        request
    }
}
