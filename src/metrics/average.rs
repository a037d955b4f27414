//! A moving average that one thread writes and any thread reads.
//!
//! A measurement counts half after each half-life, so that the average follows time and not the
//! number of requests. Averages that several threads keep can be merged afterwards, and say what
//! one that had seen everything would say. What is measured is not known here.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// An average as it was at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Average {
    /// The average, in milliseconds.
    pub ms: f64,
    /// What all measurements weigh together at `at`, where one made then weighs 1.
    pub weight: f64,
    /// When the latest was made, in milliseconds of [`Registry::millis`](super::Registry::millis).
    pub at: u64,
    /// How many there were; 0: there is none.
    pub samples: u32,
}

impl Average {
    /// With one more measurement, made at `at`.
    #[must_use]
    pub fn with(self, ms: f64, at: u64, half_life: Duration) -> Self {
        self.merged(Self { ms, weight: 1.0, at, samples: 1 }, half_life)
    }

    /// Of the measurements of both.
    #[must_use]
    pub fn merged(self, other: Self, half_life: Duration) -> Self {
        if self.samples == 0 || other.samples == 0 {
            return if self.samples == 0 { other } else { self };
        }
        let at = self.at.max(other.at);
        let (own, others) = (self.weight_at(at, half_life), other.weight_at(at, half_life));
        let weight = own + others;
        let ms = (self.ms * own + other.ms * others) / weight;
        Self { ms, weight, at, samples: self.samples.saturating_add(other.samples) }
    }

    fn weight_at(&self, at: u64, half_life: Duration) -> f64 {
        if at <= self.at {
            return self.weight;
        }
        let half_life = half_life.as_secs_f64().max(1e-3) * 1e3;
        self.weight * (-((at - self.at) as f64) / half_life).exp2()
    }
}

/// An average with a single writer, like a [`Counter`](super::Counter).
///
/// A reader may meet the parts of two moments. One measurement more or less in a part changes the
/// whole by less than that measurement does.
#[derive(Debug, Default)]
pub struct MovingAverage {
    ms: AtomicU64,
    weight: AtomicU64,
    at: AtomicU64,
    samples: AtomicU32,
}

impl MovingAverage {
    /// Takes in a measurement; only the owning thread may call this.
    #[inline]
    pub fn record(&self, took: Duration, at: u64, half_life: Duration) {
        self.set(self.get().with(took.as_secs_f64() * 1e3, at, half_life));
    }

    /// Puts another average in place; only the owning thread may call this.
    pub fn set(&self, average: Average) {
        self.ms.store(average.ms.to_bits(), Ordering::Relaxed);
        self.weight.store(average.weight.to_bits(), Ordering::Relaxed);
        self.at.store(average.at, Ordering::Relaxed);
        self.samples.store(average.samples, Ordering::Relaxed);
    }

    /// The average so far; any thread.
    pub fn get(&self) -> Average {
        Average {
            ms: f64::from_bits(self.ms.load(Ordering::Relaxed)),
            weight: f64::from_bits(self.weight.load(Ordering::Relaxed)),
            at: self.at.load(Ordering::Relaxed),
            samples: self.samples.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HALF_LIFE: Duration = Duration::from_secs(10);

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
    }

    #[test]
    fn a_measurement_counts_half_after_a_half_life() {
        let first = Average::default().with(10.0, 5_000, HALF_LIFE);
        assert_eq!((first.ms, first.weight, first.at, first.samples), (10.0, 1.0, 5_000, 1));
        let same = first.with(20.0, 5_000, HALF_LIFE);
        assert!(close(same.ms, 15.0) && close(same.weight, 2.0), "{same:?}");
        let later = first.with(40.0, 15_000, HALF_LIFE);
        assert!(close(later.ms, 30.0) && close(later.weight, 1.5), "{later:?}");
        let much_later = first.with(40.0, 10_000_000, HALF_LIFE);
        assert!(close(much_later.ms, 40.0) && close(much_later.weight, 1.0), "{much_later:?}");
    }

    #[test]
    fn a_half_life_of_nothing_leaves_the_latest() {
        let average = Average::default().with(10.0, 1, Duration::ZERO);
        assert!(close(average.with(30.0, 1_000, Duration::ZERO).ms, 30.0));
    }

    #[test]
    fn it_follows_a_change_even_after_very_many_measurements() {
        let mut average = Average { ms: 10.0, weight: 1e8, at: 0, samples: u32::MAX };
        for at in 0..100 {
            average = average.with(20.0, at * 1_000, HALF_LIFE);
        }
        assert_eq!(average.samples, u32::MAX);
        let rest = average.ms - 10.0;
        assert!(rest > 0.0 && average.weight < 1e6, "{average:?}");
    }

    proptest! {
        /// However measurements are spread over threads, together they say what one would say.
        #[test]
        fn shards_say_together_what_one_says(
            steps in prop::collection::vec((0u64..30_000, 0.01f64..5_000.0, 0usize..4), 1..60),
        ) {
            let mut one = Average::default();
            let shards: [MovingAverage; 4] = Default::default();
            let mut at = 1_000;
            for (step, ms, shard) in &steps {
                at += step;
                let took = Duration::from_secs_f64(ms / 1e3);
                one = one.with(took.as_secs_f64() * 1e3, at, HALF_LIFE);
                shards[*shard].record(took, at, HALF_LIFE);
            }
            for order in [[0, 1, 2, 3], [3, 1, 0, 2]] {
                let merge = |sum: Average, i: usize| sum.merged(shards[i].get(), HALF_LIFE);
                let all = order.into_iter().fold(Average::default(), merge);
                prop_assert!(close(all.ms, one.ms), "{all:?} {one:?}");
                prop_assert!(close(all.weight, one.weight), "{all:?} {one:?}");
                prop_assert_eq!((all.at, all.samples), (one.at, steps.len() as u32));
            }
        }

        #[test]
        fn it_lies_between_the_least_and_the_most(
            steps in prop::collection::vec((0u64..100_000, 0.0f64..1e6), 1..40),
        ) {
            let (mut average, mut at) = (Average::default(), 0);
            let (mut least, mut most) = (f64::INFINITY, 0.0f64);
            for (step, ms) in steps {
                at += step;
                average = average.with(ms, at, HALF_LIFE);
                least = least.min(ms);
                most = most.max(ms);
                prop_assert!(average.ms >= least * (1.0 - 1e-9) - 1e-9);
                prop_assert!(average.ms <= most * (1.0 + 1e-9) + 1e-9);
                prop_assert!(average.weight >= 1.0);
            }
        }
    }
}
