//! One worker's connections to one endpoint, and how busy the worker keeps it.
//!
//! Nothing here is shared between threads. A connection of HTTP/1.1 comes back only when its last
//! exchange ended cleanly on both sides; whoever holds a lease decides that. Those of HTTP/2, which
//! many use at once, are in `sessions`.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::body::Body;
use hyper::client::conn::http1::SendRequest;

use super::connect::{ConnectError, Made, Wire, make};
use super::dial::{Caller, DialError, Protocol, Route};
use super::lease::Lease;
use super::sessions::Sessions;
use crate::config::EndpointUrl;
use crate::model::{EndpointId, limits};

/// What one worker knows of one endpoint.
#[derive(Debug)]
pub struct Endpoint<B> {
    id: EndpointId,
    route: Route,
    /// The route's twin as it is now.
    twin: Cell<Option<SocketAddr>>,
    idle: RefCell<Vec<Idle<B>>>,
    pub(super) sessions: Sessions<B>,
    outstanding: Cell<u32>,
    failures: Cell<u32>,
    /// Answers in a row that say that the server has failed.
    errors: Cell<u32>,
    /// When the log was told of trouble.
    complained: Cell<Option<Instant>>,
}

/// A connection that waits for a request.
#[derive(Debug)]
pub(super) struct Idle<B> {
    pub(super) sender: SendRequest<B>,
    pub(super) wire: Wire,
    pub(super) born: Instant,
    pub(super) since: Instant,
    /// Whose it is, if it is not everyone's.
    pub(super) caller: Option<Caller>,
}

/// Counts one request at an endpoint for as long as it lives.
#[derive(Debug)]
pub(super) struct Outstanding<B>(Rc<Endpoint<B>>);

impl<B> Outstanding<B> {
    pub(super) fn new(endpoint: Rc<Endpoint<B>>) -> Self {
        endpoint.outstanding.set(endpoint.outstanding.get() + 1);
        Self(endpoint)
    }

    pub(super) fn endpoint(&self) -> &Rc<Endpoint<B>> {
        &self.0
    }
}

impl<B> Drop for Outstanding<B> {
    fn drop(&mut self) {
        self.0.outstanding.set(self.0.outstanding.get().saturating_sub(1));
    }
}

impl<B> Endpoint<B> {
    /// An endpoint without connections.
    pub fn new(id: EndpointId, route: Route) -> Self {
        Self {
            id,
            twin: Cell::new(route.twin),
            route,
            idle: RefCell::default(),
            sessions: Sessions::default(),
            outstanding: Cell::default(),
            failures: Cell::default(),
            errors: Cell::default(),
            complained: Cell::default(),
        }
    }

    /// Its number in the table.
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// What it is called.
    pub fn url(&self) -> &EndpointUrl {
        &self.route.url
    }

    /// How to get there, as it was when this was made.
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// The same host has another address in the other family now, or none.
    pub fn set_twin(&self, twin: Option<SocketAddr>) {
        self.twin.set(twin);
    }

    /// How to get there now.
    pub(super) fn current_route(&self) -> Route {
        Route { twin: self.twin.get(), ..self.route.clone() }
    }

    /// Requests that this worker has under way there.
    pub fn outstanding(&self) -> u32 {
        self.outstanding.get()
    }

    /// A request got its response head.
    pub fn succeeded(&self) {
        self.failures.set(0);
    }

    /// A response came, which says that the server has failed or that it has not; how many did so in
    /// a row.
    pub fn answered(&self, failed: bool) -> u32 {
        self.errors.set(if failed { self.errors.get().saturating_add(1) } else { 0 });
        self.errors.get()
    }

    /// A request failed; how many did so in a row.
    pub fn failed(&self) -> u32 {
        self.failures.set(self.failures.get().saturating_add(1));
        self.failures.get()
    }

    /// A connection that is there, for a request of `caller`: a stream of one of HTTP/2, or an idle
    /// one of HTTP/1.1.
    pub fn checkout(self: &Rc<Self>, now: Instant, caller: &Caller) -> Option<Lease<B>> {
        let caller = self.route.is_personal().then_some(caller);
        if self.route.may_multiplex()
            && let Some(session) = self.sessions.find(now, caller)
        {
            return Some(Lease::http2(self, &session, true));
        }
        let found = match caller {
            None => self.last_idle(now),
            Some(caller) => self.own_idle(now, caller),
        }?;
        let Idle { sender, wire, born, caller, .. } = found;
        Some(Lease::http1(self, (sender, wire), born, caller, true))
    }

    /// The idle connection used last, because it is the likeliest to be alive and lets the others
    /// grow old.
    fn last_idle(&self, now: Instant) -> Option<Idle<B>> {
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
        found
    }

    /// An idle connection that was made for this caller.
    fn own_idle(&self, now: Instant, caller: &Caller) -> Option<Idle<B>> {
        let mut idle = self.idle.borrow_mut();
        let good = |idle: &Idle<B>| {
            idle.caller.as_ref() == Some(caller) && !idle.expired(now) && idle.sender.is_ready()
        };
        let place = idle.iter().rposition(good)?;
        // In order, so that the one that has been idle for longest stays first.
        Some(idle.remove(place))
    }

