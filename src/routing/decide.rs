//! The decision: one walk down the steps, each of which narrows or orders the list of regions.
//!
//! [`decide_in`] is the table of contents; a step is a method of [`Walk`]. Each tells the trace what
//! it did; the words are `story`'s. Not here: the choice of an endpoint inside the region
//! (`endpoint`), because a retry makes it again.

use arrayvec::ArrayVec;

use super::affinity;
use super::draws::{Draws, Purpose, Stream};
use super::facts::{Conditions, Facts};
use super::outcome::{Reason, Refusal, RefusalReason};
use super::plan::{DeploymentIndex, DeploymentPlan, Plan, RegionPosition, RuleIndex};
use super::ranking::Ranking;
use super::regions::RegionSet;
use super::rules::CompiledRule;
use super::story;
use super::strategy::{Order, Rankers, Request};
use super::table::{DeploymentHealth, DeploymentOverrides, RegionHealth, Table};
use super::tenants::Pin;
use super::trace::Trace;
use crate::config::{AffinityMode, OnFailure, Strategy, WhenAllDown, WhenDown, WriteMode};
use crate::model::limits::{REGIONS_PER_DECISION, REGIONS_PER_DEPLOYMENT, UNSPILL_PERCENT};

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The deployment that answers.
    pub deployment: DeploymentIndex,
    /// The region, then the alternates to try in order; at least one.
    pub order: ArrayVec<RegionPosition, REGIONS_PER_DECISION>,
    /// Why that region.
    pub reason: Reason,
    /// The rule that holds for the request, whether or not it could be followed.
    pub rule: Option<RuleIndex>,
    /// Whether the regions of `order` may be down.
    pub ignoring_health: bool,
    /// Whether the client's affinity token still says the right thing.
    pub keeps_token: bool,
    /// Whether a policy that only reports would not have allowed the region.
    pub reported: bool,
}

/// The deployment that answers a host (lower case, no port) and a path.
pub fn deployment(table: &Table, host: &str, path: &str) -> Option<DeploymentIndex> {
    table.plan.hosts.find(host, path)
}

/// Decides where a request goes.
pub fn decide<T: Trace>(
    table: &Table,
    facts: &Facts<'_>,
    conditions: &Conditions<'_>,
    draws: Draws,
    trace: &mut T,
) -> Result<Decision, Refusal> {
    let Some(index) = deployment(table, facts.host, facts.path) else {
        trace.record(|| story::no_deployment(facts));
        return Err(Refusal::NO_DEPLOYMENT);
    };
    decide_in(table, index, facts, conditions, draws, trace)
}

/// Decides where a request goes in a deployment that [`deployment`] has found in the same table.
pub fn decide_in<T: Trace>(
    table: &Table,
    index: DeploymentIndex,
    facts: &Facts<'_>,
    conditions: &Conditions<'_>,
    draws: Draws,
    trace: &mut T,
) -> Result<Decision, Refusal> {
    let Some((deployment, health)) = table.deployment(index) else {
        trace.record(|| story::no_deployment(facts));
        return Err(Refusal::NO_DEPLOYMENT);
    };
    trace.record(|| story::deployment(deployment, facts));
    trace.record(|| story::eligible(deployment));
    let scene = Scene { plan: &table.plan, deployment, health, facts, conditions };
    let overrides = table.overrides(index);
    let mut walk = Walk::new(index, scene, overrides, trace);
    walk.residency()?;
    walk.overrides();
    walk.hint()?;
    walk.pin()?;
    walk.rule()?;
    walk.writes()?;
    walk.affinity()?;
    walk.prefer();
    walk.arrive(draws)
}

/// What every step looks at.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) plan: &'a Plan,
    pub(super) deployment: &'a DeploymentPlan,
    pub(super) health: &'a DeploymentHealth,
    pub(super) facts: &'a Facts<'a>,
    pub(super) conditions: &'a Conditions<'a>,
}

/// A decision on its way.
struct Walk<'a, T> {
    index: DeploymentIndex,
    scene: Scene<'a>,
    overrides: Option<&'a DeploymentOverrides>,
    trace: &'a mut T,
    /// What the law, a force and a strict pin leave: nothing goes beyond it, not even the last resort.
    allowed: RegionSet,
    /// Whether a binding residency policy applies.
    bound: bool,
    /// Regions that policies which only report would have taken out.
    reported: RegionSet,
    ranking: Ranking<'a>,
    home: Option<RegionPosition>,
    rule: Option<&'a CompiledRule>,
    /// Whether the rule that holds could be followed.
    followed: bool,
    /// The region that takes this write, if it is one and such a region was asked for.
    writer: Option<RegionPosition>,
    /// Whether only one region will do.
    forced: bool,
    keeps_token: bool,
}

