//! Where the clients of the last requests are: one worker's memory in front of the databases.
//!
//! Clients come back, and a database of megabytes does not stay in a core's cache. One slot an
//! address, chosen by a hash; whoever comes later takes the slot. It belongs to one snapshot, so
//! that it never outlives the databases it was filled from.

use std::cell::Cell;
use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::RandomState;

use crate::geo::{Databases, Found};
use crate::model::limits;

/// An address and where it is.
type Slot = Cell<Option<(IpAddr, Found)>>;

/// The memory.
pub(super) struct Places {
    slots: Box<[Slot]>,
    /// Seeded anew, so that nobody can choose addresses that share a slot.
    hash: RandomState,
}

impl Places {
    pub(super) fn new() -> Self {
        Self { slots: Box::default(), hash: RandomState::default() }
    }

    /// Where `address` is, as `databases` say or said.
    pub(super) fn find(&mut self, address: IpAddr, databases: &Databases) -> Found {
        if self.slots.is_empty() {
            // Only a worker that has requests needs it.
            self.slots = (0..limits::PLACES_PER_WORKER).map(|_| Cell::new(None)).collect();
        }
        let place = self.hash.hash_one(address) as usize % limits::PLACES_PER_WORKER;
        let Some(slot) = self.slots.get(place) else { return databases.find(address) };
        match slot.get() {
            Some((known, found)) if known == address => found,
            _ => {
                let found = databases.find(address);
                slot.set(Some((address, found)));
                found
            }
        }
    }
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").field("slots", &self.slots.len()).finish_non_exhaustive()
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
