//! Walks the search tree of a MaxMind DB file once, in address order, with bounded work.
//!
//! The tree is not used for lookups: what the walk finds goes into `ranges`. The reader library
//! has an iterator too, but it neither says which prefixes are aliases of the IPv4 subtree nor
//! gives up early on a tree whose nodes are reached again and again.

use arrayvec::ArrayVec;

use super::error::TreeProblem;

/// The gap of zero bytes between the tree and the records; pointers count it.
const SEPARATOR_BYTES: u32 = 16;
/// How often nodes may be met for each node there is. A proper tree meets each one once.
const VISITS_PER_NODE: u64 = 2;
/// Aliases of the IPv4 subtree; MaxMind's files have four (`::/96`, mapped, Teredo, 6to4).
pub(super) const ALIASES: usize = 8;

/// The raw search tree of a file.
#[derive(Clone, Copy)]
pub(super) struct Tree<'a> {
    nodes: &'a [u8],
    node_count: u32,
    record_bits: u16,
}

/// Where a walk starts, and how many bits of an address are left from there.
#[derive(Clone, Copy)]
pub(super) struct Root {
    node: u32,
    bits: u8,
}

/// An IPv6 prefix under which the IPv4 subtree is found again; the IPv4 address follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alias {
    prefix: u128,
    length: u8,
}

impl Alias {
    /// The IPv4 address that `address` stands for, if it lies under this prefix.
    pub(super) fn embedded(self, address: u128) -> Option<u32> {
        let differs = (address ^ self.prefix).checked_shr(128 - u32::from(self.length));
        (differs.unwrap_or(0) == 0).then_some((address >> (96 - self.length)) as u32)
    }
}

/// A network that ends a path of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// First address, counted from the walk's root.
    pub(super) start: u128,
    /// Bits from the root.
    pub(super) length: u8,
    /// Offset of its record from the start of the data section.
    pub(super) record: Option<u32>,
}

impl<'a> Tree<'a> {
    /// The tree at the start of `file`; the numbers are those of the metadata.
    pub(super) fn new(file: &'a [u8], node_count: u32, record_bits: u16) -> Self {
        Self { nodes: file, node_count, record_bits }
    }

    /// The whole tree of a file whose addresses have `bits` bits.
    pub(super) fn root(bits: u8) -> Root {
        Root { node: 0, bits }
    }

    /// The IPv4 subtree of an IPv6 file: 96 zero bits down, or wherever the path ends before.
    pub(super) fn ipv4_root(&self) -> Result<Root, TreeProblem> {
        let mut node = 0;
        for _ in 0..96 {
            if node >= self.node_count {
                break;
            }
            node = self.child(node, 0)?;
        }
        Ok(Root { node, bits: 32 })
    }

    /// Calls `visit` for every leaf in the order of addresses, without gaps, and returns the
    /// aliases of `ipv4`, each of which is visited as one leaf without a record.
    pub(super) fn walk<E: From<TreeProblem>>(
        &self,
        root: Root,
        ipv4: Option<Root>,
        mut visit: impl FnMut(Leaf) -> Result<(), E>,
    ) -> Result<ArrayVec<Alias, ALIASES>, E> {
        // Each level leaves at most its right child behind, and there are at most 128 levels.
        let mut stack = ArrayVec::<(u32, u128, u8), 130>::new();
        let mut aliases = ArrayVec::new();
        let ipv4 = ipv4.map(|root| root.node).filter(|node| *node < self.node_count && *node != 0);
        let mut visits_left = u64::from(self.node_count) * VISITS_PER_NODE + 1;
        stack.push((root.node, 0, 0));
        while let Some((node, start, depth)) = stack.pop() {
            visits_left = visits_left.checked_sub(1).ok_or(TreeProblem::NotATree)?;
            if ipv4 == Some(node) && depth <= 96 {
                let alias = Alias { prefix: start, length: depth };
                aliases.try_push(alias).map_err(|_| TreeProblem::NotATree)?;
                visit(Leaf { start, length: depth, record: None })?;
            } else if node >= self.node_count {
                visit(Leaf { start, length: depth, record: self.record(node)? })?;
            } else {
                let bit = root.bits.checked_sub(depth + 1).ok_or(TreeProblem::TooDeep)?;
                let (left, right) = (self.child(node, 0)?, self.child(node, 1)?);
                let full = |_| TreeProblem::TooDeep;
                stack.try_push((right, start | 1 << bit, depth + 1)).map_err(full)?;
                stack.try_push((left, start, depth + 1)).map_err(full)?;
            }
        }
        Ok(aliases)
    }

    fn record(&self, node: u32) -> Result<Option<u32>, TreeProblem> {
        match node - self.node_count {
            0 => Ok(None),
            pointer => {
                pointer.checked_sub(SEPARATOR_BYTES).map(Some).ok_or(TreeProblem::BadPointer)
            }
        }
    }

    fn child(&self, node: u32, side: usize) -> Result<u32, TreeProblem> {
        let size = usize::from(self.record_bits) / 4;
        let start = (node as usize).checked_mul(size).ok_or(TreeProblem::OutOfFile)?;
        let bytes = self.nodes.get(start..).and_then(|rest| rest.get(..size));
        // With 28 bits the middle byte holds the high halves of both: left's first.
        Ok(match (bytes, side) {
            (Some(&[a, b, c, _, _, _]), 0) => u32::from_be_bytes([0, a, b, c]),
            (Some(&[_, _, _, a, b, c]), _) => u32::from_be_bytes([0, a, b, c]),
            (Some(&[a, b, c, both, _, _, _]), 0) => u32::from_be_bytes([both >> 4, a, b, c]),
            (Some(&[_, _, _, both, a, b, c]), _) => u32::from_be_bytes([both & 15, a, b, c]),
            (Some(&[a, b, c, d, _, _, _, _]), 0) => u32::from_be_bytes([a, b, c, d]),
            (Some(&[_, _, _, _, a, b, c, d]), _) => u32::from_be_bytes([a, b, c, d]),
            _ => return Err(TreeProblem::OutOfFile),
        })
    }
}
