//! How a strategy orders the regions of one group, and what it says when it cannot.

use super::super::world::{Asked, Standing, World};
use super::Ranked;
use super::keys::Part;
use super::latency::{RoundTrip, distance, round_trip};
use crate::config::{Deployment, RegionSettings, Strategy};
use crate::routing::RegionHealth;

/// What a strategy looks at.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) world: &'a World,
    pub(super) asked: &'a Asked,
    pub(super) deployment: &'a Deployment,
    pub(super) standing: &'a Standing,
}

impl<'a> Moment<'a> {
    /// Where the region is listed.
    pub(super) fn listed(&self, id: &str) -> usize {
        let regions = &self.deployment.regions;
        regions.iter().position(|other| other.region.id.as_str() == id).unwrap()
    }

    pub(super) fn settings(&self, id: &str) -> &'a RegionSettings {
        &self.deployment.regions[self.listed(id)]
    }

    pub(super) fn health(&self, id: &str) -> RegionHealth {
        self.standing.health[self.listed(id)]
    }

    pub(super) fn up(&self, id: &str) -> bool {
        self.health(id).state.as_str() != "down"
    }

    pub(super) fn in_flight(&self, id: &str) -> (u32, bool) {
        let regions = &self.world.config.regions;
        let number = regions.iter().position(|region| region.id.as_str() == id).unwrap();
        let load = self.asked.load.get(number);
        load.map_or((0, false), |load| (load.in_flight, load.spilling))
    }

    pub(super) fn limit(&self, id: &str) -> Option<u32> {
        self.settings(id).region.max_in_flight.map(std::num::NonZeroU32::get)
    }

    /// In flight over the limit; 0 without one.
    fn utilisation(&self, id: &str) -> f64 {
        self.limit(id).map_or(0.0, |limit| f64::from(self.in_flight(id).0) / f64::from(limit))
    }

    fn round_trips(&self, ids: &[String]) -> Vec<RoundTrip> {
        let trip = |id: &String| round_trip(self.world, self.asked, &self.settings(id).region);
        ids.iter().map(trip).collect()
    }
}

/// A group in order, and the word for why when the strategy could not do its work.
///
/// `list` is the whole list, `takers` are those of it that are up and take the client.
pub(super) fn order(
    moment: Moment<'_>,
    strategy: Strategy,
    ids: &[String],
    list: &[String],
    takers: &[String],
) -> (Vec<Ranked>, Option<&'static str>) {
    let listed = |id: &String| vec![Part::Exact(moment.listed(id) as f64)];
    let (trips, everywhere) = (moment.round_trips(ids), moment.round_trips(list));
    let in_listed_order = || ids.iter().map(listed).collect::<Vec<_>>();
    let located = moment.asked.request.location.coordinates.is_some();
    let with = |parts: &dyn Fn(usize, &String) -> Vec<Part>| {
        let keys = ids.iter().enumerate().map(|(at, id)| [parts(at, id), listed(id)].concat());
        keys.collect::<Vec<_>>()
    };
    let (keys, unknown) = match strategy {
        Strategy::Failover => (in_listed_order(), None),
        Strategy::Geolocation | Strategy::Compliance if !located => {
            (in_listed_order(), Some("location_unknown"))
        }
        Strategy::Geolocation | Strategy::Compliance => {
            (with(&|_, id| vec![scaled_distance(moment, id)]), None)
        }
        Strategy::Latency if !everywhere.iter().any(RoundTrip::is_known) => {
            let stale = everywhere.iter().any(|trip| trip.too_old);
            (in_listed_order(), Some(if stale { "latency_stale" } else { "latency_unknown" }))
        }
        Strategy::Latency => (by_latency(moment, ids, takers, &trips), None),
        Strategy::Weighted => {
            let weight = |id: &str| moment.settings(id).weight;
            (ids.iter().map(|id| drawn(weight(id), moment.listed(id))).collect(), None)
        }
        Strategy::RoundRobin => (with(&|_, id| vec![turn(moment, ids, takers, id)]), None),
        Strategy::Capacity => (with(&|_, id| vec![Part::Exact(filling(moment, id))]), None),
        Strategy::Cost => {
            let cost = |id: &str| moment.settings(id).region.cost_multiplier;
            (with(&|at, id| vec![Part::Exact(cost(id)), trips[at].part()]), None)
        }
        Strategy::Health => {
            let score = |id: &str| f64::from(moment.health(id).score);
            (with(&|at, id| vec![Part::Exact(-score(id)), trips[at].part()]), None)
        }
        Strategy::Score => {
            let scores = scores(moment, ids, takers, &trips);
            (with(&|at, _| vec![scores[at].clone()]), None)
        }
    };
    let ranked = ids.iter().zip(keys).map(|(id, key)| Ranked { id: id.clone(), key });
    (ranked.collect(), unknown)
}

