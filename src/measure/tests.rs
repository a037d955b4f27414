//! Workers that send requests and look at each other, without threads and without a clock.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::Strategy as _;

use super::*;
use crate::config::{self, AffinityMode, Config, Deployment, Strategy};
use crate::metrics::{CONTROL, RegionShard, Registry};
use crate::model::limits::{LOAD_LOOK, LOAD_LOOK_CLOSE, MEASURED_LOOK, NETWORK_LOOK};
use crate::routing::{Conditions, EndpointIds, Plan, RegionLoad, RegionNumber, Sources};

const UNIX: u64 = 1_800_000_000;
const MICRO: Duration = Duration::from_micros(1);
const MILLI: Duration = Duration::from_millis(1);

fn config(ids: &[&str], limit: u32) -> Config {
    let region = |id| {
        format!(
            "  - {{ id: {id}, latitude: 1, longitude: 2, country: DE, endpoints: [http://a] }}\n"
        )
    };
    let regions: String = ids.iter().map(region).collect();
    let text = format!(
        "listeners: [{{ address: \"127.0.0.1:80\" }}]\nregions:\n{regions}deployments:\n  - \
         {{ name: api, primary_region: {}, replica_regions: [{}] }}\n",
        ids[0],
        ids[1..].join(", ")
    );
    let loaded = config::parse(&text, "test", std::path::Path::new(""), &|_| None);
    let mut config = loaded.unwrap_or_else(|errors| panic!("{errors}")).config;
    change(&mut config, |deployment| {
        for settings in &mut deployment.regions {
            Arc::make_mut(&mut settings.region).max_in_flight = NonZeroU32::new(limit);
        }
    });
    config
}

fn change(config: &mut Config, change: impl Fn(&mut Deployment)) {
    config.deployments.iter_mut().for_each(|deployment| change(Arc::make_mut(deployment)));
}

fn plan(config: &Config) -> Arc<Plan> {
    Arc::new(Plan::compile(config, Sources::none(|_| None), &mut EndpointIds::default()))
}

fn needs(plan: &Plan) -> Needs {
    Needs::of(&plan.deployments[0], &plan.measured)
}

/// Some workers of one process.
struct World {
    registry: Arc<Registry>,
    networks: Arc<Networks>,
    plan: Arc<Plan>,
    workers: Vec<Observer>,
    now: Instant,
    began: Instant,
}

impl World {
    fn new(workers: usize, config: &Config) -> Self {
        let (registry, networks): (Arc<Registry>, Arc<Networks>) = Default::default();
        let plan = plan(config);
        let observer =
            |number| Observer::new(number, Arc::clone(&registry), Arc::clone(&networks), &plan);
        let workers = (0..workers).map(observer).collect();
        let began = Instant::now();
        Self { workers, registry, networks, plan, now: began, began }
    }

    fn tally(&self, worker: usize, id: &str) -> Rc<Tally> {
        self.workers[worker].tally(&id.into()).unwrap()
    }

