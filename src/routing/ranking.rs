//! The list of regions while it is being decided: groups in order, each not yet ordered inside.
//!
//! A step narrows groups, splits them or puts one before the others. What the steps leave
//! unordered, the strategy orders at the end, and only as far as the decision needs. When a step
//! applies is `decide`'s business.

use arrayvec::ArrayVec;

use super::draws::Stream;
use super::outcome::Reason;
use super::plan::RegionPosition;
use super::regions::RegionSet;
use super::rules::CompiledRule;
use super::strategy::{Order, Ranker, Shares};
use crate::config::Strategy;

/// Groups that a ranking can have. A shift and a pin before a rule make three, the rule up to six of
/// those, and each of the three steps that follow and put one region first adds one.
const GROUPS: usize = 12;

/// Regions in groups: all of a group come before all of the next.
#[derive(Debug)]
pub(super) struct Ranking<'a> {
    groups: ArrayVec<Group<'a>, GROUPS>,
    /// Orders what the steps leave unordered: the deployment's, or the one that the rule brings.
    strategy: Strategy,
}

/// Regions that one step put together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group<'a> {
    /// Which regions.
    pub(super) regions: RegionSet,
    /// In which order.
    pub(super) order: By<'a>,
    /// Why a decision goes to one of them.
    pub(super) reason: Reason,
}

/// What orders a group.
#[derive(Clone, Copy, Debug)]
pub(super) enum By<'a> {
    /// The strategy of the ranking.
    Strategy,
    /// Nothing: it is one region.
    Alone,
    /// A draw by these shares.
    Weights(&'a Shares),
    /// Exactly this order; positions outside the group are skipped.
    List(&'a [RegionPosition]),
}

impl<'a> Group<'a> {
    fn alone(position: RegionPosition, reason: Reason) -> Self {
        let mut regions = RegionSet::EMPTY;
        regions.insert(position);
        Self { regions, order: By::Alone, reason }
    }

    /// The part of the group that lies in `section`. What is ordered stays as it is, the rest is
    /// ordered by `order` from now on, and is there because of `reason`.
    fn part(self, section: RegionSet, order: By<'a>, reason: Reason) -> Self {
        let regions = self.regions.and(section);
        match self.order {
            By::Strategy => Self { regions, order, reason },
            _ => Self { regions, ..self },
        }
    }

    /// The regions, in as much order as they have yet.
    pub(super) fn positions(&self) -> impl Iterator<Item = RegionPosition> {
        let (set, list) = match self.order {
            By::Strategy | By::Weights(_) | By::Alone => (self.regions, &[][..]),
            By::List(list) => (RegionSet::EMPTY, list),
        };
        let listed = list.iter().copied().filter(|position| self.regions.contains(*position));
        set.iter().chain(listed)
    }
}

impl<'a> Ranking<'a> {
    /// All of these, for the strategy to order.
    pub(super) fn by_strategy(regions: RegionSet, strategy: Strategy) -> Self {
        let mut groups = ArrayVec::new();
        let reason = Reason::of(strategy);
        groups.push(Group { regions, order: By::Strategy, reason });
        Self { groups, strategy }
    }

    /// Takes all others out.
    pub(super) fn keep(&mut self, regions: RegionSet) {
        for group in &mut self.groups {
            group.regions = group.regions.and(regions);
        }
        self.groups.retain(|group| !group.regions.is_empty());
    }

    /// Puts these regions first, in their order.
    pub(super) fn shift(&mut self, list: &'a [RegionPosition]) {
        let shifted = list.iter().copied().collect::<RegionSet>().and(self.regions());
        self.take(shifted);
        let group = Group { regions: shifted, order: By::List(list), reason: Reason::Shift };
        self.put_first(group);
    }

    /// Puts one region first. `false`, and nothing done, if it is not in the list.
    pub(super) fn first(&mut self, position: RegionPosition, reason: Reason) -> bool {
        let group = Group::alone(position, reason);
        if self.regions().and(group.regions).is_empty() {
            return false;
        }
        if self.is_settled() {
            return true;
        }
        self.take(group.regions);
        self.put_first(group);
        true
    }

    /// Whether a step has left only one region and put it there: no other can be the reason.
    fn is_settled(&self) -> bool {
        matches!(&*self.groups, [Group { order: By::Alone, .. }])
    }

    fn take(&mut self, regions: RegionSet) {
        let rest = self.regions().without(regions);
        self.keep(rest);
    }

    fn put_first(&mut self, group: Group<'a>) {
        if !group.regions.is_empty() && !self.groups.is_full() {
            self.groups.insert(0, group);
        }
    }

    /// Every region that is still in the list.
    pub(super) fn regions(&self) -> RegionSet {
        self.groups.iter().fold(RegionSet::EMPTY, |all, group| all.or(group.regions))
    }

    /// The groups in order.
    pub(super) fn groups(&self) -> &[Group<'a>] {
        &self.groups
    }

    /// The strategy that orders what the steps leave unordered.
    pub(super) fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Lets the rule order the list. `false`, and nothing done, if none of its regions is in it.
    pub(super) fn apply(&mut self, rule: &'a CompiledRule) -> bool {
        let listed = self.regions();
        let targets = rule.targets.and(listed);
        let fallbacks = rule.fallbacks.iter().copied().collect::<RegionSet>().and(listed);
        if targets.or(fallbacks).is_empty() {
            return false;
        }
        self.strategy = rule.strategy.unwrap_or(self.strategy);
        if self.is_settled() {
            return true;
        }
        let order = rule.shares.as_ref().map_or(By::Strategy, By::Weights);
        let others = if rule.closed { RegionSet::EMPTY } else { listed.without(targets) };
        let before = std::mem::take(&mut self.groups);
        let part = |section, order, reason| {
            before.iter().map(move |group| group.part(section, order, reason))
        };
        let fallbacks = Group {
            regions: fallbacks,
            order: By::List(&rule.fallbacks),
            reason: Reason::RuleFallback,
        };
        let groups = part(targets, order, Reason::Rule).chain([fallbacks]).chain(part(
            others,
            By::Strategy,
            Reason::RuleOthers,
        ));
        let kept = groups.filter(|group| !group.regions.is_empty());
        self.groups = kept.take(GROUPS).collect();
        true
    }

    /// Why a decision goes to that region.
    pub(super) fn reason(&self, position: RegionPosition) -> Option<Reason> {
        let mut groups = self.groups.iter();
        groups.find(|group| group.regions.contains(position)).map(|group| group.reason)
    }

    /// Whether the strategy has anything to do: to order several regions of `among`, or to be the
    /// reason of the decision.
    pub(super) fn needs_strategy(&self, among: RegionSet) -> bool {
        self.groups.iter().any(|group| {
            matches!(group.order, By::Strategy)
                && (!group.reason.is_of_rule() || group.regions.and(among).len() > 1)
        })
    }

    /// Puts the regions of `among` in order, as many as fit.
    pub(super) fn arrange<const N: usize>(
        &self,
        among: RegionSet,
        up: RegionSet,
        ranker: &Ranker<'_>,
        draws: Stream,
        out: &mut Order<N>,
    ) {
        for group in &self.groups {
            let members = group.regions.and(among);
            match group.order {
                By::Strategy => ranker.order(members, group.regions.and(up), out),
                By::Alone => out.extend(members.iter().take(out.remaining_capacity())),
                By::Weights(shares) => shares.order(draws, members, out),
                By::List(list) => {
                    for position in list.iter().filter(|position| members.contains(**position)) {
                        if out.try_push(*position).is_err() {
                            return;
                        }
                    }
                }
            }
        }
    }
}