/// Regions with a weight before those without, which stay as listed.
pub(super) fn drawn(weight: u32, listed: usize) -> Vec<Part> {
    match weight {
        0 => vec![Part::Exact(1.0), Part::Exact(listed as f64)],
        _ => vec![Part::Exact(0.0), Part::Open],
    }
}

fn scaled_distance(moment: Moment<'_>, id: &str) -> Part {
    let region = &moment.settings(id).region;
    let client = moment.asked.request.location.coordinates.unwrap();
    let bias = f64::from(region.bias);
    let scale = match region.bias {
        1.. => 1.0 - bias / 100.0,
        0 => 1.0,
        _ => 1.0 / (1.0 + bias / 100.0),
    };
    let (km, blur) = distance(client, region.coordinates);
    Part::Near {
        value: km * scale,
        blur: blur * scale.max(1.0),
        from: format!("{:?} {}", region.coordinates, region.bias),
    }
}

fn turn(moment: Moment<'_>, ids: &[String], takers: &[String], id: &String) -> Part {
    let mut healthy: Vec<&String> = ids.iter().filter(|id| takers.contains(id)).collect();
    healthy.sort_by_key(|id| moment.listed(id));
    let Some(place) = healthy.iter().position(|other| *other == id) else { return Part::Open };
    let first = (moment.asked.draws.turn % healthy.len() as u64) as usize;
    Part::Exact(((place + healthy.len() - first) % healthy.len()) as f64)
}

fn filling(moment: Moment<'_>, id: &str) -> f64 {
    let limit = moment.limit(id).map_or(1e9, f64::from);
    f64::from(moment.in_flight(id).0) / limit
}

/// Within the tolerance of the best by utilisation, then the others; before all, the one that the
/// client's network went to last, while none is clearly faster.
fn by_latency(
    moment: Moment<'_>,
    ids: &[String],
    takers: &[String],
    trips: &[RoundTrip],
) -> Vec<Vec<Part>> {
    let ranking = &moment.deployment.ranking;
    let up: Vec<usize> = (0..ids.len()).filter(|at| takers.contains(&ids[*at])).collect();
    let best = up.iter().map(|at| &trips[*at]).min_by(|a, b| a.ms.total_cmp(&b.ms));
    let Some(best) = best else { return vec![vec![Part::Open]; ids.len()] };
    let numbers = &moment.world.config.regions;
    let last = moment.asked.incumbent.map(|number| numbers[usize::from(number)].id.as_str());
    let stays = ids.iter().position(|id| Some(id.as_str()) == last).map(|at| {
        let behind = up.iter().filter(|other| **other != at);
        let behind =
            behind.map(|other| exceeds(&trips[at], &trips[*other], ranking.latency_switch_ms));
        behind.collect::<Vec<_>>()
    });
    let keys = ids.iter().zip(trips).map(|(id, trip)| {
        let is_last = Some(id.as_str()) == last && ranking.latency_switch_ms > 0.0;
        let ahead = match stays.as_ref().filter(|_| is_last) {
            Some(behind) if behind.contains(&Some(true)) => Part::Exact(1.0),
            Some(behind) if behind.contains(&None) => Part::Open,
            Some(_) => Part::Exact(0.0),
            None => Part::Exact(1.0),
        };
        let (near, busy) = match exceeds(trip, best, ranking.latency_tolerance_ms) {
            _ if ranking.latency_tolerance_ms == 0.0 || !best.is_known() => (Part::Exact(0.0), 0.0),
            Some(true) => (Part::Exact(1.0), 0.0),
            Some(false) => (Part::Exact(0.0), moment.utilisation(id)),
            None => (Part::Open, 0.0),
        };
        vec![ahead, near, Part::Exact(busy), trip.part(), Part::Exact(moment.listed(id) as f64)]
    });
    keys.collect()
}

