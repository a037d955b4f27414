//! How much of the IPv4 address space lies in which country, as the databases in use say.
//!
//! For made-up populations that are spread over the world as real addresses are. Who lives behind
//! an address, and what is done with the population, is not known here.

use std::net::Ipv4Addr;

use super::databases::Databases;
use super::special;
use crate::model::Country;

/// Places of the first index: the rank of an address goes to one of them by its leading part.
const GUIDES: u64 = 1 << 16;

/// The IPv4 addresses that lie in a known country, in order.
#[derive(Debug)]
pub struct AddressSpace {
    /// First addresses of the ranges.
    starts: Box<[u32]>,
    /// How many located addresses lie before each range.
    ranks: Box<[u64]>,
    /// By leading part of a rank: the range that it is in, or one before.
    guides: Box<[u32]>,
    total: u64,
    /// By [`Country::index`].
    countries: Box<[InCountry]>,
}

/// What of the space lies in one country.
#[derive(Clone, Copy, Debug, Default)]
struct InCountry {
    addresses: u64,
    /// Start and size of its largest range.
    largest: (u32, u64),
}

impl AddressSpace {
    /// Asks the databases once for every range that any of them tells apart.
    pub fn of(databases: &Databases) -> Self {
        let mut edges: Vec<u32> = special::IPV4_EDGES.to_vec();
        for database in &databases.location {
            edges.extend_from_slice(database.ipv4_starts());
        }
        edges.push(0);
        edges.sort_unstable();
        edges.dedup();
        let (mut starts, mut ranks, mut total) = (Vec::new(), Vec::new(), 0);
        let mut countries = vec![InCountry::default(); Country::COUNT];
        let ends = edges.iter().skip(1).map(|edge| u64::from(*edge)).chain([1 << 32]);
        for (start, end) in edges.iter().zip(ends) {
            let location = databases.lookup(Ipv4Addr::from_bits(*start).into());
            let slot = location.country.and_then(|country| countries.get_mut(country.index()));
            let Some(slot) = slot else { continue };
            let size = end.saturating_sub(u64::from(*start));
            slot.addresses += size;
            if size > slot.largest.1 {
                slot.largest = (*start, size);
            }
            starts.push(*start);
            ranks.push(total);
            total += size;
        }
        let guide = |part: u64| {
            let rank = (u128::from(part) * u128::from(total)).div_ceil(u128::from(GUIDES)) as u64;
            ranks.partition_point(|first| *first <= rank).saturating_sub(1) as u32
        };
        Self {
            guides: (0..GUIDES).map(guide).collect(),
            starts: starts.into(),
            ranks: ranks.into(),
            total,
            countries: countries.into(),
        }
    }

    /// How many addresses lie in a known country.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many of them lie in that country.
    pub fn addresses(&self, country: Country) -> u64 {
        self.countries.get(country.index()).map_or(0, |known| known.addresses)
    }

    /// The first address of the country's largest range.
    pub fn example(&self, country: Country) -> Option<Ipv4Addr> {
        let known = self.countries.get(country.index()).filter(|known| known.addresses > 0)?;
        Some(Ipv4Addr::from_bits(known.largest.0))
    }

    /// A located address: uniform if `number` is uniform over all numbers. `None` if there is no
    /// such address.
    pub fn sample(&self, number: u64) -> Option<Ipv4Addr> {
        if self.total == 0 {
            return None;
        }
        let rank = ((u128::from(number) * u128::from(self.total)) >> 64) as u64;
        let part = (number >> 48) as usize;
        let low = *self.guides.get(part)? as usize;
        let high = self.guides.get(part + 1).map_or(self.ranks.len(), |next| *next as usize + 1);
        let near = self.ranks.get(low..high)?;
        let range = low + near.partition_point(|first| *first <= rank).checked_sub(1)?;
        let offset = rank - self.ranks.get(range)?;
        Some(Ipv4Addr::from_bits(self.starts.get(range)?.wrapping_add(offset as u32)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::geo::countries;

    fn space() -> (&'static Databases, &'static AddressSpace) {
        use std::sync::LazyLock;
        static DATABASES: LazyLock<Databases> = LazyLock::new(|| Databases::embedded().unwrap());
        static SPACE: LazyLock<AddressSpace> = LazyLock::new(|| AddressSpace::of(&DATABASES));
        (&DATABASES, &SPACE)
    }

    #[test]
    fn countries_add_up_and_their_examples_lie_in_them() {
        let (databases, space) = space();
        let mut sum = 0;
        for facts in countries::all() {
            sum += space.addresses(facts.code);
            if let Some(example) = space.example(facts.code) {
                assert_eq!(databases.lookup(example.into()).country, Some(facts.code));
            }
        }
        assert_eq!(sum, space.total());
        // About 3.7 thousand million addresses are global unicast, and most are allocated.
        assert!((3_000_000_000..3_800_000_000).contains(&sum), "{sum}");
        let us = space.addresses("US".parse().unwrap());
        assert!(us > sum / 4 && us < sum / 2, "{us} of {sum}");
        assert!(space.example("ZZ".parse().unwrap()).is_none());
    }

    #[test]
    fn numbers_spread_evenly_meet_each_country_by_its_share() {
        let (databases, space) = space();
        let draws = 200_000_u64;
        let mut met = vec![0_u64; Country::COUNT];
        for n in 0..draws {
            let address = space.sample(n * (u64::MAX / draws)).unwrap();
            let country = databases.lookup(address.into()).country.unwrap();
            met[country.index()] += 1;
        }
        for facts in countries::all() {
            let expected = space.addresses(facts.code) as f64 / space.total() as f64;
            let share = met[facts.code.index()] as f64 / draws as f64;
            // Evenly spread numbers miss a range by at most one draw at each of its ends.
            assert!((share - expected).abs() < 0.01, "{}: {share} {expected}", facts.code);
        }
    }

    proptest! {
        #[test]
        fn every_sample_is_located_and_samples_rise_with_their_numbers(a: u64, b: u64) {
            let (databases, space) = space();
            let (low, high) = (a.min(b), a.max(b));
            let (first, second) = (space.sample(low).unwrap(), space.sample(high).unwrap());
            prop_assert!(first <= second);
            for address in [first, second] {
                prop_assert!(databases.lookup(address.into()).country.is_some(), "{address}");
            }
        }
    }

    #[test]
    fn the_ends_of_the_numbers_are_the_ends_of_the_space() {
        let (databases, space) = space();
        for (number, step) in [(0, -1_i64), (u64::MAX, 1)] {
            let end = space.sample(number).unwrap();
            let beyond = u32::try_from(i64::from(end.to_bits()) + step).unwrap();
            let beyond = databases.lookup(Ipv4Addr::from_bits(beyond).into());
            assert_eq!(beyond.country, None, "{end}");
        }
    }
}
