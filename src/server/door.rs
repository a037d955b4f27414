//! What a listener's settings are now: those of the current snapshot, at the moment when a
//! connection is accepted.
//!
//! A reload changes TLS, the PROXY protocol, redirects and limits for new connections; those that
//! are there go on as they began. A listener that is no longer in the configuration keeps its last
//! settings for whoever is still in its queue.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use rustls::ServerConfig;

use crate::config::{ClientLimits, Config, Listener};
use crate::metrics::{ListenerSeries, Registry};
use crate::proxy::overloaded_bytes;
use crate::snapshot::{Live, Snapshot};
use crate::tls::Certificates;

/// What ends a TLS connection before it has begun: the alert `internal_error`, there being none that
/// says more (RFC 8446 section 6).
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// One listener of one worker.
#[derive(Debug)]
pub(super) struct Door {
    configured: SocketAddr,
    live: Arc<Live>,
    version: Cell<u64>,
    terms: RefCell<Rc<Terms>>,
    pub(super) series: Arc<ListenerSeries>,
}

/// On what terms connections come in.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) listener: Listener,
    pub(super) security: Security,
    pub(super) limits: ClientLimits,
    /// What a connection is told that is turned away.
    pub(super) refusal: Bytes,
}

/// What stands around what is said.
#[derive(Clone, Debug)]
pub(super) enum Security {
    /// Nothing.
    Clear,
    /// TLS, and this is what handshakes need.
    Tls(Arc<ServerConfig>, Arc<Certificates>),
    /// TLS, but what handshakes need is not there. Clear text in its place would be the worst
    /// answer of all, so nobody is served.
    Missing,
}

impl Door {
    /// The listener that is configured with this address.
    pub(super) fn new(configured: SocketAddr, live: &Arc<Live>, registry: &Registry) -> Self {
        let version = live.version();
        let snapshot = live.load();
        let terms = Terms::of(configured, &snapshot).unwrap_or_else(|| Terms {
            listener: Listener::cleartext(configured),
            security: Security::Clear,
            limits: snapshot.config.limits,
            refusal: refusal(true, &snapshot.config),
        });
        Self {
            configured,
            live: Arc::clone(live),
            version: Cell::new(version),
            terms: RefCell::new(Rc::new(terms)),
            series: registry.listener(configured),
        }
    }

    /// The terms of a connection that comes now.
    pub(super) fn terms(&self) -> Rc<Terms> {
        let version = self.live.version();
        if self.version.replace(version) != version
            && let Some(terms) = Terms::of(self.configured, &self.live.load())
        {
            *self.terms.borrow_mut() = Rc::new(terms);
        }
        Rc::clone(&self.terms.borrow())
    }
}

impl Terms {
    fn of(configured: SocketAddr, snapshot: &Snapshot) -> Option<Self> {
        let config = &snapshot.config;
        let listener = config.listeners.iter().find(|known| known.address == configured)?.clone();
        let tls = &snapshot.tls;
        let made = tls.server(configured).cloned().zip(tls.certificates(configured).cloned());
        let security = match (&listener.tls, made) {
            (None, _) => Security::Clear,
            (Some(_), Some((config, certificates))) => Security::Tls(config, certificates),
            (Some(_), None) => Security::Missing,
        };
        let refusal = refusal(listener.tls.is_none(), config);
        Some(Self { listener, security, limits: config.limits, refusal })
    }
}

/// What a connection is told that is turned away.
fn refusal(clear: bool, config: &Config) -> Bytes {
    match clear {
        true => overloaded_bytes(config.overload.retry_after).into(),
        false => Bytes::from_static(&ALERT),
    }
}
