//! Endpoints inside a region, their numbers, and tables that share a plan.

use std::sync::Arc;

use proptest::prelude::*;

use super::fixture::{config, continent_of, deployment, endpoint, table, three_regions};
use crate::config::Strategy as By;
use crate::model::{Place, Places, Question, Sought};
use crate::routing::{EndpointIds, Plan, RegionPlan, Sources, Table, choose_endpoint};

fn region(weights: &[u32]) -> RegionPlan {
    let mut regions = three_regions();
    regions.truncate(1);
    regions[0].endpoints =
        weights.iter().zip(1..).map(|(w, port)| endpoint("10.0.0.1", port, *w)).collect();
    let table = table(vec![deployment("api", By::Failover, regions)], None);
    table.plan.deployments[0].regions[0].clone()
}

#[test]
fn an_idle_region_is_used_by_weight() {
    let region = region(&[1, 2, 7]);
    let mut counts = [0u32; 3];
    for entropy in 0..10_000 {
        counts[choose_endpoint(&region, u128::MAX, 0, entropy, |_| 0).unwrap()] += 1;
    }
    for (count, share) in counts.iter().zip([0.1, 0.2, 0.7]) {
        let sigma = (10_000.0f64 * share * (1.0 - share)).sqrt();
        assert!((f64::from(*count) - 10_000.0 * share).abs() <= 3.0 * sigma, "{counts:?}");
    }
}

#[test]
fn a_busy_endpoint_is_avoided_in_proportion_to_its_weight() {
    let region = region(&[1, 2]);
    let light = region.endpoints[0].id;
    let choice = |on_light, on_heavy| {
        let load = |id| if id == light { on_light } else { on_heavy };
        let mut chosen: Vec<_> =
            (0..100).map(|entropy| choose_endpoint(&region, 3, 0, entropy, load)).collect();
        chosen.dedup();
        chosen
    };
    assert_eq!(choice(10, 19), [Some(1)]);
    assert_eq!(choice(10, 21), [Some(0)]);
}

#[test]
fn the_region_and_the_endpoint_are_drawn_independently() {
    // Were they the same draw, a region of weight 1 in 2 would see one half of the numbers.
    let mut regions = three_regions();
    regions[1].endpoints = (1..=2).map(|port| endpoint("10.0.0.1", port, 1)).collect();
    let table = table(vec![deployment("api", By::Weighted, regions)], None);
    let region = &table.plan.deployments[0].regions[1];
    let (mut first, mut all) = (0.0, 0.0);
    for entropy in 0..10_000 {
        let draws = crate::routing::Draws { entropy, turn: 0 };
        let decision = super::decided(&table, &super::Request::default(), draws).unwrap();
        if decision.order[0].index() == 1 {
            all += 1.0;
            let chosen = choose_endpoint(region, u128::MAX, 0, entropy, |_| 0);
            first += f64::from(u8::from(chosen == Some(0)));
        }
    }
    let sigma = (all * 0.25f64).sqrt();
    assert!((first - all / 2.0).abs() <= 3.0 * sigma, "{first} of {all}");
}

proptest! {
    #[test]
    fn a_choice_is_up_and_untried_unless_none_is_up(
        weights in prop::collection::vec(0u32..4, 0..6),
        up in 0u128..64, tried in 0u128..64, entropy: u64, busy in prop::collection::vec(any::<u32>(), 6),
    ) {
        let region = region(&weights);
        let all = (1u128 << weights.len()) - 1;
        let usable = if up & all == 0 { all } else { up & all } & !tried;
        let load = |id: crate::model::EndpointId| busy[id.index()];
        match choose_endpoint(&region, up, tried, entropy, load) {
            None => prop_assert_eq!(usable, 0),
            Some(chosen) => prop_assert_eq!(usable >> chosen & 1, 1),
        }
    }
}

