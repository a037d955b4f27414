//! Where problems are collected while a document is read, so that one does not hide the next.
//!
//! Not here: how they are shown (`error`).

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use super::document::{NodeId, Position};
use super::error::Severity;
use super::field::Field;
use crate::model::limits::CONFIG_ERRORS;

/// A problem of a node.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) severity: Severity,
    pub(super) at: NodeId,
    /// A field of that node that should be there.
    pub(super) missing: Option<&'static str>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// Collects problems; shared by everything that reads one document.
pub(super) struct Report<'a> {
    positions: &'a dyn Fn(NodeId) -> Position,
    problems: RefCell<Vec<Problem>>,
    errors: Cell<usize>,
    warnings: Cell<usize>,
    /// Mappings, and the fields that unknown ones in them were probably meant to be.
    misspelt: RefCell<HashSet<(NodeId, &'static str)>>,
    /// Mappings with unknown fields.
    unknown: RefCell<HashSet<NodeId>>,
}

impl<'a> Report<'a> {
    /// An empty report; `positions` tells where a node is.
    pub(super) fn new(positions: &'a dyn Fn(NodeId) -> Position) -> Self {
        Self {
            positions,
            problems: RefCell::default(),
            errors: Cell::new(0),
            warnings: Cell::new(0),
            misspelt: RefCell::default(),
            unknown: RefCell::default(),
        }
    }

    /// The value at `at` is wrong.
    pub(super) fn error(&self, at: NodeId, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Error, at, None, message.into(), help.into());
    }

    /// The value at `at` is probably not what was meant.
    pub(super) fn warning(&self, at: NodeId, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Warning, at, None, message.into(), help.into());
    }

    /// A field of the mapping at `parent` has been reported as unknown, and is probably this one.
    pub(super) fn misspelt(&self, parent: NodeId, field: &'static str) {
        self.misspelt.borrow_mut().insert((parent, field));
    }

    /// The mapping at `parent` has a field that is not known, which has been reported.
    pub(super) fn unknown_field(&self, parent: NodeId) {
        self.unknown.borrow_mut().insert(parent);
    }

    /// Whether that has been said of a mapping.
    pub(super) fn has_unknown_field(&self, parent: NodeId) -> bool {
        self.unknown.borrow().contains(&parent)
    }

    /// The mapping at `parent` lacks a field.
    pub(super) fn missing(&self, parent: NodeId, field: &'static str, help: &str) {
        if self.misspelt.borrow().contains(&(parent, field)) {
            return;
        }
        let message = format!("`{field}` is missing");
        self.push(Severity::Error, parent, Some(field), message, help.to_owned());
    }

    /// The value of a field that must be there.
    pub(super) fn required<'f, T>(
        &self,
        field: &'f Field<T>,
        parent: NodeId,
        name: &'static str,
        help: &str,
    ) -> Option<&'f T> {
        if field.is_absent() {
            self.missing(parent, name, help);
        }
        field.value()
    }

    /// Where a node was written, for messages that point to another place.
    pub(super) fn whereabouts(&self, at: NodeId) -> String {
        match (self.positions)(at) {
            Position { variable: Some(_), .. } => "in the environment".to_owned(),
            Position { line, .. } => format!("on line {line}"),
        }
    }

    /// Whether any error has been reported.
    pub(super) fn has_errors(&self) -> bool {
        self.errors.get() > 0
    }

    /// The known name that is nearest to `name`, when one is near enough to be meant. Never once
    /// errors are only counted: comparing takes time, and nobody would see the result.
    pub(super) fn nearest<'n>(
        &self,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) -> Option<&'n str> {
        if self.errors.get() >= CONFIG_ERRORS { None } else { nearest(name, known) }
    }

    /// The problems, and how many errors and warnings were too many to keep.
    pub(super) fn finish(self) -> (Vec<Problem>, usize) {
        let seen = self.errors.get() + self.warnings.get();
        let problems = self.problems.into_inner();
        let dropped = seen - problems.len();
        (problems, dropped)
    }

    fn push(
        &self,
        severity: Severity,
        at: NodeId,
        missing: Option<&'static str>,
        message: String,
        help: String,
    ) {
        let count = if severity == Severity::Error { &self.errors } else { &self.warnings };
        count.set(count.get() + 1);
        // Each kind has its own room: a flood of warnings must not push an error out.
        if count.get() <= CONFIG_ERRORS {
            let help = (!help.is_empty()).then_some(help);
            self.problems.borrow_mut().push(Problem { severity, at, missing, message, help });
        }
    }
}

/// The known name that is nearest to `name`, when one is near enough to be meant.
pub(super) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // A name that long is no typing error, and comparing it with each known one would take long.
    if name.len() > 128 {
        return None;
    }
    let lower = name.to_lowercase();
    let allowed = (name.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
