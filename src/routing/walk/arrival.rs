//! The end of the walk: what is left is ordered, without what is down or full, and becomes a decision
//! or a refusal.

use arrayvec::ArrayVec;

use super::super::decide::{Decision, Scene};
use super::super::draws::{Draws, Purpose, Stream};
use super::super::outcome::{Reason, Refusal, RefusalReason};
use super::super::plan::RegionPosition;
use super::super::regions::RegionSet;
use super::super::story;
use super::super::strategy::{Order, Ranker, Request};
use super::super::table::RegionHealth;
use super::super::trace::Trace;
use super::Walk;
use crate::config::WhenAllDown;
use crate::model::limits::{REGIONS_PER_DECISION, REGIONS_PER_DEPLOYMENT, UNSPILL_PERCENT};

impl<T: Trace> Walk<'_, T> {
    /// 9 to 12. The order of what is left, without what is down or full.
    pub(in crate::routing) fn arrive(self, draws: Draws) -> Result<Decision, Refusal> {
        let Scene { plan, deployment, health, facts, conditions } = self.scene;
        let listed = self.ranking.regions();
        let up = self.taking(listed.and(health.up()));
        let full = self.full(up);
        let open = up.without(full);
        let request = Request { plan, deployment, health, facts, conditions, draws, among: listed };
        let ranker = if T::RECORDS || self.ranking.needs_strategy(up) {
            Ranker::new(&request, self.ranking.strategy())
        } else {
            Ranker::UNNEEDED
        };
        let mut order = Order::new();
        let stream = Stream::new(draws.entropy, Purpose::Region);
        self.ranking.arrange(open, up, &ranker, stream, &mut order);
        if T::RECORDS {
            let mut all = Order::<REGIONS_PER_DEPLOYMENT>::new();
            self.ranking.arrange(listed, up, &ranker, stream, &mut all);
            let (scene, ranking) = (&self.scene, &self.ranking);
            self.trace.record(|| story::strategy(scene, ranking, &ranker, stream, &all, up));
            self.trace.record(|| story::health(scene, &all, up));
            if !deployment.limited.is_empty() {
                let percent = self.class_percent();
                let scene = &self.scene;
                self.trace.record(|| story::capacity(scene, &all, up, full, percent));
            }
        }
        match order.first() {
            Some(first) => {
                let reason = self.reason(*first, &ranker);
                Ok(self.decision(order, reason, false))
            }
            None if !up.is_empty() => Err(self.refuse(self.when_full())),
            None => self.nothing_left(),
        }
    }

    fn when_full(&self) -> RefusalReason {
        match self.forced {
            true => RefusalReason::RegionUnavailable,
            false => RefusalReason::Overloaded,
        }
    }

    /// 10. Without the ramping regions that do not take this client yet, unless no other is left.
    fn taking(&self, up: RegionSet) -> RegionSet {
        let Scene { deployment, health, facts, .. } = self.scene;
        let ramping = up.and(health.ramping());
        if ramping.is_empty() {
            return up;
        }
        let key = facts.stable_key();
        let mut taking = up;
        for position in ramping {
            let salt = deployment.region(position).map(|region| region.salt);
            let share = health.region(position).share.min(RegionHealth::WHOLE);
            if salt.is_some_and(|salt| salt.per_10_000(key) >= share) {
                taking.remove(position);
            }
        }
        if taking.is_empty() { up } else { taking }
    }

    /// 11. Those of `up` that are full for a request of this class.
    fn full(&self, up: RegionSet) -> RegionSet {
        let Scene { deployment, conditions, .. } = self.scene;
        let limited = up.and(deployment.limited);
        if limited.is_empty() {
            return limited;
        }
        let percent = self.class_percent();
        let is_full = |position: &RegionPosition| {
            let region = deployment.region(*position);
            let limit = region.and_then(|region| Some((region.number, region.max_in_flight?)));
            limit.is_some_and(|(number, limit)| {
                let load = conditions.load(number);
                let most = u64::from(limit.get()) * u64::from(percent);
                let in_flight = u64::from(load.in_flight) * 100;
                in_flight >= most
                    || load.spilling && in_flight * 100 >= most * u64::from(UNSPILL_PERCENT)
            })
        };
        limited.iter().filter(is_full).collect()
    }

    /// The percentage of a region's capacity that a request of this class may fill.
    fn class_percent(&self) -> u8 {
        let Scene { deployment, facts, .. } = self.scene;
        let Some(priorities) = &deployment.settings.priorities else { return 100 };
        let class = facts.words.class.and_then(|class| priorities.percent(class));
        class.unwrap_or(priorities.default_percent)
    }

    /// 12. What is done when no step left a region: the allowed ones in listed order, or nothing.
    fn nothing_left(self) -> Result<Decision, Refusal> {
        if self.forced {
            return Err(self.refuse(RefusalReason::RegionUnavailable));
        }
        let deployment = self.scene.deployment;
        let order: ArrayVec<_, REGIONS_PER_DECISION> = match deployment.settings.when_all_down {
            WhenAllDown::LastResort => self.allowed.iter().take(REGIONS_PER_DECISION).collect(),
            WhenAllDown::Refuse => ArrayVec::new(),
        };
        self.trace.record(|| story::nothing_left(deployment, &order));
        if order.is_empty() {
            return Err(self.refuse(RefusalReason::NoHealthyRegion));
        }
        Ok(self.decision(order, Reason::LastResort, true))
    }

    fn decision(
        &self,
        order: ArrayVec<RegionPosition, REGIONS_PER_DECISION>,
        reason: Reason,
        ignoring_health: bool,
    ) -> Decision {
        Decision {
            deployment: self.index,
            reported: order.first().is_some_and(|first| self.reported.contains(*first)),
            order,
            reason,
            rule: self.rule.map(|rule| rule.index),
            ignoring_health,
            keeps_token: self.keeps_token,
        }
    }

    fn reason(&self, first: RegionPosition, ranker: &Ranker<'_>) -> Reason {
        match self.ranking.reason(first).unwrap_or(Reason::of(self.ranking.strategy())) {
            reason if !reason.is_of_strategy() => reason,
            _ if self.rule.is_some() && !self.followed => Reason::RuleUnavailable,
            reason => ranker.unknown().unwrap_or(reason),
        }
    }
}
