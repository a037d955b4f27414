//! What was found, counted by each worker for itself in a fixed amount of memory.
//!
//! A shard has one writer, the worker, and any number of readers; nothing in it is locked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::compare::Outcome;
use super::example::{Example, Fate};
use crate::metrics::Counter;
use crate::model::limits::{SHADOW_EXAMPLES, SHADOW_EXAMPLES_ALIKE, SHADOW_RULES};
use crate::model::{Country, Location};
use crate::routing::{DeploymentIndex, RuleIndex};

/// All shards of one trial.
#[derive(Debug)]
pub struct Ledger {
    deployments: usize,
    /// With the number of the worker that owns each. Locked when a worker takes up a new snapshot
    /// and when somebody reads, never by a request.
    shards: Mutex<Vec<(usize, Arc<Shard>)>>,
}

/// What one worker found.
#[derive(Debug)]
#[repr(align(128))]
pub struct Shard {
    /// By live deployment, and one more for requests that none answers.
    pub(super) deployments: Box<[[Counter; Outcome::ALL.len()]]>,
    /// By country, and one more for those of unknown country.
    pub(super) countries: Box<[CountryCounts]>,
    rules: Box<[RuleSlot]>,
    /// Differences that found no place among the rules.
    pub(super) further_rules: Counter,
    examples: Box<[OnceLock<Example>]>,
}

/// What was found of one country.
#[derive(Debug, Default)]
pub(super) struct CountryCounts {
    pub(super) compared: Counter,
    pub(super) differing: Counter,
}

/// A pair of rules and how often the requests for which they hold are decided differently.
#[derive(Debug, Default)]
struct RuleSlot {
    /// 0: free. Written last, so that whoever reads it may read the other one.
    live: AtomicU64,
    candidate: AtomicU64,
    count: Counter,
}

/// A rule of a deployment, or no rule, or no deployment, as one number that is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RuleKey(u64);

impl RuleKey {
    pub(super) fn new(deployment: Option<DeploymentIndex>, rule: Option<RuleIndex>) -> Self {
        let deployment = deployment.map_or(0, |index| u64::from(index.0) + 1);
        let rule = rule.map_or(0, |index| u64::from(index.0) + 1);
        Self(deployment << 33 | rule << 1 | 1)
    }

    pub(super) fn deployment(self) -> Option<DeploymentIndex> {
        u32::try_from((self.0 >> 33).checked_sub(1)?).ok().map(DeploymentIndex)
    }

    pub(super) fn rule(self) -> Option<RuleIndex> {
        u32::try_from(((self.0 >> 1) & 0xffff_ffff).checked_sub(1)?).ok().map(RuleIndex)
    }
}

impl Ledger {
    pub(super) fn new(deployments: usize) -> Self {
        Self { deployments, shards: Mutex::default() }
    }

    /// The shard that this worker, and only it, may write.
    pub fn shard(&self, worker: usize) -> Arc<Shard> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, shard)) = shards.iter().find(|(owner, _)| *owner == worker) {
            return Arc::clone(shard);
        }
        let shard = Arc::new(Shard::new(self.deployments));
        shards.push((worker, Arc::clone(&shard)));
        shard
    }

    pub(super) fn shards(&self) -> Vec<Arc<Shard>> {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards.iter().map(|(_, shard)| Arc::clone(shard)).collect()
    }

    /// How often requests of a live deployment (`None`: of none) ended so.
    pub fn decisions(&self, deployment: Option<DeploymentIndex>, outcome: Outcome) -> u64 {
        let place = deployment.map_or(self.deployments, DeploymentIndex::index);
        let count = |shard: &Arc<Shard>| {
            shard.deployments.get(place).map_or(0, |counts| counts[outcome as usize].get())
        };
        self.shards().iter().map(count).sum()
    }
}

impl Shard {
    fn new(deployments: usize) -> Self {
        let counters = || std::array::from_fn(|_| Counter::default());
        Self {
            deployments: (0..=deployments).map(|_| counters()).collect(),
            countries: (0..=Country::COUNT).map(|_| CountryCounts::default()).collect(),
            rules: (0..SHADOW_RULES).map(|_| RuleSlot::default()).collect(),
            further_rules: Counter::default(),
            examples: (0..SHADOW_EXAMPLES).map(|_| OnceLock::new()).collect(),
        }
    }

