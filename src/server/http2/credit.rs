//! What a client may spend: it comes back with time, and with what it does.

use std::time::Instant;

use crate::model::limits;

/// A credit that is never more than [`limits::FLOOD_CREDIT`].
#[derive(Clone, Debug)]
pub(super) struct Credit {
    left: u32,
    /// When time was last turned into credit.
    since: Instant,
}

impl Credit {
    /// All of it, at `now`.
    pub(super) fn full(now: Instant) -> Self {
        Self { left: limits::FLOOD_CREDIT, since: now }
    }

    /// Whether there was enough. `now` is asked only when what is left is not.
    pub(super) fn spend(&mut self, cost: u32, now: impl Fn() -> Instant) -> bool {
        if self.left < cost {
            self.wait_until(now());
        }
        let rest = self.left.checked_sub(cost);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }

    fn wait_until(&mut self, now: Instant) {
        let millis = now.saturating_duration_since(self.since).as_millis();
        let brought = millis.saturating_mul(u128::from(limits::FLOOD_CREDIT_PER_SECOND)) / 1000;
        if brought > 0 {
            self.since = now;
            self.earn(u32::try_from(brought).unwrap_or(u32::MAX));
        }
    }

    /// Some comes back; whether all is there again.
    pub(super) fn earn(&mut self, credit: u32) -> bool {
        self.left = self.left.saturating_add(credit).min(limits::FLOOD_CREDIT);
        self.left == limits::FLOOD_CREDIT
    }

    #[cfg(test)]
    pub(super) fn left(&self) -> u32 {
        self.left
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_spent_comes_back_with_time_and_no_more_than_that() {
        let start = Instant::now();
        let mut credit = Credit::full(start);
        assert!(credit.spend(limits::FLOOD_CREDIT, || unreachable!("there is enough")));
        assert!(!credit.spend(1, || start));
        let second = start + Duration::from_secs(1);
        assert!(credit.spend(limits::FLOOD_CREDIT_PER_SECOND, || second));
        assert!(!credit.spend(1, || second));
        assert!(!credit.earn(1));
        assert_eq!(credit.left(), 1);
        let long = second + Duration::from_secs(3_600);
        assert!(!credit.spend(limits::FLOOD_CREDIT + 1, || long));
        assert_eq!(credit.left(), limits::FLOOD_CREDIT);
        assert!(credit.earn(1));
    }
}
