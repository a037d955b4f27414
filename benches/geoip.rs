//! How long a lookup takes, and a load: country (embedded), and city with
//! `GEOIP_CITY_DATABASES=a.mmdb:b.mmdb cargo bench --bench geoip`.
//!
//! Addresses are drawn evenly from public IPv4 space and, for IPv6, from the /32s that registries
//! really give out under 2000::/3, so that lookups do not all end in the same empty block.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark, not an interface")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rhumb::config::GeoipFiles;
use rhumb::geo::Databases;

/// More than fit in the caches together with what they lead to.
const ADDRESSES: usize = 1 << 16;

/// The splitmix64 sequence: the same addresses on every run.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn ipv4() -> Vec<IpAddr> {
    let mut draws = Draws(4);
    (0..ADDRESSES)
        .map(|_| {
            let first = 1 + (draws.next() % 223) as u32;
            let rest = draws.next() as u32 & 0x00ff_ffff;
            Ipv4Addr::from_bits(first << 24 | rest).into()
        })
        .collect()
}

fn ipv6() -> Vec<IpAddr> {
    const BLOCKS: [(u128, u32); 6] = [
        (0x2001_0200, 23), // several registries' first /32s
        (0x2400_0000, 12), // APNIC
        (0x2600_0000, 12), // ARIN
        (0x2800_0000, 12), // LACNIC
        (0x2a00_0000, 12), // RIPE NCC
        (0x2c00_0000, 12), // AFRINIC
    ];
    let mut draws = Draws(6);
    (0..ADDRESSES)
        .map(|_| {
            let (block, length) = BLOCKS[draws.next() as usize % BLOCKS.len()];
            let random = u128::from(draws.next()) << 64 | u128::from(draws.next());
            Ipv6Addr::from_bits(block << 96 | random >> length).into()
        })
        .collect()
}

fn lookups(criterion: &mut Criterion, name: &str, databases: &Databases) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    for (version, addresses) in [("ipv4", ipv4()), ("ipv6", ipv6())] {
        let found = addresses.iter().filter(|a| databases.lookup(**a).country.is_some()).count();
        println!("{name} {version}: {found} of {ADDRESSES} addresses have a country");
        let mut at = 0;
        group.bench_function(version, |bencher| {
            bencher.iter(|| {
                at = (at + 1) % ADDRESSES;
                databases.lookup(black_box(addresses[at]))
            });
        });
    }
    group.finish();
}

/// The yardstick: the reader library's walk through the file's tree, without decoding anything.
fn tree(criterion: &mut Criterion) {
    let file = include_bytes!("../geoip/country.mmdb").as_slice();
    let reader = maxminddb::Reader::from_source(file).unwrap();
    for (version, addresses) in [("ipv4", ipv4()), ("ipv6", ipv6())] {
        let mut at = 0;
        criterion.bench_function(&format!("geoip/tree only/country/{version}"), |bencher| {
            bencher.iter(|| {
                at = (at + 1) % ADDRESSES;
                reader.lookup(black_box(addresses[at])).unwrap().offset()
            });
        });
    }
}

fn geoip(criterion: &mut Criterion) {
    let country = Databases::embedded().unwrap();
    describe("country", &country);
    lookups(criterion, "geoip/country", &country);
    criterion.bench_function("geoip/load/country", |bencher| {
        bencher.iter(|| Databases::embedded().unwrap());
    });
    if let Some(list) = std::env::var_os("GEOIP_CITY_DATABASES") {
        let databases: Vec<PathBuf> = std::env::split_paths(&list).collect();
        let start = std::time::Instant::now();
        let city = Databases::open(&GeoipFiles { databases, ..GeoipFiles::default() }).unwrap();
        println!("city: loaded in {:?}", start.elapsed());
        describe("city", &city);
        lookups(criterion, "geoip/city", &city);
    }
}

fn describe(name: &str, databases: &Databases) {
    for database in &databases.location {
        println!("{name}: {database:?}, {} KiB", database.bytes() / 1024);
    }
}

criterion_group!(benches, tree, geoip);
criterion_main!(benches);
