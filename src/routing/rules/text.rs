//! Texts that rules ask for under one name: exact ones, beginnings, ends, and any at all.
//!
//! Where a text comes from is not known here. Exact texts are one probe of a hash map; beginnings
//! are sorted, each with the next shorter one inside it, so that all that a text has are found by
//! one binary search and a walk, however long and however many they are. Ends are beginnings of the
//! text read backwards.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::clues::{Clue, Clues};
use crate::config::TextMatch;

/// What a text has to be, as far as it can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Text<'r> {
    Exact(&'r str),
    Prefix(&'r str),
    Suffix(&'r str),
    Present,
}

impl<'r> Text<'r> {
    /// What a condition asks for. A regular expression: that there is a text to search.
    pub(super) fn of(condition: &'r TextMatch) -> Self {
        match condition {
            TextMatch::Exact(text) => Self::Exact(text),
            TextMatch::Prefix(text) if !text.is_empty() => Self::Prefix(text),
            TextMatch::Suffix(text) if !text.is_empty() => Self::Suffix(text),
            TextMatch::Prefix(_)
            | TextMatch::Suffix(_)
            | TextMatch::Regex(_)
            | TextMatch::Present => Self::Present,
        }
    }
}

/// All that rules ask for under one name.
#[derive(Debug)]
pub(super) struct Texts {
    present: Option<Clue>,
    /// With a fixed state: the keys are the configuration's, and a client's text only costs its
    /// own probe.
    exact: HashMap<Box<[u8]>, Clue, FixedState>,
    beginnings: Beginnings,
    /// Of texts read backwards.
    ends: Beginnings,
}

impl Texts {
    pub(super) fn new(all: &[(Text<'_>, Clue)]) -> Self {
        let mut present = None;
        let mut exact = HashMap::default();
        let (mut beginnings, mut ends) = (Vec::new(), Vec::new());
        for (text, clue) in all {
            match text {
                Text::Exact(text) => {
                    exact.insert(text.as_bytes().into(), *clue);
                }
                Text::Prefix(text) => beginnings.push((text.as_bytes().into(), *clue)),
                Text::Suffix(text) => ends.push((text.bytes().rev().collect(), *clue)),
                Text::Present => present = Some(*clue),
            }
        }
        let (beginnings, ends) = (Beginnings::new(beginnings), Beginnings::new(ends));
        Self { present, exact, beginnings, ends }
    }

    /// Notes all that a text is.
    pub(super) fn read(&self, text: &[u8], clues: &mut Clues) {
        let exact = self.exact.get(text).copied();
        for clue in [self.present, exact].into_iter().flatten() {
            clues.note(clue);
        }
        self.beginnings.read(
            |beginning| beginning <= text,
            |beginning| text.starts_with(beginning),
            clues,
        );
        self.ends.read(
            |end| end.iter().le(text.iter().rev()),
            |end| end.len() <= text.len() && end.iter().eq(text.iter().rev().take(end.len())),
            clues,
        );
    }
}

/// Beginnings of texts, ascending.
#[derive(Debug)]
struct Beginnings(Box<[Beginning]>);

#[derive(Debug)]
struct Beginning {
    text: Box<[u8]>,
    clue: Clue,
    /// The longest other one that this one begins with.
    shorter: Option<u32>,
}

impl Beginnings {
    fn new(mut all: Vec<(Box<[u8]>, Clue)>) -> Self {
        all.sort_unstable();
        let mut built: Vec<Beginning> = Vec::with_capacity(all.len());
        // Those that the last one begins with, and itself, the longest last.
        let mut open: Vec<u32> = Vec::new();
        for (number, (text, clue)) in (0..).zip(all) {
            let begins = |other: &u32| {
                built.get(*other as usize).is_some_and(|other| text.starts_with(&other.text))
            };
            while open.pop_if(|other| !begins(other)).is_some() {}
            let shorter = open.last().copied();
            built.push(Beginning { text, clue, shorter });
            open.push(number);
        }
        Self(built.into())
    }

    /// Notes those of a text. `not_behind` says whether one is not behind the text in ascending
    /// order, `begins` whether the text begins with it.
    fn read(
        &self,
        not_behind: impl Fn(&[u8]) -> bool,
        begins: impl Fn(&[u8]) -> bool,
        clues: &mut Clues,
    ) {
        // Whatever lies between a beginning of the text and the text has that beginning too: so all
        // of them are on the way from the last one before the text.
        let behind = self.0.partition_point(|other| not_behind(&other.text));
        let last = behind.checked_sub(1).and_then(|last| self.0.get(last));
        let way = std::iter::successors(last, |other| self.0.get(other.shorter? as usize));
        for found in way.skip_while(|other| !begins(&other.text)) {
            clues.note(found.clue);
        }
    }
}
