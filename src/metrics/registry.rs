//! Knows every worker's shard, so that a scrape can add them up.
//!
//! Locked only when a worker meets a deployment and region for the first time, when a new table
//! drops some, and by a scrape; never by a request that counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{ControlSeries, PairKey, PairSeries, WorkerSeries};

/// The shards of one pair, each with the number of the worker that owns it.
type Shards = Vec<(usize, Arc<PairSeries>)>;

/// All series of the process.
#[derive(Debug, Default)]
pub struct Registry {
    pairs: Mutex<BTreeMap<PairKey, Shards>>,
    workers: Mutex<Vec<Arc<WorkerSeries>>>,
    /// What the control thread counts.
    pub control: ControlSeries,
}

impl Registry {
    /// The series of `key` that `worker`, and only it, may write.
    pub fn pair(&self, worker: usize, key: &PairKey) -> Arc<PairSeries> {
        let mut pairs = lock(&self.pairs);
        let shards = pairs.entry(key.clone()).or_default();
        if let Some((_, series)) = shards.iter().find(|(owner, _)| *owner == worker) {
            return Arc::clone(series);
        }
        let series = Arc::new(PairSeries::default());
        shards.push((worker, Arc::clone(&series)));
        series
    }

    /// A new worker's own series.
    pub fn worker(&self) -> Arc<WorkerSeries> {
        let series = Arc::new(WorkerSeries::default());
        lock(&self.workers).push(Arc::clone(&series));
        series
    }

    /// Forgets the pairs for which `keep` is false.
    pub fn retain(&self, keep: impl Fn(&PairKey) -> bool) {
        lock(&self.pairs).retain(|key, _| keep(key));
    }

    /// Calls `visit` with every pair and its shards, in order of the keys.
    pub fn visit_pairs(&self, mut visit: impl FnMut(&PairKey, &[(usize, Arc<PairSeries>)])) {
        for (key, shards) in lock(&self.pairs).iter() {
            visit(key, shards);
        }
    }

    /// Every worker's own series.
    pub fn workers(&self) -> Vec<Arc<WorkerSeries>> {
        lock(&self.workers).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere while counting leaves counts that are still counts.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
