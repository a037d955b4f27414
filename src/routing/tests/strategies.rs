//! Each strategy and each source of a round trip, in tables; and all of them against a slow and
//! obvious second way to order regions.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;
use proptest::prelude::*;
use proptest::sample::select;

use super::fixture::{
    Request, at, config, continent_of, deployment, region_settings, rule, three_regions,
};
use super::ids;
use crate::config::{
    Config, Deployment, Freshness, Objectives, RankingSettings, RegionSettings, Strategy as By,
};
use crate::model::{Coordinates, LocationSource, RegionState};
use crate::routing::draws::{Draws as AllDraws, Purpose, Stream};
use crate::routing::strategy::{Order, Ranker, Request as Ranked, Shares};
use crate::routing::{
    Conditions, DeploymentHealth, DeploymentIndex, Draws, EndpointIds, LatencyTable, Measured,
    NoTrace, Plan, RegionHealth, RegionLoad, RegionNumber, RegionPosition, RegionSet, Sources,
    Table, decide, explain,
};

const NOW: u64 = 1_700_000_000;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// A deployment with everything that orders its regions.
struct World {
    config: Config,
    rows: String,
    health: Vec<RegionHealth>,
    load: Vec<RegionLoad>,
    measured: Vec<Measured>,
    network: Vec<Measured>,
    incumbent: Option<RegionNumber>,
}

impl World {
    fn of(api: Deployment) -> Self {
        let mut config = config(vec![api]);
        let hours = |n| Some(Duration::from_secs(n * HOUR));
        config.latency.freshness = Freshness { soft: hours(1), hard: hours(24) };
        config.latency.measured.by_client_network = true;
        Self {
            config,
            rows: "client,region,rtt_ms,updated\n".to_owned(),
            health: Vec::new(),
            load: Vec::new(),
            measured: Vec::new(),
            network: Vec::new(),
            incumbent: None,
        }
    }

    /// Virginia, Ireland and Tokyo.
    fn three(strategy: By) -> Self {
        Self::of(deployment("api", strategy, three_regions()))
    }

    fn rows(mut self, rows: &str) -> Self {
        self.rows += rows;
        self
    }

    fn ranking(mut self, change: impl FnOnce(&mut RankingSettings)) -> Self {
        change(&mut Arc::make_mut(&mut self.config.deployments[0]).ranking);
        self
    }

    fn regions(mut self, change: impl Fn(usize, &mut RegionSettings)) -> Self {
        let api = Arc::make_mut(&mut self.config.deployments[0]);
        for (place, region) in api.regions.iter_mut().enumerate() {
            change(place, region);
        }
        self
    }

    fn costs(self, costs: &[f64]) -> Self {
        self.regions(|place, settings| {
            Arc::make_mut(&mut settings.region).cost_multiplier = costs[place];
        })
    }

    fn limits(self, limits: &[u32]) -> Self {
        self.regions(|place, settings| {
            Arc::make_mut(&mut settings.region).max_in_flight = NonZeroU32::new(limits[place]);
        })
    }

    fn in_flight(mut self, load: &[u32]) -> Self {
        let load = load.iter().map(|n| RegionLoad { in_flight: *n, spilling: false });
        self.load = load.collect();
        self
    }

    fn health(mut self, health: &[RegionHealth]) -> Self {
        self.health = health.to_vec();
        self
    }

    fn down(self, down: &[usize]) -> Self {
        let state = |place: usize| match down.contains(&place) {
            true => RegionState::Down,
            false => RegionState::Healthy,
        };
        let health: Vec<_> = (0..self.config.deployments[0].regions.len())
            .map(|place| RegionHealth { state: state(place), ..RegionHealth::HEALTHY })
            .collect();
        self.health(&health)
    }

    fn measured(mut self, measured: &[Measured]) -> Self {
        self.measured = measured.to_vec();
        self
    }

    fn network(mut self, network: &[Measured]) -> Self {
        self.network = network.to_vec();
        self
    }

    fn incumbent(mut self, place: u16) -> Self {
        self.incumbent = Some(RegionNumber(place));
        self
    }

    fn table(&self) -> Table {
        let known = |id: &str| self.config.regions.iter().any(|region| region.id.as_str() == id);
        let latency = LatencyTable::parse(&self.rows, &known).unwrap();
        let sources = Sources { latency: Some(&latency), ..Sources::none(continent_of) };
        let plan = Plan::compile(&self.config, sources, &mut EndpointIds::default());
        let table = Table::healthy(1, Arc::new(plan));
        if self.health.is_empty() {
            return table;
        }
        table.with_health(2, DeploymentIndex(0), DeploymentHealth::new(self.health.clone()))
    }

