//! Sets of a deployment's regions, as the bits of one number.
//!
//! A set knows positions, not ids: what a position means is the deployment's business.

use super::plan::RegionPosition;

/// A set of region positions of one deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RegionSet(u128);

impl RegionSet {
    /// No region.
    pub const EMPTY: Self = Self(0);

    /// The set whose bits are set in `bits`, bit 0 being the first region.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The bits, bit 0 being the first region.
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// The first `count` positions.
    pub const fn first(count: usize) -> Self {
        match count {
            0 => Self(0),
            1..=127 => Self((1 << count) - 1),
            _ => Self(u128::MAX),
        }
    }

    /// Whether no region is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many regions are in it.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether the region is in it.
    pub const fn contains(self, position: RegionPosition) -> bool {
        self.0 >> (position.0 & 127) & 1 == 1
    }

    /// Adds a region.
    pub const fn insert(&mut self, position: RegionPosition) {
        self.0 |= 1 << (position.0 & 127);
    }

    /// Takes a region out.
    pub const fn remove(&mut self, position: RegionPosition) {
        self.0 &= !(1 << (position.0 & 127));
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is here but not there.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The members before `position`, and those from `position` on.
    pub const fn split_at(self, position: RegionPosition) -> (Self, Self) {
        let before = Self::first((position.0 & 127) as usize);
        (self.and(before), self.without(before))
    }

    /// The `n`th member (from 0), in listed order.
    pub fn nth(self, n: usize) -> Option<RegionPosition> {
        self.iter().nth(n)
    }

    /// The members in listed order.
    pub fn iter(self) -> Members {
        Members { low: self.0 as u64, high: (self.0 >> 64) as u64 }
    }
}

impl FromIterator<RegionPosition> for RegionSet {
    fn from_iter<I: IntoIterator<Item = RegionPosition>>(positions: I) -> Self {
        let mut set = Self::EMPTY;
        for position in positions {
            set.insert(position);
        }
        set
    }
}

impl IntoIterator for RegionSet {
    type Item = RegionPosition;
    type IntoIter = Members;

    fn into_iter(self) -> Members {
        self.iter()
    }
}

/// The members of a [`RegionSet`] in listed order. Two words, because shifting one of 128 bits
/// costs several times as much.
#[derive(Clone, Debug)]
pub struct Members {
    low: u64,
    high: u64,
}

impl Iterator for Members {
    type Item = RegionPosition;

    #[inline]
    fn next(&mut self) -> Option<RegionPosition> {
        if self.low != 0 {
            let position = self.low.trailing_zeros() as u8;
            self.low &= self.low - 1;
            return Some(RegionPosition(position));
        }
        if self.high != 0 {
            let position = self.high.trailing_zeros() as u8 + 64;
            self.high &= self.high - 1;
            return Some(RegionPosition(position));
        }
        None
    }
}
