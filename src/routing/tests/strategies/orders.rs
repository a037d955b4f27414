//! What each strategy orders by, and what keeps `latency` calm.

use super::super::fixture::{Request, deployment, rule, three_regions};
use super::{DAY, NOW, World, berlin, germany, measured, scored};
use crate::config::{Objectives, Strategy as By};
use crate::model::LocationSource;
use crate::routing::draws::Draws as AllDraws;
use crate::routing::strategy::{Order, Ranker, Request as Ranked};
use crate::routing::{DeploymentIndex, Draws, explain};
use std::sync::Arc;

#[test]
fn within_the_tolerance_of_the_fastest_the_less_busy_comes_first() {
    // Round trips, in flight of 10, tolerance: the order.
    type Case = ([u32; 3], [u32; 3], f64, [&'static str; 3]);
    let cases: &[Case] = &[
        ([20, 25, 30], [9, 5, 1], 0.0, ["us", "eu", "ap"]),
        ([20, 25, 30], [9, 5, 1], 4.9, ["us", "eu", "ap"]),
        ([20, 25, 30], [9, 5, 1], 5.0, ["eu", "us", "ap"]),
        ([20, 25, 30], [9, 5, 1], 10.0, ["ap", "eu", "us"]),
        ([20, 25, 30], [9, 5, 1], 9.9, ["eu", "us", "ap"]),
        // Equally busy: by round trip, then as listed.
        ([30, 25, 20], [5, 5, 5], 10.0, ["ap", "eu", "us"]),
        ([30, 20, 20], [5, 5, 5], 10.0, ["eu", "ap", "us"]),
        ([20, 20, 20], [3, 2, 2], 1.0, ["eu", "ap", "us"]),
        // Beyond it by round trip, however idle.
        ([20, 90, 80], [9, 0, 0], 5.0, ["us", "ap", "eu"]),
    ];
    for (rtt, load, tolerance, order) in cases {
        let [us, eu, ap] = rtt;
        let world = World::three(By::Latency)
            .rows(&format!("*,us,{us},\n*,eu,{eu},\n*,ap,{ap},\n"))
            .limits(&[10, 10, 10])
            .in_flight(load)
            .ranking(|ranking| ranking.latency_tolerance_ms = *tolerance);
        world.goes(&germany(), order, "latency");
    }
}

#[test]
fn the_tolerance_is_measured_from_the_fastest_that_is_up() {
    let world = |down: &[usize]| {
        World::three(By::Latency)
            .rows("*,us,20,\n*,eu,50,\n*,ap,55,\n")
            .limits(&[10, 10, 10])
            .in_flight(&[0, 9, 1])
            .ranking(|ranking| ranking.latency_tolerance_ms = 10.0)
            .down(down)
    };
    world(&[]).goes(&germany(), &["us", "eu", "ap"], "latency");
    world(&[0]).goes(&germany(), &["ap", "eu"], "latency");
    // Full is not down: it is what the others are measured by, and drops out later.
    let full = world(&[]).in_flight(&[10, 9, 1]);
    full.goes(&germany(), &["eu", "ap"], "latency");
}

#[test]
fn the_tolerance_knows_distances_and_takes_no_region_that_is_unknown() {
    let tolerant = |world: World| world.ranking(|ranking| ranking.latency_tolerance_ms = 80.0);
    // From Berlin: eu 18 ms, us 93 ms, ap 125 ms. A region without a limit is never busy.
    let world = || tolerant(World::three(By::Latency)).limits(&[10, 10, 10]);
    world().in_flight(&[1, 5, 0]).goes(&berlin(), &["us", "eu", "ap"], "latency");
    world().limits(&[10, 0, 10]).in_flight(&[1, 5, 0]).goes(
        &berlin(),
        &["eu", "us", "ap"],
        "latency",
    );
    let one = tolerant(World::three(By::Latency)).rows("*,ap,50,\n").in_flight(&[0, 0, 9]);
    one.limits(&[10, 10, 10]).goes(&germany(), &["ap", "us", "eu"], "latency");
}

#[test]
fn the_incumbent_stays_first_while_no_other_is_faster_by_more() {
    let world = |switch: f64, incumbent: u16| {
        World::three(By::Latency)
            .rows("*,us,40,\n*,eu,20,\n*,ap,90,\n")
            .ranking(|ranking| ranking.latency_switch_ms = switch)
            .incumbent(incumbent)
    };
    world(0.0, 0).goes(&germany(), &["eu", "us", "ap"], "latency");
    world(19.9, 0).goes(&germany(), &["eu", "us", "ap"], "latency");
    world(20.0, 0).goes(&germany(), &["us", "eu", "ap"], "latency");
    world(20.0, 1).goes(&germany(), &["eu", "us", "ap"], "latency");
    world(70.0, 2).goes(&germany(), &["ap", "eu", "us"], "latency");
    world(69.9, 2).goes(&germany(), &["eu", "us", "ap"], "latency");
    world(1e9, 9).goes(&germany(), &["eu", "us", "ap"], "latency");
    world(20.0, 0).down(&[0]).goes(&germany(), &["eu", "ap"], "latency");
    world(50.0, 2).down(&[1]).goes(&germany(), &["ap", "us"], "latency");
}

#[test]
fn the_incumbent_comes_before_those_within_the_tolerance() {
    let world = |switch: f64| {
        World::three(By::Latency)
            .rows("*,us,40,\n*,eu,20,\n*,ap,22,\n")
            .limits(&[10, 10, 10])
            .in_flight(&[0, 5, 3])
            .incumbent(0)
            .ranking(|ranking| {
                ranking.latency_tolerance_ms = 5.0;
                ranking.latency_switch_ms = switch;
            })
    };
    world(20.0).goes(&germany(), &["us", "ap", "eu"], "latency");
    world(19.0).goes(&germany(), &["ap", "eu", "us"], "latency");
    let note = "latency: us 40 ms (row *), ap 22 ms (row *), eu 20 ms (row *); within 5 ms of the \
                fastest, so by utilisation: ap 3 of 10 in flight, eu 5 of 10 in flight; the \
                client's network stays at us: none is over 20 ms faster";
    assert_eq!(world(20.0).note(&germany()), note);
}

// The other strategies.

#[test]
fn capacity_goes_by_the_part_of_the_limit_that_is_in_flight() {
    let cases: &[([u32; 3], [u32; 3], [&str; 3])] = &[
        ([10, 100, 10], [5, 20, 9], ["eu", "us", "ap"]),
        ([10, 20, 30], [1, 2, 3], ["us", "eu", "ap"]),
        // Without a limit behind idle ones only.
        ([10, 0, 10], [0, 1, 1], ["us", "eu", "ap"]),
        ([10, 0, 10], [1, 1_000, 0], ["ap", "eu", "us"]),
        ([0, 0, 0], [3, 2, 2], ["eu", "ap", "us"]),
        ([0, 0, 10], [0, 0, 0], ["us", "eu", "ap"]),
    ];
    for (limits, load, order) in cases {
        World::three(By::Capacity).limits(limits).in_flight(load).goes(
            &germany(),
            order,
            "capacity",
        );
    }
    World::three(By::Capacity).goes(&germany(), &["us", "eu", "ap"], "capacity");
    let world = World::three(By::Capacity).limits(&[10, 0, 10]).in_flight(&[3, 2, 1]);
    let note = "capacity: eu 2 in flight, no limit, ap 1 of 10 in flight, us 3 of 10 in flight";
    assert_eq!(world.note(&germany()), note);
}

#[test]
fn cost_goes_by_the_multiplier_then_by_round_trip() {
    let costs = |costs| World::three(By::Cost).costs(costs);
    costs(&[2.0, 1.5, 1.0]).goes(&berlin(), &["ap", "eu", "us"], "cost");
    costs(&[1.0, 1.0, 1.0]).goes(&berlin(), &["eu", "us", "ap"], "cost");
    costs(&[1.0, 2.0, 1.0]).goes(&berlin(), &["us", "ap", "eu"], "cost");
    costs(&[1.0, 1.0, 1.0]).goes(&germany(), &["us", "eu", "ap"], "cost");
    costs(&[-0.0, 0.0, 0.0]).goes(&germany(), &["us", "eu", "ap"], "cost");
    costs(&[2.0, 1.0, 1.0]).rows("*,ap,3,\n").goes(&germany(), &["ap", "eu", "us"], "cost");
    let world = costs(&[1.5, 1.0, 1.0]).rows("*,ap,3,\n").measured(&[measured(9.0, 1)]);
    let note = "cost: ap cost 1, 3 ms (row *), eu cost 1, round trip unknown, us cost 1.5, \
                9.0 ms (measured, 1 s ago)";
    assert_eq!(world.note(&germany()), note);
}

#[test]
fn health_goes_by_the_score_then_by_round_trip() {
    let scores = |scores: [u8; 3]| World::three(By::Health).health(&scores.map(scored));
    scores([50, 60, 100]).goes(&berlin(), &["ap", "eu", "us"], "health");
    scores([100, 100, 100]).goes(&berlin(), &["eu", "us", "ap"], "health");
    scores([100, 0, 100]).goes(&berlin(), &["us", "ap", "eu"], "health");
    scores([100, 100, 100]).goes(&germany(), &["us", "eu", "ap"], "health");
    let note = scores([99, 100, 255]).rows("*,us,3,\n").note(&germany());
    let expected = "health: eu score 100, round trip unknown, ap score 255, round trip unknown, \
                    us score 99, 3 ms (row *)";
    assert_eq!(note, expected);
}

#[test]
fn compliance_goes_by_distance_and_only_where_a_policy_binds() {
    let world = World::three(By::Compliance);
    world.goes(&berlin(), &[], "residency_required");
    assert_eq!(ordered(&world, &berlin(), By::Compliance), ["eu", "us", "ap"]);
    assert_eq!(ordered(&world, &germany(), By::Compliance), ["us", "eu", "ap"]);
    let biased = world.regions(|place, settings| {
        Arc::make_mut(&mut settings.region).bias = if place == 0 { 99 } else { 0 };
    });
    assert_eq!(ordered(&biased, &berlin(), By::Compliance), ["us", "eu", "ap"]);
}

/// The order of a strategy whose decision depends on more than the order.
fn ordered(world: &World, request: &Request, strategy: By) -> Vec<String> {
    let (table, facts, conditions) = (world.table(), request.facts(), world.conditions());
    let (deployment, health) = table.deployment(DeploymentIndex(0)).unwrap();
    let among = deployment.eligible();
    let draws = AllDraws::default();
    let request = Ranked {
        plan: &table.plan,
        deployment,
        health,
        facts: &facts,
        conditions: &conditions,
        draws,
        among,
    };
    let mut out = Order::<8>::new();
    Ranker::new(&request, strategy).order(among, health.up(), &mut out);
    deployment.ids(out).map(ToString::to_string).collect()
}

fn by_score(latency: f64, cost: f64, load: f64) -> World {
    World::three(By::Score)
        .ranking(|ranking| ranking.objectives = Objectives { latency, cost, load })
}

#[test]
fn score_adds_up_what_is_normalised_over_the_candidates() {
    let rows = "*,us,10,\n*,eu,20,\n*,ap,110,\n";
    let world = |weights: [f64; 3]| {
        let [latency, cost, load] = weights;
        let world = by_score(latency, cost, load).rows(rows).costs(&[3.0, 2.0, 1.0]);
        world.limits(&[10, 10, 10]).in_flight(&[0, 5, 1])
    };
    world([1.0, 0.0, 0.0]).goes(&germany(), &["us", "eu", "ap"], "score");
    world([0.0, 1.0, 0.0]).goes(&germany(), &["ap", "eu", "us"], "score");
    world([0.0, 0.0, 1.0]).goes(&germany(), &["us", "ap", "eu"], "score");
    // us 0.3, eu 0.06 + 0.15 + 0.1 = 0.31, ap 0.6 + 0.02 = 0.62.
    world([0.6, 0.3, 0.1]).goes(&germany(), &["us", "eu", "ap"], "score");
    let note = "score: us 0.300: 10 ms (row *), cost 3, 0 of 10 in flight, eu 0.310: 20 ms (row *), \
                cost 2, 5 of 10 in flight, ap 0.620: 110 ms (row *), cost 1, 1 of 10 in flight";
    assert_eq!(world([6.0, 3.0, 1.0]).note(&germany()), note, "only proportions count");
    // Without eu, whose load was the most: us 0.3, ap 0.6 + 0.1.
    let without = world([0.6, 0.3, 0.1]).down(&[1]);
    without.goes(&germany(), &["us", "ap"], "score");
    assert!(without.note(&germany()).contains("ap 0.700"), "{}", without.note(&germany()));
}

#[test]
fn score_takes_an_unknown_round_trip_for_the_longest() {
    let known = by_score(0.5, 0.5, 0.0).rows("*,us,10,\n*,ap,30,\n");
    // us 0, eu 0.5, ap 0.5.
    known.goes(&germany(), &["us", "eu", "ap"], "score");
    by_score(1.0, 0.0, 0.0).rows("*,ap,30,\n").goes(&germany(), &["ap", "us", "eu"], "score");
    // None known: as if it did not count, and the reason stays.
    by_score(0.9, 0.1, 0.0).costs(&[2.0, 1.0, 1.0]).goes(&germany(), &["eu", "ap", "us"], "score");
    by_score(1.0, 0.0, 0.0).goes(&germany(), &["us", "eu", "ap"], "score");
    // Only of a region that is down.
    let down = by_score(1.0, 0.0, 0.0).rows("*,us,30,\n").down(&[0]);
    down.goes(&germany(), &["eu", "ap"], "score");
}

#[test]
fn score_survives_weights_of_any_size() {
    for weights in [[f64::MAX; 3], [1e-300; 3], [0.0; 3], [f64::MAX, 1e-300, 0.0]] {
        let [latency, cost, load] = weights;
        let world = by_score(latency, cost, load).costs(&[f64::MAX, 1e-300, 0.0]);
        assert_eq!(world.outcome(&berlin()).0.len(), 3, "{weights:?}");
    }
    by_score(0.0, 0.0, 0.0).goes(&berlin(), &["us", "eu", "ap"], "score");
}

#[test]
fn a_rule_may_bring_a_strategy_of_its_own_and_the_reason_stays_rule() {
    for (strategy, order) in [(By::Cost, ["ap", "eu", "us"]), (By::Geolocation, ["eu", "us", "ap"])]
    {
        let mut by_rule = rule("r", &["us", "eu", "ap"], &[]);
        by_rule.strategy = Some(strategy);
        let mut api = deployment("api", By::Failover, three_regions());
        api.rules = vec![by_rule];
        World::of(api).costs(&[3.0, 2.0, 1.0]).goes(&berlin(), &order, "rule");
    }
}

#[test]
fn the_age_of_the_database_that_knew_the_place_is_told() {
    let mut request = berlin();
    request.location.source = LocationSource::Database;
    let facts_of = |world: &World, built| {
        let mut facts = request.facts();
        facts.geoip_built = built;
        let told = explain(&world.table(), &facts, &world.conditions(), Draws::default());
        told.steps.into_iter().find(|step| step.step.as_str() == "strategy").unwrap().note.unwrap()
    };
    let (near, fast) = (World::three(By::Geolocation), World::three(By::Latency));
    let age = "; by a GeoIP database 40 d old";
    assert!(facts_of(&near, Some(NOW - 40 * DAY)).ends_with(age));
    assert!(facts_of(&fast, Some(NOW - 40 * DAY)).ends_with(age));
    assert!(!facts_of(&near, None).contains("GeoIP"));
    let rows = fast.rows("*,us,1,\n*,eu,1,\n*,ap,1,\n");
    assert!(!facts_of(&rows, Some(1)).contains("GeoIP"), "no distance is among them");
}