    fn conditions(&self) -> Conditions<'_> {
        Conditions {
            load: &self.load,
            measured: &self.measured,
            network: &self.network,
            incumbent: self.incumbent,
        }
    }

    /// Where the request goes in order, and why; explaining it must say the same.
    fn outcome(&self, request: &Request) -> (Vec<String>, &'static str) {
        let (table, facts, draws) = (self.table(), request.facts(), Draws::default());
        let outcome = decide(&table, &facts, &self.conditions(), draws, &mut NoTrace);
        let explained = explain(&table, &facts, &self.conditions(), draws);
        match outcome {
            Ok(decision) => {
                let order = ids(&table, &decision);
                let shown = explained.steps.last().unwrap().regions.iter().take(8);
                assert_eq!(order, shown.map(ToString::to_string).collect::<Vec<_>>());
                assert_eq!(explained.decision.unwrap().reason, decision.reason);
                (order, decision.reason.as_str())
            }
            Err(refusal) => {
                assert_eq!(explained.refusal.unwrap().reason, refusal.reason());
                (Vec::new(), refusal.reason())
            }
        }
    }

    #[track_caller]
    fn goes(&self, request: &Request, regions: &[&str], reason: &str) {
        let (order, why) = self.outcome(request);
        assert_eq!(
            (order.iter().map(String::as_str).collect::<Vec<_>>(), why),
            (regions.to_vec(), reason)
        );
    }

    /// What the strategy says of its order.
    fn note(&self, request: &Request) -> String {
        let table = self.table();
        let told = explain(&table, &request.facts(), &self.conditions(), Draws::default());
        let step = told.steps.into_iter().find(|step| step.step.as_str() == "strategy");
        step.unwrap().note.unwrap()
    }
}

fn berlin() -> Request {
    Request::default().in_country("DE").at_place(52.5, 13.4)
}

/// Somewhere in Germany.
fn germany() -> Request {
    Request::default().in_country("DE")
}

fn measured(ms: f32, age: u64) -> Measured {
    Measured { ms, samples: 50, at: NOW - age }
}

const NOTHING: Measured = Measured { ms: 0.0, samples: 0, at: 0 };

fn scored(score: u8) -> RegionHealth {
    RegionHealth { score, ..RegionHealth::HEALTHY }
}

// The sources of a round trip, in their order.

#[test]
fn a_row_as_fine_as_the_client_network_beats_its_measurement_and_a_coarser_one_does_not() {
    let cases = [
        ("192.0.2.1", "192.0.2.0/24,us,90,", "us 90 ms (row 192.0.2.0/24)"),
        ("192.0.2.1", "192.0.2.1,us,90,", "us 90 ms (row 192.0.2.1/32)"),
        ("192.0.2.1", "192.0.2.0/23,us,90,", "us 40.0 ms (client network, 50 samples, 4 s ago)"),
        ("192.0.2.1", "AS64500,us,90,", "us 40.0 ms (client network, 50 samples, 4 s ago)"),
        ("192.0.2.1", "DE,us,90,", "us 40.0 ms (client network, 50 samples, 4 s ago)"),
        ("192.0.2.1", "", "us 40.0 ms (client network, 50 samples, 4 s ago)"),
        ("2001:db8::1", "2001:db8::/48,us,90,", "us 90 ms (row 2001:db8::/48)"),
        ("2001:db8::1", "2001:db8::/47,us,90,", "us 40.0 ms (client network, 50 samples, 4 s ago)"),
    ];
    for (address, row, expected) in cases {
        let mut request = germany().with_address(address);
        request.location.asn = Some(64_500);
        let world = World::three(By::Latency).rows(row).network(&[measured(40.0, 4)]);
        assert!(
            world.note(&request).starts_with(&format!("latency: {expected},")),
            "{row}: {}",
            world.note(&request)
        );
    }
}

