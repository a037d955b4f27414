//! What a decision costs: a small deployment, and one of 100 regions and 10,000 rules.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::expect_used, reason = "a bench of a wrong fixture may stop")]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use rhumb::{config, model, routing};

#[path = "../src/routing/tests/fixture.rs"]
mod fixture;
mod rulebooks;

use fixture::{Request, at, country, deployment, header, region_settings, rule, table};
use rhumb::config::{AffinityMode, Deployment, Objectives, RankingSettings, Strategy};
use rhumb::routing::{
    Conditions, Draws, EndpointIds, LatencyTable, Measured, NoTrace, Plan, RegionLoad,
    RegionNumber, Sources, Table, choose_endpoint, decide, explain,
};

const STRATEGIES: [Strategy; 5] = [
    Strategy::Failover,
    Strategy::Geolocation,
    Strategy::Latency,
    Strategy::Weighted,
    Strategy::RoundRobin,
];

fn small(strategy: Strategy) -> Table {
    let mut by_country = rule("eu_users", &["eu"], &["us"]);
    by_country.source_countries = ["FR", "GB", "IT"].map(country).into();
    let mut by_header = rule("preferred", &["ap"], &[]);
    by_header.header_conditions = vec![header("x-preferred-region", "asia")];
    let mut both = rule("beta", &["ap"], &["us"]);
    both.source_countries = vec![country("JP")];
    both.header_conditions = vec![header("x-beta", "1")];
    let api = deployment("api", strategy, fixture::three_regions());
    let rules = vec![by_country, by_header, both];
    table(vec![Deployment { rules, ..api }], Some(&latency(&["us", "eu", "ap"])))
}

fn latency(regions: &[&str]) -> LatencyTable {
    let mut text = "client,region,rtt_ms\n".to_owned();
    for (region, ms) in regions.iter().zip(10..) {
        text += &format!("DE,{region},{ms}\n*,{region},100\n");
    }
    for n in 0..10_000 {
        let region = regions[n % regions.len()];
        text += &format!("10.{}.{}.0/24,{region},{n}\n", n / 256, n % 256);
    }
    LatencyTable::parse(&text, &|_| true).expect("a valid table")
}

fn large(strategy: Strategy, bias: i8, with_rows: bool) -> Table {
    let ids: Vec<String> = (0..100).map(|n| format!("region-{n}")).collect();
    let regions = ids.iter().zip(0..100u32).map(|(id, n)| {
        let place = at(f64::from(n * 37 % 120) - 60.0, f64::from(n * 71 % 360) - 180.0);
        region_settings(id, place, bias, 1 + n % 7)
    });
    let rules = (0..10_000).map(|n| {
        let (target, fallback) = (&ids[n % 100], &ids[(n + 1) % 100]);
        let mut rule = rule(&format!("rule-{n}"), &[target], &[fallback]);
        rule.priority = (n % 10) as i32;
        if n % 2 == 0 {
            rule.header_conditions = vec![header("x-customer", &n.to_string())];
        } else {
            rule.header_conditions =
                vec![header("x-plan", "gold"), header("x-team", &n.to_string())];
            rule.source_countries = ["FR", "GB", "IT"].map(country).into();
        }
        rule
    });
    let api = deployment("api", strategy, regions.collect());
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let latency = with_rows.then(|| latency(&names));
    table(vec![Deployment { rules: rules.collect(), ..api }], latency.as_ref())
}

