//! The policy in a world without time: seeded simulations of origins that die, hang and return,
//! and of configurations that change under it.
//!
//! A failing run prints its seed; the same seed replays it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::{self, Config};
use crate::health::{CheckId, Failure};
use crate::model::{EndpointSignal, RegionState, SignalKind};
use crate::routing::{Table, Tables};

const MS: Duration = Duration::from_millis(1);

fn config(weight: u32, regions: &[&str], checks: bool) -> Arc<Config> {
    let mut text = String::from("listeners: [{ address: 127.0.0.1:0 }]\nregions:\n");
    for (i, id) in ["us", "eu", "ap"].iter().enumerate() {
        text.push_str(&format!(
            "  - {{ id: {id}, latitude: {i}, longitude: 0, country: US, endpoints: [\"http://127.0.0.1:{}\", \"http://127.0.0.1:{}\"] }}\n",
            9000 + i * 10, 9001 + i * 10
        ));
    }
    text.push_str(&format!(
        "deployments:\n  - name: api\n    primary_region: {}\n    replica_regions: [{}]\n    regions: {{ {}: {{ weight: {weight} }} }}\n    failover: {{ failover_cooldown_seconds: 2 }}\n",
        regions[0], regions[1..].join(", "), regions[0]
    ));
    if checks {
        text.push_str("    health_check: { interval_seconds: 1, timeout_seconds: 1 }\n");
    }
    let loaded = config::parse(&text, "simulated.yaml", "".as_ref(), &|_| None);
    Arc::new(loaded.unwrap_or_else(|errors| panic!("{errors}")).config)
}

/// How an origin behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Answers,
    Refuses,
    Hangs,
    Wrong,
}

impl Origin {
    fn is_fine(self) -> bool {
        self == Self::Answers
    }
}

struct World {
    now: Duration,
    policy: Policy,
    origins: BTreeMap<u16, Origin>,
    under_way: Vec<(Duration, CheckId, Result<Duration, Failure>)>,
    published: Arc<Table>,
    events: Vec<Event>,
    probes: u64,
}

impl World {
    fn new(config: Arc<Config>) -> Self {
        let policy = Policy::new(config, Tables::default(), |_| None, Duration::ZERO);
        let published = Arc::clone(policy.table());
        let origins = [9000, 9001, 9010, 9011, 9020, 9021].map(|port| (port, Origin::Answers));
        Self {
            now: Duration::ZERO,
            policy,
            origins: origins.into(),
            under_way: Vec::new(),
            published,
            events: Vec::new(),
            probes: 0,
        }
    }

    fn handle(&mut self, input: Input) {
        let entropy = self.now.as_nanos() as u64 ^ 0x5DEE_CE66;
        for effect in self.policy.handle(input, self.now, entropy) {
            match effect {
                Effect::Publish(table) => {
                    assert!(table.generation > self.published.generation);
                    self.published = table;
                }
                Effect::Probe(order) => {
                    self.probes += 1;
                    let (after, result) = match self.origins[&order.url.port] {
                        Origin::Answers => (3 * MS, Ok(3 * MS)),
                        Origin::Refuses => {
                            (MS, Err(Failure::Connection { detail: "connection refused".into() }))
                        }
                        Origin::Wrong => (MS, Err(Failure::Status { status: 500, expected: 200 })),
                        Origin::Hangs => {
                            let after_ms = order.timeout.as_millis() as u64;
                            (order.timeout, Err(Failure::Timeout { after_ms }))
                        }
                    };
                    self.under_way.push((self.now + after, order.check, result));
                }
                Effect::Announce(event) => {
                    assert_eq!(event.generation, self.published.generation, "{event:?}");
                    self.events.push(event);
                }
            }
        }
        assert!(
            Arc::ptr_eq(&self.published, self.policy.table()),
            "a table that was not published is in use"
        );
    }