#[test]
fn measurements_count_with_enough_samples_and_while_they_are_not_too_old() {
    let few = Measured { samples: 19, ..measured(40.0, 4) };
    let enough = Measured { samples: 20, ..measured(40.0, 4) };
    let cases = [
        (enough, "us 40.0 ms (client network, 20 samples, 4 s ago)"),
        (few, "us 70.0 ms (measured, 9 s ago)"),
        (measured(40.0, 60), "us 40.0 ms (client network, 50 samples, 60 s ago)"),
        (measured(40.0, 61), "us 40.0 ms (client network, 50 samples, 61 s ago, stale)"),
        (measured(40.0, 600), "us 40.0 ms (client network, 50 samples, 10 min ago, stale)"),
        (measured(40.0, 601), "us 70.0 ms (measured, 9 s ago)"),
        (measured(f32::NAN, 4), "us 70.0 ms (measured, 9 s ago)"),
        (measured(f32::INFINITY, 4), "us 70.0 ms (measured, 9 s ago)"),
        (measured(-1.0, 4), "us 70.0 ms (measured, 9 s ago)"),
        (NOTHING, "us 70.0 ms (measured, 9 s ago)"),
    ];
    for (network, expected) in cases {
        let world = World::three(By::Latency).network(&[network]).measured(&[measured(70.0, 9)]);
        let note = world.note(&germany());
        assert!(note.starts_with(&format!("latency: {expected},")), "{note}");
    }
    let mut off = World::three(By::Latency).network(&[enough]).measured(&[measured(70.0, 9)]);
    off.config.latency.measured.by_client_network = false;
    assert!(off.note(&germany()).contains("us 70.0 ms (measured, 9 s ago)"), "it is opt-in");
}

#[test]
fn a_row_beats_a_measurement_of_the_region_and_that_beats_the_distance() {
    let world = World::three(By::Latency).rows("*,us,90,\n").measured(&[
        measured(5.0, 0),
        measured(12.34, 130),
        measured(1.0, 601),
    ]);
    let note = "latency: eu 12.3 ms (measured, 2 min ago, stale), us 90 ms (row *), \
                ap 124.86 ms (from the distance)";
    assert_eq!(world.note(&berlin()), note);
    world.goes(&berlin(), &["eu", "us", "ap"], "latency");
}

#[test]
fn the_most_specific_row_that_is_not_too_old_counts() {
    let row = |key: &str, age: u64| format!("{key},us,{},{}\n", key.len(), NOW - age);
    let cases = [
        (HOUR, "us 7 ms (row 10.0.0.0/8, 60 min old)".replace("7 ms", "10 ms")),
        (HOUR + 1, "us 10 ms (row 10.0.0.0/8, 60 min old, stale)".to_owned()),
        (DAY, "us 10 ms (row 10.0.0.0/8, 24 h old, stale)".to_owned()),
        (
            DAY + 1,
            "us 2 ms (row country DE, 2 h old, stale; latency_stale: row 10.0.0.0/8, 24 h old, stale)"
                .to_owned(),
        ),
    ];
    for (age, expected) in cases {
        let rows = row("10.0.0.0/8", age) + &row("DE", 2 * HOUR) + "*,us,1,\n";
        let world = World::three(By::Latency).rows(&rows);
        let note = world.note(&germany().with_address("10.1.1.1"));
        assert!(note.starts_with(&format!("latency: {expected},")), "{note}");
    }
}

#[test]
fn of_overlapping_networks_the_longest_counts_for_each_region_by_itself() {
    let rows = format!(
        "10.0.0.0/8,us,80,\n10.0.0.0/8,eu,81,\n10.1.0.0/16,us,16,\n10.1.1.0/24,us,24,{}\n\
         10.1.1.1,ap,1,\n10.2.0.0/16,us,2,\n",
        NOW - 2 * DAY
    );
    let world = World::three(By::Latency).rows(&rows);
    let note = "latency: ap 1 ms (row 10.1.1.1/32), us 16 ms (row 10.1.0.0/16; latency_stale: \
                row 10.1.1.0/24, 2 d old, stale), eu 81 ms (row 10.0.0.0/8)";
    assert_eq!(world.note(&germany().with_address("10.1.1.1")), note);
}

#[test]
fn rows_of_every_form_of_time_age_and_those_without_do_not() {
    let at =
        |text: &str| World::three(By::Latency).rows(&format!("DE,us,9,{text}\n")).note(&germany());
    // 1_700_000_000 is 2023-11-14T22:13:20Z.
    assert!(at("2023-11-14T22:13:16Z").contains("us 9 ms (row country DE, 4 s old)"));
    assert!(at("2023-11-14T23:13:16+01:00").contains("us 9 ms (row country DE, 4 s old)"));
    assert!(at("1699999996").contains("us 9 ms (row country DE, 4 s old)"));
    assert!(at("").contains("us 9 ms (row country DE)"));
    assert!(at("1800000000").contains("us 9 ms (row country DE, 0 s old)"), "ahead is now");
    assert!(at("0").contains("every row for the client is too old"), "1970 is a time");
}

