//! A connection in use by one request, or a stream of one.

use std::rc::Rc;
use std::time::Instant;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::SendRequest;

use super::carried::{Brake, Carried};
use super::connect::Wire;
use super::dial::Caller;
use super::failure::SendError;
use super::http2_head;
use super::pool::{Endpoint, Idle, Outstanding};
use super::session::Session;
use crate::config::Scheme;

/// What one request sends and receives over, counted as outstanding until it is dropped.
#[derive(Debug)]
pub struct Lease<B> {
    // Dropped first: whoever waits for the stream finds the load as it is.
    way: Way<B>,
    outstanding: Outstanding<B>,
    reused: bool,
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
        Self { way, outstanding: Outstanding::new(Rc::clone(endpoint)), reused }
    }

    /// A stream of a session that has room.
    pub(super) fn http2(
        endpoint: &Rc<Endpoint<B>>,
        session: &Rc<Session<B>>,
        reused: bool,
    ) -> Self {
        let received = session.open_stream();
        let way = Way::Http2(Stream {
            session: Rc::clone(session),
            endpoint: Rc::clone(endpoint),
            brake: None,
            received,
        });
        Self { way, outstanding: Outstanding::new(Rc::clone(endpoint)), reused }
    }

    /// Whether other requests went over this connection before.
    pub fn reused(&self) -> bool {
        self.reused
    }

    /// A connection that was made for this request after all.
    pub(super) fn fresh(mut self) -> Self {
        self.reused = false;
        self
    }

    /// Whether HTTP/2 is spoken on it.
    pub fn is_http2(&self) -> bool {
        matches!(self.way, Way::Http2(_))
    }

    /// The endpoint it leads to.
    pub fn endpoint(&self) -> &Rc<Endpoint<B>> {
        self.outstanding.endpoint()
    }

    /// The request on it waited in vain. A connection on which nothing at all has come since gets no
    /// further requests: it may be dead, and nobody would notice for a while.
    pub fn doubt(&self) {
        if let Way::Http2(stream) = &self.way
            && stream.session.received() == stream.received
        {
            stream.session.retire();
        }
    }

    /// The connection is not HTTP any more: what holds its upgraded form has it now.
    pub fn upgraded(&mut self) {
        if let Way::Http1 { wire, .. } = &mut self.way {
            wire.release();
        }
    }

    /// Gives the connection back for the next request. Only after an exchange that ended cleanly:
    /// the request was sent to its end and the response read to its end.
    pub fn give_back(self, now: Instant) {
        let Self { way, outstanding, .. } = self;
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
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<Incoming>, SendError<B>>> + use<B> {
        let sent = match &mut self.way {
            Way::Http1 { sender, .. } => Sent::Http1(sender.try_send_request(request)),
            Way::Http2(stream) => match stream.carry(request) {
                Ok(request) => {
                    Sent::Http2(stream.session.sender().borrow_mut().try_send_request(request))
                }
                Err(request) => Sent::Not(request),
            },
        };
        async move {
            match sent {
                Sent::Http1(exchange) => {
                    exchange.await.map_err(|error| SendError::of(error, |body| body))
                }
                Sent::Http2(exchange) => exchange.await.map_err(|error| {
                    let mut error = SendError::of(error, Carried::into_body);
                    error.with_message(http2_head::restore);
                    error
                }),
                Sent::Not(request) => Err(SendError::unspeakable(request)),
            }
        }
    }
}

/// An exchange that has begun.
enum Sent<A, C, R> {
    Http1(A),
    Http2(C),
    Not(R),
}

impl<B> Stream<B>
where
    B: Body,
{
    /// The request as it goes over the stream; as it was if it cannot.
    fn carry(&mut self, mut request: Request<B>) -> Result<Request<Carried<B>>, Request<B>> {
        let url = self.endpoint.url();
        if !http2_head::prepare(&mut request, url, url.scheme == Scheme::Https) {
            return Err(request);
        }
        let request = request.map(Carried::new);
        self.brake = request.body().brake();
        Ok(request)
    }
}
