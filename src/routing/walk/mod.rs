//! The steps of the decision that narrow and order the list, each a method of [`Walk`]: from residency
//! to what the request would rather have.
//!
//! What becomes of the list in the end is `arrival`'s; in which order the steps come is `decide`'s.

mod arrival;

use super::affinity;
use super::decide::Scene;
use super::outcome::{Reason, Refusal, RefusalReason};
use super::plan::{DeploymentIndex, RegionPosition};
use super::ranking::Ranking;
use super::regions::RegionSet;
use super::rules::CompiledRule;
use super::story;
use super::table::DeploymentOverrides;
use super::tenants::Pin;
use super::trace::Trace;
use crate::config::{AffinityMode, OnFailure, Strategy, WhenDown, WriteMode};

/// A decision on its way.
pub(super) struct Walk<'a, T> {
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
    /// Whether it is a write whose region is in the list, or a read after one whose region is there
    /// and up: no later step moves it.
    settled: bool,
    /// Whether only one region will do.
    forced: bool,
    keeps_token: bool,
}

impl<'a, T: Trace> Walk<'a, T> {
    pub(super) fn new(
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
            settled: false,
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
    pub(super) fn residency(&mut self) -> Result<(), Refusal> {
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
        self.proven()
    }

    /// `compliance` is only for requests that a binding policy applies to.
    fn proven(&self) -> Result<(), Refusal> {
        if self.ranking.strategy() == Strategy::Compliance && !self.bound {
            return Err(self.refuse(RefusalReason::ResidencyRequired));
        }
        Ok(())
    }

    /// 4. What operators took out or shifted.
    pub(super) fn overrides(&mut self) {
        let Some(overrides) = self.overrides else { return };
        let before = self.ranking.regions();
        self.ranking.keep(before.without(overrides.drained));
        self.ranking.shift(&overrides.shift);
        self.trace.record(|| story::overrides(&self.scene, before, &self.ranking, overrides));
    }

    /// The one region that will do, if there is one.
    pub(super) fn hint(&mut self) -> Result<(), Refusal> {
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
    pub(super) fn pin(&mut self) -> Result<(), Refusal> {
        let Some((pin, home)) = self.pinned() else { return Ok(()) };
        self.home = home;
        let before = self.ranking.regions();
        let found = home.is_some_and(|home| self.ranking.first(home, Reason::Pin));
        if pin.strict {
            self.narrow(home.filter(|_| found).into_iter().collect());
        }
        self.trace.record(|| story::pin(&self.scene, before, &self.ranking, pin, found));
        match pin.strict && !found {
            false => Ok(()),
            true if self.forced => Err(self.refuse(RefusalReason::RegionUnavailable)),
            true => Err(self.refuse(RefusalReason::HomeUnavailable)),
        }
    }

    fn pinned(&self) -> Option<(Pin, Option<RegionPosition>)> {
        let Scene { plan, deployment, facts, .. } = self.scene;
        let pin = plan.pin(facts)?;
        Some((pin, deployment.homes.get(usize::from(pin.region)).copied().flatten()))
    }

    /// 6. The first rule that holds.
    pub(super) fn rule(&mut self) -> Result<(), Refusal> {
        let Scene { deployment, facts, .. } = self.scene;
        let before = self.ranking.regions();
        let rule = deployment.rules.find(facts);
        self.rule = rule;
        if let Some(rule) = rule {
            self.followed = self.ranking.apply(rule);
        }
        self.trace.record(|| story::rule(&self.scene, rule, before, &self.ranking));
        self.proven()
    }

    /// 7. Where writes go, and reads after them.
    pub(super) fn writes(&mut self) -> Result<(), Refusal> {
        let Scene { deployment, health, facts, .. } = self.scene;
        let writes = &deployment.settings.writes;
        if facts.method.is_safe() {
            let written = facts.words.written.and_then(|id| deployment.position(id));
            if let Some(written) = written {
                let placed = self.ranking.first(written, Reason::ReadYourWrites);
                self.settled = placed && health.up().contains(written);
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
        self.settled = placed.is_some();
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
    pub(super) fn affinity(&mut self) -> Result<(), Refusal> {
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
        // A write must not follow a token to a region that does not take writes, nor a read to one
        // that has not seen the write before it.
        let moved = region.filter(|_| !self.settled);
        if let Some(region) = moved {
            self.ranking.first(region, Reason::Affinity);
            if affinity.on_failure == OnFailure::None {
                self.narrow(moved.into_iter().collect());
            }
        }
        let settled = self.settled;
        self.trace.record(|| story::affinity(&self.scene, listed, &self.ranking, region, settled));
        if moved.is_some() && !up && affinity.on_failure == OnFailure::None {
            return Err(self.refuse(RefusalReason::NoHealthyRegion));
        }
        Ok(())
    }

    /// Where the request would rather go.
    pub(super) fn prefer(&mut self) {
        let Some(preferred) = self.scene.facts.words.prefer else { return };
        let position = self.scene.deployment.position(preferred);
        let position = position.filter(|_| !self.settled);
        let placed =
            position.is_some_and(|position| self.ranking.first(position, Reason::Preferred));
        self.trace.record(|| story::prefer(&self.scene, &self.ranking, preferred, placed));
    }
}
