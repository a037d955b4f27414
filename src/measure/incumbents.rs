//! Where client networks went last: one worker's memory, for deployments that would rather not
//! move a client for a few milliseconds.
//!
//! One slot a network and deployment, chosen by a hash; whoever comes later takes the slot.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;

use super::Network;
use crate::model::limits::INCUMBENTS_PER_WORKER;
use crate::routing::RegionNumber;

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The whole hash: two that share all of it do not occur in practice.
    key: u64,
    region: RegionNumber,
}

/// The memory.
#[derive(Debug, Default)]
pub(super) struct Incumbents {
    slots: Box<[Option<Slot>]>,
    /// Seeded anew, so that nobody can choose networks that share a slot.
    hash: RandomState,
}

impl Incumbents {
    /// Where the network went last in the deployment of that name.
    pub(super) fn find(&self, deployment: &str, network: Network) -> Option<RegionNumber> {
        let (key, place) = self.place(deployment, network);
        let slot = (*self.slots.get(place)?)?;
        (slot.key == key).then_some(slot.region)
    }

    /// It went there.
    pub(super) fn set(&mut self, deployment: &str, network: Network, region: RegionNumber) {
        if self.slots.is_empty() {
            self.slots = vec![None; INCUMBENTS_PER_WORKER].into();
        }
        let (key, place) = self.place(deployment, network);
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = Some(Slot { key, region });
        }
    }

    /// Regions have other numbers now; those without one are forgotten.
    pub(super) fn renumber(&mut self, number: impl Fn(RegionNumber) -> Option<RegionNumber>) {
        for slot in &mut self.slots {
            *slot =
                slot.and_then(|Slot { key, region }| Some(Slot { key, region: number(region)? }));
        }
    }

    fn place(&self, deployment: &str, network: Network) -> (u64, usize) {
        let key = self.hash.hash_one((deployment, network));
        (key, key as usize % INCUMBENTS_PER_WORKER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: u32) -> Network {
        Network::of(std::net::Ipv4Addr::from_bits(n << 8).into())
    }

    #[test]
    fn it_knows_the_last_region_or_none_but_never_a_wrong_one() {
        let mut incumbents = Incumbents::default();
        assert_eq!(incumbents.find("api", network(1)), None);
        for n in 0..50_000u32 {
            incumbents.set("api", network(n), RegionNumber((n % 7) as u16));
            assert_eq!(incumbents.find("api", network(n)), Some(RegionNumber((n % 7) as u16)));
            assert_eq!(incumbents.find("web", network(n)), None);
        }
        let known = (0..50_000u32).filter(|n| {
            let found = incumbents.find("api", network(*n));
            assert!(found.is_none_or(|region| u32::from(region.0) == n % 7), "{n}");
            found.is_some()
        });
        let known = known.count();
        assert!(known > INCUMBENTS_PER_WORKER / 2 && known <= INCUMBENTS_PER_WORKER, "{known}");
    }

    #[test]
    fn regions_keep_their_clients_when_their_numbers_change() {
        let mut incumbents = Incumbents::default();
        incumbents.set("api", network(1), RegionNumber(0));
        incumbents.set("api", network(2), RegionNumber(1));
        incumbents.renumber(|region| (region.0 == 1).then_some(RegionNumber(0)));
        assert_eq!(incumbents.find("api", network(1)), None);
        assert_eq!(incumbents.find("api", network(2)), Some(RegionNumber(0)));
    }
}
