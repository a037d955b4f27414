//! What a million tenants cost: to read, to find, and in memory.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::expect_used, reason = "a bench of a wrong fixture may stop")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rhumb::routing::TenantTable;

const TENANTS: usize = 1_000_000;
const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "ap-northeast-1"];

/// Sixteen bytes.
fn name(number: usize) -> String {
    format!("tenant-{number:09}")
}

fn parse(text: &str) -> TenantTable {
    let known = |id: &str| REGIONS.contains(&id);
    TenantTable::parse(text.as_bytes(), None, 0x5eed, &known).expect("the fixture is right")
}

/// Names in an order that no prefetcher knows, one after the other in memory: to read the name
/// that is asked for must not cost what is measured.
fn shuffled(numbers: std::ops::Range<usize>) -> String {
    let mut numbers: Vec<usize> = numbers.collect();
    let mut state = 1u64;
    for end in (1..numbers.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        numbers.swap(end, (state >> 33) as usize % (end + 1));
    }
    numbers.into_iter().map(|number| name(number) + "\n").collect()
}

fn tenants(c: &mut Criterion) {
    let mut text = "tenant,region\n".to_owned();
    for (number, region) in (0..TENANTS).zip(REGIONS.into_iter().cycle()) {
        text += &format!("{},{region}\n", name(number));
    }
    let table = parse(&text);
    let each = table.resident_bytes() as f64 / TENANTS as f64;
    println!("{TENANTS} tenants take {each:.1} bytes each");

    let mut group = c.benchmark_group("1000000 tenants");
    group.sample_size(10);
    group.bench_function("read", |b| b.iter(|| black_box(parse(&text))));
    group.sample_size(100).throughput(Throughput::Elements(1));
    let asked = [
        ("find, there", shuffled(0..TENANTS)),
        ("find, not there", shuffled(TENANTS..2 * TENANTS)),
    ];
    for (what, names) in &asked {
        let mut next = names.split_terminator('\n').cycle();
        group.bench_function(*what, |b| {
            b.iter(|| black_box(table.find(next.next().unwrap_or_default())));
        });
    }
    group.finish();
}

criterion_group!(benches, tenants);
criterion_main!(benches);
