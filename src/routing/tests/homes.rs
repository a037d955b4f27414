//! Where clients belong: shares by weight, nobody moves without need, and nobody is crowded.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::fixture::{Request, at, deployment, region_settings, table};
use crate::config::{AffinityMode, Deployment, Strategy as By};
use crate::routing::affinity::home_of;
use crate::routing::draws::{Salt, stable_key};
use crate::routing::{
    Conditions, DeploymentHealth, DeploymentIndex, Draws, NoTrace, RegionHealth, RegionLoad,
    RegionPosition, RegionSet, Table, decide,
};

/// A deployment of regions with these names and weights, at which clients stay.
fn staying(regions: &[(&str, u32)]) -> Table {
    let regions = regions.iter().map(|(id, weight)| region_settings(id, at(0.0, 0.0), 0, *weight));
    let mut api = deployment("api", By::Failover, regions.collect());
    api.affinity.mode = AffinityMode::Client;
    table(vec![Deployment { ..api }], None)
}

fn key(n: u64) -> u64 {
    stable_key(Salt::ADDRESS, &n.to_be_bytes())
}

fn home(table: &Table, key: u64, among: RegionSet, load: &[RegionLoad]) -> Option<RegionPosition> {
    let conditions = Conditions { load, ..Conditions::NONE };
    home_of(&table.plan.deployments[0], key, among, &conditions)
}

fn homes(table: &Table, keys: u64) -> Vec<String> {
    let plan = &table.plan.deployments[0];
    let home = |n| home(table, key(n), plan.eligible(), &[]).unwrap();
    (0..keys).map(|n| plan.region(home(n)).unwrap().id.to_string()).collect()
}

#[test]
fn a_million_clients_are_shared_out_by_weight() {
    const CLIENTS: u64 = 1_000_000;
    for weights in [[1u32, 1, 1, 1], [70, 20, 10, 0], [1_000_000, 1, 500_000, 2]] {
        let ids = ["a", "b", "c", "d"];
        let regions: Vec<_> = ids.into_iter().zip(weights).collect();
        let table = staying(&regions);
        let all = RegionSet::first(4);
        let mut counts = [0u64; 4];
        for n in 0..CLIENTS {
            counts[home(&table, key(n), all, &[]).unwrap().index()] += 1;
        }
        let total: u32 = weights.iter().sum();
        for (count, weight) in counts.iter().zip(weights) {
            let share = f64::from(weight) / f64::from(total);
            let sigma = (CLIENTS as f64 * share * (1.0 - share)).sqrt();
            let off = (*count as f64 - CLIENTS as f64 * share).abs();
            assert!(off <= 3.0 * sigma, "{count} for weight {weight} of {total}: {counts:?}");
        }
    }
}

#[test]
fn regions_of_weight_0_are_homes_only_among_themselves() {
    let table = staying(&[("a", 0), ("b", 1), ("c", 0)]);
    let only = |positions: &[u8]| positions.iter().copied().map(RegionPosition).collect();
    let mut counts: HashMap<_, u32> = HashMap::new();
    for n in 0..1_000 {
        assert_eq!(home(&table, key(n), only(&[0, 1, 2]), &[]), Some(RegionPosition(1)));
        *counts.entry(home(&table, key(n), only(&[0, 2]), &[]).unwrap().0).or_default() += 1;
    }
    assert!(counts[&0] > 400 && counts[&2] > 400, "{counts:?}");
    assert_eq!(home(&table, 1, RegionSet::EMPTY, &[]), None);
}

#[test]
fn a_ramping_region_takes_its_share_of_those_at_home_there() {
    let table = staying(&[("a", 1), ("b", 1), ("c", 1)]);
    let ramping = RegionHealth { share: 2_500, ..RegionHealth::HEALTHY };
    let health = [ramping, RegionHealth::HEALTHY, RegionHealth::HEALTHY];
    let ramp = table.with_health(2, DeploymentIndex(0), DeploymentHealth::new(health));
    let first = |table: &Table, n: u32| {
        let [_, b, c, d] = n.to_be_bytes();
        let request = Request::default().with_address(&format!("10.{b}.{c}.{d}"));
        decide(table, &request.facts(), &Conditions::NONE, Draws::default(), &mut NoTrace)
            .unwrap()
            .order[0]
    };
    let (mut at_home, mut taken) = (0u32, 0u32);
    for n in 0..12_000 {
        let (whole, ramped) = (first(&table, n), first(&ramp, n));
        if whole == RegionPosition(0) {
            at_home += 1;
            taken += u32::from(ramped == RegionPosition(0));
        } else {
            assert_eq!(whole, ramped, "others do not move");
        }
    }
    let expected = f64::from(at_home) * 0.25;
    assert!(
        (f64::from(taken) - expected).abs() <= 3.0 * (expected * 0.75).sqrt(),
        "{taken}/{at_home}"
    );
}

