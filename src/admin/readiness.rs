//! Whether this process wants traffic: true once every worker listens, false again before it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by those who know and those who ask.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Changes it.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// Asks.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