impl<'a, T: Trace> Walk<'a, T> {
    fn new(
        index: DeploymentIndex,
        scene: Scene<'a>,
        overrides: Option<&'a DeploymentOverrides>,
        trace: &'a mut T,
    ) -> Self {
        let allowed = scene.deployment.eligible();
        Self {
            index,
            overrides,
            trace,
            allowed,
            bound: false,
            reported: RegionSet::EMPTY,
            ranking: Ranking::by_strategy(allowed, scene.deployment.settings.strategy),
            home: scene.deployment.primary,
            rule: None,
            followed: false,
            writer: None,
            forced: false,
            keeps_token: false,
            scene,
        }
    }

    fn refuse(&self, why: RefusalReason) -> Refusal {
        Refusal { why, deployment: Some(self.index) }
    }

    fn narrow(&mut self, allowed: RegionSet) {
        self.allowed = self.allowed.and(allowed);
        self.ranking.keep(self.allowed);
    }

    /// 3. Only regions that may see the request.
    fn residency(&mut self) -> Result<(), Refusal> {
        let Scene { deployment, facts, .. } = self.scene;
        if !deployment.residency.is_empty() {
            let before = self.allowed;
            let verdict = deployment.residency.verdict(facts, before);
            self.bound = verdict.bound;
            self.reported = verdict.reported;
            self.narrow(verdict.allowed);
            let left = self.allowed;
            self.trace.record(|| story::residency(&self.scene, before, left, &verdict));
            if left.is_empty() {
                return Err(self.refuse(RefusalReason::ResidencyUnavailable));
            }
        }
        self.proven(deployment.settings.strategy)
    }

    /// `compliance` is only for requests that a binding policy applies to.
    fn proven(&self, strategy: Strategy) -> Result<(), Refusal> {
        match strategy {
            Strategy::Compliance if !self.bound => {
                Err(self.refuse(RefusalReason::ResidencyRequired))
            }
            _ => Ok(()),
        }
    }

    /// 4. What operators took out or shifted.
    fn overrides(&mut self) {
        let Some(overrides) = self.overrides else { return };
        let before = self.ranking.regions();
        self.ranking.keep(before.without(overrides.drained));
        self.ranking.shift(&overrides.shift);
        self.trace.record(|| story::overrides(&self.scene, before, &self.ranking, overrides));
    }

    /// The one region that will do, if there is one.
    fn hint(&mut self) -> Result<(), Refusal> {
        let Some(forced) = self.scene.facts.words.force else { return Ok(()) };
        let before = self.ranking.regions();
        let position = self.scene.deployment.position(forced.region);
        let reason = if forced.replay { Reason::Replay } else { Reason::Forced };
        let found = position.is_some_and(|position| self.ranking.first(position, reason));
        self.forced = true;
        self.narrow(position.filter(|_| found).into_iter().collect());
        self.trace.record(|| story::hint(&self.scene, before, &self.ranking, forced));
        if found { Ok(()) } else { Err(self.refuse(RefusalReason::RegionUnavailable)) }
    }

    /// 5. The tenant's home.
    fn pin(&mut self) -> Result<(), Refusal> {
        let Some((pin, home)) = self.pinned() else { return Ok(()) };
        self.home = home;
        let before = self.ranking.regions();
        let found = home.is_some_and(|home| self.ranking.first(home, Reason::Pin));
        if pin.strict {
            self.narrow(home.filter(|_| found).into_iter().collect());
        }
        self.trace.record(|| story::pin(&self.scene, before, &self.ranking, pin, found));
        if pin.strict && !found && !self.forced {
            return Err(self.refuse(RefusalReason::HomeUnavailable));
        }
        if pin.strict && !found {
            return Err(self.refuse(RefusalReason::RegionUnavailable));
        }
        Ok(())
    }

    fn pinned(&self) -> Option<(Pin, Option<RegionPosition>)> {
        let Scene { plan, deployment, facts, .. } = self.scene;
        let pin = plan.pin(facts)?;
        Some((pin, deployment.homes.get(usize::from(pin.region)).copied().flatten()))
    }

    /// 6. The first rule that holds.
    fn rule(&mut self) -> Result<(), Refusal> {
        let Scene { deployment, facts, .. } = self.scene;
        let before = self.ranking.regions();
        let rule = deployment.rules.find(facts);
        self.rule = rule;
        if let Some(rule) = rule {
            self.followed = self.ranking.apply(rule, deployment.settings.strategy);
        }
        self.trace.record(|| story::rule(&self.scene, rule, before, &self.ranking));
        match rule.filter(|_| self.followed).and_then(|rule| rule.strategy) {
            Some(strategy) => self.proven(strategy),
            None => Ok(()),
        }
    }

