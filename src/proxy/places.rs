//! Where the clients of the last requests are: one worker's memory in front of the databases.
//!
//! Clients come back, and a database of megabytes does not stay in a core's cache. What is remembered
//! are the numbers of records, so that much of it does. An address has a few slots, chosen by a hash
//! and shared with others; one that comes takes the place of the one that came first. It belongs to
//! one snapshot, so that it never outlives the databases it was filled from.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::quality::RandomState;

use crate::geo::{Databases, Found, Located};
use crate::model::limits;

/// Slots that an address may be in: with one, two addresses that share it throw each other out for
/// ever, and of half as many addresses as slots two in five share theirs.
const WAYS: usize = 4;
const SETS: usize = limits::PLACES_PER_WORKER / WAYS;

/// What came last stands first. An address is never that of the empty slot, which is no client's.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Set([(u128, Located); WAYS]);

/// The memory.
pub(super) struct Places {
    sets: Box<[Set]>,
    /// Seeded anew, so that nobody can choose addresses that share slots.
    hash: RandomState,
}

impl Places {
    pub(super) fn new() -> Self {
        Self { sets: Box::default(), hash: RandomState::default() }
    }

    /// Where `address` is, as `databases` say or said.
    pub(super) fn find(&mut self, address: IpAddr, databases: &Databases) -> Found {
        if self.sets.is_empty() {
            // Only a worker that has requests needs it.
            self.sets = vec![Set::default(); SETS].into();
        }
        let key = match address.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let place = self.hash.hash_one(key) as usize % SETS;
        let Some(Set(slots)) = self.sets.get_mut(place).filter(|_| key != 0) else {
            return databases.find(address);
        };
        let known = slots.iter().find(|(known, _)| *known == key);
        let located = known.map(|(_, located)| *located).unwrap_or_else(|| {
            let located = databases.locate(address);
            slots.rotate_right(1);
            slots[0] = (key, located);
            located
        });
        databases.tell(located)
    }
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").field("sets", &self.sets.len()).finish_non_exhaustive()
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