#[test]
fn loads_are_not_looked_at_below_the_mean() {
    let table = staying(&[("a", 1), ("b", 1), ("c", 1)]);
    let load = |loads: [u32; 3]| loads.map(|in_flight| RegionLoad { in_flight, spilling: false });
    let all = RegionSet::first(3);
    for n in 0..1_000 {
        let unbounded = home(&table, key(n), all, &[]).unwrap();
        // 23 of 3 regions: below a mean of 8.
        assert_eq!(home(&table, key(n), all, &load([23, 0, 0])), Some(unbounded));
        // 10 is exactly 1.25 times 8.
        assert_eq!(home(&table, key(n), all, &load([10, 7, 7])), Some(unbounded));
        let bounded = home(&table, key(n), all, &load([11, 7, 6])).unwrap();
        if unbounded == RegionPosition(0) {
            assert_ne!(bounded, unbounded);
        } else {
            assert_eq!(bounded, unbounded);
        }
    }
}

proptest! {
    #[test]
    fn a_region_that_comes_or_goes_moves_only_its_own_share(
        weights in prop::collection::vec(0..5u32, 2..9),
        place in 0..9usize,
    ) {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let all: Vec<(&str, u32)> = names.into_iter().zip(weights).collect();
        let gone = all[place % all.len()];
        let rest: Vec<(&str, u32)> = all.iter().copied().filter(|region| *region != gone).collect();
        // With nothing but weight 0 left, all are homes that were none.
        prop_assume!(rest.iter().any(|(_, weight)| *weight > 0));
        let (with, without) = (homes(&staying(&all), 400), homes(&staying(&rest), 400));
        for (before, after) in with.iter().zip(&without) {
            prop_assert!(before == after || before == gone.0, "{} -> {}", before, after);
            prop_assert_ne!(after, gone.0);
        }
    }

    #[test]
    fn nobody_comes_home_to_a_region_that_is_beyond_its_share(
        weights in prop::collection::vec(0..5u32, 1..6),
        requests in prop::collection::vec(0..6u64, 0..600),
    ) {
        let names = ["a", "b", "c", "d", "e"];
        let regions: Vec<(&str, u32)> = names.into_iter().zip(weights.iter().copied()).collect();
        let table = staying(&regions);
        let all = RegionSet::first(regions.len());
        let unweighted = weights.iter().all(|weight| *weight == 0);
        let weights: Vec<u32> = weights.iter().map(|w| if unweighted { 1 } else { *w }).collect();
        let sum: u32 = weights.iter().sum();
        let mut load = vec![RegionLoad::default(); regions.len()];
        // Few clients with many requests each.
        for (total, client) in (0u32..).zip(requests) {
            let home = home(&table, key(client), all, &load).unwrap().index();
            let share = f64::from(total) * f64::from(weights[home]) / f64::from(sum);
            let bound = f64::from(total) >= 8.0 * regions.len() as f64;
            prop_assert!(!bound || f64::from(load[home].in_flight) <= 1.25 * share, "{:?}", load);
            load[home].in_flight += 1;
        }
    }

    #[test]
    fn a_home_is_the_first_clock_to_ring_of_all(
        weights in prop::collection::vec(0..1_000u32, 1..40),
        out in any::<u64>(),
        client in any::<u64>(),
    ) {
        let ids: Vec<String> = (0..weights.len()).map(|n| format!("r{n}")).collect();
        let regions: Vec<(&str, u32)> =
            ids.iter().map(String::as_str).zip(weights.iter().copied()).collect();
        let table = staying(&regions);
        let among = RegionSet::first(weights.len()).without(RegionSet::from_bits(out.into()));
        let plan = &table.plan.deployments[0];
        let rings = |at: RegionPosition| {
            let region = plan.region(at).unwrap();
            -region.salt.home_unit(client).ln() / f64::from(region.weight)
        };
        let drawn = among.iter().filter(|at| plan.region(*at).unwrap().weight > 0);
        let naive = drawn.min_by(|a, b| rings(*a).total_cmp(&rings(*b)));
        prop_assume!(naive.is_some());
        prop_assert_eq!(home(&table, client, among, &[]), naive);
    }
}

/// The same client belongs to the same region in whatever order they are listed.
#[test]
fn a_home_does_not_depend_on_the_order_of_the_list() {
    let regions = [("a", 1), ("b", 2), ("c", 3)];
    let reversed: Arc<[_]> = regions.iter().rev().copied().collect();
    assert_eq!(homes(&staying(&regions), 1_000), homes(&staying(&reversed), 1_000));
}