#[test]
fn latency_is_stale_only_if_there_is_nothing_else() {
    let rows = format!("DE,us,9,{}\nDE,eu,8,{}\n", NOW - 2 * DAY, NOW - 3 * DAY);
    let stale = || World::three(By::Latency).rows(&rows);
    stale().goes(&germany(), &["us", "eu", "ap"], "latency_stale");
    let note = "latency: every row for the client is too old (us row country DE, 2 d old, stale, \
                eu row country DE, 3 d old, stale): as listed";
    assert_eq!(stale().note(&germany()), note);
    stale().goes(&berlin(), &["eu", "us", "ap"], "latency");
    stale().rows("*,ap,300,\n").goes(&germany(), &["ap", "us", "eu"], "latency");
    let far = [NOTHING, NOTHING, measured(200.0, 0)];
    stale().measured(&far).goes(&germany(), &["ap", "us", "eu"], "latency");
    stale().network(&far).goes(&germany(), &["ap", "us", "eu"], "latency");
    let old = [measured(200.0, 601)];
    World::three(By::Latency).measured(&old).goes(
        &germany(),
        &["us", "eu", "ap"],
        "latency_unknown",
    );
    // Rows for others, or for regions that are not in the list, are nothing that is known.
    let others = format!("JP,us,9,{}\n", NOW - 2 * DAY);
    World::three(By::Latency).rows(&others).goes(
        &germany(),
        &["us", "eu", "ap"],
        "latency_unknown",
    );
}

#[test]
fn without_limits_nothing_is_too_old() {
    let mut world = World::three(By::Latency)
        .rows("DE,us,9,1\n")
        .measured(&[NOTHING, Measured { at: 1, ..measured(5.0, 0) }]);
    world.config.latency.freshness = Freshness::default();
    world.config.latency.measured.freshness = Freshness::default();
    world.goes(&germany(), &["eu", "us", "ap"], "latency");
}

// What keeps `latency` calm.

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

// All of them against a second implementation.

const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
const KEYS: [(&str, u32); 7] = [
    ("*", 0),
    ("EU", 1),
    ("DE", 2),
    ("10.0.0.0/8", 3),
    ("10.1.0.0/16", 4),
    ("10.1.2.0/24", 5),
    ("10.1.2.3", 6),
];

#[derive(Clone, Debug)]
struct Given {
    place: Coordinates,
    cost: f64,
    limit: u32,
    load: u32,
    score: u8,
    down: bool,
    measured: Option<(u16, u64)>,
    network: Option<(u16, u32, u64)>,
    /// By key: round trip and age.
    rows: Vec<Option<(u32, Option<u64>)>>,
}

fn place() -> impl Strategy<Value = Coordinates> {
    (-80.0..80.0f64, -179.0..179.0f64).prop_map(|(latitude, longitude)| at(latitude, longitude))
}

/// Around the limits.
fn age(soft: u64, hard: u64) -> impl Strategy<Value = u64> {
    prop_oneof![0..2 * hard, Just(soft), Just(soft + 1), Just(hard), Just(hard + 1)]
}

fn given() -> impl Strategy<Value = Given> {
    let row = prop::option::of((0..60u32, prop::option::of(age(HOUR, DAY))));
    (
        (place(), select(&[0.5, 1.0, 1.0, 2.0][..]), 0..4u32, 0..9u32),
        (select(&[0u8, 50, 100, 100][..]), prop::bool::weighted(0.2)),
        prop::option::of((0..60u16, age(60, 600))),
        prop::option::of((0..60u16, 18..22u32, age(60, 600))),
        prop::collection::vec(prop_oneof![3 => Just(None), 1 => row], KEYS.len()),
    )
        .prop_map(|((place, cost, limit, load), (score, down), measured, network, rows)| {
            Given { place, cost, limit: limit * 10, load, score, down, measured, network, rows }
        })
}