    pub(super) fn count(
        &self,
        deployment: Option<DeploymentIndex>,
        location: &Location,
        outcome: Outcome,
    ) {
        let place = deployment.map_or(self.deployments.len() - 1, DeploymentIndex::index);
        if let Some(counts) = self.deployments.get(place) {
            counts[outcome as usize].increment();
        }
        let country = location.country.map_or(Country::COUNT, Country::index);
        if let Some(counts) = self.countries.get(country) {
            counts.compared.increment();
            if outcome != Outcome::Same {
                counts.differing.increment();
            }
        }
    }

    /// Counts a difference under the pair of rules; with all places taken, among the others.
    pub(super) fn count_rules(&self, live: RuleKey, candidate: RuleKey) {
        let start = (live.0 ^ candidate.0.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let start = (start >> 40) as usize % self.rules.len().max(1);
        let (before, from) = self.rules.split_at(start);
        for slot in from.iter().chain(before) {
            match slot.live.load(Ordering::Relaxed) {
                0 => {
                    slot.candidate.store(candidate.0, Ordering::Relaxed);
                    slot.count.increment();
                    slot.live.store(live.0, Ordering::Release);
                    return;
                }
                known
                    if known == live.0 && slot.candidate.load(Ordering::Relaxed) == candidate.0 =>
                {
                    slot.count.increment();
                    return;
                }
                _ => {}
            }
        }
        self.further_rules.increment();
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = (RuleKey, RuleKey, u64)> + '_ {
        self.rules.iter().filter_map(|slot| {
            let live = slot.live.load(Ordering::Acquire);
            let candidate = slot.candidate.load(Ordering::Relaxed);
            (live != 0).then(|| (RuleKey(live), RuleKey(candidate), slot.count.get()))
        })
    }

    /// Whether there is room for an example, which is dear to make.
    pub(super) fn wants_examples(&self) -> bool {
        self.examples.last().is_some_and(|last| last.get().is_none())
    }

    /// Keeps an example, unless there are enough of its kind.
    pub(super) fn keep(&self, live: &Fate, candidate: &Fate, make: impl FnOnce() -> Example) {
        let alike = self.examples().filter(|known| known.is_like(live, candidate)).count();
        if alike >= SHADOW_EXAMPLES_ALIKE {
            return;
        }
        if let Some(free) = self.examples.iter().find(|slot| slot.get().is_none()) {
            // There is one writer: nobody else can have filled it.
            let _ = free.set(make());
        }
    }

    pub(super) fn examples(&self) -> impl Iterator<Item = &Example> {
        self.examples.iter().filter_map(OnceLock::get)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(deployment: Option<u32>, rule: Option<u32>) -> RuleKey {
        RuleKey::new(deployment.map(DeploymentIndex), rule.map(RuleIndex))
    }

    proptest! {
        #[test]
        fn a_key_says_what_it_was_made_of(deployment in prop::option::of(0..u32::MAX / 2), rule in prop::option::of(0..u32::MAX - 1)) {
            let key = key(deployment, rule);
            prop_assert_eq!(key.deployment().map(|index| index.0), deployment);
            prop_assert_eq!(key.rule().map(|index| index.0), rule);
        }

        #[test]
        fn every_difference_is_counted_once_and_room_is_bounded(
            pairs in prop::collection::vec((0_u32..200, 0_u32..3), 0..2_000),
        ) {
            let shard = Shard::new(1);
            for (live, candidate) in &pairs {
                shard.count_rules(key(Some(0), Some(*live)), key(Some(0), Some(*candidate)));
            }
            let counted: u64 = shard.rules().map(|(.., count)| count).sum();
            prop_assert_eq!(counted + shard.further_rules.get(), pairs.len() as u64);
            let mut kinds: Vec<_> = shard.rules().map(|(live, candidate, _)| (live, candidate)).collect();
            kinds.sort();
            kinds.dedup();
            prop_assert_eq!(kinds.len(), shard.rules().count());
            for (live, candidate, count) in shard.rules() {
                let pair = (live.rule().unwrap().0, candidate.rule().unwrap().0);
                let expected = pairs.iter().filter(|known| **known == pair).count();
                prop_assert_eq!(count, expected as u64);
            }
        }
    }
}
