//! A sorted table of address ranges: from an address to the number of its record.
//!
//! Networks that lie side by side and share a record become one range, so that the whole IPv4
//! space of a country database is a few hundred thousand ranges. A first index by the leading
//! bits leaves a short binary search: two or three cache misses, where the tree of the file costs
//! one for almost every bit. What a record says is not known here.

use super::error::TreeProblem;

/// The number that stands for "no record".
pub(super) const NONE: u32 = 0;
/// A /64 whose addresses do not all have the same record; `deep` knows more.
const SPLIT: u32 = u32::MAX;

/// An address as a number, and which bucket of the first index it falls in.
pub(super) trait Key: Copy + Ord {
    /// One more than the largest bucket.
    const BUCKETS: usize;
    /// Never decreases as the key grows.
    fn bucket(self) -> usize;
}

impl Key for u32 {
    const BUCKETS: usize = 1 << 16;

    fn bucket(self) -> usize {
        (self >> 16) as usize
    }
}

impl Key for u64 {
    const BUCKETS: usize = (1 << 16) + 2;

    /// Almost all known IPv6 addresses lie in 2000::/3: its next 16 bits choose the bucket, and
    /// what lies below and above it has one bucket each.
    fn bucket(self) -> usize {
        match self >> 61 {
            0 => 0,
            1 => 1 + ((self >> 45) as usize & 0xffff),
            _ => Self::BUCKETS - 1,
        }
    }
}

impl Key for u128 {
    const BUCKETS: usize = u64::BUCKETS;

    fn bucket(self) -> usize {
        ((self >> 64) as u64).bucket()
    }
}

/// Ranges over the whole space of `K`.
pub(super) struct Ranges<K> {
    index: Box<[u32]>,
    starts: Box<[K]>,
    values: Box<[u32]>,
}

impl<K: Key> Ranges<K> {
    /// The number of the range that `key` lies in.
    pub(super) fn find(&self, key: K) -> u32 {
        let bucket = key.bucket();
        let (Some(&low), Some(&high)) = (self.index.get(bucket), self.index.get(bucket + 1)) else {
            return NONE;
        };
        let inside = self.starts.get(low as usize..high as usize).unwrap_or_default();
        let position = low as usize + inside.partition_point(|start| *start <= key);
        position.checked_sub(1).and_then(|at| self.values.get(at)).copied().unwrap_or(NONE)
    }

    /// How many ranges there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Where the ranges start, ascending; from each on another number holds.
    pub(super) fn starts(&self) -> &[K] {
        &self.starts
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.index) + size_of_val(&*self.starts) + size_of_val(&*self.values)
    }
}

/// Collects ranges in rising order.
pub(super) struct Builder<K> {
    starts: Vec<K>,
    values: Vec<u32>,
}

impl<K: Key> Builder<K> {
    pub(super) const fn new() -> Self {
        Self { starts: Vec::new(), values: Vec::new() }
    }

    /// From `start` on, `value` holds. A repeated start replaces the value given before.
    pub(super) fn push(&mut self, start: K, value: u32) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.values.pop();
        }
        if self.values.last().copied().unwrap_or(NONE) != value {
            self.starts.push(start);
            self.values.push(value);
        }
    }

    pub(super) fn finish(self) -> Result<Ranges<K>, TreeProblem> {
        if u32::try_from(self.starts.len()).is_err() {
            return Err(TreeProblem::TooManyRanges);
        }
        let mut index = Vec::with_capacity(K::BUCKETS + 1);
        for (position, start) in self.starts.iter().enumerate() {
            while index.len() <= start.bucket() {
                index.push(position as u32);
            }
        }
        index.resize(K::BUCKETS + 1, self.starts.len() as u32);
        Ok(Ranges { index: index.into(), starts: self.starts.into(), values: self.values.into() })
    }
}

/// Ranges over IPv6: by the first 64 bits where those decide, which is almost everywhere; that
/// halves the table, and twice as many keys share a cache line.
pub(super) struct Ranges6 {
    high: Ranges<u64>,
    deep: Ranges<u128>,
}

impl Ranges6 {
    /// The number of the range that `address` lies in.
    pub(super) fn find(&self, address: u128) -> u32 {
        match self.high.find((address >> 64) as u64) {
            SPLIT => self.deep.find(address),
            value => value,
        }
    }

