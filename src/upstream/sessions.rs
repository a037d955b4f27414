//! One worker's HTTP/2 connections to one endpoint, and the requests that wait for one.
//!
//! A request gets a free stream if there is one. Otherwise it waits, and as many connections are
//! made as those that wait need: at a cold start one, that all of them share, and not one each. If
//! it turns out that the endpoint speaks HTTP/1.1, each makes its own.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use hyper::body::Body;
use tokio::sync::oneshot;

use super::connect::{Made, make};
use super::dial::{Caller, DialError, Protocol};
use super::lease::Lease;
use super::pool::Endpoint;
use super::session::{Driving, Session};
use crate::model::limits;

/// The connections, and what is known of the endpoint.
#[derive(Debug)]
pub(super) struct Sessions<B> {
    list: RefCell<Vec<Rc<Session<B>>>>,
    waiting: RefCell<VecDeque<oneshot::Sender<Turn<B>>>>,
    /// Connections that are being made for those who wait.
    dialling: Cell<usize>,
    /// Streams that the next connection is likely to carry.
    likely: Cell<usize>,
    /// What was spoken on the last connection.
    spoken: Cell<Option<Protocol>>,
}

/// What a request has waited for.
#[derive(Debug)]
enum Turn<B> {
    /// A stream.
    Stream(Lease<B>),
    /// No stream, because the endpoint speaks HTTP/1.1: make a connection.
    Alone,
    /// Nothing.
    Failed(DialError),
}

impl<B> Default for Sessions<B> {
    fn default() -> Self {
        Self {
            list: RefCell::default(),
            waiting: RefCell::default(),
            dialling: Cell::default(),
            likely: Cell::new(limits::STREAMS_PER_CONNECTION as usize),
            spoken: Cell::default(),
        }
    }
}

impl<B> Sessions<B> {
    /// The connection with the fewest streams of those that have room.
    pub(super) fn find(&self, now: Instant, caller: Option<&Caller>) -> Option<Rc<Session<B>>> {
        let list = self.list.borrow();
        let roomy = list.iter().filter(|session| session.has_room(now, caller));
        roomy.min_by_key(|session| session.streams()).cloned()
    }

    /// Lets go of connections that nobody may use any more. What is under way on them keeps them
    /// until it has ended.
    pub(super) fn reap(&self, now: Instant) {
        self.list.borrow_mut().retain(|session| session.is_open(now) && !session.is_idle(now));
    }

    /// Lets go of connections without a stream.
    pub(super) fn let_go(&self) {
        self.list.borrow_mut().retain(|session| session.streams() > 0);
    }

    /// Connections.
    pub(super) fn count(&self) -> usize {
        self.list.borrow().len()
    }

    /// Whether requests may have to wait for one another's connection.
    pub(super) fn are_likely(&self) -> bool {
        self.spoken.get() != Some(Protocol::Http1)
    }

    /// What was spoken on a connection that was just made.
    pub(super) fn heard(&self, protocol: Protocol) {
        self.spoken.set(Some(protocol));
    }

    /// Adds a connection. Personal ones are kept within bounds here; the others are within bounds
    /// because no more are made.
    fn add(&self, session: &Rc<Session<B>>, now: Instant) {
        self.likely.set(session.capacity().max(1));
        let mut list = self.list.borrow_mut();
        list.retain(|session| session.is_open(now));
        if list.len() >= limits::UPSTREAM_HTTP2_CONNECTIONS
            && let Some(idle) = list.iter().position(|session| session.streams() == 0)
        {
            list.remove(idle);
        }
        list.push(Rc::clone(session));
    }

    /// Gives streams to those who wait, first come, first served.
    fn serve(&self, endpoint: &Rc<Endpoint<B>>, now: Instant) {
        while !self.waiting.borrow().is_empty() {
            let Some(session) = self.find(now, None) else { return };
            let Some(first) = self.waiting.borrow_mut().pop_front() else { return };
            if first.is_closed() {
                continue;
            }
            // If it has left by now, the stream comes back and is given to the next.
            let _ = first.send(Turn::Stream(Lease::http2(endpoint, &session, false)));
        }
    }

    fn tell_all(&self, turn: impl Fn() -> Turn<B>) {
        for waiting in std::mem::take(&mut *self.waiting.borrow_mut()) {
            let _ = waiting.send(turn());
        }
    }
}

impl<B> Endpoint<B> {
    /// A stream is free.
    pub(super) fn stream_freed(self: &Rc<Self>) {
        if !self.sessions.waiting.borrow().is_empty() {
            self.sessions.serve(self, Instant::now());
        }
    }
}

