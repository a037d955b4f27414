//! How many streams of a connection may begin at once: more for who waits for answers, fewer for who
//! takes requests back. What for is in `docs/decisions/portions.md`.

use crate::model::limits;

/// The pace of one connection.
#[derive(Clone, Debug)]
pub(super) struct Pace(u32);

impl Default for Pace {
    fn default() -> Self {
        Self(limits::STREAMS_AT_FIRST)
    }
}

impl Pace {
    /// Streams that may begin in one turn.
    pub(super) fn streams(&self) -> u32 {
        self.0
    }

    /// A request has been answered.
    pub(super) fn answered(&mut self) {
        self.0 = (self.0 + 1).min(limits::STREAMS_PER_PORTION);
    }

    /// The client has taken one back.
    pub(super) fn taken_back(&mut self) {
        self.0 = (self.0 - 1).max(limits::STREAMS_AT_LEAST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_quicken_it_and_what_is_taken_back_slows_it_down() {
        let mut pace = Pace::default();
        assert_eq!(pace.streams(), limits::STREAMS_AT_FIRST);
        pace.answered();
        assert_eq!(pace.streams(), limits::STREAMS_AT_FIRST + 1);
        (0..100).for_each(|_| pace.answered());
        assert_eq!(pace.streams(), limits::STREAMS_PER_PORTION);
        pace.taken_back();
        assert_eq!(pace.streams(), limits::STREAMS_PER_PORTION - 1);
        (0..100).for_each(|_| pace.taken_back());
        assert_eq!(pace.streams(), limits::STREAMS_AT_LEAST);
    }
}