/// Headers as a browser sends them behind a proxy.
fn request() -> Request {
    let headers = [
        ("host", "api.example.com"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("accept", "application/json"),
        ("accept-language", "de,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br"),
        ("authorization", "Bearer 0123456789abcdef0123456789abcdef"),
        ("cookie", "session=0123456789abcdef"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-request-id", "9f2c5b5e-5f0e-4f5c-8f42-0f4a8f7a0001"),
        ("referer", "https://www.example.com/"),
    ];
    let request = Request::default().in_country("DE").at_place(51.2, 10.4);
    headers.iter().fold(request, |request, (name, value)| request.with_header(name, value))
}

fn decisions(c: &mut Criterion) {
    let mut bench = |name: &str, table: &Table, request: &Request| {
        let facts = request.facts();
        let mut turn = 0;
        c.bench_function(name, |b| {
            b.iter(|| {
                turn += 1;
                let draws = Draws { entropy: turn, turn };
                black_box(decide(
                    black_box(table),
                    black_box(&facts),
                    &Conditions::NONE,
                    draws,
                    &mut NoTrace,
                ))
            });
        });
    };
    let request = request();
    for strategy in STRATEGIES {
        let name = strategy.as_str();
        bench(&format!("decide/3 regions, 3 rules/{name}"), &small(strategy), &request);
        let table = large(strategy, 0, true);
        bench(&format!("decide/100 regions, 10000 rules/{name}"), &table, &request);
    }
    let biased = large(Strategy::Geolocation, 20, false);
    bench("decide/100 regions, 10000 rules/geolocation with bias", &biased, &request);
    let distance = large(Strategy::Latency, 0, false);
    bench("decide/100 regions, 10000 rules/latency by distance", &distance, &request);
    let by_rule = request
        .clone()
        .with_header("x-plan", "gold")
        .with_header("x-team", "7777")
        .with_header("x-customer", "8888")
        .in_country("FR");
    bench("decide/100 regions, 10000 rules/a rule holds", &biased, &by_rule);
}

/// Rules of all kinds; what they cost for a request that none holds for, and for one that the last
/// one holds for.
fn rules(c: &mut Criterion) {
    let requests = [
        ("none holds", rulebooks::visitor(request())),
        ("one holds", rulebooks::member(request())),
    ];
    for (count, networks) in [(10, 0), (1_000, 0), (10_000, 0), (10_000, 100_000)] {
        let table = table(vec![rulebooks::mixed(count, networks)], None);
        for (what, request) in &requests {
            let facts = request.facts();
            let mut turn = 0;
            let name = format!("rules/{count} mixed, {networks} CIDRs, 100 regions/{what}");
            c.bench_function(&name, |b| {
                b.iter(|| {
                    turn += 1;
                    let draws = Draws { entropy: turn, turn };
                    let (table, facts) = (black_box(&table), black_box(&facts));
                    black_box(decide(table, facts, &Conditions::NONE, draws, &mut NoTrace))
                });
            });
        }
    }
}

/// Strategies that look at more than the client, with all there is to know of 100 regions.
fn steering(c: &mut Criterion) {
    let request = request();
    let facts = request.facts();
    let load: Vec<RegionLoad> =
        (0..100).map(|n| RegionLoad { in_flight: n * 37 % 100, spilling: false }).collect();
    let measured: Vec<Measured> = (0..100u8)
        .map(|n| Measured { ms: f32::from(n % 60) + 5.0, samples: 50, at: facts.now - 4 })
        .collect();
    let busy = Conditions { load: &load, ..Conditions::NONE };
    let known = Conditions {
        measured: &measured,
        network: &measured[..50],
        incumbent: Some(RegionNumber(40)),
        ..busy
    };
    let mut bench = |name: &str, api: Deployment, conditions: &Conditions<'_>| {
        let mut config = fixture::config(vec![api]);
        config.latency.measured.by_client_network = true;
        let sources = Sources::none(fixture::continent_of);
        let plan = Plan::compile(&config, sources, &mut EndpointIds::default());
        let table = Table::healthy(1, Arc::new(plan));
        let mut turn = 0;
        c.bench_function(&format!("decide/100 regions/{name}"), |b| {
            b.iter(|| {
                turn += 1;
                let draws = Draws { entropy: turn, turn };
                black_box(decide(black_box(&table), &facts, conditions, draws, &mut NoTrace))
            });
        });
    };
    let objectives = Objectives { latency: 0.6, cost: 0.3, load: 0.1 };
    let api = |strategy| {
        let api = hundred(strategy);
        let ranking = RankingSettings { objectives, ..api.ranking.clone() };
        Deployment { ranking, ..api }
    };
    for strategy in [Strategy::Capacity, Strategy::Cost, Strategy::Health, Strategy::Score] {
        bench(&format!("{} by distance", strategy.as_str()), api(strategy), &busy);
    }
    bench("cost by measurement", api(Strategy::Cost), &known);
    bench("score by measurement", api(Strategy::Score), &known);
    bench("latency by measurement", api(Strategy::Latency), &known);
    let mut steady = api(Strategy::Latency);
    steady.ranking.latency_tolerance_ms = 10.0;
    steady.ranking.latency_switch_ms = 20.0;
    bench("latency by distance, tolerance", steady.clone(), &busy);
    bench("latency by measurement, tolerance and switch", steady, &known);
    let mut at_home = api(Strategy::Failover);
    at_home.affinity.mode = AffinityMode::Client;
    bench("failover with affinity by client", at_home, &busy);
}

/// A hundred regions over the world, of different costs and capacities.
fn hundred(strategy: Strategy) -> Deployment {
    let regions = (0..100u32).map(|n| {
        let place = at(f64::from(n * 37 % 120) - 60.0, f64::from(n * 71 % 360) - 180.0);
        let mut settings = region_settings(&format!("region-{n}"), place, 0, 1 + n % 7);
        let region = Arc::make_mut(&mut settings.region);
        region.cost_multiplier = 1.0 + f64::from(n % 5) / 4.0;
        region.max_in_flight = NonZeroU32::new(200 + n % 3 * 100);
        settings
    });
    deployment("api", strategy, regions.collect())
}

fn around_it(c: &mut Criterion) {
    let table = small(Strategy::Geolocation);
    let request = request();
    c.bench_function("explain/3 regions, 3 rules", |b| {
        b.iter(|| {
            black_box(explain(&table, &request.facts(), &Conditions::NONE, Draws::default()))
        });
    });
    let mut regions = fixture::three_regions();
    regions[0].endpoints = (1..=4).map(|port| fixture::endpoint("10.0.0.1", port, 1)).collect();
    let endpoints = fixture::table(vec![deployment("api", Strategy::Failover, regions)], None);
    let region = &endpoints.plan.deployments[0].regions[0];
    let mut entropy = 0;
    c.bench_function("choose_endpoint/4", |b| {
        b.iter(|| {
            entropy += 1;
            black_box(choose_endpoint(region, u128::MAX, 0, entropy, |_| 1))
        });
    });
}

criterion_group!(benches, decisions, rules, steering, around_it);
criterion_main!(benches);
