//! Keeps what workers read until the last of them has let go of it.
//!
//! A plan with a million tenants takes a while to take apart. Whoever holds the last reference to
//! it does that; here it is sure to be the thread that looks at files, and never a worker.

use std::any::Any;
use std::sync::Arc;

use crate::geo::Databases;
use crate::routing::Plan;
use crate::snapshot::Live;

/// What is in use, and what was.
pub(super) struct Retired {
    live: Arc<Live>,
    plan: Arc<Plan>,
    geo: Arc<Databases>,
    old: Vec<Arc<dyn Any + Send + Sync>>,
}

impl Retired {
    pub(super) fn new(live: Arc<Live>) -> Self {
        let snapshot = live.load();
        let (plan, geo) = (Arc::clone(&snapshot.table.plan), Arc::clone(&snapshot.geo));
        Self { live, plan, geo, old: Vec::new() }
    }

    /// Sees what has been replaced, and lets go of what nobody else holds any more.
    pub(super) fn sweep(&mut self) {
        let snapshot = self.live.load();
        if !Arc::ptr_eq(&self.plan, &snapshot.table.plan) {
            let old = std::mem::replace(&mut self.plan, Arc::clone(&snapshot.table.plan));
            self.old.push(old);
        }
        if !Arc::ptr_eq(&self.geo, &snapshot.geo) {
            let old = std::mem::replace(&mut self.geo, Arc::clone(&snapshot.geo));
            self.old.push(old);
        }
        drop(snapshot);
        self.old.retain(|old| Arc::strong_count(old) > 1);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::app::Bundle;

    #[test]
    fn what_a_worker_still_holds_is_kept_until_it_does_not() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rhumb.yaml");
        let bundle = Bundle::load(&example).unwrap();
        let live = Arc::new(Live::new(bundle.healthy()));
        let mut retired = Retired::new(Arc::clone(&live));
        let worker = live.load();
        let gone = Arc::downgrade(&worker.table.plan);
        live.store(bundle.healthy());
        retired.sweep();
        assert_eq!(retired.old.len(), 1, "the plan, and not the databases, which are the same");
        drop(worker);
        assert!(gone.upgrade().is_some(), "the worker was not the last");
        retired.sweep();
        assert!(gone.upgrade().is_none() && retired.old.is_empty());
        retired.sweep();
        assert!(retired.old.is_empty());
    }
}
