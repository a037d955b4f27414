//! Tenants and their homes in two blocks of memory: the entries one after the other, and a flat
//! index over them that is ordered by hash.
//!
//! Knows names and pins; where they come from is not known here.
//!
//! An entry is three bytes and the name. A slot of the index is half a hash and half a place. Each
//! slot is where the hash says, or as few places behind it as those before it leave free (linear
//! probing in the order of the hashes; O. Amble, D. E. Knuth, "Ordered hash tables", 1974). So one
//! look finds a tenant or the first slot with a larger hash, which says that there is none; most
//! of the time that is one line of the cache, and the entry another.
//!
//! The index is made by sorting, never by inserting, so that tenants that were chosen to meet in
//! one slot cost no more to load than others. Nor do they cost more to look up: the way from where
//! a tenant should be is limited, and a table that would exceed it is placed by another seed.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Pin;
use crate::model::limits::TENANT_LENGTH;

/// Slots that a lookup looks at, at most. In a table of 60 million tenants the longest way is
/// about 35; that one of 128 occurs has a chance of 1 in 10^22.
const PROBES: usize = 128;

/// Seeds that are tried before a table is refused.
const SEEDS: u64 = 4;

/// A free slot: larger than every other.
const FREE: u64 = u64::MAX;

/// Bytes of an entry before the name.
const HEAD: usize = 3;

/// Set in an entry's first byte when its tenant may go nowhere else. The others are the length of
/// the name, less one.
const STRICT: u8 = 0x80;

// A name's length, less one, has seven bits.
const _: () = assert!(TENANT_LENGTH <= STRICT as usize);

/// Homes by tenant.
#[derive(Debug, Default)]
pub(super) struct Homes {
    entries: Box<[u8]>,
    /// Ascending, with free slots in between: a hash above, a place in `entries` below.
    slots: Box<[u64]>,
    seed: u64,
    count: usize,
}

/// What cannot be made into [`Homes`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// Tenants that were added more than once: the first and a later place in the order of adding,
    /// sorted by the later one.
    Duplicates(Vec<(usize, usize)>),
    /// Whatever the seed, too many hashes are alike.
    Collisions,
}

impl Homes {
    /// The home of a tenant.
    #[inline]
    pub(super) fn find(&self, tenant: &str) -> Option<Pin> {
        if tenant.len() > TENANT_LENGTH {
            return None;
        }
        let hash = hash(self.seed, tenant.as_bytes());
        let start = place_of(hash, self.slots.len().saturating_sub(PROBES));
        for slot in self.slots.get(start..)?.iter().take(PROBES) {
            let (other, place) = halves(*slot);
            if other > hash {
                return None;
            }
            if other == hash {
                let found =
                    entry(&self.entries, place).filter(|(name, _)| *name == tenant.as_bytes());
                if let Some((_, pin)) = found {
                    return Some(pin);
                }
            }
        }
        None
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// All of them, in the order in which they were added.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Pin)> {
        let found = all(&self.entries);
        found.map(|(_, name, pin)| (std::str::from_utf8(name).unwrap_or_default(), pin))
    }

    /// Bytes on the heap.
    pub(super) fn allocated_bytes(&self) -> usize {
        size_of_val(&*self.entries) + size_of_val(&*self.slots)
    }
}

/// Homes that are still being read.
#[derive(Debug, Default)]
pub(super) struct Builder {
    entries: Vec<u8>,
    count: usize,
}

impl Builder {
    /// Adds a tenant of 1 to `TENANT_LENGTH` bytes; anything else, and what is beyond the four
    /// gigabytes that a place can name, is turned away.
    #[must_use]
    pub(super) fn add(&mut self, tenant: &str, pin: Pin) -> bool {
        let length = tenant.len().checked_sub(1).filter(|length| *length < TENANT_LENGTH);
        let Some(length) = length.and_then(|length| u8::try_from(length).ok()) else {
            return false;
        };
        // The last place is the one that free slots name.
        if self.entries.len() >= u32::MAX as usize {
            return false;
        }
        let [low, high] = pin.region.to_le_bytes();
        self.entries.extend_from_slice(&[
            if pin.strict { length | STRICT } else { length },
            low,
            high,
        ]);
        self.entries.extend_from_slice(tenant.as_bytes());
        self.count += 1;
        true
    }

