//! What a worker counts about a region of a deployment, as its requests hold it.

use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::access_log::Name;
use crate::measure::Tally;
use crate::metrics::PairSeries;

/// A series that requests hold while they run: counted by this worker alone, so that holding it
/// costs no atomic operation.
pub(super) type Series = Rc<Counted>;

/// What this worker counts about a region of a deployment, and of the region over all of them.
#[derive(Debug)]
pub(super) struct Counted {
    /// The registry has it too.
    pair: Arc<PairSeries>,
    tally: Option<Rc<Tally>>,
    /// The region's name; empty, if it is about none.
    name: Rc<Name>,
}

impl Counted {
    /// Counts in `pair`; `tally` is that of the region `name`, if it is about one.
    pub(super) fn new(pair: Arc<PairSeries>, tally: Option<Rc<Tally>>, name: &str) -> Self {
        Self { pair, tally, name: Rc::new(Name::new(name)) }
    }

    /// The region, as the access log says it.
    pub(super) fn region_name(&self) -> &Rc<Name> {
        &self.name
    }

    /// The records of the region, if it is about one.
    pub(super) fn tally(&self) -> Option<&Tally> {
        self.tally.as_deref()
    }

    /// A new connection took so long to make.
    pub(super) fn connected(&self, took: Duration, now: Instant) {
        if let Some(tally) = &self.tally {
            tally.connected(took, now);
        }
    }

    /// The head of a response came so long after the request was sent. For requests without a
    /// body, because an upload takes as long as the client does.
    pub(super) fn answered(&self, client: IpAddr, took: Duration, now: Instant) {
        if let Some(tally) = &self.tally {
            tally.answered(client, took, now);
        }
    }
}

impl Deref for Counted {
    type Target = PairSeries;

    fn deref(&self) -> &PairSeries {
        &self.pair
    }
}
