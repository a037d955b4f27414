//! What the data plane reads: one immutable value behind one [`ArcSwap`].
//!
//! A request that holds a snapshot sees one table, one set of databases and one idea of whom to
//! trust, all of the same generation. Only the controller stores; everyone else loads.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::ClientTrust;
use crate::geo::Databases;
use crate::routing::Table;

/// Everything a decision depends on, apart from the request.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The routing table.
    pub table: Arc<Table>,
    /// Where addresses are.
    pub geo: Arc<Databases>,
    /// Whose headers are believed.
    pub trust: Arc<ClientTrust>,
}

/// The place where the current snapshot is.
#[derive(Debug)]
pub struct Live(ArcSwap<Snapshot>);

impl Live {
    /// With a first snapshot.
    pub fn new(first: Snapshot) -> Self {
        Self(ArcSwap::from_pointee(first))
    }

    /// The current snapshot.
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Whether `held` is still the current snapshot; cheaper than [`Live::load`].
    #[inline]
    pub fn is_current(&self, held: &Arc<Snapshot>) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.0.load()), Arc::as_ptr(held))
    }

    /// Puts a new snapshot in place; the controller's privilege.
    pub fn store(&self, next: Snapshot) {
        self.0.store(Arc::new(next));
    }
}
