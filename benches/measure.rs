//! What live conditions cost a request: gathering them for a decision, counting it in and out.
//!
//! Run: `cargo bench --bench measure`

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use rhumb::config::{self, Strategy};
use rhumb::measure::{Asked, Needs, Networks, Observer};
use rhumb::metrics::Registry;
use rhumb::routing::{EndpointIds, Plan, Sources};

/// A plan of so many regions, with or without limits.
fn plan(regions: usize, limit: u32, strategy: Strategy) -> Arc<Plan> {
    let ids: Vec<_> = (0..regions).map(|n| format!("r{n}")).collect();
    let mut text = "listeners: [{ address: \"127.0.0.1:80\" }]\nregions:\n".to_owned();
    for id in &ids {
        text += &format!(
            "  - {{ id: {id}, latitude: 1, longitude: 2, country: DE, endpoints: [http://a] }}\n"
        );
    }
    text += &format!(
        "deployments: [{{ name: api, primary_region: r0, replica_regions: [{}] }}]\n",
        ids[1..].join(", ")
    );
    let mut config = config::parse(&text, "bench", Path::new(""), &|_| None).unwrap().config;
    let deployment = Arc::make_mut(&mut config.deployments[0]);
    deployment.strategy = strategy;
    for settings in &mut deployment.regions {
        Arc::make_mut(&mut settings.region).max_in_flight = NonZeroU32::new(limit);
    }
    Arc::new(Plan::compile(&config, Sources::none(|_| None), &mut EndpointIds::default()))
}

fn conditions(c: &mut Criterion) {
    let mut group = c.benchmark_group("conditions");
    for (name, regions, workers, limit, strategy) in [
        ("none", 3, 2, 0, Strategy::Failover),
        ("far from the limit", 3, 2, 100_000, Strategy::Failover),
        ("close to the limit", 3, 2, 4, Strategy::Failover),
        ("measured", 3, 2, 0, Strategy::Latency),
        ("100 regions, 16 workers, close", 100, 16, 4, Strategy::Failover),
    ] {
        let plan = plan(regions, limit, strategy);
        let (registry, networks): (Arc<Registry>, Arc<Networks>) = Default::default();
        let observers: Vec<_> = (0..workers)
            .map(|n| Observer::new(n, Arc::clone(&registry), Arc::clone(&networks), &plan))
            .collect();
        let tally = observers[0].tally(&"r1".into()).unwrap();
        let needs = Needs::of(&plan.deployments[0], &plan.measured);
        let client = IpAddr::from([192, 0, 2, 1]);
        let mut now = Instant::now();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                // A worker with 50,000 requests a second.
                now += Duration::from_micros(20);
                let asked = Asked { plan: &plan, deployment: "api", needs, client, now, unix: 1 };
                tally.enter();
                let seen = observers[0].with(&asked, |conditions| conditions.load.len());
                tally.leave();
                black_box(seen)
            });
        });
    }
    group.finish();
    let plan = plan(3, 0, Strategy::Failover);
    let observer = Observer::new(0, Arc::default(), Arc::default(), &plan);
    let tally = observer.tally(&"r1".into()).unwrap();
    let mut now = Instant::now();
    c.bench_function("a response is measured", |bencher| {
        bencher.iter(|| {
            now += Duration::from_micros(20);
            tally.answered([192, 0, 2, 1].into(), Duration::from_millis(3), now);
        });
    });
}

criterion_group!(benches, conditions);
criterion_main!(benches);