    /// Lets `time` pass, from one thing that happens to the next.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let report = self.under_way.iter().map(|(at, ..)| *at).min();
            let wake = self.policy.next_wake();
            let Some(next) = report.into_iter().chain(wake).min().filter(|at| *at <= end) else {
                break;
            };
            assert!(next >= self.now || wake == Some(next), "time runs backwards");
            self.now = self.now.max(next);
            let due = self.under_way.iter().position(|(at, ..)| *at <= self.now);
            match due {
                Some(i) => {
                    let (_, check, result) = self.under_way.remove(i);
                    self.handle(Input::Probed { check, result });
                }
                None => self.handle(Input::Tick),
            }
        }
        self.now = end;
    }

    fn state(&self, region: &str) -> RegionState {
        let (index, plan) = self.published.plan.iter().next().unwrap();
        let position = plan.regions.iter().position(|known| known.id.as_str() == region).unwrap();
        self.published.deployment(index).unwrap().1.regions()[position].state
    }

    fn score(&self, region: usize) -> u8 {
        let health = self.published.deployment(crate::routing::DeploymentIndex(0)).unwrap().1;
        health.regions()[region].score
    }

    fn set(&mut self, region: &str, origin: Origin) {
        let first = 9000 + 10 * ["us", "eu", "ap"].iter().position(|id| *id == region).unwrap();
        for port in [first, first + 1] {
            self.origins.insert(port as u16, origin);
        }
    }

    fn signal(&mut self, region: &str, kind: SignalKind, consecutive: u32) {
        let plan = Arc::clone(&self.published.plan);
        let regions = plan.deployments.iter().flat_map(|deployment| &deployment.regions);
        for endpoint in
            regions.filter(|known| known.id.as_str() == region).flat_map(|r| &r.endpoints)
        {
            let signal = EndpointSignal { endpoint: endpoint.id, kind, consecutive };
            self.handle(Input::Signal(signal));
        }
    }
}

#[test]
fn a_dead_region_is_out_within_100_ms_of_the_first_failed_request() {
    let mut world = World::new(config(1, &["us", "eu", "ap"], true));
    world.pass(10_500 * MS);
    assert!(world.events.is_empty());
    world.set("eu", Origin::Refuses);
    world.signal("eu", SignalKind::ConnectFailed, 1);
    world.pass(100 * MS);
    assert_eq!(world.state("eu"), RegionState::Down);
    assert_eq!(world.events.len(), 1);
    let event = &world.events[0];
    assert_eq!(event.cause.trigger(), "traffic");
    assert_eq!(event.successor.as_ref().unwrap().as_str(), "us");
    assert!(event.summary().contains("connection refused"), "{}", event.summary());
}

#[test]
fn a_hanging_region_is_out_within_200_ms_of_the_first_timeouts() {
    let mut world = World::new(config(1, &["us", "eu", "ap"], true));
    world.pass(10_500 * MS);
    world.set("eu", Origin::Hangs);
    world.pass(1_000 * MS);
    for consecutive in 1..=3 {
        world.signal("eu", SignalKind::FirstByteTimeout, consecutive);
    }
    world.pass(200 * MS);
    assert_eq!(world.state("eu"), RegionState::Down);
}

#[test]
fn a_region_with_one_good_endpoint_stays_and_the_bad_one_is_skipped() {
    let mut world = World::new(config(1, &["us", "eu"], true));
    world.origins.insert(9010, Origin::Wrong);
    world.pass(10_000 * MS);
    assert_eq!(world.state("eu"), RegionState::Healthy);
    let health = world.published.deployment(crate::routing::DeploymentIndex(0)).unwrap().1;
    assert_eq!(health.regions()[1].endpoints_up & 0b11, 0b10);
    world.origins.insert(9010, Origin::Answers);
    world.pass(3_000 * MS);
    let health = world.published.deployment(crate::routing::DeploymentIndex(0)).unwrap().1;
    assert_eq!(health.regions()[1].endpoints_up & 0b11, 0b11);
}

#[test]
fn a_score_falls_with_each_failure_in_a_row_and_is_0_while_down() {
    let mut world = World::new(config(1, &["us", "eu"], true));
    world.pass(10_000 * MS);
    assert_eq!(world.score(1), 100);
    let generation = world.published.generation;
    world.origins.insert(9010, Origin::Wrong);
    let mut scores = vec![100];
    for _ in 0..3_000 {
        world.pass(MS);
        if *scores.last().unwrap() != world.score(1) {
            scores.push(world.score(1));
        }
    }
    // One of two endpoints, which is down at the third failure: (66 + 100) / 2, (33 + 100) / 2.
    assert_eq!(scores, [100, 83, 66, 50]);
    assert_eq!(world.published.generation, generation + 3, "nothing else was worth a table");
    world.origins.insert(9011, Origin::Refuses);
    world.pass(5_000 * MS);
    assert_eq!((world.state("eu"), world.score(1)), (RegionState::Down, 0));
    world.set("eu", Origin::Answers);
    world.pass(5_000 * MS);
    assert_eq!((world.state("eu"), world.score(1)), (RegionState::Healthy, 100));
    world.handle(Input::Config(config(1, &["us", "eu"], false), Tables::default()));
    assert_eq!(world.score(1), 100, "without checks");
}

