//! One request in front of both: decided by the live table already, and now by the candidate's.

use std::cell::RefCell;
use std::sync::Arc;

use super::candidate::Trial;
use super::example::{Example, Fate};
use super::ledger::{RuleKey, Shard};
use crate::model::RegionId;
use crate::routing::{
    self, Conditions, Decision, Draws, Facts, Measured, NoTrace, Plan, Refusal, RegionLoad,
    RegionNumber,
};

/// How the candidate's decision compares with the live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Both go to the same region, or refuse for the same reason.
    Same,
    /// They go to different regions, or refuse for different reasons.
    Different,
    /// Only the candidate refuses.
    Refused,
    /// Only the live one refuses.
    Served,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Same, Self::Different, Self::Refused, Self::Served];

    /// The word used in metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different => "different",
            Self::Refused => "refused",
            Self::Served => "served",
        }
    }
}

/// One worker's place at a trial.
#[derive(Debug)]
pub struct Desk {
    trial: Trial,
    shard: Arc<Shard>,
    scratch: RefCell<Scratch>,
}

/// What is known of the regions, under the candidate's numbers.
#[derive(Debug, Default)]
struct Scratch {
    load: Vec<RegionLoad>,
    measured: Vec<Measured>,
    network: Vec<Measured>,
}

impl Desk {
    /// The place of that worker.
    pub fn new(trial: &Trial, worker: usize) -> Self {
        let shard = trial.ledger.shard(worker);
        Self { trial: trial.clone(), shard, scratch: RefCell::default() }
    }

    /// Decides a sampled request by the candidate too, and counts how that compares. `live` is what
    /// the live table made of the same arguments.
    #[inline]
    pub fn compare(
        &self,
        facts: &Facts<'_>,
        conditions: &Conditions<'_>,
        draws: Draws,
        live: Result<&Decision, &Refusal>,
    ) {
        if part_of(draws.entropy) < self.trial.candidate.sample {
            self.decide(facts, conditions, draws, live);
        }
    }

    #[inline(never)]
    fn decide(
        &self,
        facts: &Facts<'_>,
        conditions: &Conditions<'_>,
        draws: Draws,
        live: Result<&Decision, &Refusal>,
    ) {
        let Trial { table, numbers, live: live_plan, .. } = &self.trial;
        let mut scratch = self.scratch.borrow_mut();
        let conditions = scratch.translate(conditions, numbers);
        let decided = routing::decide(table, facts, &conditions, draws, &mut NoTrace);
        let candidate = decided.as_ref();
        let outcome = outcome((live_plan, live), (&table.plan, candidate));
        let deployment = match live {
            Ok(decision) => Some(decision.deployment),
            Err(refusal) => refusal.deployment,
        };
        self.shard.count(deployment, &facts.location, outcome);
        if outcome != Outcome::Same {
            self.tell(facts, live, candidate);
        }
    }

    /// Counts a difference by its rules, and keeps it as an example while there is room.
    fn tell(
        &self,
        facts: &Facts<'_>,
        live: Result<&Decision, &Refusal>,
        candidate: Result<&Decision, &Refusal>,
    ) {
        self.shard.count_rules(rule_key(live), rule_key(candidate));
        if self.shard.wants_examples() {
            let live = Fate::of(&self.trial.live, live);
            let candidate = Fate::of(&self.trial.table.plan, candidate);
            self.shard
                .keep(&live, &candidate, || Example::of(facts, live.clone(), candidate.clone()));
        }
    }
}

/// A number in 0..10_000 that is as random as the entropy and independent of what the decision
/// draws from it (a multiplier of P. L'Ecuyer, "Tables of linear congruential generators of
/// different sizes and good lattice structure", 1999).
fn part_of(entropy: u64) -> u16 {
    let mixed = (entropy ^ entropy >> 32).wrapping_mul(0x2545_f491_4f6c_dd1d);
    ((u128::from(mixed) * 10_000) >> 64) as u16
}

fn outcome(
    live: (&Plan, Result<&Decision, &Refusal>),
    candidate: (&Plan, Result<&Decision, &Refusal>),
) -> Outcome {
    match (live.1, candidate.1) {
        (Ok(a), Ok(b)) if region(live.0, a) == region(candidate.0, b) => Outcome::Same,
        (Err(a), Err(b)) if a.why == b.why => Outcome::Same,
        (Ok(_), Ok(_)) | (Err(_), Err(_)) => Outcome::Different,
        (Ok(_), Err(_)) => Outcome::Refused,
        (Err(_), Ok(_)) => Outcome::Served,
    }
}

fn region<'a>(plan: &'a Plan, decision: &Decision) -> Option<&'a RegionId> {
    let deployment = plan.deployment(decision.deployment)?;
    Some(&deployment.region(*decision.order.first()?)?.id)
}

fn rule_key(outcome: Result<&Decision, &Refusal>) -> RuleKey {
    match outcome {
        Ok(decision) => RuleKey::new(Some(decision.deployment), decision.rule),
        Err(refusal) => RuleKey::new(refusal.deployment, None),
    }
}

impl Scratch {
    /// The conditions under the candidate's numbers; of a region that the live table does not have
    /// nothing is known.
    fn translate<'a>(
        &'a mut self,
        live: &Conditions<'_>,
        numbers: &[Option<RegionNumber>],
    ) -> Conditions<'a> {
        fill(&mut self.load, live.load, numbers);
        fill(&mut self.measured, live.measured, numbers);
        fill(&mut self.network, live.network, numbers);
        let incumbent = live.incumbent.and_then(|incumbent| {
            let number = numbers.iter().position(|number| *number == Some(incumbent))?;
            u16::try_from(number).ok().map(RegionNumber)
        });
        let Self { load, measured, network } = self;
        Conditions { load, measured, network, incumbent }
    }
}

fn fill<T: Copy + Default>(into: &mut Vec<T>, live: &[T], numbers: &[Option<RegionNumber>]) {
    into.clear();
    if live.is_empty() {
        return;
    }
    let known = |number: &Option<RegionNumber>| {
        number.and_then(|number| live.get(number.index()).copied()).unwrap_or_default()
    };
    into.extend(numbers.iter().map(known));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_as_large_as_asked_for() {
        let mut draws = fastrand::Rng::with_seed(1);
        let entropies: Vec<_> = (0..100_000).map(|_| draws.u64(..)).collect();
        for sample in [0, 1, 100, 2_500, 9_999, 10_000_u16] {
            let met = entropies.iter().filter(|entropy| part_of(**entropy) < sample).count() as f64;
            let share = f64::from(sample) / 10_000.0;
            let expected = share * 1e5;
            let sigma = (expected * (1.0 - share)).sqrt();
            assert!((met - expected).abs() <= 5.0 * sigma, "{sample}: {met}");
        }
    }
}
