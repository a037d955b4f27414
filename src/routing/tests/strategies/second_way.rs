//! All strategies against a second implementation: slow, and as the documentation says.

use super::super::fixture::{at, deployment, region_settings};
use super::{DAY, HOUR, NOTHING, NOW, World, germany, measured, scored};
use crate::config::{Deployment, Objectives, RankingSettings, Strategy as By};
use crate::model::{Coordinates, RegionState};
use crate::routing::{Measured, RegionHealth, RegionLoad, RegionNumber};
use proptest::prelude::*;
use proptest::sample::select;
use std::num::NonZeroU32;
use std::sync::Arc;

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
