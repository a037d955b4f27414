//! How much was in flight when: by Little's law, the time that a span's requests take, divided by
//! the span (J. D. C. Little, "A proof for the queuing formula L = λW", 1961).
//!
//! Spans of a second and a bit; where that would make too many, of twice as much, and so on.

use std::collections::BTreeMap;

use crate::model::limits::SIMULATED_SPANS;

/// The first spans last so many microseconds, as a power of two.
const FIRST_POWER: u32 = 20;
/// The last ones.
const LAST_POWER: u32 = 62;

/// Time that requests took, by span and region.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    power: u32,
    spans: BTreeMap<u64, Box<[u64]>>,
    /// The span that was added to last, kept out of the map.
    hot: (u64, Box<[u64]>),
    /// By region.
    totals: Box<[u128]>,
}

impl Timeline {
    pub(super) fn new(regions: usize) -> Self {
        Self {
            power: FIRST_POWER,
            spans: BTreeMap::new(),
            hot: (0, vec![0; regions].into()),
            totals: vec![0; regions].into(),
        }
    }

    /// A request came at a moment and took so long, both in microseconds.
    pub(super) fn add(&mut self, region: usize, at_us: u64, duration_us: u64) {
        let Some(total) = self.totals.get_mut(region) else { return };
        *total += u128::from(duration_us);
        let end = at_us.saturating_add(duration_us);
        while (end >> self.power) - (at_us >> self.power) >= SIMULATED_SPANS as u64 {
            self.widen();
        }
        let mut from = at_us;
        while from < end {
            let until = end.min(((from >> self.power) + 1) << self.power);
            self.busy(from, region, until - from);
            from = until;
        }
    }

    fn busy(&mut self, at_us: u64, region: usize, us: u64) {
        if at_us >> self.power != self.hot.0 {
            self.cool();
            // Cooling may have made spans longer.
            self.hot.0 = at_us >> self.power;
        }
        if let Some(busy) = self.hot.1.get_mut(region) {
            *busy += us;
        }
    }

    /// Puts the hot span to the others.
    fn cool(&mut self) {
        let (span, busy) = (self.hot.0, &mut self.hot.1);
        if busy.iter().any(|busy| *busy > 0) {
            let empty = vec![0; busy.len()].into();
            add(&mut self.spans, span, &std::mem::replace(busy, empty));
        }
        while self.spans.len() > SIMULATED_SPANS && self.power < LAST_POWER {
            self.widen();
        }
    }

    /// Makes spans twice as long.
    fn widen(&mut self) {
        self.power += 1;
        self.hot.0 >>= 1;
        for (span, busy) in std::mem::take(&mut self.spans) {
            add(&mut self.spans, span >> 1, &busy);
        }
    }

    pub(super) fn absorb(&mut self, mut other: Self) {
        self.cool();
        other.cool();
        while self.power < other.power {
            self.widen();
        }
        while other.power < self.power {
            other.widen();
        }
        other.cool();
        for (span, busy) in &other.spans {
            add(&mut self.spans, *span, busy);
        }
        for (own, others) in self.totals.iter_mut().zip(&other.totals) {
            *own += others;
        }
        self.cool();
    }

    /// In flight on average over so many microseconds.
    pub(super) fn mean(&self, region: usize, over_us: u64) -> f64 {
        let total = self.totals.get(region).copied().unwrap_or(0);
        if over_us == 0 { 0.0 } else { total as f64 / over_us as f64 }
    }

    /// In flight on average over the busiest span.
    pub(super) fn peak(&self, region: usize) -> f64 {
        let spans = self.spans.iter().map(|(span, busy)| (*span, busy));
        let hot = (self.hot.0, &self.hot.1);
        let busy = spans.chain([hot]).filter_map(|(_, busy)| busy.get(region));
        busy.max().map_or(0.0, |busy| *busy as f64 / (1_u64 << self.power) as f64)
    }
}

fn add(spans: &mut BTreeMap<u64, Box<[u64]>>, span: u64, busy: &[u64]) {
    let own = spans.entry(span).or_insert_with(|| vec![0; busy.len()].into());
    for (own, more) in own.iter_mut().zip(busy) {
        *own = own.saturating_add(*more);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_steady_stream_has_what_the_law_says_in_flight() {
        // 100 a second, each 250 ms, for a minute: 25.
        let mut timeline = Timeline::new(1);
        for n in 0..6_000 {
            timeline.add(0, n * 10_000, 250_000);
        }
        assert!((timeline.mean(0, 60_000_000) - 25.0).abs() < 1e-9);
        assert!((timeline.peak(0) - 25.0).abs() < 0.5, "{}", timeline.peak(0));
    }

    #[test]
    fn a_burst_is_a_peak() {
        let mut timeline = Timeline::new(2);
        for n in 0..1_000 {
            timeline.add(1, (5 << FIRST_POWER) + n, 1 << (FIRST_POWER - 1));
        }
        assert!((timeline.peak(1) - 500.0).abs() < 1.0);
        assert!(timeline.peak(0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn parts_add_up_and_nothing_is_lost_or_unbounded(
            requests in prop::collection::vec((0_u64..1 << 45, 0_u64..1 << 36, 0_usize..3), 0..200),
            cut in 0_usize..200,
        ) {
            let of = |requests: &[(u64, u64, usize)]| {
                let mut timeline = Timeline::new(3);
                requests.iter().for_each(|(at, took, region)| timeline.add(*region, *at, *took));
                timeline.cool();
                timeline
            };
            let whole = of(&requests);
            let (first, second) = requests.split_at(cut.min(requests.len()));
            let mut parts = of(first);
            parts.absorb(of(second));
            prop_assert!(whole.spans.len() <= SIMULATED_SPANS);
            for region in 0..3 {
                let sum: u64 = whole.spans.values().map(|busy| busy[region]).sum();
                prop_assert_eq!(u128::from(sum), whole.totals[region]);
                prop_assert_eq!(whole.totals[region], parts.totals[region]);
                prop_assert_eq!(parts.peak(region), whole.peak(region));
            }
        }
    }
}
