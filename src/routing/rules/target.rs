//! Hosts and paths that rules ask for.
//!
//! Unlike the index of deployments, which wants the most specific one, this finds all that a
//! request's host and path are below. Tried by the lengths that occur, and only where a label or a
//! segment ends.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::clues::{Clue, Clues};
use crate::config::HostPattern;

/// Hosts that rules ask for. The state of the maps is fixed: the keys are the configuration's.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: HashMap<Box<str>, Clue, FixedState>,
    /// By suffix, without `*.`.
    wildcard: HashMap<Box<str>, Clue, FixedState>,
    /// Lengths of the suffixes.
    lengths: Lengths,
}

impl Hosts {
    pub(super) fn add(&mut self, pattern: &HostPattern, clue: Clue) {
        match pattern {
            HostPattern::Exact(host) => self.exact.insert(host.as_str().into(), clue),
            HostPattern::Wildcard(suffix) => {
                self.lengths.insert(suffix.len());
                self.wildcard.insert(suffix.as_str().into(), clue)
            }
        };
    }

    /// Notes what a host (lower case, no port) is.
    pub(super) fn read(&self, host: &str, clues: &mut Clues) {
        // "example.org." is "example.org", written from the root of the DNS.
        let host = host.strip_suffix('.').unwrap_or(host);
        if let Some(clue) = self.exact.get(host) {
            clues.note(*clue);
        }
        for length in &self.lengths.0 {
            // At least one byte of a label before the dot before the suffix.
            let dot = host.len().checked_sub(length + 1).filter(|dot| *dot > 0);
            let Some((_, suffix)) = dot.and_then(|dot| host.split_at_checked(dot)) else {
                continue;
            };
            let found = suffix.strip_prefix('.').and_then(|suffix| self.wildcard.get(suffix));
            if let Some(clue) = found {
                clues.note(*clue);
            }
        }
    }
}

/// Path prefixes that rules ask for.
#[derive(Debug, Default)]
pub(super) struct Paths {
    by_prefix: HashMap<Box<str>, Clue, FixedState>,
    /// Lengths of the prefixes.
    lengths: Lengths,
    /// The prefix `/`, which every path has.
    root: Option<Clue>,
}

impl Paths {
    /// `prefix` does not end in a slash.
    pub(super) fn add(&mut self, prefix: &str, clue: Clue) {
        if prefix.is_empty() {
            self.root = Some(clue);
        } else {
            self.lengths.insert(prefix.len());
            self.by_prefix.insert(prefix.into(), clue);
        }
    }

    /// Notes what a path is below.
    pub(super) fn read(&self, path: &str, clues: &mut Clues) {
        for length in &self.lengths.0 {
            let Some((prefix, rest)) = path.split_at_checked(*length) else { continue };
            let ends = rest.is_empty() || rest.starts_with('/');
            if let Some(clue) = ends.then(|| self.by_prefix.get(prefix)).flatten() {
                clues.note(*clue);
            }
        }
        if let Some(clue) = self.root {
            clues.note(clue);
        }
    }
}

/// Lengths that occur, each once.
#[derive(Debug, Default)]
struct Lengths(Vec<usize>);

impl Lengths {
    fn insert(&mut self, length: usize) {
        if let Err(place) = self.0.binary_search(&length) {
            self.0.insert(place, length);
        }
    }
}
