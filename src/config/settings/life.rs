//! How the process ends, and how another one takes its place.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::limits;

/// What happens between SIGTERM and the end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Readiness is off, and connections are still accepted.
    pub grace: Duration,
    /// How long what is under way may take after that.
    pub timeout: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { grace: Duration::ZERO, timeout: limits::DRAIN_TIMEOUT }
    }
}

/// How a new binary takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// Unix socket where it is asked for.
    pub socket: Option<PathBuf>,
    /// How long the new process may take to become ready.
    pub ready: Duration,
}

impl Default for Upgrade {
    fn default() -> Self {
        Self { socket: None, ready: limits::UPGRADE_READY }
    }
}
