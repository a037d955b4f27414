//! One worker's idle connections to one endpoint, and how busy the worker keeps it.
//!
//! Nothing here is shared between threads. A connection comes back only when its last exchange
//! ended cleanly on both sides; whoever holds a lease decides that.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::body::Body;
use hyper::client::conn::http1::SendRequest;

use super::connect::{ConnectError, Wire, connect};
use crate::config::EndpointUrl;
use crate::model::{EndpointId, limits};

/// What one worker knows of one endpoint.
#[derive(Debug)]
pub struct Endpoint<B> {
    id: EndpointId,
    url: EndpointUrl,
    idle: RefCell<Vec<Idle<B>>>,
    outstanding: Cell<u32>,
    failures: Cell<u32>,
}

/// A connection that waits for a request.
#[derive(Debug)]
struct Idle<B> {
    sender: SendRequest<B>,
    wire: Wire,
    born: Instant,
    since: Instant,
}

/// A connection in use by one request, counted as outstanding until it is dropped.
#[derive(Debug)]
pub struct Lease<B> {
    outstanding: Outstanding<B>,
    /// Sends the request.
    pub sender: SendRequest<B>,
    wire: Wire,
    born: Instant,
    reused: bool,
}

/// Counts one request at an endpoint for as long as it lives.
#[derive(Debug)]
struct Outstanding<B>(Rc<Endpoint<B>>);

impl<B> Outstanding<B> {
    fn new(endpoint: Rc<Endpoint<B>>) -> Self {
        endpoint.outstanding.set(endpoint.outstanding.get() + 1);
        Self(endpoint)
    }
}

impl<B> Drop for Outstanding<B> {
    fn drop(&mut self) {
        self.0.outstanding.set(self.0.outstanding.get().saturating_sub(1));
    }
}

impl<B> Endpoint<B> {
    /// An endpoint without connections.
    pub fn new(id: EndpointId, url: EndpointUrl) -> Self {
        Self {
            id,
            url,
            idle: RefCell::default(),
            outstanding: Cell::default(),
            failures: Cell::default(),
        }
    }

    /// Its number in the table.
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// Its address.
    pub fn url(&self) -> &EndpointUrl {
        &self.url
    }

    /// Requests that this worker has under way there.
    pub fn outstanding(&self) -> u32 {
        self.outstanding.get()
    }

    /// A request got its response head.
    pub fn succeeded(&self) {
        self.failures.set(0);
    }

    /// A request failed; how many did so in a row.
    pub fn failed(&self) -> u32 {
        self.failures.set(self.failures.get().saturating_add(1));
        self.failures.get()
    }

    /// The idle connection used last, because it is the likeliest to be alive and lets the others
    /// grow old.
    pub fn checkout(self: &Rc<Self>, now: Instant) -> Option<Lease<B>> {
        let mut idle = self.idle.borrow_mut();
        let mut busy = None;
        let found = loop {
            let Some(candidate) = idle.pop() else { break None };
            if candidate.expired(now) || candidate.sender.is_closed() {
                continue;
            }
            if candidate.sender.is_ready() {
                break Some(candidate);
            }
            // Its task has not yet noticed that the last exchange is over; that is one in a row
            // at most, because the task runs before the next request does.
            if busy.replace(candidate).is_some() {
                break None;
            }
        };
        idle.extend(busy);
        drop(idle);
        found.map(|idle| self.lease((idle.sender, idle.wire), idle.born, true))
    }

    /// Closes connections that were idle for too long.
    pub fn reap(&self, now: Instant) {
        self.idle.borrow_mut().retain(|idle| !idle.expired(now) && !idle.sender.is_closed());
    }

    /// Idle connections.
    pub fn idle(&self) -> usize {
        self.idle.borrow().len()
    }

    fn lease(
        self: &Rc<Self>,
        (sender, wire): (SendRequest<B>, Wire),
        born: Instant,
        reused: bool,
    ) -> Lease<B> {
        Lease { outstanding: Outstanding::new(Rc::clone(self)), sender, wire, born, reused }
    }
}

impl<B> Endpoint<B>
where
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A new connection.
    ///
    /// # Errors
    ///
    /// When none could be made; nothing was sent.
    pub async fn connect(self: &Rc<Self>, timeout: Duration) -> Result<Lease<B>, ConnectError> {
        let connection = connect(&self.url, timeout).await?;
        Ok(self.lease(connection, Instant::now(), false))
    }
}

impl<B> Idle<B> {
    fn expired(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= limits::POOL_IDLE_TIMEOUT
            || now.saturating_duration_since(self.born) >= limits::POOL_CONNECTION_LIFETIME
    }
}

impl<B> Lease<B> {
    /// Whether other requests went over this connection before.
    pub fn reused(&self) -> bool {
        self.reused
    }

    /// Whether it is a stream of HTTP/2.
    pub fn is_http2(&self) -> bool {
        false
    }

    /// The endpoint it leads to.
    pub fn endpoint(&self) -> &Rc<Endpoint<B>> {
        &self.outstanding.0
    }

    /// Gives the connection back for the next request. Only after an exchange that ended cleanly:
    /// the request was sent to its end and the response read to its end.
    pub fn give_back(self, now: Instant) {
        let Self { outstanding, sender, wire, born, .. } = self;
        let mut idle = outstanding.0.idle.borrow_mut();
        if idle.len() < limits::POOL_IDLE_PER_ENDPOINT && !sender.is_closed() {
            idle.push(Idle { sender, wire, born, since: now });
        }
    }
}
