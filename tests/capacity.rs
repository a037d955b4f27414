//! Regions that take only so many requests at once: what spills, what comes back, what is refused,
//! and what is measured meanwhile.

use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use crate::support::client::{Request, Response};
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup};
use crate::support::until;

/// Lets requests at an origin go, so many at a time.
#[derive(Default)]
struct Gate {
    open: Mutex<usize>,
    changed: Condvar,
}

impl Gate {
    fn release(&self, requests: usize) {
        *self.open.lock().unwrap() += requests;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut open = self.open.lock().unwrap();
        while *open == 0 {
            open = self.changed.wait(open).unwrap();
        }
        *open -= 1;
    }
}

/// A region whose origin answers when it is told to.
struct Slow {
    origin: Origin,
    gate: Arc<Gate>,
}

impl Slow {
    fn named(name: &str) -> Self {
        let gate = Arc::new(Gate::default());
        let origin = {
            let gate = Arc::clone(&gate);
            Origin::with(name, move |exchange| {
                exchange.read_body()?;
                gate.pass();
                exchange.answer_own_name()
            })
        };
        Self { origin, gate }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        // Nobody waits any more, also when the test has failed.
        self.gate.release(usize::MAX / 2);
    }
}

struct World {
    us: Slow,
    eu: Slow,
}

impl World {
    fn new() -> Self {
        Self { us: Slow::named("us"), eu: Slow::named("eu") }
    }

    /// `us` first, then `eu`, with these limits.
    fn setup(&self, us: usize, eu: usize) -> Setup {
        Setup::empty()
            .region("us", &[self.us.origin.address])
            .with(&format!("max_in_flight: {us}"))
            .region("eu", &[self.eu.origin.address])
            .with(&format!("max_in_flight: {eu}"))
    }

    fn counts(&self) -> [usize; 2] {
        [self.us.origin.count(), self.eu.origin.count()]
    }

    /// One request that stays where it goes; returns when it has arrived.
    fn send(&self, proxy: &Proxy) -> JoinHandle<Response> {
        let before: usize = self.counts().iter().sum();
        let waiting = ask(proxy, Request::get("/"));
        until("the request to arrive", || self.counts().iter().sum::<usize>() > before);
        waiting
    }
}

const FAILOVER: &str = "routing_strategy: failover";

fn ask(proxy: &Proxy, request: Request) -> JoinHandle<Response> {
    let client = proxy.patient_client();
    std::thread::spawn(move || {
        let mut client = client;
        client.ask(&request)
    })
}

fn in_flight(proxy: &Proxy, region: &str) -> f64 {
    proxy.metric("rhumb_region_in_flight", &[&format!("region=\"{region}\"")])
}

fn spilling(proxy: &Proxy, region: &str) -> bool {
    proxy.metric("rhumb_region_spilling", &[&format!("region=\"{region}\"")]) > 0.0
}

#[test]
fn a_full_region_spills_and_takes_requests_again_below_85_percent() {
    let world = World::new();
    let proxy = world.setup(20, 1_000).deployment(FAILOVER).workers(1).start();
    let mut waiting: Vec<_> = (0..22).map(|_| world.send(&proxy)).collect();
    assert_eq!(world.counts(), [20, 2]);
    assert!(spilling(&proxy, "us") && !spilling(&proxy, "eu"));
    assert_eq!(proxy.metric("rhumb_region_capacity", &["region=\"us\""]), 20.0);
    // 85 % of 20 is 17.
    world.us.gate.release(3);
    until("three answers", || in_flight(&proxy, "us") == 17.0);
    waiting.push(world.send(&proxy));
    assert_eq!(world.counts(), [20, 3], "not yet clearly below the limit");
    world.us.gate.release(1);
    until("one more answer", || in_flight(&proxy, "us") == 16.0);
    waiting.push(world.send(&proxy));
    assert_eq!(world.counts(), [21, 3]);
    assert!(!spilling(&proxy, "us"));
    world.us.gate.release(17);
    world.eu.gate.release(3);
    for answer in waiting {
        assert_eq!(answer.join().unwrap().status(), 200);
    }
    until("nothing to be under way", || in_flight(&proxy, "us") + in_flight(&proxy, "eu") == 0.0);
}

#[test]
fn several_workers_together_keep_to_the_limit() {
    /// What one worker may send before it sees what the others just sent.
    const UNSEEN: usize = 4;
    const WORKERS: usize = 3;
    let world = World::new();
    let proxy = world.setup(8, 1_000).deployment(FAILOVER).workers(WORKERS).start();
    let waiting: Vec<_> = (0..60).map(|_| ask(&proxy, Request::get("/"))).collect();
    until("all requests to arrive", || world.counts().iter().sum::<usize>() == 60);
    let [us, _] = world.counts();
    assert!((8..=8 + (WORKERS - 1) * UNSEEN).contains(&us), "{us} at a limit of 8");
    world.us.gate.release(us);
    world.eu.gate.release(60 - us);
    for answer in waiting {
        assert_eq!(answer.join().unwrap().status(), 200);
    }
}

