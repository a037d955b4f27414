//! What one thread knows of each region over all deployments, for other threads to read: how many
//! requests it has under way there, and how long they took.
//!
//! A shard has one writer. All counts of a thread lie side by side, so that another thread that
//! adds the shards up reads few cache lines, and no line has two writers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

use super::MovingAverage;
use crate::model::RegionId;

/// Counts that share the cache lines of one writer.
const PER_LINE: usize = 32;

/// One thread's shard. It is of one list of regions; a change of the list makes a new shard.
#[derive(Debug, Default)]
pub struct RegionShard {
    regions: Box<[RegionId]>,
    positions: HashMap<RegionId, usize>,
    loads: Box<[Line]>,
    times: Box<[RegionTimes]>,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Line([LoadCell; PER_LINE]);

/// How busy one thread keeps one region.
#[derive(Debug, Default)]
pub struct LoadCell(AtomicU32);

/// How long one region took, as one thread saw it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct RegionTimes {
    /// Making a connection.
    pub connect: MovingAverage,
    /// From a request sent to the head of its response.
    pub first_byte: MovingAverage,
}

impl LoadCell {
    const SPILLING: u32 = 1 << 31;

    /// Says how many requests are under way, and whether the region is taken to be full; only the
    /// owning thread may call this.
    #[inline]
    pub fn set(&self, in_flight: u32, spilling: bool) {
        let flag = if spilling { Self::SPILLING } else { 0 };
        self.0.store(in_flight & !Self::SPILLING | flag, Ordering::Relaxed);
    }

    /// Requests under way, and whether the region is taken to be full; any thread.
    #[inline]
    pub fn get(&self) -> (u32, bool) {
        let word = self.0.load(Ordering::Relaxed);
        (word & !Self::SPILLING, word & Self::SPILLING != 0)
    }
}

impl RegionShard {
    /// A shard for these regions. Times of regions that `before` knows are carried over; counts
    /// are not, because their owner knows them.
    pub fn new(regions: impl IntoIterator<Item = RegionId>, before: Option<&Self>) -> Self {
        let regions: Box<[RegionId]> = regions.into_iter().collect();
        let times = regions.iter().map(|id| {
            let times = RegionTimes::default();
            if let Some(known) = before.and_then(|before| before.times(before.position(id)?)) {
                times.connect.set(known.connect.get());
                times.first_byte.set(known.first_byte.get());
            }
            times
        });
        Self {
            times: times.collect(),
            positions: regions.iter().cloned().zip(0..).collect(),
            loads: (0..regions.len().div_ceil(PER_LINE)).map(|_| Line::default()).collect(),
            regions,
        }
    }

    /// The regions, by position.
    pub fn regions(&self) -> &[RegionId] {
        &self.regions
    }

    /// Where a region is.
    pub fn position(&self, id: &RegionId) -> Option<usize> {
        self.positions.get(id).copied()
    }

    /// How busy the thread keeps the region at that position.
    #[inline]
    pub fn load(&self, position: usize) -> Option<&LoadCell> {
        self.loads.get(position / PER_LINE)?.0.get(position % PER_LINE)
    }

    /// How busy the thread keeps each region, by position.
    pub fn loads(&self) -> impl Iterator<Item = &LoadCell> {
        self.loads.iter().flat_map(|line| &line.0).take(self.regions.len())
    }

    /// How long the region at that position took.
    #[inline]
    pub fn times(&self, position: usize) -> Option<&RegionTimes> {
        self.times.get(position)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shard(ids: &[&str], before: Option<&RegionShard>) -> RegionShard {
        RegionShard::new(ids.iter().map(|id| RegionId::from(*id)), before)
    }

    #[test]
    fn each_region_has_a_cell_of_its_own() {
        let ids: Vec<_> = (0..100).map(|n| format!("r{n}")).collect();
        let shard = RegionShard::new(ids.iter().map(|id| id.as_str().into()), None);
        for position in 0..100 {
            shard.load(position).unwrap().set(position as u32, position % 3 == 0);
        }
        let read: Vec<_> = shard.loads().map(LoadCell::get).collect();
        let expected: Vec<_> = (0..100u32).map(|n| (n, n % 3 == 0)).collect();
        assert_eq!(read, expected);
        assert_eq!(shard.position(&"r77".into()), Some(77));
        assert!(shard.position(&"r100".into()).is_none() && shard.times(100).is_none());
    }

    #[test]
    fn times_go_along_with_their_region_and_counts_do_not() {
        let before = shard(&["a", "b"], None);
        let times = before.times(1).unwrap();
        times.connect.record(Duration::from_millis(7), 1, Duration::from_secs(1));
        before.load(1).unwrap().set(3, true);
        let after = shard(&["b", "c"], Some(&before));
        assert_eq!(after.times(0).unwrap().connect.get().samples, 1);
        assert_eq!(after.times(1).unwrap().connect.get().samples, 0);
        assert_eq!(after.load(0).unwrap().get(), (0, false));
    }
}
