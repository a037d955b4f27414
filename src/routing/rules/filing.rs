//! How rules are filed: each under the clue of its terms that the fewest rules share, and what is
//! filed together once more, until few are left.
//!
//! A file holds for a request that shows the clues on the way to it, so a rule there has only the
//! rest of its terms to be checked, and nothing is kept behind a rule of which nothing is left.
//! A rule that asks for any of several values is filed under each, which is bounded by the size of
//! the configuration for the first of its terms and by a limit for those below.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::FixedState;

use super::Rank;
use super::clues::{Clue, Kinds};
use super::terms::{AnyOf, Terms};
use crate::model::limits::{RULE_FILING_COPIES, RULE_FILING_DEPTH, RULES_SCANNED};

/// Filed rules.
#[derive(Debug, Default)]
pub(super) struct Files {
    files: Vec<File>,
    pub(super) entries: Vec<Entry>,
    /// By file and clue: the file inside it.
    inside: HashMap<(FileIndex, Clue), FileIndex, FixedState>,
}

/// Which file; 0 is the one around all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileIndex(u32);

impl FileIndex {
    pub(super) const OUTERMOST: Self = Self(0);
}

/// Rules that share clues.
#[derive(Debug)]
pub(super) struct File {
    entries: Range<u32>,
    /// The lowest rank in it and in the files inside it.
    pub(super) lowest: Rank,
    /// What the files inside it are told apart by.
    pub(super) kinds: Kinds,
}

/// A rule in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) rank: Rank,
    /// Which of its terms hold for whoever gets here.
    pub(super) settled: Settled,
}

/// The first terms of a rule, as bits; those beyond are checked always.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settled(u32);

impl Settled {
    #[inline]
    pub(super) fn contains(self, term: usize) -> bool {
        u32::try_from(term).is_ok_and(|term| self.0.checked_shr(term).unwrap_or(0) & 1 == 1)
    }

    fn with(self, term: usize) -> Self {
        Self(self.0 | Self::bit(term))
    }

    fn bit(term: usize) -> u32 {
        u32::try_from(term).ok().and_then(|term| 1u32.checked_shl(term)).unwrap_or(0)
    }
}

impl Files {
    /// Files rules by their terms, by rank. `clues` is how many clues there are.
    pub(super) fn new(terms: &[Terms], clues: usize) -> Self {
        let mut clerk = Clerk { terms, shared: vec![0; clues], built: Self::default() };
        let all = (0..).take(terms.len());
        let all = all.map(|rank| Draft { rank, settled: Settled::default(), copies: 1 });
        clerk.file(all.collect(), 0);
        clerk.built
    }

    pub(super) fn file(&self, index: FileIndex) -> Option<&File> {
        self.files.get(index.0 as usize)
    }

    /// The rules of a file, by rank.
    pub(super) fn entries(&self, file: &File) -> &[Entry] {
        let range = file.entries.start as usize..file.entries.end as usize;
        self.entries.get(range).unwrap_or_default()
    }

    /// The file inside another that a clue leads to.
    #[inline]
    pub(super) fn inside(&self, file: FileIndex, clue: Clue) -> Option<FileIndex> {
        self.inside.get(&(file, clue)).copied()
    }
}

/// A rule that is being filed.
#[derive(Clone, Copy)]
struct Draft {
    rank: Rank,
    settled: Settled,
    /// In how many files it is because of the lists on the way here.
    copies: u32,
}

struct Clerk<'a> {
    terms: &'a [Terms],
    /// By clue: how many of the rules at hand could be filed under it. All 0 in between.
    shared: Vec<u32>,
    built: Files,
}

impl Clerk<'_> {
    /// Files rules, which are in order of rank, into a new file.
    fn file(&mut self, mut drafts: Vec<Draft>, depth: usize) -> FileIndex {
        if let Some(last) = drafts.iter().position(|draft| self.is_settled(draft)) {
            drafts.truncate(last + 1);
        }
        let index = FileIndex(self.built.files.len() as u32);
        let lowest = drafts.first().map_or(Rank::MAX, |draft| draft.rank);
        self.built.files.push(File { entries: 0..0, lowest, kinds: Kinds::default() });
        let mut kinds = Kinds::default();
        let mut apart = Vec::new();
        if drafts.len() > RULES_SCANNED && depth < RULE_FILING_DEPTH {
            self.count(&drafts, depth, |count| count + 1);
            let mut here = Vec::new();
            for draft in &drafts {
                match self.rarest(draft, depth) {
                    Some((term, any_of)) => {
                        kinds.insert(any_of.kind);
                        let settled = draft.settled.with(term);
                        let copies = draft.copies.saturating_mul(any_of.clues.len() as u32);
                        let draft = Draft { settled, copies, ..*draft };
                        apart.extend(any_of.clues.iter().map(|clue| (*clue, draft)));
                    }
                    None => here.push(*draft),
                }
            }
            self.count(&drafts, depth, |_| 0);
            drafts = here;
        }
        let start = self.built.entries.len() as u32;
        let entries = drafts.iter().map(|Draft { rank, settled, .. }| (*rank, *settled));
        self.built.entries.extend(entries.map(|(rank, settled)| Entry { rank, settled }));
        let entries = start..self.built.entries.len() as u32;
        if let Some(file) = self.built.files.get_mut(index.0 as usize) {
            *file = File { entries, lowest, kinds };
        }
        apart.sort_unstable_by_key(|(clue, draft)| (*clue, draft.rank));
        for together in apart.chunk_by(|(a, _), (b, _)| a == b) {
            let drafts = together.iter().map(|(_, draft)| *draft).collect();
            let inside = self.file(drafts, depth + 1);
            if let Some((clue, _)) = together.first() {
                self.built.inside.insert((index, *clue), inside);
            }
        }
        index
    }

    /// Whether nothing of the rule is left to be checked.
    fn is_settled(&self, draft: &Draft) -> bool {
        self.terms.get(draft.rank as usize).is_some_and(|terms| {
            let mut asked = (0..).zip(&terms.asked);
            terms.checks.is_empty() && asked.all(|(term, _)| draft.settled.contains(term))
        })
    }

    /// The terms that a rule can be filed under at this depth, with their places.
    fn open(terms: &[Terms], draft: Draft, depth: usize) -> impl Iterator<Item = (usize, &AnyOf)> {
        let asked = terms.get(draft.rank as usize).map(|terms| &*terms.asked).unwrap_or_default();
        asked.iter().enumerate().filter(move |(term, any_of)| {
            let copies = draft.copies.saturating_mul(any_of.clues.len() as u32);
            let few = depth == 0 || any_of.clues.len() == 1 || copies <= RULE_FILING_COPIES;
            few && Settled::bit(*term) != 0 && !draft.settled.contains(*term)
        })
    }

    /// Counts how many of the rules could be filed under each clue, or forgets it.
    fn count(&mut self, drafts: &[Draft], depth: usize, next: impl Fn(u32) -> u32) {
        for draft in drafts {
            for (_, any_of) in Self::open(self.terms, *draft, depth) {
                for clue in &any_of.clues {
                    if let Some(count) = self.shared.get_mut(clue.index()) {
                        *count = next(*count);
                    }
                }
            }
        }
    }

    /// The term whose clues the fewest rules share; of equal ones, the one with the fewest clues.
    fn rarest(&self, draft: &Draft, depth: usize) -> Option<(usize, &AnyOf)> {
        Self::open(self.terms, *draft, depth).min_by_key(|(_, any_of)| {
            let counts = any_of.clues.iter().filter_map(|clue| self.shared.get(clue.index()));
            (counts.max().copied(), any_of.clues.len())
        })
    }
}
