//! Clues: the values that rules ask for, as numbers, and those that one request shows.
//!
//! What a number stands for is `lexicon`'s business.

use arrayvec::ArrayVec;

use crate::model::limits::CLUES_PER_KIND;

/// A value that some rule asks for, such as the country `DE` or the header `x-plan: gold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Clue(pub(super) u32);

impl Clue {
    /// The number as an index.
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a clue is about, in the order in which requests are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Kind {
    Method,
    Country,
    Continent,
    Subdivision,
    Network,
    Asn,
    Tenant,
    Host,
    Path,
    Header,
    Query,
    Cookie,
}

impl Kind {
    const COUNT: usize = Self::Cookie as usize + 1;

    const ALL: [Self; Self::COUNT] = [
        Self::Method,
        Self::Country,
        Self::Continent,
        Self::Subdivision,
        Self::Network,
        Self::Asn,
        Self::Tenant,
        Self::Host,
        Self::Path,
        Self::Header,
        Self::Query,
        Self::Cookie,
    ];
}

/// A set of kinds, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u16);

impl Kinds {
    pub(super) fn insert(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u8;
    }

    /// The kinds in it, in order.
    pub(super) fn iter(self) -> impl Iterator<Item = Kind> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let kind = Kind::ALL.get(left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(*kind)
        })
    }
}

/// The clues that one request shows, by kind, each once.
#[derive(Debug)]
pub(super) struct Clues {
    all: ArrayVec<Clue, { CLUES_PER_KIND * Kind::COUNT }>,
    /// Where each kind ends.
    ends: [u16; Kind::COUNT],
    /// Where the kind starts that is being read.
    start: usize,
}

impl Clues {
    pub(super) fn new() -> Self {
        Self { all: ArrayVec::new(), ends: [0; Kind::COUNT], start: 0 }
    }

    /// Adds a clue of the kind that is being read. One more than there may be is passed over.
    pub(super) fn note(&mut self, clue: Clue) {
        let shown = self.all.get(self.start..).unwrap_or_default();
        if shown.len() < CLUES_PER_KIND && !shown.contains(&clue) {
            // Cannot be full: that is as many for each kind.
            let _ = self.all.try_push(clue);
        }
    }

    /// Ends the reading of a kind. Kinds are read in their order, and none is left out.
    pub(super) fn close(&mut self, kind: Kind) {
        self.start = self.all.len();
        if let Some(end) = self.ends.get_mut(kind as usize) {
            *end = self.start as u16;
        }
    }

    /// The clues of one kind.
    #[inline]
    pub(super) fn of(&self, kind: Kind) -> &[Clue] {
        let start = (kind as usize).checked_sub(1).and_then(|before| self.ends.get(before));
        let start = start.copied().unwrap_or(0) as usize;
        let end = self.ends.get(kind as usize).copied().unwrap_or(0) as usize;
        self.all.get(start..end).unwrap_or_default()
    }
}