#[test]
fn the_limit_counts_all_deployments() {
    let world = World::new();
    let proxy = world
        .setup(2, 1_000)
        .deployment(&format!("{FAILOVER}\nhosts: [one.test]"))
        .deployment(&format!("{FAILOVER}\nhosts: [two.test]"))
        .workers(1)
        .start();
    let waiting: Vec<_> = ["one.test", "two.test", "two.test", "one.test"]
        .into_iter()
        .enumerate()
        .map(|(before, host)| {
            let waiting = ask(&proxy, Request::get("/").with("Host", host));
            until("the request", || world.counts().iter().sum::<usize>() > before);
            waiting
        })
        .collect();
    assert_eq!(world.counts(), [2, 2]);
    world.us.gate.release(2);
    world.eu.gate.release(2);
    for answer in waiting {
        assert_eq!(answer.join().unwrap().status(), 200);
    }
}

#[test]
fn the_limit_holds_across_a_reload() {
    let world = World::new();
    let proxy = world.setup(2, 1_000).deployment(FAILOVER).workers(1).start();
    let mut waiting = vec![world.send(&proxy), world.send(&proxy)];
    // The regions change places, and so their numbers.
    let other = Setup::empty()
        .region("eu", &[world.eu.origin.address])
        .region("us", &[world.us.origin.address])
        .with("max_in_flight: 3")
        .deployment(&format!("{FAILOVER}\nprimary_region: us\nreplica_regions: [eu]"))
        .workers(1);
    proxy.reload(&other.yaml());
    waiting.extend([world.send(&proxy), world.send(&proxy)]);
    assert_eq!(world.counts(), [3, 1]);
    world.us.gate.release(3);
    world.eu.gate.release(1);
    for answer in waiting {
        assert_eq!(answer.join().unwrap().status(), 200);
    }
    until("nothing to be under way", || in_flight(&proxy, "us") + in_flight(&proxy, "eu") == 0.0);
}

#[test]
fn when_all_regions_are_full_requests_are_refused_those_of_a_low_class_first() {
    let world = World::new();
    let priorities =
        "priorities: { header: x-priority, from_anyone: true, classes: { batch: 50 } }";
    let proxy =
        world.setup(4, 2).deployment(&format!("{FAILOVER}\n{priorities}")).workers(1).start();
    let batch = || Request::get("/").with("X-Priority", "batch");
    let mut waiting: Vec<_> = (0..2).map(|_| world.send(&proxy)).collect();
    // Half of 4 is taken; half of 2 is free.
    waiting.push(ask(&proxy, batch()));
    until("the request", || world.counts() == [2, 1]);
    let refused = proxy.ask(&batch());
    refused.assert_problem(503, "overloaded");
    assert!(refused.head.get("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    waiting.extend((0..3).map(|_| world.send(&proxy)));
    assert_eq!(world.counts(), [4, 2]);
    proxy.ask(&Request::get("/")).assert_problem(503, "overloaded");
    assert_eq!(proxy.metric("rhumb_requests_total", &["code=\"503\""]), 2.0);
    world.us.gate.release(4);
    world.eu.gate.release(2);
    for answer in waiting {
        assert_eq!(answer.join().unwrap().status(), 200);
    }
    world.us.gate.release(1);
    until("room", || in_flight(&proxy, "us") == 0.0);
    assert_eq!(proxy.ask(&Request::get("/")).region(), "us");
}

#[test]
fn a_client_that_leaves_makes_room() {
    let world = World::new();
    let proxy = world.setup(1, 1_000).deployment(FAILOVER).workers(1).start();
    let mut client = proxy.client();
    client.send(Request::get("/").bytes());
    until("the request", || world.counts() == [1, 0]);
    drop(client);
    until("room", || in_flight(&proxy, "us") == 0.0);
    let answer = world.send(&proxy);
    assert_eq!(world.counts(), [2, 0]);
    world.us.gate.release(2);
    assert_eq!(answer.join().unwrap().region(), "us");
}

#[test]
fn what_regions_take_is_measured_by_requests_and_checks() {
    let (us, eu) = (Origin::named("us"), Origin::named("eu"));
    let proxy = Setup::over(&[("us", us.address), ("eu", eu.address)])
        .deployment(
            "health_check: { path: /health, interval_seconds: 0.05 }\nrouting_strategy: failover",
        )
        .start();
    assert_eq!(proxy.ask(&Request::get("/")).region(), "us");
    let measured = |name: &str, region: &str| {
        let (name, label) = (format!("{name}{{"), format!("region=\"{region}\""));
        proxy.metrics().lines().any(|line| line.starts_with(&name) && line.contains(&label))
    };
    assert!(measured("rhumb_measured_first_byte_seconds", "us"));
    assert!(measured("rhumb_measured_first_byte_age_seconds", "us"));
    assert!(!measured("rhumb_measured_first_byte_seconds", "eu"), "checks are not requests");
    for region in ["us", "eu"] {
        until("a measured connection", || measured("rhumb_measured_connect_seconds", region));
        assert!(measured("rhumb_measured_connect_age_seconds", region));
    }
    assert!(proxy.metric("rhumb_measured_connect_seconds", &[]) < 10.0);
    assert_eq!(in_flight(&proxy, "us"), 0.0);
    assert!(!measured("rhumb_region_capacity", "us"), "it has no limit");
}
