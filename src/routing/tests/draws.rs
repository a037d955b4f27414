//! Draws: shares come out as configured, and what is not touched stays where it is.

use super::fixture::{Request, deployment, region_settings, rule, table, three_regions};
use super::{decided, ids, with_down};
use crate::config::{Deployment, Strategy};
use crate::routing::tests::fixture::at;
use crate::routing::{Draws, Table};

const DRAWS: u64 = 100_000;

/// How often each region comes first, of `DRAWS` requests.
fn shares(table: &Table, regions: &[&str]) -> Vec<u64> {
    let mut counts = vec![0; regions.len()];
    for entropy in 0..DRAWS {
        let decision = decided(table, &Request::default(), Draws { entropy, turn: 0 }).unwrap();
        let first = &ids(table, &decision)[0];
        counts[regions.iter().position(|region| region == first).unwrap()] += 1;
    }
    counts
}

#[track_caller]
fn within_three_sigma(counts: &[u64], weights: &[u32]) {
    within_sigmas(counts, weights, 3.0);
}

/// Of forty shares, one is likely to be beyond three sigma.
#[track_caller]
fn within_sigmas(counts: &[u64], weights: &[u32], sigmas: f64) {
    let total: u32 = weights.iter().sum();
    for (count, weight) in counts.iter().zip(weights) {
        let share = f64::from(*weight) / f64::from(total);
        let sigma = (DRAWS as f64 * share * (1.0 - share)).sqrt();
        let off = (*count as f64 - DRAWS as f64 * share).abs();
        assert!(off <= sigmas * sigma, "{count} for weight {weight} of {total}: {counts:?}");
    }
}

fn weighted(weights: &[u32]) -> Table {
    let mut regions = three_regions();
    for (region, weight) in regions.iter_mut().zip(weights) {
        region.weight = *weight;
    }
    table(vec![deployment("api", Strategy::Weighted, regions)], None)
}

#[test]
fn weights_are_shares() {
    for weights in [[70, 30, 0], [1, 1, 1], [1, 10, 100], [1_000_000, 1, 1_000_000]] {
        within_three_sigma(&shares(&weighted(&weights), &["us", "eu", "ap"]), &weights);
    }
}

#[test]
fn a_region_that_is_down_leaves_its_share_to_the_others_by_weight() {
    let table = with_down(&weighted(&[50, 30, 20]), &["us"]);
    within_three_sigma(&shares(&table, &["us", "eu", "ap"]), &[0, 30, 20]);
}

#[test]
fn the_second_place_is_drawn_by_weight_among_the_rest() {
    let table = weighted(&[60, 30, 10]);
    let mut second = [0u64; 2];
    for entropy in 0..DRAWS {
        let decision = decided(&table, &Request::default(), Draws { entropy, turn: 0 }).unwrap();
        match ids(&table, &decision).as_slice() {
            [first, next, _] if first == "us" => second[usize::from(next == "ap")] += 1,
            _ => {}
        }
    }
    let (eu, ap) = (second[0] as f64, second[1] as f64);
    let (n, share) = (eu + ap, 0.75);
    assert!((eu - n * share).abs() <= 3.0 * (n * share * (1.0 - share)).sqrt(), "{second:?}");
}

#[test]
fn only_requests_of_the_region_that_went_down_move() {
    let table = weighted(&[50, 30, 20]);
    let without = with_down(&table, &["eu"]);
    for entropy in 0..1_000 {
        let draws = Draws { entropy, turn: 0 };
        let mut before = ids(&table, &decided(&table, &Request::default(), draws).unwrap());
        before.retain(|id| id != "eu");
        let after = ids(&without, &decided(&without, &Request::default(), draws).unwrap());
        assert_eq!(before, after);
    }
}

/// Many regions are drawn another way than few.
#[test]
fn weights_are_shares_among_many_regions_too() {
    let weights: Vec<u32> = (0..40).map(|n| if n == 7 { 3_000 } else { n % 4 * 10 }).collect();
    let ids: Vec<String> = (0..40).map(|n| format!("r{n}")).collect();
    let regions = ids.iter().zip(&weights).map(|(id, w)| region_settings(id, at(0.0, 0.0), 0, *w));
    let table = table(vec![deployment("api", Strategy::Weighted, regions.collect())], None);
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let counts = shares(&table, &names);
    within_sigmas(&counts, &weights, 4.0);

    // Without the large one, most requests run out of draws; the shares stay.
    let without = with_down(&table, &["r7"]);
    let rest: Vec<u32> = weights.iter().map(|w| if *w == 3_000 { 0 } else { *w }).collect();
    within_sigmas(&shares(&without, &names), &rest, 4.0);
    for entropy in 0..1_000 {
        let draws = Draws { entropy, turn: 0 };
        let mut before = ids_of(&table, draws);
        before.retain(|id| id != "r7");
        before.truncate(7);
        let mut after = ids_of(&without, draws);
        after.truncate(before.len());
        assert_eq!(before, after);
    }
}

fn ids_of(table: &Table, draws: Draws) -> Vec<String> {
    ids(table, &decided(table, &Request::default(), draws).unwrap())
}

#[test]
fn weights_of_a_rule_are_shares_of_its_targets() {
    let mut split = rule("r", &["us", "ap"], &["eu"]);
    split.weights = vec![("us".into(), 90), ("ap".into(), 10)];
    let mut api = deployment("api", Strategy::Failover, three_regions());
    api.rules = vec![split];
    within_three_sigma(&shares(&table(vec![api], None), &["us", "eu", "ap"]), &[90, 0, 10]);
}

#[test]
fn round_robin_gives_each_region_its_turn() {
    for count in [1usize, 2, 3, 7, 128] {
        let regions = (0..count).map(|n| region_settings(&format!("r{n}"), at(0.0, 0.0), 0, 1));
        let regions = regions.collect();
        let api = Deployment { ..deployment("api", Strategy::RoundRobin, regions) };
        let table = table(vec![api], None);
        let mut counts = vec![0u64; count];
        let turns = 3 * count as u64 + count as u64 / 2;
        for turn in 1_000..1_000 + turns {
            let draws = Draws { entropy: 0, turn };
            let decision = decided(&table, &Request::default(), draws).unwrap();
            counts[decision.order[0].index()] += 1;
        }
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(most - least <= 1, "{counts:?}");
    }
}
