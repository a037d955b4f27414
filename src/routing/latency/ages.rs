//! How old the rows of a latency table are, for metrics.

use std::time::Duration;

use super::Lookup;

/// Rows by what their age means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowAges {
    /// They are used.
    pub fresh: usize,
    /// They are used and marked.
    pub stale: usize,
    /// They are passed over.
    pub expired: usize,
    /// The age of the oldest row that says when it was measured, in seconds.
    pub oldest: Option<u64>,
}

impl Lookup {
    /// How old its rows are at `now`, in Unix seconds. Rows that do not say when they were
    /// measured do not age.
    pub(in crate::routing) fn ages(&self, now: u64) -> RowAges {
        let beyond =
            |age: u64, limit: Option<Duration>| limit.is_some_and(|most| age > most.as_secs());
        let mut ages = RowAges::default();
        for entry in &self.table.0.entries {
            let age = entry.updated.seconds().map(|updated| now.saturating_sub(updated));
            ages.oldest = ages.oldest.max(age);
            match age {
                Some(age) if beyond(age, self.freshness.hard) => ages.expired += 1,
                Some(age) if beyond(age, self.freshness.soft) => ages.stale += 1,
                _ => ages.fresh += 1,
            }
        }
        ages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Freshness;
    use crate::routing::LatencyTable;

    #[test]
    fn rows_are_counted_by_what_their_age_means() {
        let text = "client,region,rtt_ms,updated\nDE,a,1,\nFR,a,1,990\nIT,a,1,989\nES,a,1,899\n";
        let table = LatencyTable::parse(text, &|_| true).unwrap();
        let limit = |seconds| Some(Duration::from_secs(seconds));
        let lookup =
            |soft, hard| Lookup::new(table.clone(), Freshness { soft, hard }, |_| None).ages(1_000);
        let expected = RowAges { fresh: 2, stale: 1, expired: 1, oldest: Some(101) };
        assert_eq!(lookup(limit(10), limit(100)), expected);
        let unlimited = RowAges { fresh: 4, oldest: Some(101), ..RowAges::default() };
        assert_eq!(lookup(None, None), unlimited);
    }
}
