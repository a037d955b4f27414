//! The listening sockets of this process: what the configuration asks for, bound here or by
//! somebody else, and what becomes of them when it changes.
//!
//! Workers and the admin address accept from clones. The sockets themselves are here, so that they
//! can be passed on.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::admin::Doors;
use crate::config::Config;
use crate::handover::{Inherited, Offer, Passed, Role};
use crate::model::limits;
use crate::server::{BindError, Bound, Orders};

/// The ports of this process. Whoever holds them is the only one who changes them.
#[derive(Clone, Debug)]
pub(super) struct Ports(Arc<Mutex<Held>>);

/// The same, held.
pub(super) type Grip = OwnedMutexGuard<Held>;

/// Sockets, and who accepts from them.
#[derive(Debug)]
pub(super) struct Held {
    listeners: Vec<Bound>,
    admin: Bound,
    workers: usize,
    /// Who accepts, once somebody does.
    staff: Option<(Orders, Doors)>,
    /// Sockets that nobody accepts from, but that are open whatever is done here: systemd has
    /// them, so nobody could bind their addresses anew.
    idle: Vec<Bound>,
    /// Addresses whose last clients are still let in, and since when.
    closing: Vec<(SocketAddr, Instant)>,
    /// They are no longer this process's to change.
    left: bool,
}

/// Sockets that are bound and not yet accepted from.
#[derive(Debug)]
pub(super) struct Change {
    listeners: Vec<SocketAddr>,
    added: Vec<Bound>,
    admin: Option<Bound>,
}

impl Ports {
    /// Binds what the configuration asks for and is not among what was inherited.
    pub(super) fn open(
        config: &Config,
        workers: usize,
        inherited: &mut Inherited,
    ) -> Result<Self, BindError> {
        let mut listeners = Vec::with_capacity(config.listeners.len());
        for address in addresses(config) {
            listeners.push(bind(Role::Listener, address, workers, &listeners, inherited)?);
        }
        let admin = bind(Role::Admin, config.admin.address, 1, &listeners, inherited)?;
        let (idle, closing) = (Vec::new(), Vec::new());
        let held = Held { listeners, admin, workers, staff: None, idle, closing, left: false };
        Ok(Self(Arc::new(Mutex::new(held))))
    }

    /// Takes them, and waits for whoever has them.
    pub(super) async fn hold(&self) -> Grip {
        Arc::clone(&self.0).lock_owned().await
    }

    /// The same outside of a runtime.
    pub(super) fn hold_blocking(&self) -> Grip {
        Arc::clone(&self.0).blocking_lock_owned()
    }
}

/// The sockets of one address: the next one that was inherited for it, or new ones.
fn bind(
    role: Role,
    configured: SocketAddr,
    workers: usize,
    others: &[Bound],
    inherited: &mut Inherited,
) -> Result<Bound, BindError> {
    let is_it = |passed: &Passed| passed.role == role && passed.configured == configured;
    let Some(first) = inherited.iter().find(|passed| is_it(passed)) else {
        let own: Vec<_> = others.iter().map(|bound| bound.address).collect();
        return Bound::open(configured, workers, &own);
    };
    // With port 0 there may be several listeners of one configured address.
    let port =
        first.socket.local_addr().map_err(|source| BindError { address: configured, source })?;
    let mine = |passed: &mut Passed| {
        is_it(passed) && passed.socket.local_addr().is_ok_and(|address| address == port)
    };
    let mine: Vec<_> = inherited.extract_if(.., mine).collect();
    let kept = mine.iter().any(|passed| passed.kept);
    Bound::inherit(configured, mine.into_iter().map(|passed| passed.socket).collect(), kept)
}

fn addresses(config: &Config) -> impl Iterator<Item = SocketAddr> {
    config.listeners.iter().map(|listener| listener.address)
}