    /// An HTTP/1.1 connection is free for the next request.
    pub(super) fn take_back(&self, free: Idle<B>) {
        if free.sender.is_closed() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= limits::POOL_IDLE_PER_ENDPOINT {
            if free.caller.is_none() {
                return;
            }
            // Callers come and go: the newest is the likeliest to come again.
            idle.remove(0);
        }
        idle.push(free);
    }

    /// A new connection that nobody has used yet.
    pub(super) fn keep(&self, sender: SendRequest<B>, wire: Wire, now: Instant) {
        self.take_back(Idle { sender, wire, born: now, since: now, caller: None });
    }

    /// Closes connections that were idle for too long.
    pub fn reap(&self, now: Instant) {
        self.idle.borrow_mut().retain(|idle| !idle.expired(now) && !idle.sender.is_closed());
        self.sessions.reap(now);
    }

    /// Requests that failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures.get()
    }

    /// Connections of HTTP/2.
    pub fn http2_connections(&self) -> usize {
        self.sessions.count()
    }

    /// Closes every connection that has been waiting for a request so long. Whether there was one.
    pub fn let_go(&self, now: Instant, waited: Duration) -> bool {
        let connections = || self.idle() + self.http2_connections();
        let before = connections();
        let is_fresh = |idle: &Idle<B>| now.saturating_duration_since(idle.since) < waited;
        self.idle.borrow_mut().retain(is_fresh);
        if waited.is_zero() {
            self.sessions.let_go();
        }
        connections() < before
    }

    /// Connections without a request, of HTTP/1.1.
    pub fn idle(&self) -> usize {
        self.idle.borrow().len()
    }

    /// Tells the log what no retry mends, once in a while.
    pub(super) fn complain(&self, error: &DialError, now: Instant) {
        if !error.is_misconfigured() {
            return;
        }
        let before = self.complained.get();
        if before
            .is_none_or(|at| now.saturating_duration_since(at) >= limits::UPSTREAM_LOG_INTERVAL)
        {
            self.complained.set(Some(now));
            let why = error.detail();
            let address = self.route.address.map(tracing::field::display);
            let endpoint = &self.route.url;
            tracing::warn!(%endpoint, address, %error, why, "endpoint cannot be used");
        }
    }
}

impl<B> Endpoint<B>
where
    B: Body + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A new connection for a request of `caller`, or a stream of one that others use as well.
    ///
    /// # Errors
    ///
    /// When there is none within `timeout`; nothing was sent.
    pub async fn connect(
        self: &Rc<Self>,
        timeout: Duration,
        caller: &Caller,
    ) -> Result<Lease<B>, ConnectError> {
        let failed = |source| ConnectError { url: self.route.url.clone(), source };
        if self.route.may_multiplex() && !self.route.is_personal() && self.sessions.are_likely() {
            let started = Instant::now();
            if let Some(lease) = self.join(timeout).await.map_err(failed)? {
                return Ok(lease);
            }
            // The connection that all have waited for serves one of them.
            let now = Instant::now();
            if let Some(lease) = self.checkout(now, caller) {
                return Ok(lease.fresh());
            }
            let left = timeout.saturating_sub(now.saturating_duration_since(started));
            return self.connect_alone(left, caller).await.map_err(failed);
        }
        self.connect_alone(timeout, caller).await.map_err(failed)
    }

    /// A new connection of HTTP/1.1, whatever else is spoken there: for what is to become something
    /// else.
    ///
    /// # Errors
    ///
    /// When there is none within `timeout`, or HTTP/1.1 is not spoken there; nothing was sent.
    pub async fn connect_http1(
        self: &Rc<Self>,
        timeout: Duration,
        caller: &Caller,
    ) -> Result<Lease<B>, ConnectError> {
        let failed = |source| ConnectError { url: self.route.url.clone(), source };
        let caller = self.route.is_personal().then_some(*caller);
        let route = self.current_route().http1().ok_or_else(|| failed(DialError::Protocol))?;
        let made = make(&route, caller, timeout).await;
        let now = Instant::now();
        match made.inspect_err(|error| self.complain(error, now)).map_err(failed)? {
            Made::Http1(sender, wire) => Ok(Lease::http1(self, (sender, wire), now, caller, false)),
            Made::Http2(..) => Err(failed(DialError::Protocol)),
        }
    }

    /// A connection that is nobody else's, if what is spoken there lets it be.
    async fn connect_alone(
        self: &Rc<Self>,
        timeout: Duration,
        caller: &Caller,
    ) -> Result<Lease<B>, DialError> {
        let caller = self.route.is_personal().then_some(*caller);
        let made = make(&self.current_route(), caller, timeout).await;
        let now = Instant::now();
        match made.inspect_err(|error| self.complain(error, now))? {
            Made::Http1(sender, wire) => {
                self.sessions.heard(Protocol::Http1);
                Ok(Lease::http1(self, (sender, wire), now, caller, false))
            }
            Made::Http2(session, driving) => {
                self.adopt(&session, driving, now);
                Ok(Lease::http2(self, &session, false))
            }
        }
    }
}

impl<B> Idle<B> {
    fn expired(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= limits::POOL_IDLE_TIMEOUT
            || now.saturating_duration_since(self.born) >= limits::POOL_CONNECTION_LIFETIME
    }
}
