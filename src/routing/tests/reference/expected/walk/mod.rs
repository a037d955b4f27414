//! The steps, one after the other, over one list: what the list is, and where it ends. What makes it
//! shorter by law or by order is in `early`, what the moment does to it in `late`.

mod early;
mod late;

use super::super::oracle::Oracle;
use super::super::world::{Asked, World};
use super::keys::Part;
use super::strategies::{self, Moment, drawn};
use super::{Answer, Ranked, Routed};
use crate::config::{Rule, Strategy, WhenAllDown};
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
    reported: Vec<String>,
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
            reported: Vec::new(),
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
            reported: self.reported,
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