    fn told<R>(&self, worker: usize, client: &str, then: impl FnOnce(&Conditions<'_>) -> R) -> R {
        let asked = Asked {
            plan: &self.plan,
            deployment: "api",
            needs: needs(&self.plan),
            client: client.parse().unwrap(),
            now: self.now,
            unix: UNIX + (self.now - self.began).as_secs(),
        };
        self.workers[worker].with(&asked, then)
    }

    fn load(&self, worker: usize, place: usize) -> RegionLoad {
        self.told(worker, "192.0.2.1", |conditions| conditions.load[place])
    }

    /// Every worker takes up another configuration, one after the other.
    fn reload(&mut self, config: &Config) {
        self.plan = plan(config);
        for worker in &self.workers {
            worker.adopt(&self.plan);
        }
    }
}

#[test]
fn a_worker_knows_its_own_at_once_and_the_others_after_a_look() {
    // Far from the limit.
    let mut world = World::new(2, &config(&["a", "b"], 1_000));
    let (own, other) = (world.tally(0, "b"), world.tally(1, "b"));
    assert_eq!(world.load(0, 1).in_flight, 0);
    other.enter();
    own.enter();
    assert_eq!(world.load(0, 1).in_flight, 1);
    world.now += LOAD_LOOK - MICRO;
    assert_eq!(world.load(0, 1).in_flight, 1);
    world.now += MICRO;
    assert_eq!(world.load(0, 1).in_flight, 2);
    assert_eq!(world.load(0, 0).in_flight, 0, "another region");
    own.leave();
    assert_eq!(world.load(0, 1).in_flight, 1);
    let report = Observed::report(&world.registry, &world.plan);
    assert_eq!(report[1].load.in_flight, 1);
    assert_eq!(report[1].limit.unwrap().get(), 1_000);
}

#[test]
fn a_full_region_spills_until_it_is_clearly_below_its_limit() {
    let mut world = World::new(2, &config(&["a"], 20));
    let (first, second) = (world.tally(0, "a"), world.tally(1, "a"));
    let look = |world: &mut World| {
        world.now += LOAD_LOOK;
        [world.load(0, 0).spilling, world.load(1, 0).spilling]
    };
    for _ in 0..10 {
        first.enter();
        second.enter();
    }
    assert_eq!(look(&mut world), [true, true]);
    assert!(Observed::report(&world.registry, &world.plan)[0].load.spilling);
    for left in (0..20).rev() {
        if left % 2 == 0 { &first } else { &second }.leave();
        // 85 % of 20 is 17: below that, it takes requests again.
        assert_eq!(look(&mut world), [left >= 17; 2], "{left}");
    }
    assert!(!Observed::report(&world.registry, &world.plan)[0].load.spilling);
}

#[test]
fn counts_survive_a_reload_that_numbers_regions_anew() {
    let mut world = World::new(2, &config(&["a", "b", "c"], 4));
    let tallies = ["a", "b", "c"].map(|id| world.tally(0, id));
    tallies.iter().for_each(|tally| tally.enter());
    for _ in 0..3 {
        world.tally(1, "c").enter();
    }
    assert!(world.load(0, 2).spilling);
    tallies[2].leave();
    world.reload(&config(&["c", "b", "d"], 4));
    let load =
        |world: &World, place| (world.load(0, place).in_flight, world.load(0, place).spilling);
    assert_eq!(load(&world, 0), (3, false), "3 of 4 is below 85 %");
    assert_eq!((load(&world, 1), load(&world, 2)), ((1, false), (0, false)));
    // A request at a region that is gone ends; the region comes back.
    tallies[1].leave();
    assert_eq!(load(&world, 1), (0, false));
    world.reload(&config(&["a", "c"], 4));
    assert_eq!((load(&world, 0), load(&world, 1)), ((1, false), (3, false)));
    tallies[0].leave();
    assert_eq!(load(&world, 0), (0, false));
}

#[test]
fn workers_with_different_plans_still_add_up() {
    let world = World::new(2, &config(&["a", "b"], 100));
    world.tally(0, "b").enter();
    world.tally(1, "b").enter();
    let next = plan(&config(&["b", "c"], 100));
    world.workers[0].adopt(&next);
    let asked = Asked {
        plan: &next,
        deployment: "api",
        needs: needs(&next),
        client: IpAddr::from([192, 0, 2, 1]),
        now: world.now,
        unix: UNIX,
    };
    let counts = |conditions: &Conditions<'_>| {
        conditions.load.iter().map(|load| load.in_flight).collect::<Vec<_>>()
    };
    assert_eq!(world.workers[0].with(&asked, counts), [2, 0]);
    assert_eq!(world.told(1, "192.0.2.1", counts), [0, 2]);
    // A plan that the worker has not adopted has other numbers.
    assert!(world.workers[1].with(&asked, |conditions| conditions.load.is_empty()));
}