    /// Files what was added.
    pub(super) fn finish(self, seed: u64) -> Result<Homes, Conflict> {
        let Self { entries, count } = self;
        let entries = entries.into_boxed_slice();
        for seed in (0..SEEDS).map(|n| seed.wrapping_add(n)) {
            let mut filed = Vec::with_capacity(count);
            filed.extend(all(&entries).map(|(place, name, _)| join(hash(seed, name), place)));
            filed.sort_unstable();
            let duplicates = duplicates(&entries, &filed);
            if !duplicates.is_empty() {
                return Err(Conflict::Duplicates(duplicates));
            }
            if let Some(slots) = arrange(&filed) {
                return Ok(Homes { entries, slots, seed, count });
            }
        }
        Err(Conflict::Collisions)
    }
}

/// Puts sorted slots where their hashes say, or as little behind as can be. `None`: one is too far.
fn arrange(sorted: &[u64]) -> Option<Box<[u64]>> {
    // Three quarters full: on average a tenant is one slot and a half from where it should be.
    let buckets = sorted.len() + sorted.len() / 3;
    let mut slots = vec![FREE; buckets + PROBES].into_boxed_slice();
    let mut next = 0;
    for slot in sorted {
        let start = place_of(halves(*slot).0, buckets);
        let place = start.max(next);
        if place - start >= PROBES {
            return None;
        }
        *slots.get_mut(place)? = *slot;
        next = place + 1;
    }
    Some(slots)
}

/// Tenants that occur more than once, by where they were added: the first, and each later one.
fn duplicates(entries: &[u8], sorted: &[u64]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let same_hash = |a: &u64, b: &u64| halves(*a).0 == halves(*b).0;
    for alike in sorted.chunk_by(same_hash).filter(|alike| alike.len() > 1) {
        let named = alike.iter().map(|slot| halves(*slot).1);
        let named = named.filter_map(|place| Some((entry(entries, place)?.0, place)));
        let mut named: Vec<_> = named.collect();
        named.sort_unstable();
        for same in named.chunk_by(|(a, _), (b, _)| a == b) {
            if let [(_, first), later @ ..] = same {
                pairs.extend(later.iter().map(|(_, later)| (*first, *later)));
            }
        }
    }
    if pairs.is_empty() {
        return Vec::new();
    }
    pairs.sort_unstable_by_key(|(_, later)| *later);
    // From places to the order of adding.
    let places: Vec<u32> = all(entries).map(|(place, ..)| place).collect();
    let order = |place| places.binary_search(&place).unwrap_or_default();
    pairs.into_iter().map(|(first, later)| (order(first), order(later))).collect()
}

/// The name and the pin at that place.
fn entry(entries: &[u8], place: u32) -> Option<(&[u8], Pin)> {
    let (head, names) = entries.get(place as usize..)?.split_first_chunk::<HEAD>()?;
    let [length, low, high] = *head;
    let name = names.get(..=usize::from(length & !STRICT))?;
    let pin = Pin { region: u16::from_le_bytes([low, high]), strict: length & STRICT != 0 };
    Some((name, pin))
}

/// Every entry with its place.
fn all(entries: &[u8]) -> impl Iterator<Item = (u32, &[u8], Pin)> {
    let mut place = 0;
    std::iter::from_fn(move || {
        let (name, pin) = entry(entries, place)?;
        let here = place;
        place = u32::try_from(place as usize + HEAD + name.len()).ok()?;
        Some((here, name, pin))
    })
}

#[inline]
fn hash(seed: u64, name: &[u8]) -> u32 {
    (xxh3_64_with_seed(name, seed) >> 32) as u32
}

/// Where a hash belongs: ascending with the hash.
#[inline]
fn place_of(hash: u32, buckets: usize) -> usize {
    ((u64::from(hash) * buckets as u64) >> 32) as usize
}

#[inline]
const fn halves(slot: u64) -> (u32, u32) {
    ((slot >> 32) as u32, slot as u32)
}

