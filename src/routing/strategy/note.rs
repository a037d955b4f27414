//! The numbers that put regions in order, for people.

use super::super::decide::Scene;
use super::super::draws::Stream;
use super::super::outcome::Reason;
use super::super::plan::{RegionPlan, RegionPosition};
use super::super::ranking::{By, Ranking};
use super::super::regions::RegionSet;
use super::distance::bias_factor;
use super::expected::Expected;
use super::{Ranker, Rankers, start_of_turn};
use crate::config::Strategy;

/// How each group was ordered, and each region's number.
pub(in crate::routing) fn note(
    scene: &Scene<'_>,
    ranking: &Ranking<'_>,
    rankers: &Rankers<'_>,
    draws: Stream,
    order: &[RegionPosition],
) -> String {
    let mut parts = Vec::new();
    let mut told = Vec::new();
    for group in ranking.groups() {
        let By::Strategy(strategy) = group.order else { continue };
        if told.contains(&strategy) {
            continue;
        }
        told.push(strategy);
        let same = ranking.groups().iter().filter(|group| group.order.is(strategy));
        let ordered = same.fold(RegionSet::EMPTY, |all, group| all.or(group.regions));
        let ranker = rankers.of(strategy);
        parts.push(by_strategy(scene, ranking, strategy, ranker, order, ordered));
    }
    for group in ranking.groups() {
        match group.order {
            By::Strategy(_) | By::Alone => {}
            By::Weights(shares) => {
                let drawn = each(scene, order, group.regions, |region, position| {
                    format!("{} {}", region.id, shares.told(draws, position))
                });
                parts.push(format!("by the rule's weights: {drawn}"));
            }
            By::List(_) => {
                let ids = each(scene, order, group.regions, |region, _| region.id.to_string());
                let who = match group.reason {
                    Reason::Shift => "as the operator shifted them",
                    _ => "as the rule lists them",
                };
                parts.push(format!("{who}: {ids}"));
            }
        }
    }
    parts.join("; ")
}

fn by_strategy(
    scene: &Scene<'_>,
    ranking: &Ranking<'_>,
    strategy: Strategy,
    ranker: &Ranker<'_>,
    order: &[RegionPosition],
    ordered: RegionSet,
) -> String {
    let numbers = match ranker {
        Ranker::Listed { unknown } => match (strategy, unknown) {
            (Strategy::Geolocation, Some(_)) => {
                "the client's location is unknown: as listed".into()
            }
            (Strategy::Latency, Some(_)) => {
                "neither a row nor the client's location is known: as listed".into()
            }
            (Strategy::Failover, _) => "primary, then replicas as listed".into(),
            _ => "as listed".into(),
        },
        Ranker::Nearest { sites, client } => each(scene, order, ordered, |region, position| {
            distance(region, sites.km(position, client))
        }),
        Ranker::Fastest { expected } => self::expected(scene, expected, order, ordered),
        Ranker::Weighted { shares, draws } => each(scene, order, ordered, |region, position| {
            format!("{} {}", region.id, shares.told(*draws, position))
        }),
        Ranker::InTurn { turn } => ranking
            .groups()
            .iter()
            .filter(|group| group.order.is(strategy))
            .map(|group| in_turn(scene, *turn, group.regions.and(scene.health.up())))
            .collect::<Vec<_>>()
            .join(", then "),
    };
    format!("{}: {numbers}", strategy.as_str())
}

fn distance(region: &RegionPlan, km: f64) -> String {
    let id = &region.id;
    let factor = bias_factor(region.bias);
    match region.bias {
        0 => format!("{id} {km:.1} km"),
        bias => format!("{id} {km:.1} km, by bias {bias} as {:.1} km", km * factor),
    }
}

fn expected(
    scene: &Scene<'_>,
    expected: &Expected<'_>,
    order: &[RegionPosition],
    ordered: RegionSet,
) -> String {
    let rows = Expected::rows(scene.plan, scene.deployment, scene.facts, ordered);
    each(scene, order, ordered, |region, position| {
        let (id, ms) = (&region.id, expected.ms_squared(position).sqrt());
        match rows.iter().find(|(other, ..)| *other == position) {
            Some((_, ms, key)) => format!("{id} {ms} ms (row {key})"),
            None if ms.is_finite() => format!("{id} {ms:.2} ms (from the distance)"),
            None => format!("{id} unknown"),
        }
    })
}

fn in_turn(scene: &Scene<'_>, turn: u64, up: RegionSet) -> String {
    let first = start_of_turn(turn, up).and_then(|first| scene.deployment.region(first));
    match first {
        Some(first) => format!("turn {turn} among {} starts at {}", up.len(), first.id),
        None => format!("turn {turn}, none up"),
    }
}

/// The regions of a set in the order they got, each described.
fn each(
    scene: &Scene<'_>,
    order: &[RegionPosition],
    set: RegionSet,
    describe: impl Fn(&RegionPlan, RegionPosition) -> String,
) -> String {
    let members = order.iter().copied().filter(|position| set.contains(*position));
    let described = members
        .filter_map(|position| Some(describe(scene.deployment.region(position)?, position)))
        .collect::<Vec<_>>();
    described.join(", ")
}