impl<B> Endpoint<B>
where
    B: Body + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A stream of a connection that others may use as well; `None` if the endpoint turns out to
    /// speak HTTP/1.1.
    pub(super) async fn join(
        self: &Rc<Self>,
        within: Duration,
    ) -> Result<Option<Lease<B>>, DialError> {
        let now = Instant::now();
        if let Some(session) = self.sessions.find(now, None) {
            return Ok(Some(Lease::http2(self, &session, false)));
        }
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.sessions.waiting.borrow_mut();
            // Those who have left are taken out when it is their turn, or here.
            if waiting.len() >= limits::UPSTREAM_WAITING {
                waiting.retain(|sender| !sender.is_closed());
            }
            if waiting.len() >= limits::UPSTREAM_WAITING {
                return Err(DialError::Busy(Duration::ZERO));
            }
            waiting.push_back(sender);
        }
        self.dial_for_all(now, within);
        match tokio::time::timeout(within, receiver).await {
            Ok(Ok(Turn::Stream(lease))) => Ok(Some(lease)),
            Ok(Ok(Turn::Alone)) => Ok(None),
            Ok(Ok(Turn::Failed(error))) => Err(error),
            Ok(Err(_)) => Err(DialError::Closed),
            Err(_) if self.sessions.count() > 0 => Err(DialError::Busy(within)),
            Err(_) => Err(DialError::Timeout(within)),
        }
    }

    /// Makes as many connections as those who wait need.
    fn dial_for_all(self: &Rc<Self>, now: Instant, within: Duration) {
        let sessions = &self.sessions;
        let waiting = {
            let mut waiting = sessions.waiting.borrow_mut();
            while waiting.front().is_some_and(oneshot::Sender::is_closed) {
                waiting.pop_front();
            }
            waiting.len()
        };
        sessions.list.borrow_mut().retain(|session| session.is_open(now));
        while sessions.dialling.get().saturating_mul(sessions.likely.get()) < waiting
            && sessions.dialling.get() + sessions.count() < limits::UPSTREAM_HTTP2_CONNECTIONS
        {
            sessions.dialling.set(sessions.dialling.get() + 1);
            let endpoint = Rc::clone(self);
            // A task of its own: it is for all who wait, and goes on if the one who began leaves.
            tokio::task::spawn_local(async move {
                let made = make(&endpoint.current_route(), None, within).await;
                endpoint.sessions.dialling.set(endpoint.sessions.dialling.get().saturating_sub(1));
                endpoint.dialled(made, within);
            });
        }
    }

    /// A connection for those who wait has been made, or not.
    fn dialled(self: &Rc<Self>, made: Result<Made<B>, DialError>, within: Duration) {
        let now = Instant::now();
        match made {
            Ok(Made::Http2(session, driving)) => {
                self.adopt(&session, driving, now);
                self.sessions.serve(self, now);
                self.dial_for_all(now, within);
            }
            Ok(Made::Http1(sender, wire)) => {
                self.sessions.heard(Protocol::Http1);
                self.keep(sender, wire, now);
                self.sessions.tell_all(|| Turn::Alone);
            }
            Err(error) => {
                self.complain(&error, now);
                // Whoever waits may still get a stream of another connection.
                if self.sessions.dialling.get() == 0 && self.sessions.count() == 0 {
                    self.sessions.tell_all(|| Turn::Failed(error.clone()));
                }
            }
        }
    }

    /// Takes a connection into use.
    pub(super) fn adopt(self: &Rc<Self>, session: &Rc<Session<B>>, driving: Driving, now: Instant) {
        self.sessions.heard(Protocol::Http2);
        self.sessions.add(session, now);
        let (endpoint, gone) = (Rc::downgrade(self), Rc::downgrade(session));
        tokio::task::spawn_local(async move {
            driving.await;
            ended(&endpoint, &gone);
        });
    }
}

/// A connection has come to its end.
fn ended<B>(endpoint: &Weak<Endpoint<B>>, session: &Weak<Session<B>>)
where
    B: Body + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(endpoint) = endpoint.upgrade() else { return };
    if let Some(session) = session.upgrade() {
        session.retire();
    }
    let now = Instant::now();
    endpoint.sessions.list.borrow_mut().retain(|session| session.is_open(now));
    if !endpoint.sessions.waiting.borrow().is_empty() {
        endpoint.dial_for_all(now, limits::CONNECT_TIMEOUT);
    }
}
