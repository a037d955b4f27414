//! How milliseconds are spread: a histogram that knows mean and quantiles to two percent.

/// Buckets of one power of two.
const PARTS: u32 = 32;
/// The lowest power of two that is told apart, and the first one that is not.
const POWERS: std::ops::Range<i32> = -7..20;
const BUCKETS: usize = (POWERS.end - POWERS.start) as usize * PARTS as usize + 1;

/// Counts of milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    buckets: Box<[u64]>,
    count: u64,
    sum_us: u128,
}

impl Default for Spread {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS].into(), count: 0, sum_us: 0 }
    }
}

impl Spread {
    pub(super) fn add(&mut self, ms: f64) {
        let bucket = ((ms.max(0.0).log2() - f64::from(POWERS.start)) * f64::from(PARTS)) as usize;
        if let Some(count) = self.buckets.get_mut(bucket.min(BUCKETS - 1)) {
            *count += 1;
        }
        self.count += 1;
        self.sum_us += u128::from((ms * 1e3) as u64);
    }

    pub(super) fn absorb(&mut self, other: &Self) {
        for (own, others) in self.buckets.iter_mut().zip(&other.buckets) {
            *own += others;
        }
        self.count += other.count;
        self.sum_us += other.sum_us;
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_us as f64 / self.count as f64 / 1e3)
    }

    /// The milliseconds that so many of a hundred do not exceed: the middle of their bucket.
    pub(super) fn percentile(&self, percent: u64) -> Option<f64> {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut sum = 0;
        let bucket = self.buckets.iter().position(|count| {
            sum += count;
            sum >= rank
        })?;
        let power = (bucket as f64 + 0.5) / f64::from(PARTS) + f64::from(POWERS.start);
        Some(power.exp2())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quantiles_are_right_to_two_percent(mut all in prop::collection::vec(0.01f64..5e5, 1..300)) {
            let mut spread = Spread::default();
            all.iter().for_each(|ms| spread.add(*ms));
            all.sort_by(f64::total_cmp);
            for percent in [1_u64, 50, 95, 100] {
                let rank = (all.len() as u64 * percent).div_ceil(100).max(1) as usize;
                let (exact, found) = (all[rank - 1], spread.percentile(percent).unwrap());
                prop_assert!((found / exact - 1.0).abs() < 0.02, "{} {}", found, exact);
            }
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            prop_assert!((spread.mean().unwrap() - mean).abs() <= 0.001 + mean * 1e-6);
        }
    }

    #[test]
    fn ends_and_nothing() {
        assert_eq!((Spread::default().mean(), Spread::default().percentile(50)), (None, None));
        for ms in [0.0, 1e300, f64::INFINITY] {
            let mut spread = Spread::default();
            spread.add(ms);
            assert!(spread.percentile(50).is_some_and(f64::is_finite), "{ms}");
        }
    }
}