#[inline]
const fn join(hash: u32, place: u32) -> u64 {
    (hash as u64) << 32 | place as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(names: &[String]) -> Homes {
        let mut builder = Builder::default();
        for (number, name) in names.iter().enumerate() {
            let pin = Pin { region: number as u16, strict: number % 3 == 0 };
            assert!(builder.add(name, pin));
        }
        builder.finish(7).unwrap()
    }

    #[test]
    fn what_was_added_is_found_and_nothing_else() {
        for count in [0, 1, 2, 3, 100, 5_000] {
            let names: Vec<String> = (0..count).map(|n| format!("tenant-{n}")).collect();
            let homes = built(&names);
            assert_eq!(homes.len(), count);
            for (number, name) in names.iter().enumerate() {
                let pin = Pin { region: number as u16, strict: number % 3 == 0 };
                assert_eq!(homes.find(name), Some(pin), "{name} of {count}");
                assert_eq!(homes.find(&format!("{name}x")), None);
            }
            assert!(homes.iter().map(|(name, _)| name).eq(&names));
        }
    }

    #[test]
    fn a_name_of_any_allowed_length_is_kept() {
        let names: Vec<String> = (1..=TENANT_LENGTH).map(|length| "n".repeat(length)).collect();
        let homes = built(&names);
        assert!(names.iter().all(|name| homes.find(name).is_some()));
        let pin = Pin { region: u16::MAX, strict: true };
        let mut builder = Builder::default();
        assert!(!builder.add("", pin));
        assert!(!builder.add(&"n".repeat(TENANT_LENGTH + 1), pin));
        assert!(builder.add("a", pin));
        let homes = builder.finish(0).unwrap();
        assert_eq!(homes.find("a"), Some(pin));
        assert_eq!(homes.find(""), None);
        assert_eq!(homes.find(&"n".repeat(TENANT_LENGTH + 1)), None);
    }

    #[test]
    fn the_same_tenants_are_found_whatever_the_seed() {
        let names: Vec<String> = (0..300).map(|n| format!("{n}")).collect();
        let mut arrangements = std::collections::BTreeSet::new();
        for seed in [0, 1, 42, u64::MAX] {
            let mut builder = Builder::default();
            for name in &names {
                assert!(builder.add(name, Pin { region: 1, strict: false }));
            }
            let homes = builder.finish(seed).unwrap();
            assert!(names.iter().all(|name| homes.find(name).is_some()));
            arrangements.insert(homes.slots);
        }
        assert_eq!(arrangements.len(), 4, "a seed decides where tenants are filed");
    }

    #[test]
    fn tenants_that_meet_in_one_slot_are_refused_before_they_cost_anything() {
        let alike =
            |count: u32, hash| (0..count).map(|place| join(hash, place)).collect::<Vec<_>>();
        for hash in [0, 1 << 31, u32::MAX] {
            let slots = arrange(&alike(PROBES as u32, hash)).unwrap();
            assert_eq!(slots.iter().filter(|slot| **slot != FREE).count(), PROBES);
            assert_eq!(arrange(&alike(PROBES as u32 + 1, hash)), None);
        }
    }

    #[test]
    fn slots_ascend_and_lie_within_reach() {
        let names: Vec<String> = (0..100_000).map(|n| format!("tenant-{n}")).collect();
        let homes = built(&names);
        let taken: Vec<_> =
            homes.slots.iter().enumerate().filter(|(_, slot)| **slot != FREE).collect();
        assert!(taken.is_sorted_by(|(_, a), (_, b)| a < b));
        let buckets = homes.slots.len() - PROBES;
        let away = taken.iter().map(|(place, slot)| place - place_of(halves(**slot).0, buckets));
        let (longest, sum) = away.fold((0, 0), |(longest, sum), way| (way.max(longest), sum + way));
        assert!(longest < PROBES / 2, "longest way {longest}");
        assert!(sum < 2 * names.len(), "{sum} places in all");
    }

    #[test]
    fn duplicates_name_the_first_and_each_later_one() {
        let mut builder = Builder::default();
        for name in ["a", "b", "a", "c", "b", "a"] {
            assert!(builder.add(name, Pin { region: 0, strict: false }));
        }
        let Err(Conflict::Duplicates(pairs)) = builder.finish(0) else { panic!("not refused") };
        assert_eq!(pairs, [(0, 2), (1, 4), (0, 5)]);
    }
}