    /// 7. Where writes go, and reads after them.
    fn writes(&mut self) -> Result<(), Refusal> {
        let Scene { deployment, health, facts, .. } = self.scene;
        let writes = &deployment.settings.writes;
        if facts.method.is_safe() {
            let written = facts.words.written.and_then(|id| deployment.position(id));
            if let Some(written) = written {
                let placed = self.ranking.first(written, Reason::ReadYourWrites);
                self.trace.record(|| story::read(&self.scene, &self.ranking, written, placed));
            }
            return Ok(());
        }
        let writer = match writes.mode {
            WriteMode::Nearest => return Ok(()),
            WriteMode::Primary => deployment.primary,
            WriteMode::Home => self.home,
        };
        let before = self.ranking.regions();
        let placed = writer.filter(|writer| self.ranking.first(*writer, Reason::Write));
        let up = placed.is_some_and(|writer| health.up().contains(writer));
        let refused = !up && writes.when_down == WhenDown::ReadOnly;
        self.writer = placed;
        if writes.when_down == WhenDown::ReadOnly {
            // Not even a retry may take a write elsewhere.
            self.narrow(placed.into_iter().collect());
        }
        self.trace
            .record(|| story::write(&self.scene, before, &self.ranking, writer, placed, refused));
        if refused {
            return Err(self.refuse(RefusalReason::ReadOnly));
        }
        Ok(())
    }

    /// 8. Where the client belongs or was before.
    fn affinity(&mut self) -> Result<(), Refusal> {
        let Scene { deployment, health, facts, conditions, .. } = self.scene;
        let affinity = &deployment.settings.affinity;
        let listed = self.ranking.regions();
        let region = match affinity.mode {
            AffinityMode::None => return Ok(()),
            AffinityMode::Client => {
                let key = facts.stable_key();
                affinity::home_of(deployment, key, listed.and(health.up()), conditions)
            }
            AffinityMode::Token(_) => facts.words.affinity.and_then(|id| deployment.position(id)),
        };
        let region = region.filter(|region| listed.contains(*region));
        let up = region.is_some_and(|region| health.up().contains(region));
        self.keeps_token = region.is_some() && (up || affinity.on_failure != OnFailure::Sticky);
        // A write must not follow a token to a region that does not take writes.
        let moved = region.filter(|_| self.writer.is_none());
        if let Some(region) = moved {
            self.ranking.first(region, Reason::Affinity);
            if affinity.on_failure == OnFailure::None {
                self.narrow(moved.into_iter().collect());
            }
        }
        let writes = self.writer.is_some();
        self.trace.record(|| story::affinity(&self.scene, listed, &self.ranking, region, writes));
        if moved.is_some() && !up && affinity.on_failure == OnFailure::None {
            return Err(self.refuse(RefusalReason::NoHealthyRegion));
        }
        Ok(())
    }

    /// Where the request would rather go.
    fn prefer(&mut self) {
        let Some(preferred) = self.scene.facts.words.prefer else { return };
        let position = self.scene.deployment.position(preferred);
        let position = position.filter(|_| self.writer.is_none());
        let placed =
            position.is_some_and(|position| self.ranking.first(position, Reason::Preferred));
        self.trace.record(|| story::prefer(&self.scene, &self.ranking, preferred, placed));
    }

    /// 9 to 12. The order of what is left, without what is down or full.
    fn arrive(self, draws: Draws) -> Result<Decision, Refusal> {
        let Scene { plan, deployment, health, facts, conditions } = self.scene;
        let listed = self.ranking.regions();
        let up = self.taking(listed.and(health.up()));
        let full = self.full(up);
        let open = up.without(full);
        let strategy = deployment.settings.strategy;
        let own = self.rule.filter(|_| self.followed).and_then(|rule| rule.strategy);
        let request = Request { plan, deployment, health, facts, conditions, draws, among: listed };
        let rankers = if T::RECORDS || self.ranking.needs_strategy(up) {
            Rankers::new(&request, own)
        } else {
            Rankers::unneeded(strategy)
        };
        let mut order = Order::new();
        let stream = Stream::new(draws.entropy, Purpose::Region);
        self.ranking.arrange(open, up, &rankers, stream, &mut order);
        if T::RECORDS {
            let mut all = Order::<REGIONS_PER_DEPLOYMENT>::new();
            self.ranking.arrange(listed, up, &rankers, stream, &mut all);
            let (scene, ranking) = (&self.scene, &self.ranking);
            self.trace.record(|| story::strategy(scene, ranking, &rankers, stream, &all, up));
            self.trace.record(|| story::health(scene, &all, up));
            if !deployment.limited.is_empty() {
                let percent = self.class_percent();
                let scene = &self.scene;
                self.trace.record(|| story::capacity(scene, &all, up, full, percent));
            }
        }
        match order.first() {
            Some(first) => {
                let reason = self.reason(*first, &rankers);
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

    fn reason(&self, first: RegionPosition, rankers: &Rankers<'_>) -> Reason {
        let strategy = self.scene.deployment.settings.strategy;
        match self.ranking.reason(first).unwrap_or(Reason::of(strategy)) {
            reason if !reason.is_of_strategy() => reason,
            _ if self.rule.is_some() && !self.followed => Reason::RuleUnavailable,
            reason => rankers.of(strategy).unknown().unwrap_or(reason),
        }
    }
}