#[test]
fn numbers_stay_and_those_given_up_are_given_again() {
    let mut ids = EndpointIds::default();
    let compile = |regions, ids: &mut EndpointIds| {
        let config = config(vec![deployment("api", By::Failover, regions)]);
        Plan::compile(&config, Sources::none(continent_of), ids)
    };
    let number = |plan: &Plan| plan.endpoints().map(|endpoint| endpoint.id.0).collect::<Vec<_>>();
    let three = compile(three_regions(), &mut ids);
    assert_eq!(number(&three), [0, 1, 2]);

    let last = compile(three_regions().split_off(2), &mut ids);
    assert_eq!(number(&last), [2]);
    ids.retain([&last]);
    let mut other = three_regions();
    other[1].endpoints = vec![endpoint("10.9.9.9", 1, 1)];
    let plan = compile(other, &mut ids);
    assert_eq!(number(&plan), [0, 1, 2], "0 and 1 are free again, 2 stays");
    assert_eq!(ids.bound(), 3);
}

#[test]
fn health_that_does_not_fit_the_plan_is_made_to_fit() {
    let plan = table(vec![deployment("api", By::Failover, three_regions())], None).plan;
    let table = Table::new(7, Arc::clone(&plan), vec![crate::routing::DeploymentHealth::new([])]);
    assert_eq!(table.health[0].up().len(), 3);
    assert_eq!(table.health[0].regions().len(), 3);
    assert_eq!(Table::new(7, plan, Vec::new()).health.len(), 1);
}

#[test]
fn every_place_of_a_name_is_an_endpoint_and_one_that_stays_keeps_its_number() {
    let place = |address: &str, port: Option<u16>, weight| Place {
        address: address.parse().unwrap(),
        port,
        weight,
        twin: None,
    };
    let known = |places: Vec<Place>| -> Places {
        let question = Question { name: "api.test".into(), sought: Sought::Addresses };
        [(question, places.into())].into_iter().collect()
    };
    let mut ids = EndpointIds::default();
    let mut compile = |places: Vec<Place>| {
        let mut regions = three_regions();
        regions.truncate(1);
        regions[0].endpoints = vec![
            endpoint("10.0.0.1", 1, 1),
            endpoint("api.test", 8000, 2),
            endpoint("10.0.0.2", 1, 1),
        ];
        let config = config(vec![deployment("api", By::Failover, regions)]);
        let places = known(places);
        let sources = Sources { places: Some(&places), ..Sources::none(continent_of) };
        let plan = Plan::compile(&config, sources, &mut ids);
        ids.retain([&plan]);
        let shown = plan.endpoints().map(|it| {
            let address = it.address.map_or_else(|| "?".to_owned(), |it| it.to_string());
            (it.id.0, format!("{} {address} {}", it.url, it.weight))
        });
        shown.collect::<Vec<_>>()
    };
    let unknown = compile(Vec::new());
    assert_eq!(unknown[1].1, "http://api.test:8000 ? 2");
    let two = compile(vec![place("10.1.0.1", None, 1), place("10.1.0.2", Some(81), 3)]);
    let shown: Vec<_> = two.iter().map(|(_, shown)| shown.as_str()).collect();
    assert_eq!(
        shown,
        [
            "http://10.0.0.1:1 10.0.0.1:1 1",
            "http://api.test:8000 10.1.0.1:8000 2",
            "http://api.test:81 10.1.0.2:81 6",
            "http://10.0.0.2:1 10.0.0.2:1 1",
        ]
    );
    assert_eq!((two[0].0, two[3].0), (unknown[0].0, unknown[2].0));
    let other = compile(vec![place("10.1.0.0", None, 1), place("10.1.0.1", None, 1)]);
    assert_eq!(other[2], two[1], "the same address in another place");
    assert_ne!(other[1].0, two[1].0);
    let many = (0..300).map(|i| place(&format!("10.2.{}.{}", i / 200, i % 200), None, 1)).collect();
    let many = compile(many);
    assert_eq!(many.len(), crate::model::limits::ENDPOINTS_PER_REGION);
    assert_eq!(many.last(), two.last(), "what is listed has its place");
}
