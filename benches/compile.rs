//! What a reload costs: compiling a plan, reading a latency table, and a change of health.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rhumb::{config, model, routing};

#[path = "../src/routing/tests/fixture.rs"]
mod fixture;
mod rulebooks;

use fixture::{at, continent_of, country, deployment, header, region_settings, rule};
use rhumb::config::{Config, Deployment, HostPattern, Strategy};
use rhumb::routing::{
    DeploymentHealth, DeploymentIndex, EndpointIds, LatencyTable, Plan, Sources, Table,
};

fn one_large() -> Config {
    let ids: Vec<String> = (0..100).map(|n| format!("region-{n}")).collect();
    let regions = ids.iter().map(|id| region_settings(id, at(1.0, 2.0), 0, 1)).collect();
    let rules = (0..10_000).map(|n| {
        let mut rule = rule(&format!("rule-{n}"), &[&ids[n % 100]], &[&ids[(n + 1) % 100]]);
        rule.header_conditions = vec![header("x-customer", &n.to_string())];
        rule.source_countries = ["DE", "FR", "GB", "IT"].map(country).into();
        rule
    });
    let rules = rules.collect();
    fixture::config(vec![Deployment { rules, ..deployment("api", Strategy::Weighted, regions) }])
}

fn many_small() -> Config {
    let deployments = (0..1_000).map(|n| {
        let hosts = vec![
            HostPattern::Exact(format!("api-{n}.example.com")),
            HostPattern::Wildcard(format!("customer-{n}.example.org")),
        ];
        let regions = fixture::three_regions();
        Deployment { hosts, ..deployment(&format!("api-{n}"), Strategy::Geolocation, regions) }
    });
    fixture::config(deployments.collect())
}

fn compile(c: &mut Criterion) {
    let mut group = c.benchmark_group("compile");
    group.sample_size(20);
    let configs = [
        ("1 deployment, 100 regions, 10000 rules", one_large()),
        (
            "1 deployment, 100 regions, 10000 mixed rules, 100000 CIDRs",
            fixture::config(vec![rulebooks::mixed(10_000, 100_000)]),
        ),
        ("1000 deployments, 3 regions", many_small()),
    ];
    for (name, config) in &configs {
        let mut ids = EndpointIds::default();
        group.bench_function(*name, |b| {
            b.iter(|| black_box(Plan::compile(config, Sources::none(continent_of), &mut ids)));
        });
    }
    let mut text = "client,region,rtt_ms\n".to_owned();
    for n in 0..100_000 {
        text += &format!("10.{}.{}.0/24,region-{},{n}\n", n / 256 % 256, n % 256, n / 65_536);
    }
    group.bench_function("latency table, 100000 rows", |b| {
        b.iter(|| black_box(LatencyTable::parse(&text, &|_| true)));
    });
    group.finish();
}

fn change_of_health(c: &mut Criterion) {
    let mut ids = EndpointIds::default();
    let plan = Plan::compile(&many_small(), Sources::none(continent_of), &mut ids);
    let table = Table::healthy(1, plan.into());
    c.bench_function("change of health/1000 deployments", |b| {
        b.iter(|| {
            let index = DeploymentIndex(500);
            let health = DeploymentHealth::healthy(&table.plan.deployments[500]);
            black_box(table.with_health(2, index, health))
        });
    });
}

criterion_group!(benches, compile, change_of_health);
criterion_main!(benches);
