//! Networks that may lie inside one another, and which of them enclose an address.
//!
//! Knows addresses as numbers only. The address space is cut where a network starts or ends; each
//! piece names the smallest network around it, and each network the next larger one, so that a
//! lookup is one binary search and a walk outwards.

use std::ops::Range;

/// An address as a number.
pub(super) trait Address: Copy + Ord {
    /// The last address of the network that starts here.
    fn last(self, length: u8) -> Self;
    /// The next address, unless this is the last one.
    fn next(self) -> Option<Self>;
}

macro_rules! address {
    ($type:ty) => {
        impl Address for $type {
            fn last(self, length: u8) -> Self {
                self | Self::MAX.checked_shr(u32::from(length)).unwrap_or(0)
            }

            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
        }
    };
}
address!(u32);
address!(u128);

/// Networks of one address family.
#[derive(Debug)]
pub(super) struct Networks<A> {
    /// First addresses of the pieces, ascending.
    starts: Vec<A>,
    /// For each piece, the smallest network around it.
    owners: Vec<Option<u32>>,
    networks: Vec<Network<A>>,
}

/// One network.
#[derive(Clone, Debug)]
pub(super) struct Network<A> {
    /// Its first address.
    pub(super) first: A,
    /// Its prefix length.
    pub(super) length: u8,
    /// Its rows.
    pub(super) rows: Range<u32>,
    parent: Option<u32>,
}

impl<A> Default for Networks<A> {
    fn default() -> Self {
        Self { starts: Vec::new(), owners: Vec::new(), networks: Vec::new() }
    }
}

impl<A: Address> Networks<A> {
    /// Of networks in ascending order of first address and then of length, each once.
    pub(super) fn new(sorted: impl IntoIterator<Item = (A, u8, Range<u32>)>) -> Self {
        let mut built = Self::default();
        // Networks around the current place, the smallest last.
        let mut open: Vec<(u32, A)> = Vec::new();
        for (number, (first, length, rows)) in (0..).zip(sorted) {
            while let Some((_, last)) = open.pop_if(|(_, last)| *last < first) {
                built.cut_after(last, open.last());
            }
            let parent = open.last().map(|(number, _)| *number);
            built.networks.push(Network { first, length, rows, parent });
            built.cut(first, Some(number));
            open.push((number, first.last(length)));
        }
        while let Some((_, last)) = open.pop() {
            built.cut_after(last, open.last());
        }
        built
    }

    /// The networks around an address, the smallest first.
    pub(super) fn enclosing(&self, address: A) -> impl Iterator<Item = &Network<A>> {
        let after = self.starts.partition_point(|start| *start <= address);
        let owner = after.checked_sub(1).and_then(|piece| *self.owners.get(piece)?);
        let smallest = owner.and_then(|owner| self.networks.get(owner as usize));
        std::iter::successors(smallest, |network| self.networks.get(network.parent? as usize))
    }

    fn cut_after(&mut self, last: A, around: Option<&(u32, A)>) {
        if let Some(start) = last.next() {
            self.cut(start, around.map(|(number, _)| *number));
        }
    }

    /// Starts a piece; one that starts at the same place gives way.
    fn cut(&mut self, start: A, owner: Option<u32>) {
        if self.starts.last() == Some(&start) {
            self.owners.pop();
        } else {
            self.starts.push(start);
        }
        self.owners.push(owner);
    }
}