/// The round trip as the documentation has it.
fn expected_ms(given: &Given, client: Option<Coordinates>) -> f64 {
    let row = |keys: std::ops::Range<usize>| {
        let fresh = |row: &(u32, Option<u64>)| row.1.is_none_or(|age| age <= DAY);
        let mut rows = given.rows[keys].iter().rev().copied().flatten();
        rows.find(fresh).map(|(ms, _)| f64::from(ms))
    };
    let network = given.network.filter(|(_, samples, age)| *samples >= 20 && *age <= 600);
    let measured = given.measured.filter(|(_, age)| *age <= 600);
    row(5..7)
        .or(network.map(|(ms, ..)| f64::from(ms)))
        .or_else(|| row(0..5))
        .or(measured.map(|(ms, _)| f64::from(ms)))
        .or(client.map(|client| client.haversine(given.place) / 100.0 * 1.4))
        .unwrap_or(f64::INFINITY)
}

trait Haversine {
    fn haversine(self, other: Self) -> f64;
}

impl Haversine for Coordinates {
    fn haversine(self, other: Self) -> f64 {
        let hav = |angle: f64| (angle / 2.0).sin().powi(2);
        let (a, b) = (self.latitude.to_radians(), other.latitude.to_radians());
        let across = (self.longitude - other.longitude).to_radians();
        let h = hav(a - b) + a.cos() * b.cos() * hav(across);
        2.0 * 6371.0088 * h.sqrt().asin()
    }
}

/// One request to regions of which much is known.
#[derive(Clone, Debug)]
struct Case {
    regions: Vec<Given>,
    client: Option<Coordinates>,
    strategy: By,
    ranking: RankingSettings,
    incumbent: Option<u16>,
}

impl Case {
    fn world(&self) -> World {
        let regions = self.regions.iter().zip(NAMES).map(|(given, id)| {
            let mut settings = region_settings(id, given.place, 0, 1);
            let region = Arc::make_mut(&mut settings.region);
            region.cost_multiplier = given.cost;
            region.max_in_flight = NonZeroU32::new(given.limit);
            settings
        });
        let api = deployment("api", self.strategy, regions.collect());
        let mut world = World::of(Deployment { ranking: self.ranking.clone(), ..api });
        for (given, id) in self.regions.iter().zip(NAMES) {
            for ((key, _), row) in KEYS.iter().zip(&given.rows) {
                let Some((ms, age)) = row else { continue };
                let updated = age.map(|age| (NOW - age).to_string()).unwrap_or_default();
                world.rows += &format!("{key},{id},{ms},{updated}\n");
            }
        }
        let state = |down| if down { RegionState::Down } else { RegionState::Healthy };
        let all = || self.regions.iter();
        world.health = all()
            .map(|given| RegionHealth { state: state(given.down), ..scored(given.score) })
            .collect();
        world.load =
            all().map(|given| RegionLoad { in_flight: given.load, spilling: false }).collect();
        world.measured = all()
            .map(|given| given.measured.map_or(NOTHING, |(ms, age)| measured(ms.into(), age)))
            .collect();
        world.network = all()
            .map(|given| match given.network {
                Some((ms, samples, age)) => Measured { samples, ..measured(ms.into(), age) },
                None => NOTHING,
            })
            .collect();
        world.incumbent = self.incumbent.map(RegionNumber);
        world
    }

    fn utilisation(&self, place: usize) -> f64 {
        let given = &self.regions[place];
        if given.limit == 0 { 0.0 } else { f64::from(given.load) / f64::from(given.limit) }
    }

    /// Keys of a region, the first the most important, before the order in which they are listed.
    fn keys(&self, up: &[usize]) -> Vec<Vec<f64>> {
        let ms: Vec<f64> =
            self.regions.iter().map(|given| expected_ms(given, self.client)).collect();
        let best = up.iter().map(|place| ms[*place]).fold(f64::INFINITY, f64::min);
        let normalised = |values: &dyn Fn(usize) -> f64, place: usize| {
            let all = up.iter().map(|place| values(*place)).filter(|value| value.is_finite());
            let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
            all.for_each(|value| (min, max) = (min.min(value), max.max(value)));
            match values(place) {
                _ if min == f64::INFINITY => 0.0,
                value if value == f64::INFINITY => 1.0,
                value if max - min > 1e-9 => (value - min) / (max - min),
                _ => 0.0,
            }
        };
        let key = |place: usize| {
            let given = &self.regions[place];
            let (rtt, used) = (ms[place], self.utilisation(place));
            let load = f64::from(given.load);
            match self.strategy {
                By::Latency => {
                    let slower = rtt - best;
                    let near = self.ranking.latency_tolerance_ms > 0.0
                        && slower <= self.ranking.latency_tolerance_ms + 1e-7;
                    let stays = self.ranking.latency_switch_ms > 0.0
                        && self.incumbent == Some(place as u16)
                        && (rtt == best || slower <= self.ranking.latency_switch_ms + 1e-7);
                    let first = f64::from(u8::from(!stays));
                    if near { vec![first, 0.0, used, rtt] } else { vec![first, 1.0, 0.0, rtt] }
                }
                By::Capacity if given.limit == 0 => vec![load / 1e9],
                By::Capacity => vec![used],
                By::Cost => vec![given.cost, rtt],
                By::Health => vec![-f64::from(given.score), rtt],
                _ => {
                    let Objectives { latency, cost, load } = self.ranking.objectives;
                    let sum = latency + cost + load;
                    let score = latency * normalised(&|place| ms[place], place)
                        + cost * normalised(&|place| self.regions[place].cost, place)
                        + load * normalised(&|place| self.utilisation(place), place);
                    vec![score / sum]
                }
            }
        };
        (0..self.regions.len()).map(key).collect()
    }

