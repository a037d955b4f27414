//! What is wrong in a line of a table: of round trips, or of tenants.

use thiserror::Error;

/// What is wrong in a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {message}")]
pub struct LineError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there, and what to write instead.
    pub message: String,
}
