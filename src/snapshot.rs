//! What the data plane reads: one immutable value behind one [`ArcSwap`].
//!
//! A request that holds a snapshot sees one table, one set of databases and one idea of whom to
//! trust, all of the same generation. Only the controller stores; everyone else loads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::config::{ClientTrust, Config, Hops};
use crate::geo::Databases;
use crate::routing::Table;
use crate::shadow::Shadow;
use crate::tls::Tls;
use crate::tokens::Keys;

/// Everything a decision depends on, apart from the request.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The routing table.
    pub table: Arc<Table>,
    /// The configuration it was compiled from.
    pub config: Arc<Config>,
    /// What handshakes need.
    pub tls: Arc<Tls>,
    /// Where addresses are.
    pub geo: Arc<Databases>,
    /// Whose headers are believed.
    pub trust: Arc<ClientTrust>,
    /// What signs and verifies tokens.
    pub keys: Arc<Keys>,
    /// How this Rhumb is told apart in a chain of them.
    pub hops: Hops,
    /// A candidate that is tried beside the table.
    pub shadow: Option<Arc<Shadow>>,
}

/// The place where the current snapshot is.
#[derive(Debug)]
pub struct Live {
    current: ArcSwap<Snapshot>,
    version: AtomicU64,
}

impl Live {
    /// With a first snapshot.
    pub fn new(first: Snapshot) -> Self {
        Self { current: ArcSwap::from_pointee(first), version: AtomicU64::new(0) }
    }

    /// The current snapshot.
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Changes after each [`Live::store`]: whoever remembers the version from before it loaded
    /// knows by one read whether there is something new.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Puts a new snapshot in place; the controller's privilege.
    pub fn store(&self, next: Snapshot) {
        self.current.store(Arc::new(next));
        self.version.fetch_add(1, Ordering::Release);
    }
}
