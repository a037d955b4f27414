//! The numbers that put regions in order, for people.
//!
//! Which groups were ordered by what; where an expected round trip comes from is told by `told`.

use super::super::decide::Scene;
use super::super::draws::Stream;
use super::super::outcome::Reason;
use super::super::plan::{RegionPlan, RegionPosition};
use super::super::ranking::{By, Ranking};
use super::super::regions::RegionSet;
use super::distance::bias_factor;
use super::expected::Expected;
use super::score::Score;
use super::steady::{Steady, Verdict};
use super::told::{Told, place_age};
use super::{Ranker, start_of_turn};
use crate::config::Strategy;

/// How each group was ordered, and each region's number. `up` are the regions that take the request.
pub(in crate::routing) fn note(
    scene: &Scene<'_>,
    ranking: &Ranking<'_>,
    ranker: &Ranker<'_>,
    draws: Stream,
    order: &[RegionPosition],
    up: RegionSet,
) -> String {
    let view = View { scene, ranking, order, up };
    let mut parts = Vec::new();
    if view.unordered().next().is_some() {
        parts.push(view.by_strategy(ranking.strategy(), ranker));
    }
    for group in ranking.groups() {
        match group.order {
            By::Strategy | By::Alone => {}
            By::Weights(shares) => {
                let drawn = view.each(group.regions, &|_, at| shares.told(draws, at));
                parts.push(format!("by the rule's weights: {drawn}"));
            }
            By::List(_) => {
                let ids: Vec<&str> =
                    view.regions(group.regions).map(|(region, _)| region.id.as_str()).collect();
                let who = match group.reason {
                    Reason::Shift => "as the operator shifted them",
                    _ => "as the rule lists them",
                };
                parts.push(format!("{who}: {}", ids.join(", ")));
            }
        }
    }
    parts.join("; ")
}

/// What the numbers are told of.
struct View<'a> {
    scene: &'a Scene<'a>,
    ranking: &'a Ranking<'a>,
    order: &'a [RegionPosition],
    up: RegionSet,
}

impl<'a> View<'a> {
    fn by_strategy(&self, strategy: Strategy, ranker: &Ranker<'_>) -> String {
        let ordered = self.unordered().fold(RegionSet::EMPTY, RegionSet::or);
        let told = Told::new(self.scene, ordered);
        let numbers = match ranker {
            Ranker::Listed { unknown } => listed(strategy, *unknown, &told),
            Ranker::Nearest { sites, client } => {
                let km = self.each(ordered, &|region, at| distance(region, sites.km(at, client)));
                km + &place_age(self.scene)
            }
            Ranker::Fastest { expected, steady } => {
                let trips = self.each(ordered, &|_, at| told.expected(at, Some(expected)));
                let steady = steady.iter().flat_map(|steady| {
                    self.unordered().map(|group| self.steady(steady, expected, group))
                });
                trips + &steady.collect::<String>()
            }
            Ranker::Weighted { shares, draws } => {
                self.each(ordered, &|_, at| shares.told(*draws, at))
            }
            Ranker::InTurn { turn } => {
                let groups = self.unordered().map(|group| self.in_turn(*turn, group));
                groups.collect::<Vec<_>>().join(", then ")
            }
            Ranker::LeastBusy { loads } => self.each(ordered, &|_, at| loads.told(at)),
            Ranker::Cheapest { expected, .. } => self.each(ordered, &|region, at| {
                let trip = told.expected(at, expected.as_ref());
                format!("cost {}, {trip}", region.cost_multiplier)
            }),
            Ranker::Healthiest { health, expected } => self.each(ordered, &|_, at| {
                let trip = told.expected(at, expected.as_ref());
                format!("score {}, {trip}", health.region(at).score)
            }),
            Ranker::Scored { score } => {
                let groups = self.unordered().map(|group| self.scored(score, &told, group));
                groups.collect::<Vec<_>>().join(", then ")
            }
        };
        let age = match ranker.expected() {
            Some(expected) if !expected.exact() => place_age(self.scene),
            _ => String::new(),
        };
        format!("{}: {numbers}{age}", strategy.as_str())
    }

