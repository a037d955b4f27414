//! Settings of what is refused under too much load, and how.

use std::num::NonZeroU64;

use crate::model::limits;

/// What becomes of too much load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverloadSettings {
    /// Bytes of memory that the process may have; `None`: what its control group may, less a tenth.
    pub memory_limit: Option<NonZeroU64>,
    /// `Retry-After` of what is refused, in seconds.
    pub retry_after: u32,
}

impl Default for OverloadSettings {
    fn default() -> Self {
        Self { memory_limit: None, retry_after: limits::RETRY_AFTER_SECONDS }
    }
}