#[test]
fn round_trips_of_all_threads_are_one_average() {
    let mut config = config(&["a", "b"], 1);
    change(&mut config, |deployment| deployment.strategy = Strategy::Latency);
    let mut world = World::new(2, &config);
    let ids = || ["b", "a"].map(Into::into);
    let checks = Arc::new(RegionShard::new(ids(), None));
    world.registry.publish_regions(CONTROL, Arc::clone(&checks));
    let half_life = world.plan.measured.half_life;
    world.tally(0, "b").connected(10 * MILLI, world.now);
    world.tally(1, "b").connected(20 * MILLI, world.now);
    let at = world.registry.millis(world.now);
    checks.times(0).unwrap().connect.record(60 * MILLI, at, half_life);
    world.tally(0, "b").answered([192, 0, 2, 1].into(), 500 * MILLI, world.now);
    let measured = |world: &World| world.told(0, "192.0.2.1", |known| known.measured[1]);
    let first = measured(&world);
    assert!((first.ms - 30.0).abs() < 1e-3 && first.samples == 3 && first.at == UNIX, "{first:?}");
    world.tally(1, "b").connected(30 * MILLI, world.now);
    assert_eq!(measured(&world), first, "not yet");
    world.now += MEASURED_LOOK;
    assert_eq!(measured(&world).samples, 4);
    world.now += Duration::from_secs(50);
    let old = measured(&world);
    assert_eq!((old.samples, old.at), (4, UNIX), "it grows old, it does not change");
    assert_eq!(world.told(0, "192.0.2.1", |known| known.measured[0].samples), 0);
    let report = Observed::report(&world.registry, &world.plan);
    let [connect, first_byte] = [report[1].connect, report[1].first_byte].map(Option::unwrap);
    assert!((connect.seconds - 0.03).abs() < 1e-6 && (first_byte.seconds - 0.5).abs() < 1e-6);
    assert!(report[0].connect.is_none());
}

#[test]
fn client_networks_have_times_of_their_own() {
    let mut config = config(&["a", "b"], 1);
    config.latency.measured.by_client_network = true;
    change(&mut config, |deployment| deployment.strategy = Strategy::Latency);
    let mut world = World::new(2, &config);
    let row = |world: &World, client: &str| {
        world.told(0, client, |known| known.network.iter().map(|m| m.samples).collect::<Vec<_>>())
    };
    for _ in 0..3 {
        world.tally(1, "b").answered([192, 0, 2, 7].into(), 40 * MILLI, world.now);
    }
    world.tally(1, "a").answered([198, 51, 100, 7].into(), 40 * MILLI, world.now);
    assert_eq!(row(&world, "192.0.2.1"), [0, 0], "not handed on yet");
    world.workers[1].tend();
    assert_eq!(row(&world, "192.0.2.1"), [0, 0], "remembered");
    assert_eq!(row(&world, "198.51.100.1"), [1, 0]);
    world.now += NETWORK_LOOK;
    assert_eq!(row(&world, "192.0.2.1"), [0, 3]);
    assert_eq!(row(&world, "203.0.113.1"), [0, 0], "nothing is left of the one before");
    let now =
        Observed::now(&world.registry, &world.networks, &world.plan, [192, 0, 2, 1].into(), UNIX);
    assert_eq!(now.conditions().network[1].samples, 3);
    config.latency.measured.by_client_network = false;
    world.reload(&config);
    world.workers[0].tend();
    assert!(world.networks.is_empty(), "nobody asks any more");
}

#[test]
fn a_worker_remembers_where_a_network_went() {
    let sticky = |ids: &[&str]| {
        let mut config = config(ids, 1);
        change(&mut config, |deployment| {
            deployment.strategy = Strategy::Latency;
            deployment.ranking.latency_switch_ms = 5.0;
        });
        config
    };
    let mut world = World::new(1, &sticky(&["a", "b"]));
    let last = |world: &World, client: &str| world.told(0, client, |known| known.incumbent);
    assert_eq!(last(&world, "192.0.2.1"), None);
    world.workers[0].went_to("api", [192, 0, 2, 9].into(), RegionNumber(1));
    assert_eq!(last(&world, "192.0.2.1"), Some(RegionNumber(1)));
    assert_eq!(last(&world, "192.0.3.1"), None);
    world.reload(&sticky(&["b", "c"]));
    assert_eq!(last(&world, "192.0.2.1"), Some(RegionNumber(0)));
}

