//! The wall clock, from instants that were read anyway.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// After so long the wall clock is looked at again: it may have been set, and both may drift.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// One worker's idea of the wall clock.
#[derive(Debug)]
pub(super) struct Clock {
    base: Cell<(Instant, Duration)>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { base: Cell::new((Instant::now(), since_epoch())) }
    }

    /// `at` in Unix seconds.
    pub(super) fn unix(&self, at: Instant) -> u64 {
        self.wall(at).as_secs()
    }

    /// `at` in milliseconds since 1970.
    pub(super) fn unix_millis(&self, at: Instant) -> u64 {
        u64::try_from(self.wall(at).as_millis()).unwrap_or(u64::MAX)
    }

    fn wall(&self, at: Instant) -> Duration {
        let (base, wall) = self.base.get();
        let passed = at.saturating_duration_since(base);
        if passed < LOOK_AGAIN {
            return wall + passed;
        }
        let wall = since_epoch();
        self.base.set((at, wall));
        wall
    }
}

/// Also for whoever has no worker.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_instants_and_now_and_then_the_wall() {
        let clock = Clock::new();
        let (start, wall) = (Instant::now(), Duration::from_millis(10_900));
        clock.base.set((start, wall));
        assert_eq!(clock.unix(start), 10);
        assert_eq!(clock.unix(start + Duration::from_millis(100)), 11);
        assert_eq!(clock.unix(start + Duration::from_millis(4_999)), 15);
        // An instant from before the base is as good as the base.
        clock.base.set((start + Duration::from_secs(1), wall));
        assert_eq!(clock.unix(start), 10);
        let looked = clock.unix(start + Duration::from_secs(7));
        assert!(looked.abs_diff(since_epoch().as_secs()) <= 1, "the wall clock was not asked");
    }
}