    /// How many ranges there are.
    pub(super) fn len(&self) -> usize {
        self.high.len() + self.deep.len()
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.high.bytes() + self.deep.bytes()
    }
}

/// Collects IPv6 ranges in rising order.
pub(super) struct Builder6 {
    high: Builder<u64>,
    deep: Builder<u128>,
    /// The value that holds since the last start.
    current: u32,
    /// The /64 that is being split.
    split: Option<u64>,
}

impl Builder6 {
    pub(super) const fn new() -> Self {
        Self { high: Builder::new(), deep: Builder::new(), current: NONE, split: None }
    }

    /// From `start` on, `value` holds.
    pub(super) fn push(&mut self, start: u128, value: u32) {
        if value == self.current {
            return;
        }
        let (high, low) = ((start >> 64) as u64, start as u64);
        if self.split != Some(high) {
            self.close();
        }
        if low == 0 {
            self.high.push(high, value);
        } else {
            if self.split.is_none() {
                self.deep.push(start - u128::from(low), self.current);
                self.high.push(high, SPLIT);
                self.split = Some(high);
            }
            self.deep.push(start, value);
        }
        self.current = value;
    }

    /// Ends a split /64: what held at its end goes on in the next one.
    fn close(&mut self) {
        if let Some(next) = self.split.take().and_then(|high| high.checked_add(1)) {
            self.high.push(next, self.current);
        }
    }

    pub(super) fn finish(mut self) -> Result<Ranges6, TreeProblem> {
        self.close();
        Ok(Ranges6 { high: self.high.finish()?, deep: self.deep.finish()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition: the value of the last start that is not above the address.
    fn naive<K: Copy + Ord>(starts: &[(K, u32)], key: K) -> u32 {
        starts.iter().rev().find(|(start, _)| *start <= key).map_or(NONE, |(_, value)| *value)
    }

    fn sorted<K: Copy + Ord>(mut starts: Vec<(K, u32)>) -> Vec<(K, u32)> {
        starts.sort();
        starts.dedup_by_key(|(start, _)| *start);
        starts
    }

    /// Addresses that share prefixes, so that splits, neighbours and ends of /64s really occur.
    fn address() -> impl Strategy<Value = u128> {
        let high = prop_oneof![
            0u64..4,
            0x2001_0000_0000_0000u64..0x2001_0000_0000_0004,
            u64::MAX - 2..=u64::MAX,
            any::<u64>(),
        ];
        let low = prop_oneof![Just(0u64), 1u64..4, Just(u64::MAX), any::<u64>()];
        (high, low).prop_map(|(high, low)| u128::from(high) << 64 | u128::from(low))
    }

    proptest! {
        #[test]
        fn ipv4_agrees_with_the_definition(
            starts in prop::collection::vec((any::<u32>(), 0u32..4), 0..60),
            keys in prop::collection::vec(any::<u32>(), 30),
        ) {
            let starts = sorted(starts);
            let mut builder = Builder::new();
            for (start, value) in &starts {
                builder.push(*start, *value);
            }
            let ranges = builder.finish().unwrap();
            for key in starts.iter().flat_map(|(s, _)| [*s, s.wrapping_sub(1)]).chain(keys) {
                prop_assert_eq!(ranges.find(key), naive(&starts, key));
            }
        }

        #[test]
        fn ipv6_agrees_with_the_definition(
            starts in prop::collection::vec((address(), 0u32..4), 0..60),
            keys in prop::collection::vec(address(), 60),
        ) {
            let starts = sorted(starts);
            let mut builder = Builder6::new();
            for (start, value) in &starts {
                builder.push(*start, *value);
            }
            let ranges = builder.finish().unwrap();
            for key in starts.iter().flat_map(|(s, _)| [*s, s.wrapping_sub(1)]).chain(keys) {
                prop_assert_eq!(ranges.find(key), naive(&starts, key), "{:x}", key);
            }
        }

        #[test]
        fn buckets_never_decrease(a in any::<u64>(), b in any::<u64>()) {
            prop_assert!(a.min(b).bucket() <= a.max(b).bucket());
            prop_assert!(a.max(b).bucket() < u64::BUCKETS);
        }
    }
}
