//! Where the clients of the last requests are: one worker's memory in front of the databases.
//!
//! Clients come back, and a database of megabytes does not stay in a core's cache. An address has two
//! slots, chosen by a hash and shared with others; who comes takes the place of the one that came
//! before the last. It belongs to one snapshot, so that it never outlives the databases it was filled
//! from.

use std::cell::Cell;
use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::RandomState;

use crate::geo::{Databases, Found};
use crate::model::limits;

/// An address and where it is.
type Slot = Cell<Option<(IpAddr, Found)>>;

/// What came last, and what came before that. With one slot an address, every fifth of 4,000 would
/// find its own taken.
type Pair = [Slot; 2];

/// The memory.
pub(super) struct Places {
    pairs: Box<[Pair]>,
    /// Seeded anew, so that nobody can choose addresses that share slots.
    hash: RandomState,
}

impl Places {
    pub(super) fn new() -> Self {
        Self { pairs: Box::default(), hash: RandomState::default() }
    }

    /// Where `address` is, as `databases` say or said.
    pub(super) fn find(&mut self, address: IpAddr, databases: &Databases) -> Found {
        const PAIRS: usize = limits::PLACES_PER_WORKER / 2;
        if self.pairs.is_empty() {
            // Only a worker that has requests needs it.
            self.pairs = (0..PAIRS).map(|_| Pair::default()).collect();
        }
        let place = self.hash.hash_one(address) as usize % PAIRS;
        let Some([last, before]) = self.pairs.get(place) else { return databases.find(address) };
        for slot in [last, before] {
            if let Some((known, found)) = slot.get()
                && known == address
            {
                return found;
            }
        }
        let found = databases.find(address);
        before.set(last.replace(Some((address, found))));
        found
    }
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").field("pairs", &self.pairs.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_the_databases_say_however_often_it_is_asked() {
        let databases = Databases::embedded().unwrap();
        let mut places = Places::new();
        for round in 0..2 {
            for n in 0..20_000_u32 {
                let address = IpAddr::from(n.wrapping_mul(0x9E37_79B9).to_be_bytes());
                assert_eq!(
                    places.find(address, &databases),
                    databases.find(address),
                    "{address} in round {round}"
                );
            }
        }
    }
}
