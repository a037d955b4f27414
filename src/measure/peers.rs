//! The shards of all threads, matched to one list of regions and added up.
//!
//! Threads take up a new configuration one after the other, so that for a while shards are of
//! different lists; regions are matched by their ids then.

use std::sync::Arc;
use std::time::Duration;

use crate::metrics::{
    Average, CONTROL, LoadCell, MovingAverage, RegionShard, RegionTimes, Registry,
};
use crate::model::RegionId;

/// The shards, as far as they are known here.
#[derive(Debug, Default)]
pub(super) struct Peers {
    version: Option<u64>,
    list: Vec<Peer>,
}

#[derive(Debug)]
struct Peer {
    owner: usize,
    shard: Arc<RegionShard>,
    /// By place in the list of regions: the position in the shard. `None`: they are the same.
    positions: Option<Box<[Option<usize>]>>,
}

impl Peers {
    /// Sees whether there are other shards than before, for this list of regions. Locks only if
    /// there are.
    pub(super) fn update(&mut self, registry: &Registry, regions: &[RegionId]) {
        let version = Some(registry.regions_version());
        if self.version == version {
            return;
        }
        let peer = |(owner, shard): (usize, Arc<RegionShard>)| {
            let position = |id: &RegionId| shard.position(id);
            let positions =
                (shard.regions() != regions).then(|| regions.iter().map(position).collect());
            Peer { owner, positions, shard }
        };
        self.list = registry.region_shards().into_iter().map(peer).collect();
        self.version = version;
    }

    /// The list of regions is another one: everything is to be matched anew.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.list.iter().filter(|peer| peer.owner != CONTROL).count()
    }

    /// Calls `add` with the place of each region and what each thread but `except` says of it.
    pub(super) fn each_load(&self, except: Option<usize>, mut add: impl FnMut(usize, &LoadCell)) {
        for peer in &self.list {
            if peer.owner == CONTROL || Some(peer.owner) == except {
                continue;
            }
            match &peer.positions {
                None => peer.shard.loads().enumerate().for_each(|(place, cell)| add(place, cell)),
                Some(positions) => {
                    let cells = positions.iter().map(|position| peer.shard.load((*position)?));
                    for (place, cell) in cells.enumerate() {
                        if let Some(cell) = cell {
                            add(place, cell);
                        }
                    }
                }
            }
        }
    }

    /// An average of the region at that place over all threads.
    pub(super) fn average(
        &self,
        place: usize,
        read: fn(&RegionTimes) -> &MovingAverage,
        half_life: Duration,
    ) -> Average {
        let shards = self.list.iter().filter_map(|peer| {
            let position = match &peer.positions {
                None => place,
                Some(positions) => (*positions.get(place)?)?,
            };
            peer.shard.times(position)
        });
        shards.fold(Average::default(), |sum, times| sum.merged(read(times).get(), half_life))
    }
}
