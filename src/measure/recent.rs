//! The times of the client networks that one worker met last: its memory in front of
//! [`Networks`].
//!
//! One slot a network, chosen by a hash; whoever comes later takes the slot. What is remembered is
//! asked for again after a while.

use std::hash::BuildHasher;

use arrayvec::ArrayVec;
use foldhash::fast::RandomState;

use super::networks::Networks;
use super::{Network, observer::Clock};
use crate::model::RegionId;
use crate::model::limits::{NETWORK_LOOK, NETWORKS_PER_WORKER, REGIONS_PER_NETWORK};
use crate::routing::Measured;

/// Times by number of the region.
type Rows = ArrayVec<(u16, Measured), REGIONS_PER_NETWORK>;

#[derive(Debug)]
struct Slot {
    network: Network,
    /// In milliseconds of the registry.
    until: u64,
    rows: Rows,
}

/// The memory, and the row that a decision reads.
#[derive(Debug, Default)]
pub(super) struct Recent {
    slots: Box<[Option<Slot>]>,
    /// Seeded anew, so that nobody can choose networks that share a slot.
    hash: RandomState,
    row: Vec<Measured>,
    /// The numbers in `row` that are not empty.
    filled: ArrayVec<u16, REGIONS_PER_NETWORK>,
}

impl Recent {
    /// Forgets everything; from now on there are so many regions.
    pub(super) fn reset(&mut self, regions: usize) {
        self.slots = Box::default();
        self.filled.clear();
        self.row.clear();
        self.row.resize(regions, Measured::default());
    }

    /// Puts the times of a network into [`row`](Self::row).
    pub(super) fn look(
        &mut self,
        network: Network,
        networks: &Networks,
        clock: Clock,
        number: impl Fn(&RegionId) -> Option<usize>,
    ) {
        for filled in self.filled.drain(..) {
            if let Some(slot) = self.row.get_mut(usize::from(filled)) {
                *slot = Measured::default();
            }
        }
        if self.slots.is_empty() {
            self.slots = (0..NETWORKS_PER_WORKER).map(|_| None).collect();
        }
        let place = self.hash.hash_one(network) as usize % NETWORKS_PER_WORKER;
        let Some(slot) = self.slots.get_mut(place) else { return };
        let known = slot.as_ref().filter(|slot| slot.network == network);
        if known.is_none_or(|slot| slot.until <= clock.millis)
            && let Some(times) = networks.find(network)
        {
            let rows = times.iter().filter_map(|(id, average)| {
                Some((u16::try_from(number(id)?).ok()?, clock.measured(average)))
            });
            let until = clock.millis + NETWORK_LOOK.as_millis() as u64;
            *slot = Some(Slot { network, until, rows: rows.collect() });
        }
        for (number, measured) in
            slot.iter().filter(|slot| slot.network == network).flat_map(|slot| &slot.rows)
        {
            if let Some(place) = self.row.get_mut(usize::from(*number)) {
                *place = *measured;
                self.filled.push(*number);
            }
        }
    }

    /// What [`look`](Self::look) found, by number of the region.
    pub(super) fn row(&self) -> &[Measured] {
        &self.row
    }
}