#[test]
fn a_deployment_needs_what_its_steps_and_strategies_read() {
    type Change = fn(&mut Deployment);
    let load = Needs { load: true, ..Needs::default() };
    let measured = Needs { measured: true, ..Needs::default() };
    let cases: [(Change, Needs); 9] = [
        (|_| {}, Needs::default()),
        (|it| it.strategy = Strategy::Capacity, load),
        (|it| it.strategy = Strategy::Cost, measured),
        (|it| it.strategy = Strategy::Health, measured),
        (|it| it.strategy = Strategy::Latency, measured),
        (|it| it.affinity.mode = AffinityMode::Client, load),
        (
            |it| {
                it.strategy = Strategy::Latency;
                it.ranking.latency_tolerance_ms = 1.0;
                it.ranking.latency_switch_ms = 1.0;
            },
            Needs { load: true, measured: true, incumbent: true, network: false },
        ),
        (
            |it| {
                it.strategy = Strategy::Score;
                it.ranking.objectives.load = 1.0;
            },
            load,
        ),
        (
            |it| {
                let region = Arc::make_mut(&mut it.regions[1].region);
                region.max_in_flight = NonZeroU32::new(1);
            },
            load,
        ),
    ];
    for (number, (alter, expected)) in cases.into_iter().enumerate() {
        let mut config = config(&["a", "b"], 0);
        change(&mut config, |deployment| {
            deployment.strategy = Strategy::Failover;
            alter(deployment);
        });
        assert_eq!(needs(&plan(&config)), expected, "case {number}");
        config.latency.measured.by_client_network = true;
        assert_eq!(needs(&plan(&config)).network, expected.measured, "case {number}");
    }
}

/// One thing that happens in a process with some workers.
#[derive(Clone, Debug)]
enum Event {
    /// A request comes to a worker.
    Ask(usize),
    /// The oldest request of a worker ends.
    End(usize),
    /// Some microseconds pass.
    Pass(u64),
}

fn events(workers: usize) -> impl proptest::strategy::Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..workers).prop_map(Event::Ask),
        2 => (0..workers).prop_map(Event::End),
        3 => (1u64..3_000).prop_map(Event::Pass),
    ];
    prop::collection::vec(event, 1..600)
}

proptest! {
    /// A worker that sends at most one request in the short pause between two looks is the most
    /// that any other worker fails to see of it.
    #[test]
    fn no_more_than_one_request_a_worker_goes_beyond_the_limit(
        events in events(4),
        limit in 1u32..40,
    ) {
        let mut world = World::new(4, &config(&["a"], limit));
        let tallies: Vec<_> = (0..4).map(|worker| world.tally(worker, "a")).collect();
        let mut last: [Option<Instant>; 4] = [None; 4];
        let mut under_way = [0u32; 4];
        for event in events {
            match event {
                Event::Pass(micros) => world.now += MICRO * micros as u32,
                Event::End(worker) if under_way[worker] > 0 => {
                    under_way[worker] -= 1;
                    tallies[worker].leave();
                }
                Event::End(_) => {}
                Event::Ask(worker) => {
                    let soon = last[worker].is_some_and(|at| world.now - at < LOAD_LOOK_CLOSE);
                    if soon {
                        world.now += LOAD_LOOK_CLOSE / 4;
                        continue;
                    }
                    last[worker] = Some(world.now);
                    let load = world.load(worker, 0);
                    prop_assert!(load.in_flight >= under_way[worker]);
                    if load.in_flight < limit && !load.spilling {
                        under_way[worker] += 1;
                        tallies[worker].enter();
                    }
                }
            }
            let all: u32 = under_way.iter().sum();
            prop_assert!(all <= limit + 3, "{all} of {limit}");
        }
        world.now += LOAD_LOOK;
        for worker in 0..4 {
            prop_assert_eq!(world.load(worker, 0).in_flight, under_way.iter().sum::<u32>());
        }
    }
}
