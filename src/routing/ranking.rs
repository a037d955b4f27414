//! The list of regions while it is being decided: groups in order, each not yet ordered inside.
//!
//! A step narrows groups, splits them or puts one before the others. What the steps leave
//! unordered, the strategy orders at the end, and only as far as the decision needs. When a step
//! applies is `decide`'s business.

use arrayvec::ArrayVec;

use super::decide::Reason;
use super::draws::Stream;
use super::plan::RegionPosition;
use super::regions::RegionSet;
use super::rules::CompiledRule;
use super::strategy::{Order, Ranker, Shares};

/// Groups that a ranking can have. A rule makes three; a step that puts one region first adds one.
const GROUPS: usize = 8;

/// Regions in groups: all of a group come before all of the next.
#[derive(Debug)]
pub(super) struct Ranking<'a> {
    groups: ArrayVec<Group<'a>, GROUPS>,
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
    /// The deployment's strategy.
    Strategy,
    /// A draw by these shares.
    Weights(&'a Shares),
    /// Exactly this order; positions outside the group are skipped.
    List(&'a [RegionPosition]),
}

impl Group<'_> {
    /// The regions, in as much order as they have yet.
    pub(super) fn positions(&self) -> impl Iterator<Item = RegionPosition> {
        let (set, list) = match self.order {
            By::Strategy | By::Weights(_) => (self.regions, &[][..]),
            By::List(list) => (RegionSet::EMPTY, list),
        };
        let listed = list.iter().copied().filter(|position| self.regions.contains(*position));
        set.iter().chain(listed)
    }
}

impl<'a> Ranking<'a> {
    /// All of these, for the strategy to order.
    pub(super) fn by_strategy(regions: RegionSet, reason: Reason) -> Self {
        let mut groups = ArrayVec::new();
        groups.push(Group { regions, order: By::Strategy, reason });
        Self { groups }
    }

    /// Every region that is still in the list.
    pub(super) fn regions(&self) -> RegionSet {
        self.groups.iter().fold(RegionSet::EMPTY, |all, group| all.or(group.regions))
    }

    /// The groups in order.
    pub(super) fn groups(&self) -> &[Group<'a>] {
        &self.groups
    }

    /// Lets the rule order the list. `false`, and nothing done, if none of its regions is in it.
    pub(super) fn apply(&mut self, rule: &'a CompiledRule) -> bool {
        let listed = self.regions();
        let targets = rule.targets.and(listed);
        let fallbacks = rule.fallbacks.iter().copied().collect::<RegionSet>().and(listed);
        if targets.or(fallbacks).is_empty() {
            return false;
        }
        let order = rule.shares.as_ref().map_or(By::Strategy, By::Weights);
        let groups = [
            Group { regions: targets, order, reason: Reason::Rule },
            Group {
                regions: fallbacks,
                order: By::List(&rule.fallbacks),
                reason: Reason::RuleFallback,
            },
            Group {
                regions: if rule.closed { RegionSet::EMPTY } else { listed.without(targets) },
                order: By::Strategy,
                reason: Reason::RuleOthers,
            },
        ];
        self.groups = groups.into_iter().filter(|group| !group.regions.is_empty()).collect();
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
