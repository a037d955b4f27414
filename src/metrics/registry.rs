//! Knows every worker's shard, so that a scrape can add them up.
//!
//! Locked only when a worker meets a deployment and region for the first time, when a new table
//! drops some, and by a scrape; never by a request that counts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{
    ControlSeries, ListenerSeries, LogSeries, PairKey, PairSeries, RegionShard, TraceSeries,
    WorkerSeries,
};

/// Stands for the control thread where others have the number of a worker.
pub const CONTROL: usize = usize::MAX;

/// The shards of one pair, each with the number of the worker that owns it.
type Shards = Vec<(usize, Arc<PairSeries>)>;

/// All series of the process.
#[derive(Debug)]
pub struct Registry {
    epoch: Instant,
    pairs: Mutex<BTreeMap<PairKey, Shards>>,
    workers: Mutex<Vec<Arc<WorkerSeries>>>,
    listeners: Mutex<BTreeMap<SocketAddr, Vec<Arc<ListenerSeries>>>>,
    regions: Mutex<Vec<(usize, Arc<RegionShard>)>>,
    regions_version: AtomicU64,
    /// What the control thread counts.
    pub control: ControlSeries,
    /// What the thread that sends traces counts.
    pub traces: TraceSeries,
    /// What the thread that writes the access log counts.
    pub log: LogSeries,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            pairs: Mutex::default(),
            workers: Mutex::default(),
            listeners: Mutex::default(),
            regions: Mutex::default(),
            regions_version: AtomicU64::new(0),
            control: ControlSeries::default(),
            traces: TraceSeries::default(),
            log: LogSeries::default(),
        }
    }
}

impl Registry {
    /// The moment in milliseconds since the registry was made: the time of averages.
    pub fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }

    /// Puts the shard of `owner`, a worker or [`CONTROL`], in the place of its last one.
    pub fn publish_regions(&self, owner: usize, shard: Arc<RegionShard>) {
        let mut regions = lock(&self.regions);
        match regions.iter_mut().find(|(known, _)| *known == owner) {
            Some((_, place)) => *place = shard,
            None => regions.push((owner, shard)),
        }
        self.regions_version.fetch_add(1, Ordering::Release);
    }

    /// Every thread's shard of regions, with its owner.
    pub fn region_shards(&self) -> Vec<(usize, Arc<RegionShard>)> {
        lock(&self.regions).clone()
    }

    /// Changes after each [`publish_regions`](Self::publish_regions): whoever remembers the version
    /// from before it asked for the shards knows by one read whether there are others.
    #[inline]
    pub fn regions_version(&self) -> u64 {
        self.regions_version.load(Ordering::Acquire)
    }

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

    /// A worker's own series of the listener that is configured with this address.
    pub fn listener(&self, address: SocketAddr) -> Arc<ListenerSeries> {
        let series = Arc::new(ListenerSeries::default());
        lock(&self.listeners).entry(address).or_default().push(Arc::clone(&series));
        series
    }

    /// Calls `visit` with every listener and its shards, in order of the addresses.
    pub fn visit_listeners(&self, mut visit: impl FnMut(SocketAddr, &[Arc<ListenerSeries>])) {
        let listeners = lock(&self.listeners).clone();
        for (address, shards) in &listeners {
            visit(*address, shards);
        }
    }

    /// Forgets the pairs for which `keep` is false.
    pub fn retain(&self, keep: impl Fn(&PairKey) -> bool) {
        lock(&self.pairs).retain(|key, _| keep(key));
    }

    /// Calls `visit` with every pair and its shards, in order of the keys. No worker that meets a pair
    /// for the first time waits for `visit`.
    pub fn visit_pairs(&self, mut visit: impl FnMut(&PairKey, &[(usize, Arc<PairSeries>)])) {
        let pairs = lock(&self.pairs).clone();
        for (key, shards) in &pairs {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_holds_up_no_worker() {
        let registry = Registry::default();
        registry.pair(0, &PairKey::NONE);
        let address = ([127, 0, 0, 1], 80).into();
        registry.listener(address);
        let mut visited = 0;
        registry.visit_pairs(|key, _| {
            assert!(registry.pairs.try_lock().is_ok());
            assert_eq!(*key, PairKey::NONE);
            visited += 1;
        });
        registry.visit_listeners(|known, _| {
            assert!(registry.listeners.try_lock().is_ok());
            assert_eq!(known, address);
            visited += 1;
        });
        assert_eq!(visited, 2);
    }
}
