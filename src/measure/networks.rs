//! Times that client networks had, by region: the one thing measured that workers share.
//!
//! A map in parts with a lock each. Workers hand on what they measured in one go now and then,
//! and remember what they read, so that a request seldom comes here and never waits here.
//!
//! Bounded: when a network more would be too many, the one that was updated longest ago goes, as
//! far as is known. Networks stand in a queue in the order in which they were first met; one that
//! is at its head and has been updated since goes to its end, and of [`CHANCES`] in a row that have
//! been, the last goes.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use arrayvec::ArrayVec;
use dashmap::DashMap;
use dashmap::try_result::TryResult;
use foldhash::fast::RandomState;

use super::Network;
use crate::metrics::Average;
use crate::model::RegionId;
use crate::model::limits::REGIONS_PER_NETWORK;

/// Networks that are spared in a row before one has to go.
const CHANCES: usize = 8;

/// Averages by region.
pub(super) type Times = ArrayVec<(RegionId, Average), REGIONS_PER_NETWORK>;

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample<'a> {
    pub(super) network: Network,
    pub(super) region: &'a RegionId,
    pub(super) ms: f64,
    pub(super) at: u64,
}

/// Times of client networks.
#[derive(Debug, Default)]
pub struct Networks {
    times: DashMap<Network, Times, RandomState>,
    /// Each network of `times`, with the time up to which its updates are known here.
    order: Mutex<VecDeque<(Network, u64)>>,
}

impl Networks {
    /// How many networks are remembered.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Forgets all.
    pub fn clear(&self) {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        order.clear();
        self.times.clear();
    }

    /// Takes in measurements, and keeps at most `most` networks.
    pub(super) fn take<'a>(
        &self,
        samples: impl IntoIterator<Item = Sample<'a>>,
        most: usize,
        half_life: Duration,
    ) {
        for sample in samples {
            if let Some(mut times) = self.times.get_mut(&sample.network) {
                add(&mut times, &sample, half_life);
                continue;
            }
            self.meet(&sample, most, half_life);
        }
    }

    /// The times of a network, none if it is not known. `None` when somebody writes just now: it
    /// does not wait.
    pub(super) fn find(&self, network: Network) -> Option<Times> {
        match self.times.try_get(&network) {
            TryResult::Present(times) => Some(times.clone()),
            TryResult::Absent => Some(Times::new()),
            TryResult::Locked => None,
        }
    }

    /// Takes in a network's first measurement.
    fn meet(&self, sample: &Sample<'_>, most: usize, half_life: Duration) {
        if most == 0 {
            return;
        }
        // Whoever holds this alone adds and removes networks.
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.times.contains_key(&sample.network);
        while !known && order.len() >= most {
            self.evict(&mut order);
        }
        add(&mut self.times.entry(sample.network).or_default(), sample, half_life);
        if !known {
            order.push_back((sample.network, sample.at));
        }
    }

    fn evict(&self, order: &mut VecDeque<(Network, u64)>) {
        for chance in 0..=CHANCES {
            let Some((network, known)) = order.pop_front() else { return };
            let updated = self.times.get(&network).map_or(0, |times| updated(&times));
            if updated > known && chance < CHANCES {
                order.push_back((network, updated));
            } else {
                self.times.remove(&network);
                return;
            }
        }
    }
}

fn updated(times: &Times) -> u64 {
    times.iter().map(|(_, average)| average.at).max().unwrap_or(0)
}

