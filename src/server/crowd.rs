//! How many connections each client address has, over all workers.
//!
//! Asked once a connection and only where a limit is configured, so a sharded map will do; an
//! address without a connection is not in it.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

/// Connections by client address.
#[derive(Debug, Default)]
pub(super) struct Crowd(DashMap<Origin, u32, foldhash::quality::RandomState>);

/// Who counts as one client: an IPv4 address, or the /64 that an IPv6 address lies in, because a
/// whole one is what a subscriber is given at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Origin {
    V4(u32),
    V6(u64),
}

impl Origin {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl Crowd {
    /// Counts one more connection of `address` for as long as what is returned lives; `None` when
    /// it has `most` already.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, most: NonZeroU32) -> Option<Counted> {
        let origin = Origin::of(address);
        match self.0.entry(origin) {
            Entry::Occupied(known) if *known.get() >= most.get() => return None,
            Entry::Occupied(mut known) => *known.get_mut() += 1,
            Entry::Vacant(place) => drop(place.insert(1)),
        }
        Some(Counted { crowd: Arc::clone(self), origin })
    }
}

/// One connection that is counted.
#[derive(Debug)]
pub(super) struct Counted {
    crowd: Arc<Crowd>,
    origin: Origin,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Entry::Occupied(mut known) = self.crowd.0.entry(self.origin) {
            match known.get() {
                0 | 1 => drop(known.remove()),
                _ => *known.get_mut() -= 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_count_and_none_is_kept_without_a_connection() {
        let crowd = Arc::new(Crowd::default());
        let two = NonZeroU32::new(2).unwrap();
        let enter = |text: &str| crowd.enter(text.parse().unwrap(), two);
        let first = enter("192.0.2.1").unwrap();
        let second = enter("::ffff:192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_none(), "the same address in another notation");
        let other = enter("192.0.2.2").unwrap();
        let network = [enter("2001:db8::1"), enter("2001:db8::ffff:1")];
        assert!(enter("2001:db8:0:0:8000::").is_none(), "the same /64");
        assert!(enter("2001:db8:0:1::").is_some(), "the next /64");
        drop(first);
        let third = enter("192.0.2.1");
        assert!(third.is_some());
        drop((second, other, network, third));
        assert!(crowd.0.is_empty());
    }
}
