//! Draws by weight, turns of the round robin, and growing shares.

use super::super::fixture::{Request, at, deployment, region_settings};
use super::World;
use crate::config::Strategy as By;
use crate::routing::draws::{Purpose, Stream};
use crate::routing::strategy::Shares;
use crate::routing::{Conditions, Draws, NoTrace, RegionHealth, RegionPosition, RegionSet, decide};
use arrayvec::ArrayVec;
use proptest::prelude::*;

#[test]
fn a_million_draws_give_each_weight_its_share() {
    const DRAWS: u64 = 1_000_000;
    let weights = [70u32, 20, 9, 1, 0];
    let shares = Shares::new(weights);
    let members = RegionSet::first(weights.len());
    let mut counts = [0u64; 5];
    for entropy in 0..DRAWS {
        let mut order = ArrayVec::<RegionPosition, 1>::new();
        shares.order(Stream::new(entropy, Purpose::Region), members, &mut order);
        counts[order[0].index()] += 1;
    }
    for (count, weight) in counts.iter().zip(weights) {
        let share = f64::from(weight) / 100.0;
        let sigma = (DRAWS as f64 * share * (1.0 - share)).sqrt();
        let off = (*count as f64 - DRAWS as f64 * share).abs();
        assert!(off <= 3.0 * sigma, "{count} for weight {weight}: {counts:?}");
    }
}

proptest! {
    #[test]
    fn round_robin_is_exact_among_those_that_are_up(
        down in prop::collection::vec(any::<bool>(), 1..20),
        first in any::<u32>(),
        turns in 0..200u64,
    ) {
        prop_assume!(down.contains(&false));
        let regions = (0..down.len()).map(|n| region_settings(&format!("r{n}"), at(0.0, 0.0), 0, 1));
        let places: Vec<usize> = (0..down.len()).filter(|place| down[*place]).collect();
        let world = World::of(deployment("api", By::RoundRobin, regions.collect())).down(&places);
        let table = world.table();
        let mut counts = vec![0u64; down.len()];
        for turn in u64::from(first)..u64::from(first) + turns {
            let draws = Draws { entropy: 0, turn };
            let request = Request::default();
            let decision =
                decide(&table, &request.facts(), &Conditions::NONE, draws, &mut NoTrace).unwrap();
            counts[decision.order[0].index()] += 1;
        }
        let up: Vec<u64> =
            counts.iter().zip(&down).filter(|(_, down)| !**down).map(|(count, _)| *count).collect();
        prop_assert!(up.iter().max().unwrap() - up.iter().min().unwrap() <= 1, "{:?}", counts);
        prop_assert_eq!(up.iter().sum::<u64>(), turns);
    }

    #[test]
    fn a_growing_share_only_adds_clients(
        shares in prop::collection::vec(0..=RegionHealth::WHOLE, 2..6),
        tenants in prop::collection::vec("[a-z]{1,9}", 20),
        region in 0..3usize,
    ) {
        let mut shares = shares;
        shares.sort_unstable();
        let mut before = vec![false; tenants.len()];
        for share in shares {
            let mut health = [RegionHealth::HEALTHY; 3];
            health[region].share = share;
            let table = World::three(By::Failover).health(&health).table();
            for (tenant, was_taken) in tenants.iter().zip(&mut before) {
                let request = Request { tenant: Some(tenant.clone()), ..Request::default() };
                let decision =
                    decide(&table, &request.facts(), &Conditions::NONE, Draws::default(), &mut NoTrace);
                let taken = decision.unwrap().order.contains(&RegionPosition(region as u8));
                prop_assert!(taken || !*was_taken, "{} was taken before {}", tenant, share);
                prop_assert!(taken || share < RegionHealth::WHOLE);
                *was_taken = taken;
            }
        }
    }
}