impl Held {
    /// Where requests are accepted.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|bound| bound.address).collect()
    }

    /// Where operators are.
    pub(super) fn admin(&self) -> SocketAddr {
        self.admin.address
    }

    /// Accepts from all of them from now on.
    pub(super) fn serve(&mut self, orders: Orders, doors: Doors) -> Result<(), BindError> {
        for bound in &mut self.listeners {
            bound.widen(self.workers);
            orders.listen(bound)?;
        }
        operate(&self.admin, &doors)?;
        self.staff = Some((orders, doors));
        Ok(())
    }

    /// Binds what another configuration has and this one has not. Nothing changes yet.
    pub(super) fn prepare(&self, config: &Config) -> Result<Change, BindError> {
        if self.left {
            return Ok(Change { listeners: Vec::new(), added: Vec::new(), admin: None });
        }
        let mut own: Vec<_> = self.addresses();
        own.push(self.admin.address);
        own.extend(self.closing.iter().filter(|(_, since)| is_recent(*since)).map(|it| it.0));
        let mut unchanged: Vec<_> = self.listeners.iter().map(|bound| bound.configured).collect();
        let mut added = Vec::new();
        for address in addresses(config) {
            match unchanged.iter().position(|known| *known == address) {
                // Each stands for one listener, even if several have port 0.
                Some(place) => drop(unchanged.swap_remove(place)),
                None => added.push(self.reopen(address, &own)?),
            }
        }
        let admin = match config.admin.address == self.admin.configured {
            true => None,
            false => Some(Bound::open(config.admin.address, 1, &own)?),
        };
        Ok(Change { listeners: addresses(config).collect(), added, admin })
    }

    /// What there is for an address already, or new sockets.
    fn reopen(&self, address: SocketAddr, own: &[SocketAddr]) -> Result<Bound, BindError> {
        match self.idle.iter().find(|bound| bound.configured == address) {
            Some(idle) => idle.again(),
            None => Bound::open(address, self.workers, own),
        }
    }

    /// Accepts from what was added, and no longer from what is gone. To be called when the
    /// configuration is in use, because it says how to speak with whom.
    pub(super) fn apply(&mut self, change: Change) {
        let Some((orders, doors)) = &self.staff else { return };
        for bound in change.added {
            match orders.listen(&bound) {
                Ok(()) => tracing::info!(address = %bound.address, "listening"),
                Err(error) => tracing::error!(%error, "a listener does not work"),
            }
            self.idle.retain(|idle| idle.configured != bound.configured);
            self.listeners.push(bound);
        }
        if let Some(admin) = change.admin {
            match operate(&admin, doors) {
                Ok(()) => tracing::info!(admin = %admin.address, "the admin address has moved"),
                Err(error) => tracing::error!(%error, "the admin address does not work"),
            }
            self.admin = admin;
        }
        let mut wanted = change.listeners;
        let gone = self.listeners.extract_if(.., |bound| {
            let place = wanted.iter().position(|address| *address == bound.configured);
            place.map(|place| wanted.swap_remove(place)).is_none()
        });
        self.closing.retain(|(_, since)| is_recent(*since));
        for bound in gone {
            bound.turn_away();
            orders.close(bound.address);
            tracing::info!(address = %bound.address, "no longer listening");
            match bound.kept {
                true => self.idle.push(bound),
                false => self.closing.push((bound.address, Instant::now())),
            }
        }
    }

    /// Everything that can be passed on.
    pub(super) fn offers(&self) -> Vec<Offer<'_>> {
        let offer = |role, bound| {
            let bound: &Bound = bound;
            Offer { role, configured: bound.configured, kept: bound.kept, sockets: bound.sockets() }
        };
        let listeners = self.listeners.iter().map(|bound| offer(Role::Listener, bound));
        listeners.chain([offer(Role::Admin, &self.admin)]).collect()
    }

    /// Another process may accept from all that was offered from now on.
    pub(super) fn offer(&mut self) {
        self.listeners.iter_mut().for_each(Bound::offer);
        self.admin.offer();
    }

    /// Nobody accepts any more, but for a process that has taken all except what it has left. Says
    /// where that one accepts.
    pub(super) fn leave(&mut self, taken: Option<&[SocketAddr]>) -> BTreeSet<SocketAddr> {
        self.left = true;
        let Some((_, doors)) = self.staff.take() else { return BTreeSet::new() };
        let is_passed_on = |bound: &Bound| {
            bound.is_offered() && taken.is_some_and(|left| !left.contains(&bound.address))
        };
        if taken.is_some() {
            doors.close();
        }
        let mut passed_on = BTreeSet::new();
        for bound in self.listeners.drain(..) {
            match is_passed_on(&bound) {
                true => drop(passed_on.insert(bound.address)),
                false => bound.turn_away(),
            }
        }
        passed_on
    }
}

/// Whether a listener that was closed then may still be open: workers take a moment for it.
fn is_recent(closed: Instant) -> bool {
    closed.elapsed() < limits::THREAD_ANSWER
}

/// Moves the admin address.
fn operate(bound: &Bound, doors: &Doors) -> Result<(), BindError> {
    let socket = bound.shares(1)?.into_iter().flatten().next();
    if let Some(socket) = socket {
        doors.open(socket);
    }
    Ok(())
}