    fn up(&self) -> Vec<usize> {
        (0..self.regions.len()).filter(|place| !self.regions[*place].down).collect()
    }
}

prop_compose! {
    fn case()(
        regions in prop::collection::vec(given(), 1..=NAMES.len()),
        client in prop::option::of(place()),
        strategy in select(&[By::Latency, By::Latency, By::Capacity, By::Cost, By::Health, By::Score][..]),
        (tolerance, switch) in (select(&[0.0, 1.0, 10.0, 40.0][..]), select(&[0.0, 5.0, 30.0][..])),
        weights in prop::array::uniform3(0..4u8),
        incumbent in prop::option::of(0..12u16),
    ) -> Case {
        let [latency, cost, load] = weights.map(f64::from);
        // One of them at least.
        let objectives = Objectives { latency: latency + 0.5, cost, load };
        let ranking = RankingSettings {
            latency_tolerance_ms: tolerance,
            latency_switch_ms: switch,
            objectives,
        };
        Case { regions, client, strategy, ranking, incumbent }
    }
}

/// Whether keys are in order, but for rounding; equal ones by their places.
fn in_order(a: (&[f64], usize), b: (&[f64], usize)) -> bool {
    for (a, b) in a.0.iter().zip(b.0) {
        // Relative, for loads of regions without a limit.
        if a != b && (a - b).abs() > 1e-7 * a.abs().max(b.abs()).min(1.0) {
            return a < b;
        }
    }
    a.1 < b.1
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn strategies_order_as_the_documentation_says(case in case()) {
        let mut request = germany().with_address("10.1.2.3");
        request.location.coordinates = case.client;
        let world = case.world();
        let (order, reason) = world.outcome(&request);
        let up = case.up();
        if up.is_empty() {
            prop_assert_eq!(reason, "last_resort");
            return Ok(());
        }
        let places: Vec<usize> =
            order.iter().map(|id| NAMES.iter().position(|name| name == id).unwrap()).collect();
        let full = |place: &usize| {
            let given = &case.regions[*place];
            given.limit > 0 && given.load >= given.limit
        };
        let open = up.iter().filter(|place| !full(place)).count();
        prop_assert_eq!(places.len(), open.min(8));
        let trips: Vec<f64> =
            case.regions.iter().map(|given| expected_ms(given, case.client)).collect();
        let unknown = trips.iter().all(|ms| ms.is_infinite());
        if case.strategy == By::Latency && unknown {
            let stale = case.regions.iter().any(|given| given.rows.iter().flatten().count() > 0);
            prop_assert_eq!(reason, if stale { "latency_stale" } else { "latency_unknown" });
            prop_assert!(places.is_sorted());
            return Ok(());
        }
        prop_assert_eq!(reason, case.strategy.as_str());
        let keys = case.keys(&up);
        let key = |place: usize| (keys[place].as_slice(), place);
        for (n, place) in places.iter().enumerate() {
            for later in &places[n + 1..] {
                prop_assert!(
                    in_order(key(*place), key(*later)),
                    "{} {:?} before {} {:?}", NAMES[*place], key(*place), NAMES[*later], key(*later)
                );
            }
            for other in up.iter().filter(|other| !full(other) && !places.contains(other)) {
                prop_assert!(in_order(key(*place), key(*other)), "{} was left out", NAMES[*other]);
            }
        }
    }
}

// Draws and turns.

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