fn add(times: &mut Times, sample: &Sample<'_>, half_life: Duration) {
    let Sample { region, ms, at, .. } = *sample;
    if let Some((_, average)) = times.iter_mut().find(|(known, _)| known == region) {
        *average = average.with(ms, at, half_life);
        return;
    }
    if times.is_full() {
        let ages = times.iter().map(|(_, average)| average.at).enumerate();
        if let Some((oldest, _)) = ages.min_by_key(|(_, at)| *at) {
            times.swap_remove(oldest);
        }
    }
    times.push((region.clone(), Average::default().with(ms, at, half_life)));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    const HALF_LIFE: Duration = Duration::from_secs(10);

    fn network(n: u32) -> Network {
        Network::of(Ipv4Addr::from_bits(n << 8).into())
    }

    fn measure(networks: &Networks, n: u32, region: &str, at: u64, most: usize) {
        let region = RegionId::from(region);
        let sample = Sample { network: network(n), region: &region, ms: f64::from(n), at };
        networks.take([sample], most, HALF_LIFE);
    }

    fn times(networks: &Networks, n: u32) -> Times {
        networks.find(network(n)).expect("nobody writes")
    }

    #[test]
    fn a_network_has_an_average_for_each_region() {
        let networks = Networks::default();
        for at in 1..=4 {
            measure(&networks, 5, "us", at, 10);
        }
        measure(&networks, 5, "eu", 5, 10);
        let times = times(&networks, 5);
        let samples: Vec<_> = times.iter().map(|(id, a)| (id.as_str(), a.samples, a.ms)).collect();
        assert_eq!(samples, [("us", 4, 5.0), ("eu", 1, 5.0)]);
        assert_eq!(networks.len(), 1);
        networks.clear();
        assert!(networks.is_empty() && super::tests::times(&networks, 5).is_empty());
    }

    #[test]
    fn the_network_that_was_updated_longest_ago_goes() {
        let networks = Networks::default();
        for n in 0..4 {
            measure(&networks, n, "us", u64::from(n), 4);
        }
        measure(&networks, 0, "us", 10, 4);
        measure(&networks, 9, "us", 11, 4);
        let left: Vec<_> = (0..10).filter(|n| !times(&networks, *n).is_empty()).collect();
        assert_eq!(left, [0, 2, 3, 9]);
    }

    #[test]
    fn a_smaller_bound_holds_with_the_next_network() {
        let networks = Networks::default();
        for n in 0..100 {
            measure(&networks, n, "us", u64::from(n), 100);
        }
        measure(&networks, 100, "us", 100, 10);
        assert_eq!(networks.len(), 10);
        measure(&networks, 101, "us", 101, 0);
        assert_eq!(networks.len(), 10);
    }

    #[test]
    fn of_too_many_regions_the_one_measured_longest_ago_goes() {
        let networks = Networks::default();
        for n in 0..REGIONS_PER_NETWORK {
            measure(&networks, 1, &format!("r{n}"), n as u64, 10);
        }
        measure(&networks, 1, "r0", 100, 10);
        measure(&networks, 1, "new", 101, 10);
        let times = times(&networks, 1);
        assert_eq!(times.len(), REGIONS_PER_NETWORK);
        let ids: BTreeSet<_> = times.iter().map(|(id, _)| id.as_str()).collect();
        assert!(ids.contains("r0") && ids.contains("new") && !ids.contains("r1"), "{ids:?}");
    }

    #[test]
    fn many_threads_keep_to_the_bound() {
        let networks = Networks::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let networks = &networks;
                scope.spawn(move || {
                    for step in 0..5_000u32 {
                        let n = step.wrapping_mul(2_654_435_761).wrapping_add(thread) % 300;
                        measure(networks, n, "us", u64::from(step), 64);
                    }
                });
            }
        });
        assert_eq!(networks.len(), 64);
        assert_eq!(networks.order.lock().unwrap().len(), 64);
    }

    proptest! {
        /// Never more than allowed; the queue and the map name the same networks; and a network
        /// that is updated between any two others is never the one to go.
        #[test]
        fn the_bound_holds_and_a_busy_network_stays(
            steps in prop::collection::vec(1u32..40, 1..400),
            most in 2usize..12,
        ) {
            let networks = Networks::default();
            for (at, n) in steps.into_iter().enumerate() {
                measure(&networks, 0, "us", 2 * at as u64, most);
                measure(&networks, n, "us", 2 * at as u64 + 1, most);
                prop_assert!(networks.len() <= most);
                if most > CHANCES + 1 || at == 0 {
                    prop_assert!(!times(&networks, 0).is_empty());
                }
                prop_assert!(!times(&networks, n).is_empty());
            }
            let queued: BTreeSet<_> =
                networks.order.lock().unwrap().iter().map(|(network, _)| *network).collect();
            let known: BTreeSet<_> = networks.times.iter().map(|entry| *entry.key()).collect();
            prop_assert_eq!(queued, known);
        }
    }
}