    /// The groups that the steps left for the strategy to order.
    fn unordered(&self) -> impl Iterator<Item = RegionSet> {
        let groups = self.ranking.groups().iter();
        groups.filter(|group| matches!(group.order, By::Strategy)).map(|group| group.regions)
    }

    /// The regions of a set in the order they got.
    fn regions(&self, set: RegionSet) -> impl Iterator<Item = (&'a RegionPlan, RegionPosition)> {
        let deployment = self.scene.deployment;
        let members = self.order.iter().copied().filter(move |position| set.contains(*position));
        members.filter_map(|position| Some((deployment.region(position)?, position)))
    }

    /// The same, each with its number.
    fn each(
        &self,
        set: RegionSet,
        number: &dyn Fn(&RegionPlan, RegionPosition) -> String,
    ) -> String {
        let told = self.regions(set).map(|(region, position)| {
            let number = number(region, position);
            format!("{} {number}", region.id)
        });
        told.collect::<Vec<_>>().join(", ")
    }

    fn in_turn(&self, turn: u64, group: RegionSet) -> String {
        let up = group.and(self.up);
        let first = start_of_turn(turn, up).and_then(|first| self.scene.deployment.region(first));
        match first {
            Some(first) => format!("turn {turn} among {} starts at {}", up.len(), first.id),
            None => format!("turn {turn}, none up"),
        }
    }

    /// What tolerance and incumbent did in a group.
    fn steady(&self, steady: &Steady<'_>, expected: &Expected<'_>, group: RegionSet) -> String {
        let Verdict { near, stays } = steady.verdict(expected, group, group.and(self.up));
        let mut told = String::new();
        if near.len() > 1 {
            let busy = self.each(near, &|_, at| steady.loads().told(at));
            let ms = steady.tolerance_ms();
            told += &format!("; within {ms} ms of the fastest, so by utilisation: {busy}");
        }
        if let Some(region) = stays.and_then(|at| self.scene.deployment.region(at)) {
            let (id, ms) = (&region.id, steady.switch_ms());
            told += &format!("; the client's network stays at {id}: none is over {ms} ms faster");
        }
        told
    }

    /// The scores of a group, with what they are made of.
    fn scored(&self, score: &Score<'_>, told: &Told<'_>, group: RegionSet) -> String {
        let (made_of, weights) = (score.group(group, group.and(self.up)), score.weights());
        self.each(group, &|region, at| {
            let mut parts = Vec::new();
            if weights.latency > 0.0 {
                parts.push(told.expected(at, score.expected()));
            }
            if weights.cost > 0.0 {
                parts.push(format!("cost {}", region.cost_multiplier));
            }
            if weights.load > 0.0 {
                parts.push(score.loads().told(at));
            }
            format!("{:.3}: {}", score.of(&made_of, at), parts.join(", "))
        })
    }
}

fn listed(strategy: Strategy, unknown: Option<Reason>, told: &Told<'_>) -> String {
    match (strategy, unknown) {
        (_, Some(Reason::LocationUnknown)) => {
            "the client's location is unknown: as listed".to_owned()
        }
        (_, Some(Reason::LatencyStale)) => {
            format!("every row for the client is too old ({}): as listed", told.passed_over())
        }
        (_, Some(_)) => {
            "neither a row, a measurement nor the client's location is known: as listed".to_owned()
        }
        (Strategy::Failover, None) => "primary, then replicas as listed".to_owned(),
        (_, None) => "as listed".to_owned(),
    }
}

fn distance(region: &RegionPlan, km: f64) -> String {
    let factor = bias_factor(region.bias);
    match region.bias {
        0 => format!("{km:.1} km"),
        bias => format!("{km:.1} km, by bias {bias} as {:.1} km", km * factor),
    }
}