/// Whether one is longer than the other by more than so much, as far as it can be said.
fn exceeds(a: &RoundTrip, b: &RoundTrip, by: f64) -> Option<bool> {
    if !a.is_known() || !b.is_known() {
        return Some(!a.is_known() && b.is_known());
    }
    if a.blur > 0.0 && b.blur > 0.0 && a.from == b.from {
        return Some(false);
    }
    let over = a.ms - b.ms - by;
    let blur = a.blur + b.blur;
    (blur == 0.0 || over.abs() > blur + 1e-9).then_some(over > 0.0)
}

/// The weighted sums of what is brought to 0…1 over the regions that are up.
fn scores(moment: Moment<'_>, ids: &[String], takers: &[String], trips: &[RoundTrip]) -> Vec<Part> {
    let objectives = moment.deployment.ranking.objectives;
    let up: Vec<bool> = ids.iter().map(|id| takers.contains(id)).collect();
    let normal = |values: &[Option<f64>]| -> Vec<f64> {
        let known = values.iter().zip(&up).filter(|(_, up)| **up).filter_map(|(value, _)| *value);
        let (lowest, highest) = known
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let range = highest - lowest;
        let none = !lowest.is_finite();
        let normal = values.iter().map(|value| match value {
            _ if none => 0.0,
            None => 1.0,
            Some(_) if range <= 0.0 => 0.0,
            Some(value) => (value - lowest) / range,
        });
        normal.collect()
    };
    let known: Vec<Option<f64>> =
        trips.iter().map(|trip| trip.is_known().then_some(trip.ms)).collect();
    let costs: Vec<_> =
        ids.iter().map(|id| Some(moment.settings(id).region.cost_multiplier)).collect();
    let loads: Vec<_> = ids.iter().map(|id| Some(moment.utilisation(id))).collect();
    // Where all round trips are alike but for rounding, what they are brought to is rounding too.
    let of_up = trips.iter().zip(&up).filter(|(trip, up)| **up && trip.is_known());
    let of_up: Vec<&RoundTrip> = of_up.map(|(trip, _)| trip).collect();
    let alike = |a: &RoundTrip, b: &RoundTrip| {
        a.ms == b.ms && a.blur == 0.0 && b.blur == 0.0
            || a.blur > 0.0 && a.from == b.from && b.blur > 0.0
    };
    let all_alike = of_up.windows(2).all(|pair| alike(pair[0], pair[1]));
    let spread = |of: fn(f64, f64) -> f64, start| of_up.iter().map(|trip| trip.ms).fold(start, of);
    let range = spread(f64::max, f64::NEG_INFINITY) - spread(f64::min, f64::INFINITY);
    let unsure = objectives.latency > 0.0 && !all_alike && range < 1e-3;
    let latencies = if all_alike && !of_up.is_empty() {
        known.iter().map(|value| if value.is_some() { 0.0 } else { 1.0 }).collect()
    } else {
        normal(&known)
    };
    let (costs, loads) = (normal(&costs), normal(&loads));
    let sums = (0..ids.len()).map(|at| {
        if unsure {
            return Part::Open;
        }
        let parts = [
            (objectives.latency, latencies[at]),
            (objectives.cost, costs[at]),
            (objectives.load, loads[at]),
        ];
        let value = parts.iter().map(|(weight, value)| weight * value).sum();
        let blurred = trips[at].blur > 0.0 && objectives.latency > 0.0;
        let latency = if blurred && !all_alike {
            trips[at].from.clone()
        } else {
            format!("{}", latencies[at] * objectives.latency)
        };
        let (cost, load) = (costs[at] * objectives.cost, loads[at] * objectives.load);
        Part::Near { value, blur: 1e-6, from: format!("{latency} {cost} {load}") }
    });
    sums.collect()
}
