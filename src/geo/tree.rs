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

#[cfg(test)]
mod tests {

    use proptest::prelude::*;

    use super::*;

    /// Writes nodes as the MaxMind DB specification lays them out.
    fn encode(nodes: &[(u32, u32)], bits: u16) -> Vec<u8> {
        let mut out = Vec::new();
        for (left, right) in nodes {
            let (l, r) = (left.to_be_bytes(), right.to_be_bytes());
            match bits {
                24 => out.extend([l[1], l[2], l[3], r[1], r[2], r[3]]),
                28 => out.extend([l[1], l[2], l[3], l[0] << 4 | r[0] & 15, r[1], r[2], r[3]]),
                _ => out.extend(l.into_iter().chain(r)),
            }
        }
        out
    }

    /// `VisitError` stands in for what a caller's closure may return.
    #[derive(Debug, PartialEq)]
    struct VisitError(TreeProblem);

    impl From<TreeProblem> for VisitError {
        fn from(problem: TreeProblem) -> Self {
            Self(problem)
        }
    }

    fn leaves(tree: &Tree<'_>, root: Root, ipv4: Option<Root>) -> Result<Walked, VisitError> {
        let mut leaves = Vec::new();
        let aliases = tree.walk(root, ipv4, |leaf| {
            leaves.push(leaf);
            Ok::<_, VisitError>(())
        })?;
        Ok((leaves, aliases.to_vec()))
    }

    type Walked = (Vec<Leaf>, Vec<Alias>);

    #[test]
    fn leaves_come_in_order_in_every_record_size() {
        // 0.0.0.0/2 has record 0, 64.0.0.0/2 none, 128.0.0.0/1 record 5.
        let nodes = [(1, 2 + 16 + 5), (2 + 16, 2)];
        for bits in [24, 28, 32] {
            let file = encode(&nodes, bits);
            let (leaves, aliases) =
                leaves(&Tree::new(&file, 2, bits), Tree::root(32), None).unwrap();
            let leaf = |start, length, record| Leaf { start, length, record };
            assert_eq!(
                leaves,
                [leaf(0, 2, Some(0)), leaf(1 << 30, 2, None), leaf(1 << 31, 1, Some(5))],
                "{bits}"
            );
            assert!(aliases.is_empty());
        }
    }

    #[test]
    fn large_records_are_read_whole() {
        for (bits, largest) in [(24, 0x00ff_fffe_u32), (28, 0x0fff_fffe), (32, u32::MAX - 1)] {
            let file = encode(&[(largest, largest - 1)], bits);
            let tree = Tree::new(&file, 1, bits);
            assert_eq!((tree.child(0, 0), tree.child(0, 1)), (Ok(largest), Ok(largest - 1)));
        }
    }

    #[test]
    fn damaged_trees_are_refused() {
        for (what, nodes, problem) in [
            ("itself", vec![(0, 0)], TreeProblem::NotATree),
            ("a cycle of two", vec![(1, 1), (0, 0)], TreeProblem::NotATree),
            ("into the gap", vec![(1 + 3, 1)], TreeProblem::BadPointer),
        ] {
            let file = encode(&nodes, 24);
            let tree = Tree::new(&file, nodes.len() as u32, 24);
            assert_eq!(leaves(&tree, Tree::root(32), None), Err(VisitError(problem)), "{what}");
        }
        let file = encode(&[(1, 2)], 24);
        let short = leaves(&Tree::new(&file, 2, 24), Tree::root(32), None);
        assert_eq!(short, Err(VisitError(TreeProblem::OutOfFile)));
        // A chain longer than an address.
        let chain: Vec<_> = (1..=40).map(|next| (next, 40)).collect();
        let file = encode(&chain, 24);
        let deep = leaves(&Tree::new(&file, 40, 24), Tree::root(32), None);
        assert_eq!(deep, Err(VisitError(TreeProblem::TooDeep)));
    }

    /// A chain of zero bits to the IPv4 root at depth 96, with a second way to it at ::/16 = 2002.
    fn with_alias() -> Vec<(u32, u32)> {
        // Nodes 0..96 lead down the zeros; 96 is the IPv4 root; 97.. leads down 2002::/16.
        let none = 112;
        let mut nodes: Vec<(u32, u32)> = (0..96).map(|depth| (depth + 1, none)).collect();
        nodes.push((none + 16, none));
        let path = 0x2002_u16;
        let bit = |depth: u32| path >> (15 - depth) & 1;
        // 2002 = 0010...: it leaves the zeros at depth 2.
        nodes[2].1 = 97;
        for (at, depth) in (97..).zip(3..16) {
            let next = if depth == 15 { 96 } else { at + 1 };
            nodes.push(if bit(depth) == 0 { (next, none) } else { (none, next) });
        }
        nodes.resize(none as usize, (none, none));
        nodes
    }

    #[test]
    fn aliases_of_the_ipv4_subtree_are_found_and_not_walked_again() {
        let nodes = with_alias();
        let file = encode(&nodes, 24);
        let tree = Tree::new(&file, nodes.len() as u32, 24);
        let ipv4 = tree.ipv4_root().unwrap();
        assert_eq!((ipv4.node, ipv4.bits), (96, 32));
        let (found, aliases) = leaves(&tree, Tree::root(128), Some(ipv4)).unwrap();
        let sixtofour = Alias { prefix: 0x2002 << 112, length: 16 };
        assert_eq!(aliases, [Alias { prefix: 0, length: 96 }, sixtofour]);
        assert!(found.iter().all(|leaf| leaf.record.is_none()));
        let address: std::net::Ipv6Addr = "2002:0808:0404::1".parse().unwrap();
        assert_eq!(sixtofour.embedded(address.to_bits()), Some(0x0808_0404));
        assert_eq!(sixtofour.embedded(0x2003 << 112), None);
    }

    proptest! {
        #[test]
        fn any_nodes_end_in_an_answer_whose_leaves_cover_the_space(
            nodes in prop::collection::vec((0u32..60, 0u32..60), 1..40),
            version_6: bool,
        ) {
            let file = encode(&nodes, 28);
            let tree = Tree::new(&file, nodes.len() as u32, 28);
            let bits = if version_6 { 128 } else { 32 };
            let ipv4 = tree.ipv4_root().ok().filter(|_| version_6);
            if let Ok((leaves, _)) = leaves(&tree, Tree::root(bits), ipv4) {
                let mut next = Some(0u128);
                for leaf in leaves {
                    prop_assert_eq!(Some(leaf.start), next);
                    next = 1u128
                        .checked_shl(u32::from(bits - leaf.length))
                        .and_then(|size| leaf.start.checked_add(size));
                }
                prop_assert_eq!(next, if version_6 { None } else { Some(1 << 32) });
            }
            let _: Result<_, VisitError> = tree.walk(Tree::root(bits), None, |_| Ok(()));
        }
    }
}
