//! The steps, one after the other, over one list.

use http::Method;

use super::super::oracle::Oracle;
use super::super::world::{Asked, World};
use super::keys::Part;
use super::strategies::{self, Moment, drawn};
use super::{Answer, Ranked, Routed, matching};
use crate::config::{
    AffinityMode, Enforcement, OnFailure, ResidencyPolicy, Rule, Strategy, WhenAllDown, WhenDown,
    WriteMode,
};
use crate::model::RegionId;

/// Regions that come one after the other in the strategy's order, or in another.
#[derive(Clone, Debug)]
struct Group {
    /// What put them there; `None`: nothing, the strategy says it all.
    reason: Option<&'static str>,
    /// As listed.
    ids: Vec<String>,
    by: By,
    /// Whether a step put one region there, so that a rule has nothing to order.
    placed: bool,
    /// As the strategy orders them, once it has, and why it could not.
    ranked: Vec<Ranked>,
    unknown: Option<&'static str>,
}

/// What orders a group inside.
#[derive(Clone, Debug)]
enum By {
    Strategy(Strategy),
    Weights(Vec<(RegionId, u32)>),
}

pub(super) struct Walk<'a> {
    moment: Moment<'a>,
    oracle: &'a Oracle,
    list: Vec<Group>,
    /// The strategy of what nothing else orders.
    strategy: Strategy,
    /// The last resort is among these.
    allowed: Vec<String>,
    permitted: Vec<String>,
    /// Whether only one region will do.
    forced: bool,
    /// Whether a policy that binds applies.
    bound: bool,
    rule: Option<&'a Rule>,
    rule_unavailable: bool,
    placed: bool,
    keeps_token: Option<bool>,
    steps: Vec<(&'static str, Vec<String>)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        world: &'a World,
        index: usize,
        asked: &'a Asked,
        oracle: &'a Oracle,
    ) -> Self {
        let deployment = &*world.config.deployments[index];
        let moment = Moment { world, asked, deployment, standing: &world.standings[index] };
        let regions = deployment.regions.iter();
        let ids: Vec<String> = regions.map(|settings| settings.region.id.to_string()).collect();
        let strategy = deployment.strategy;
        let all = Group {
            reason: None,
            ids: ids.clone(),
            by: By::Strategy(strategy),
            placed: false,
            ranked: vec![],
            unknown: None,
        };
        Self {
            moment,
            oracle,
            list: vec![all],
            strategy,
            allowed: ids.clone(),
            permitted: ids,
            forced: false,
            bound: false,
            rule: None,
            rule_unavailable: false,
            placed: false,
            keeps_token: None,
            steps: Vec::new(),
        }
    }

    pub(super) fn answer(mut self) -> Answer {
        self.done("eligible");
        let outcome = self.run();
        let deployments = &self.moment.world.config.deployments;
        let name = &self.moment.deployment.name;
        Answer {
            deployment: deployments.iter().position(|other| other.name == *name),
            outcome,
            permitted: self.permitted,
            steps: self.steps,
            rule: self.rule.map(|rule| rule.id.to_string()),
        }
    }

    fn run(&mut self) -> Result<Routed, &'static str> {
        self.residency()?;
        self.overrides();
        self.force()?;
        self.pin()?;
        self.follow_rule()?;
        self.writes()?;
        self.affinity()?;
        self.prefer();
        self.rank();
        self.health()?;
        self.capacity()?;
        self.end()
    }

    // Editing the list.

    fn done(&mut self, step: &'static str) {
        let ids = self.list.iter().flat_map(|group| group.ids.clone()).collect();
        self.steps.push((step, ids));
    }

    fn has(&self, id: &str) -> bool {
        self.list.iter().any(|group| group.ids.iter().any(|other| other == id))
    }

    fn is_empty(&self) -> bool {
        self.list.iter().all(|group| group.ids.is_empty())
    }

    fn keep(&mut self, keeps: impl Fn(&str) -> bool) {
        for group in &mut self.list {
            group.ids.retain(|id| keeps(id));
        }
    }

    /// Whether what tells the only region that is left apart from the others has been said.
    fn is_settled(&self) -> bool {
        let mut groups = self.list.iter().filter(|group| !group.ids.is_empty());
        let only = groups.next().is_some_and(|group| {
            group.placed && group.ids.len() == 1 && group.reason != Some("shift")
        });
        only && groups.next().is_none()
    }

    fn put_first(&mut self, id: &str, reason: &'static str) {
        if self.is_settled() {
            return;
        }
        self.keep(|other| other != id);
        let by = By::Strategy(self.strategy);
        let group = Group {
            reason: Some(reason),
            ids: vec![id.to_owned()],
            by,
            placed: true,
            ranked: vec![],
            unknown: None,
        };
        self.list.insert(0, group);
    }

    // The steps.

    fn residency(&mut self) -> Result<(), &'static str> {
        let Moment { deployment, asked, .. } = self.moment;
        for policy in &deployment.residency {
            if policy.enforcement == Enforcement::Report || !matching::applies(policy, asked) {
                continue;
            }
            self.bound = true;
            self.permitted.retain(|id| {
                let region = &self.moment.settings(id).region;
                let complies = policy.required_compliance.iter().all(|framework| {
                    region.compliance.iter().any(|declared| declared == framework)
                });
                is_listed(policy, id) && complies
            });
        }
        self.allowed.clone_from(&self.permitted);
        let permitted = self.permitted.clone();
        self.keep(|id| permitted.iter().any(|other| other == id));
        self.done("residency");
        if self.is_empty() {
            return Err("residency_unavailable");
        }
        self.bound_for(deployment.strategy)
    }

    /// `compliance` is only for requests that a policy binds.
    fn bound_for(&self, strategy: Strategy) -> Result<(), &'static str> {
        match strategy {
            Strategy::Compliance if !self.bound => Err("residency_required"),
            _ => Ok(()),
        }
    }

    fn overrides(&mut self) {
        let standing = self.moment.standing;
        self.keep(|id| !standing.drained.iter().any(|drained| drained == id));
        for id in standing.shift.iter().rev() {
            if self.has(id) {
                self.put_first(id, "shift");
            }
        }
        self.done("override");
    }

    fn force(&mut self) -> Result<(), &'static str> {
        let Some((id, replay)) = &self.moment.asked.force else { return Ok(()) };
        if !self.has(id) {
            return Err("region_unavailable");
        }
        let reason = if *replay { "replay" } else { "forced" };
        self.forced = true;
        self.put_first(id, reason);
        self.keep(|other| other == id);
        self.allowed.retain(|other| other == id);
        self.done("hint");
        Ok(())
    }

    /// The tenant's home, if the file that says so is not too old, and whether it is strict.
    fn home(&self) -> Option<(String, bool)> {
        let Moment { world, asked, .. } = self.moment;
        let tenant = asked.request.tenant.as_ref()?;
        let home = world.homes.iter().find(|home| home.tenant == tenant)?;
        let hard = world.config.tenants.as_ref()?.freshness.hard;
        let age = world.homes_modified.map(|modified| asked.request.now - modified);
        let too_old = age.zip(hard).is_some_and(|(age, hard)| age as f64 > hard.as_secs_f64());
        (home.strict || !too_old).then(|| (home.region.clone(), home.strict))
    }

    fn pin(&mut self) -> Result<(), &'static str> {
        let Some((home, strict)) = self.home() else { return Ok(()) };
        let found = self.has(&home);
        if found {
            self.put_first(&home, "pin");
        }
        if strict {
            if !found {
                // The one region that would do may not be used.
                return Err(if self.forced { "region_unavailable" } else { "home_unavailable" });
            }
            self.keep(|id| id == home);
            self.allowed.retain(|id| *id == home);
        }
        self.done("pin");
        Ok(())
    }

    fn follow_rule(&mut self) -> Result<(), &'static str> {
        let Moment { deployment, asked, .. } = self.moment;
        let mut rules: Vec<&Rule> = deployment.rules.iter().filter(|rule| rule.enabled).collect();
        rules.sort_by_key(|rule| -rule.priority);
        self.rule = rules
            .into_iter()
            .find(|rule| matching::holds(deployment.name.as_str(), rule, asked, self.oracle));
        let Some(rule) = self.rule else { return Ok(()) };
        let named = |list: &[RegionId], id: &str| list.iter().any(|other| other.as_str() == id);
        let is_of_rule =
            |id: &String| named(&rule.target_regions, id) || named(&rule.fallback_regions, id);
        if !self.list.iter().any(|group| group.ids.iter().any(is_of_rule)) {
            self.rule_unavailable = true;
            self.done("rule");
            return Ok(());
        }
        self.strategy = rule.strategy.unwrap_or(deployment.strategy);
        if self.is_settled() {
            self.done("rule");
            return self.bound_for(self.strategy);
        }
        let part = |reason, by: By, stays: bool, wanted: &dyn Fn(&str) -> bool| {
            let parts = self.list.iter().map(|group| Group {
                // What a step before has put first stays so, and for its reason.
                reason: group.reason.filter(|_| group.placed && stays).or(Some(reason)),
                ids: group.ids.iter().filter(|id| wanted(id)).cloned().collect(),
                by: by.clone(),
                placed: group.placed && stays,
                ranked: vec![],
                unknown: None,
            });
            parts.collect::<Vec<_>>()
        };
        let by_strategy = By::Strategy(self.strategy);
        let by = if rule.weights.is_empty() {
            by_strategy.clone()
        } else {
            By::Weights(rule.weights.clone())
        };
        let mut list = part("rule", by, true, &|id| named(&rule.target_regions, id));
        for fallback in &rule.fallback_regions {
            let wanted = |id: &str| id == fallback.as_str() && !named(&rule.target_regions, id);
            list.extend(part("rule_fallback", by_strategy.clone(), false, &wanted));
        }
        if rule.fallback_regions.is_empty() {
            let wanted = |id: &str| !named(&rule.target_regions, id);
            list.extend(part("rule_others", by_strategy, true, &wanted));
        }
        self.list = list;
        self.done("rule");
        self.bound_for(self.strategy)
    }

    fn writes(&mut self) -> Result<(), &'static str> {
        let Moment { deployment, asked, .. } = self.moment;
        let safe = [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE];
        if safe.contains(&asked.request.method) {
            if let Some(written) = asked.written.as_ref().filter(|id| self.has(id)) {
                self.put_first(written, "read_your_writes");
            }
            self.done("writes");
            return Ok(());
        }
        let primary = deployment.primary_region.to_string();
        let region = match deployment.writes.mode {
            WriteMode::Nearest => return Ok(()),
            WriteMode::Primary => primary,
            WriteMode::Home => self.home().map_or(primary, |(home, _)| home),
        };
        if self.has(&region) {
            self.put_first(&region, "write");
            self.placed = true;
        }
        if deployment.writes.when_down == WhenDown::ReadOnly {
            if !self.has(&region) || !self.moment.up(&region) {
                return Err("read_only");
            }
            // Nor does it go elsewhere when it is tried again.
            self.keep(|id| id == region);
        }
        self.done("writes");
        Ok(())
    }

    fn affinity(&mut self) -> Result<(), &'static str> {
        let Moment { deployment, asked, .. } = self.moment;
        if self.placed {
            return Ok(());
        }
        let token = asked.affinity.as_ref();
        let region = match deployment.affinity.mode {
            AffinityMode::None => return Ok(()),
            AffinityMode::Client => self.belongs_to(),
            AffinityMode::Token(_) => token.filter(|id| self.has(id)).cloned(),
        };
        let Some(region) = region else { return Ok(()) };
        let by_token = matches!(deployment.affinity.mode, AffinityMode::Token(_));
        let up = self.moment.up(&region);
        match deployment.affinity.on_failure {
            OnFailure::None if !up => return Err("no_healthy_region"),
            OnFailure::Sticky if by_token => self.keeps_token = Some(up),
            _ if by_token => self.keeps_token = Some(true),
            _ => {}
        }
        if up {
            self.put_first(&region, "affinity");
        }
        if deployment.affinity.on_failure == OnFailure::None {
            // Nor does it go elsewhere when it is tried again.
            self.keep(|id| id == region);
        }
        self.done("affinity");
        Ok(())
    }

    /// The first of the client's order that is not far busier than the others.
    fn belongs_to(&self) -> Option<String> {
        let Moment { deployment, asked, .. } = self.moment;
        let listed = deployment.regions.iter().map(|settings| settings.region.id.as_str());
        let up: Vec<&str> = listed.filter(|id| self.has(id) && self.moment.up(id)).collect();
        // Regions without a weight get clients only when none has one; then all are alike.
        let given = |id: &str| self.moment.settings(id).weight;
        let none_has = up.iter().all(|id| given(id) == 0);
        let weight = |id: &str| if none_has { 1.0 } else { f64::from(given(id)) };
        let in_flight = |id: &str| f64::from(self.moment.in_flight(id).0);
        let all_weights: f64 = up.iter().map(|id| weight(id)).sum();
        let all: f64 = up.iter().map(|id| in_flight(id)).sum();
        let busy = all >= 8.0 * up.len() as f64;
        let too_busy = |id: &str| busy && in_flight(id) > 1.25 * all * weight(id) / all_weights;
        let candidates = up.iter().filter(|id| weight(id) > 0.0 && !too_busy(id));
        let candidates: Vec<_> = candidates.map(|id| (*id, given(id))).collect();
        self.oracle.home_of(deployment.name.as_str(), &candidates, asked).map(str::to_owned)
    }

    fn prefer(&mut self) {
        if let Some(wish) = &self.moment.asked.prefer {
            if self.has(wish) && !self.placed {
                self.put_first(wish, "preferred");
            }
            self.done("prefer");
        }
    }

    /// The regions of the list that are up and take the client; where none does, all that are up.
    fn takers(&self) -> Vec<String> {
        let Moment { deployment, asked, .. } = self.moment;
        let takes = |id: &str| match self.moment.health(id).share {
            0 => false,
            10_000 => true,
            share => self.oracle.takes(deployment.name.as_str(), id, share, asked),
        };
        let listed = self.list.iter().flat_map(|group| &group.ids);
        let up: Vec<String> = listed.filter(|id| self.moment.up(id)).cloned().collect();
        let takers: Vec<String> = up.iter().filter(|id| takes(id)).cloned().collect();
        if takers.is_empty() { up } else { takers }
    }

    fn health(&mut self) -> Result<(), &'static str> {
        let takers = self.takers();
        self.keep(|id| takers.iter().any(|other| other == id));
        self.done("health");
        if self.forced && self.is_empty() { Err("region_unavailable") } else { Ok(()) }
    }

    fn capacity(&mut self) -> Result<(), &'static str> {
        if self.is_empty() {
            return Ok(());
        }
        let moment = self.moment;
        let class = moment.deployment.priorities.as_ref().map_or(100, |priorities| {
            let named = priorities.classes.iter();
            let named = named.filter(|(name, _)| Some(&**name) == moment.asked.class);
            named.map(|(_, percent)| *percent).next().unwrap_or(priorities.default_percent)
        });
        let is_full = |id: &str| {
            let Some(limit) = moment.limit(id) else { return false };
            let (in_flight, spilling) = moment.in_flight(id);
            let limit = u64::from(limit) * u64::from(class);
            let in_flight = u64::from(in_flight);
            in_flight * 100 >= limit || spilling && in_flight * 100 * 100 >= limit * 85
        };
        self.keep(|id| !is_full(id));
        self.done("capacity");
        match (self.is_empty(), self.forced) {
            (true, true) => Err("region_unavailable"),
            (true, false) => Err("overloaded"),
            (false, _) => Ok(()),
        }
    }

    /// What the strategy and a rule's weights say of every group, before regions drop out.
    fn rank(&mut self) {
        let takers = self.takers();
        let ranked: Vec<_> = self.list.iter().map(|group| self.ranked(group, &takers)).collect();
        for (group, ranked) in self.list.iter_mut().zip(ranked) {
            (group.ranked, group.unknown) = ranked;
        }
        self.done("strategy");
    }

    fn end(&mut self) -> Result<Routed, &'static str> {
        self.list.retain(|group| !group.ids.is_empty());
        let Some(first) = self.list.first() else { return self.nothing_left() };
        let of_strategy = if self.rule_unavailable {
            "rule_unavailable"
        } else {
            first.unknown.unwrap_or(self.strategy.as_str())
        };
        let left = |group: &Group| {
            let ranked = group.ranked.iter().filter(|region| group.ids.contains(&region.id));
            ranked.cloned().collect()
        };
        Ok(Routed {
            reason: first.reason.unwrap_or(of_strategy),
            groups: self.list.iter().map(left).collect(),
            ignoring_health: false,
            keeps_token: self.keeps_token,
        })
    }

    fn ranked(&self, group: &Group, takers: &[String]) -> (Vec<Ranked>, Option<&'static str>) {
        match &group.by {
            By::Strategy(strategy) => {
                let list = self.list.iter().flat_map(|group| group.ids.clone()).collect::<Vec<_>>();
                strategies::order(self.moment, *strategy, &group.ids, &list, takers)
            }
            By::Weights(weights) => {
                let ranked = group.ids.iter().map(|id| {
                    let given = weights.iter().find(|(other, _)| other.as_str() == id);
                    let weight = given.map_or(0, |(_, weight)| *weight);
                    Ranked { id: id.clone(), key: drawn(weight, self.moment.listed(id)) }
                });
                (ranked.collect(), None)
            }
        }
    }

    fn nothing_left(&mut self) -> Result<Routed, &'static str> {
        if self.moment.deployment.when_all_down == WhenAllDown::Refuse || self.allowed.is_empty() {
            return Err("no_healthy_region");
        }
        let ranked = self.allowed.iter().map(|id| Ranked {
            id: id.clone(),
            key: vec![Part::Exact(self.moment.listed(id) as f64)],
        });
        Ok(Routed {
            reason: "last_resort",
            groups: vec![ranked.collect()],
            ignoring_health: true,
            keeps_token: None,
        })
    }
}

fn is_listed(policy: &ResidencyPolicy, id: &str) -> bool {
    let Some(allowed) = &policy.allowed_regions else { return true };
    allowed.iter().any(|other| other.as_str() == id)
}
