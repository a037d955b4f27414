//! A counter and a histogram that one thread writes and any thread reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A count with a single writer.
///
/// `add` is a plain load and store: two writers would lose counts, which is why a series belongs
/// to one worker.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`; only the owning thread may call this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Adds one; only the owning thread may call this.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// The count so far; any thread.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of the duration buckets, in microseconds; one more bucket is open-ended.
pub const DURATION_BOUNDS: [u64; 15] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 15_000_000, 60_000_000,
];

/// Durations by bucket, with a single writer.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; DURATION_BOUNDS.len() + 1],
    sum_micros: Counter,
}

impl Histogram {
    /// Records one duration; only the owning thread may call this.
    #[inline]
    pub fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = DURATION_BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(counter) = self.buckets.get(bucket) {
            counter.increment();
        }
        self.sum_micros.add(micros);
    }
}

/// Several histograms added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramTotals {
    /// Count in each bucket, not cumulative.
    pub buckets: [u64; DURATION_BOUNDS.len() + 1],
    /// Sum of all durations in microseconds.
    pub sum_micros: u64,
}

impl HistogramTotals {
    /// Adds what `histogram` holds now.
    pub fn absorb(&mut self, histogram: &Histogram) {
        for (total, counter) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *total += counter.get();
        }
        self.sum_micros = self.sum_micros.wrapping_add(histogram.sum_micros.get());
    }

    /// Number of durations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The duration below which `share` (0..=1) of the recorded ones lie, interpolated within its
    /// bucket; `None` when nothing was recorded.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = share.clamp(0.0, 1.0) * count as f64;
        let mut below = 0.0;
        for (i, n) in self.buckets.iter().enumerate() {
            let n = *n as f64;
            if n > 0.0 && below + n >= rank {
                let low = if i == 0 { 0 } else { DURATION_BOUNDS[i - 1] };
                let high = DURATION_BOUNDS.get(i).copied().unwrap_or(low);
                let micros = low as f64 + (high - low) as f64 * ((rank - below) / n);
                return Some(Duration::from_secs_f64(micros / 1e6));
            }
            below += n;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_on_a_bound_belongs_to_that_bucket() {
        let histogram = Histogram::default();
        for micros in [0, 500, 501, 60_000_000, 60_000_001] {
            histogram.record(Duration::from_micros(micros));
        }
        let mut totals = HistogramTotals::default();
        totals.absorb(&histogram);
        assert_eq!(totals.buckets[0], 2);
        assert_eq!(totals.buckets[1], 1);
        assert_eq!(totals.buckets[14], 1);
        assert_eq!(totals.buckets[15], 1);
        assert_eq!(totals.count(), 5);
    }

    #[test]
    fn quantiles_lie_in_the_bucket_of_their_rank() {
        let histogram = Histogram::default();
        for _ in 0..99 {
            histogram.record(Duration::from_micros(700));
        }
        histogram.record(Duration::from_millis(200));
        let mut totals = HistogramTotals::default();
        totals.absorb(&histogram);
        let p50 = totals.quantile(0.5).unwrap();
        assert!(p50 > Duration::from_micros(500) && p50 <= Duration::from_millis(1));
        assert!(totals.quantile(0.995).unwrap() > Duration::from_millis(100));
        assert_eq!(HistogramTotals::default().quantile(0.5), None);
    }
}
