//! The search for the rule of one request, through the files that its clues lead to.

use super::checks::Results;
use super::clues::Clues;
use super::filing::{Entry, FileIndex};
use super::{Rank, RuleBook};
use crate::routing::facts::Facts;

/// A search under way.
pub(super) struct Search<'a> {
    book: &'a RuleBook,
    clues: &'a Clues,
    results: Results<'a>,
    /// The lowest rank found yet.
    best: Rank,
}

impl<'a> Search<'a> {
    pub(super) fn new(book: &'a RuleBook, facts: &'a Facts<'a>, clues: &'a Clues) -> Self {
        Self { book, clues, results: Results::new(&book.checks, facts), best: Rank::MAX }
    }

    /// The rank of the first rule that holds.
    pub(super) fn first(mut self) -> Option<Rank> {
        self.open(FileIndex::OUTERMOST);
        (self.best != Rank::MAX).then_some(self.best)
    }

    /// Lowers `best` to the first rule that holds in a file or inside it, if that is lower. As deep
    /// as files are, which is limited.
    fn open(&mut self, index: FileIndex) {
        let files = &self.book.files;
        let Some(file) = files.file(index) else { return };
        if file.lowest >= self.best {
            return;
        }
        for entry in files.entries(file) {
            if entry.rank >= self.best {
                break;
            }
            if self.holds(entry) {
                self.best = entry.rank;
                break;
            }
        }
        for kind in file.kinds.iter() {
            for clue in self.clues.of(kind) {
                if let Some(inside) = files.inside(index, *clue) {
                    self.open(inside);
                }
            }
        }
    }

    /// Whether what is left of a rule's terms holds.
    fn holds(&mut self, entry: &Entry) -> bool {
        let Some(terms) = self.book.terms.get(entry.rank as usize) else { return false };
        let mut asked = terms.asked.iter().enumerate();
        asked.all(|(place, term)| entry.settled.contains(place) || term.holds(self.clues))
            && terms.checks.iter().all(|check| self.results.passes(*check))
    }
}