#[test]
fn a_reload_keeps_what_is_known_of_regions_that_stay() {
    let mut world = World::new(config(1, &["us", "eu", "ap"], true));
    world.set("eu", Origin::Refuses);
    world.pass(5_000 * MS);
    assert_eq!(world.state("eu"), RegionState::Down);
    world.handle(Input::Config(config(7, &["us", "eu"], true), Tables::default()));
    assert_eq!(world.state("eu"), RegionState::Down);
    world.handle(Input::Config(config(7, &["eu", "us", "ap"], true), Tables::default()));
    assert_eq!(world.state("eu"), RegionState::Down);
    world.set("eu", Origin::Answers);
    world.pass(5_000 * MS);
    assert_eq!(world.state("eu"), RegionState::Healthy);
}

#[test]
fn without_checks_a_region_that_was_down_is_trusted_again() {
    let mut world = World::new(config(1, &["us", "eu"], true));
    world.set("eu", Origin::Refuses);
    world.pass(5_000 * MS);
    world.handle(Input::Config(config(1, &["us", "eu"], false), Tables::default()));
    assert_eq!(world.state("eu"), RegionState::Healthy);
    assert_eq!(world.events.last().unwrap().cause, Cause::ChecksRemoved);
    assert_eq!(world.policy.next_wake(), None);
    world.pass(10_000 * MS);
    assert!(world.under_way.is_empty());
}

#[test]
fn checks_cost_one_probe_an_interval_however_many_regions_are_long_down() {
    let mut world = World::new(config(1, &["us", "eu", "ap"], true));
    world.set("eu", Origin::Refuses);
    world.set("ap", Origin::Hangs);
    world.pass(20_000 * MS);
    let before = world.probes;
    world.pass(100_000 * MS);
    let rate = (world.probes - before) as f64 / 100.0;
    assert!((4.0..=6.7).contains(&rate), "{rate} probes/s for six endpoints");
}

/// One thing that happens in a random history.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(u16),
    Set(usize, Origin),
    Signal(usize, SignalKind, u32),
    Reload(u32, usize, bool),
    Stray(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let origin = prop_oneof![
        2 => Just(Origin::Answers),
        1 => Just(Origin::Refuses),
        1 => Just(Origin::Hangs),
        1 => Just(Origin::Wrong),
    ];
    prop_oneof![
        6 => (1_u16..4_000).prop_map(Step::Pass),
        3 => (0_usize..3, origin).prop_map(|(region, origin)| Step::Set(region, origin)),
        3 => (0_usize..3, prop::sample::select(SignalKind::ALL.to_vec()), 1_u32..5)
            .prop_map(|(region, kind, n)| Step::Signal(region, kind, n)),
        2 => (1_u32..100, 0_usize..4, prop::bool::weighted(0.8))
            .prop_map(|(weight, regions, checks)| Step::Reload(weight, regions, checks)),
        1 => any::<u64>().prop_map(Step::Stray),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happened before: once things are quiet, the table says how the origins are.
    #[test]
    fn in_the_end_the_table_is_right(steps in prop::collection::vec(step(), 1..60)) {
        let shapes: [&[&str]; 4] =
            [&["us", "eu", "ap"], &["eu", "us"], &["ap", "eu", "us"], &["us", "ap"]];
        let mut world = World::new(config(1, shapes[0], true));
        let mut behaviour = [Origin::Answers; 3];
        for step in steps {
            match step {
                Step::Pass(ms) => world.pass(u32::from(ms) * MS),
                Step::Set(region, origin) => {
                    behaviour[region] = origin;
                    world.set(["us", "eu", "ap"][region], origin);
                }
                Step::Signal(region, kind, n) => {
                    world.signal(["us", "eu", "ap"][region], kind, n);
                }
                Step::Reload(weight, shape, checks) => {
                    world.handle(Input::Config(config(weight, shapes[shape], checks), Tables::default()));
                }
                Step::Stray(check) => {
                    world.handle(Input::Probed { check: CheckId(check), result: Ok(MS) });
                }
            }
        }
        world.handle(Input::Config(config(1, shapes[0], true), Tables::default()));
        // Three checks that time out after a second each, the cooldown, and two that pass.
        world.pass(12_000 * MS);
        for (region, origin) in ["us", "eu", "ap"].iter().zip(behaviour) {
            let expected = if origin.is_fine() { RegionState::Healthy } else { RegionState::Down };
            prop_assert_eq!(world.state(region), expected, "{} {:?}", region, origin);
        }
        for (place, origin) in behaviour.iter().enumerate() {
            let expected = if origin.is_fine() { 100 } else { 0 };
            prop_assert_eq!(world.score(place), expected, "{} {:?}", place, origin);
        }
    }
}
