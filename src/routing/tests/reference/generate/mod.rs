//! Makes worlds and requests in which much coincides: few places, countries, tenants, headers and
//! numbers, so that conditions hold, values tie and limits are met exactly. What follows from them
//! is not known here.

mod deployments;
mod requests;
mod rules;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use self::deployments::{deployment, standing};
use super::dice::Dice;
use super::world::{Asked, Home, NOW, Row, World};
use crate::config::{
    Config, Endpoint, Freshness, LatencySources, MeasuredLatency, Region, TenantsFile,
};
use crate::model::Coordinates;
use crate::routing::tests::fixture::{at, config, country, endpoint};

/// Ids of regions, in the order of the configuration.
const REGIONS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
const COUNTRIES: [&str; 3] = ["DE", "US", "JP"];
const TENANTS: [&str; 3] = ["acme", "globex", "T3"];
const CLIENTS: [&str; 16] = [
    "*",
    "EU",
    "continent:NA",
    "DE",
    "US",
    "DE-BE",
    "AS1",
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.1.2.0/25",
    "10.1.2.3",
    "2001:db8::/32",
    "2001:db8::/48",
    "2001:db8::/64",
];
const ROW_MS: [f64; 8] = [0.0, 5.0, 10.0, 10.5, 20.0, 25.0, 30.0, 120.0];
/// Ages around the limits that the generated configurations have.
const AGES: [u64; 6] = [0, 49, 50, 51, 100, 101];
/// Many of the distances between these are alike.
const PLACES: [(f64, f64); 12] = [
    (0.0, 0.0),
    (0.0, 10.0),
    (0.0, -10.0),
    (50.0, 10.0),
    (50.0, -10.0),
    (-50.0, 10.0),
    (90.0, 0.0),
    (0.0, 180.0),
    (0.0, -180.0),
    (38.95, -77.45),
    (53.35, -6.26),
    (35.68, 139.69),
];

const WORLD_BYTES: usize = 160 + 3 * DEPLOYMENT_BYTES;
const DEPLOYMENT_BYTES: usize = 480;
const ASKED_BYTES: usize = 152;

/// A world, and what is asked of it.
pub(super) fn case(most: usize) -> impl Strategy<Value = (World, Vec<Asked>)> {
    // Four at a time: an element costs as much as what is made of it.
    let bytes = |length: usize| {
        let words = prop::collection::vec(any::<u32>(), length.div_ceil(4));
        words.prop_map(|words| words.into_iter().flat_map(u32::to_be_bytes).collect::<Vec<_>>())
    };
    let asked = prop::collection::vec(bytes(ASKED_BYTES), 1..=most);
    (bytes(WORLD_BYTES), asked).prop_map(|(bytes, asked)| {
        let world = world(&mut Dice::new(&bytes));
        let asked = asked.iter().map(|bytes| requests::asked(&mut Dice::new(bytes), &world));
        let asked = asked.collect();
        (world, asked)
    })
}

fn world(dice: &mut Dice<'_>) -> World {
    let count = 1 + dice.below(REGIONS.len());
    let mut of_regions = dice.cut(80);
    let regions: Vec<_> =
        REGIONS.iter().take(count).map(|id| Arc::new(region(&mut of_regions, id))).collect();
    let mut of_tables = dice.cut(76);
    let rows = rows(&mut of_tables, count);
    let homes = homes(&mut of_tables, count);
    let homes_modified = of_tables.maybe(50, &AGES).map(|age| NOW - age);
    let last = dice.below(3);
    let deployments: Vec<_> = (0..=last)
        .map(|number| {
            deployment(&mut dice.cut(DEPLOYMENT_BYTES), (number, number == last), &regions)
        })
        .collect();
    let standings =
        deployments.iter().map(|(deployment, bytes)| standing(&mut Dice::new(bytes), deployment));
    let standings = standings.collect();
    let settings = deployments.into_iter().map(|(deployment, _)| deployment).collect();
    let tenants =
        Some(TenantsFile { file: "tenants.csv".into(), freshness: freshness(&mut of_tables) });
    let latency = latency_sources(&mut of_tables);
    World {
        config: Config { regions, tenants, latency, ..config(settings) },
        rows,
        homes,
        homes_modified,
        standings,
    }
}

fn place(dice: &mut Dice<'_>) -> Coordinates {
    let (latitude, longitude) = dice.one(&PLACES);
    at(latitude, longitude)
}

fn region(dice: &mut Dice<'_>, id: &str) -> Region {
    Region {
        id: id.into(),
        name: None,
        location: None,
        coordinates: place(dice),
        country: country("US"),
        bias: dice.maybe(25, &[50, -50, 99, -99, 10]).unwrap_or(0),
        compliance: compliance(dice),
        cost_multiplier: dice.one(&[1.0, 0.0, 0.5, 2.0]),
        max_in_flight: dice
            .maybe(60, &[10, 1, 2, 3, 4, 20, 100])
            .and_then(std::num::NonZeroU32::new),
        endpoints: endpoints(id),
    }
}

fn endpoints(id: &str) -> Vec<Endpoint> {
    vec![endpoint(&format!("{id}.example"), 8000, 1)]
}

fn compliance<T: for<'a> From<&'a str> + Ord>(dice: &mut Dice<'_>) -> Vec<T> {
    let words: Vec<&str> = dice.one(&[
        vec!["gdpr"],
        vec!["gdpr"],
        vec![],
        vec!["gdpr", "soc2"],
        vec!["hipaa"],
        vec!["gdpr", "hipaa", "soc2"],
    ]);
    words.into_iter().map(T::from).collect()
}

fn rows(dice: &mut Dice<'_>, regions: usize) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for _ in 0..dice.below(14) {
        let client = dice.one(&CLIENTS);
        let region = REGIONS[dice.below(regions)].to_owned();
        let ms = dice.one(&ROW_MS);
        let updated = dice.maybe(70, &AGES).map(|age| NOW - age);
        if !rows.iter().any(|row| row.client == client && row.region == region) {
            rows.push(Row { client, region, ms, updated });
        }
    }
    rows
}

fn homes(dice: &mut Dice<'_>, regions: usize) -> Vec<Home> {
    let mut homes = Vec::new();
    for tenant in TENANTS {
        if dice.chance(45) {
            let region = REGIONS[dice.below(regions)].to_owned();
            homes.push(Home { tenant, region, strict: dice.chance(15) });
        }
    }
    homes
}

fn freshness(dice: &mut Dice<'_>) -> Freshness {
    let seconds = |seconds: u64| Some(Duration::from_secs(seconds));
    dice.one(&[
        Freshness { soft: seconds(50), hard: seconds(100) },
        Freshness { soft: None, hard: None },
        Freshness { soft: seconds(10), hard: seconds(50) },
        Freshness { soft: seconds(50), hard: None },
    ])
}

fn latency_sources(dice: &mut Dice<'_>) -> LatencySources {
    LatencySources {
        table: None,
        freshness: freshness(dice),
        measured: MeasuredLatency {
            freshness: freshness(dice),
            by_client_network: dice.chance(50),
            min_samples: dice.one(&[1, 2, 5]),
            ..MeasuredLatency::default()
        },
    }
}
