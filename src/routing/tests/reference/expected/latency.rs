//! The expected round trip to a region, and how far away it is.

use std::net::IpAddr;

use super::super::world::{Asked, Row, World};
use super::keys::Part;
use super::matching::within;
use crate::config::{Freshness, Region};
use crate::model::{Coordinates, Country, Subdivision};
use crate::routing::Measured;
use crate::routing::tests::fixture::continent_of;

/// An expected round trip, and from what it is known.
#[derive(Clone, Debug)]
pub(super) struct RoundTrip {
    /// Infinite: unknown.
    pub(super) ms: f64,
    pub(super) blur: f64,
    pub(super) from: String,
    /// Whether a row that would have told it is too old.
    pub(super) too_old: bool,
}

impl RoundTrip {
    pub(super) fn is_known(&self) -> bool {
        self.ms.is_finite()
    }

    pub(super) fn part(&self) -> Part {
        if self.blur == 0.0 {
            return Part::Exact(self.ms);
        }
        Part::Near { value: self.ms, blur: self.blur, from: self.from.clone() }
    }
}

/// The expected round trip to a region.
pub(super) fn round_trip(world: &World, asked: &Asked, region: &Region) -> RoundTrip {
    let sources = &world.config.latency;
    let number = world.config.regions.iter().position(|other| other.id == region.id).unwrap();
    let now = asked.request.now;
    let usable = |at: u64, freshness: &Freshness| !is_too_old(at, now, freshness);

    let rows = world.rows.iter().filter(|row| row.region == region.id.as_str());
    let rows = rows.filter_map(|row| Some((specificity(row.client, asked)?, row)));
    let (rows, old): (Vec<(u32, &Row)>, Vec<_>) = rows.partition(|(_, row)| {
        row.updated.is_none_or(|updated| usable(updated, &sources.freshness))
    });
    let too_old = !old.is_empty();
    let row = rows.into_iter().max_by_key(|(specificity, _)| *specificity);

    let is_there = |measured: &&Measured| measured.samples > 0;
    let network = asked.network.get(number).filter(is_there).filter(|measured| {
        sources.measured.by_client_network
            && measured.samples >= sources.measured.min_samples
            && usable(measured.at, &sources.measured.freshness)
    });
    let own = if asked.request.client.address.is_ipv4() { 24 } else { 48 };
    let finer = row.filter(|(specificity, _)| *specificity >= NETWORK + own);
    let measured = asked.measured.get(number).filter(is_there);
    let measured = measured.filter(|measured| usable(measured.at, &sources.measured.freshness));

    let exact = finer
        .map(|(_, row)| row.ms)
        .or(network.map(|measured| f64::from(measured.ms)))
        .or(row.map(|(_, row)| row.ms))
        .or(measured.map(|measured| f64::from(measured.ms)));
    if let Some(ms) = exact {
        return RoundTrip { ms, blur: 0.0, from: String::new(), too_old };
    }
    let Some(client) = asked.request.location.coordinates else {
        return RoundTrip { ms: f64::INFINITY, blur: 0.0, from: String::new(), too_old };
    };
    let (km, blur) = distance(client, region.coordinates);
    RoundTrip {
        ms: km / 100.0 * 1.4,
        blur: blur / 100.0 * 1.4,
        from: format!("{:?}", region.coordinates),
        too_old,
    }
}

fn is_too_old(at: u64, now: u64, freshness: &Freshness) -> bool {
    freshness.hard.is_some_and(|hard| now.saturating_sub(at) as f64 > hard.as_secs_f64())
}

const NETWORK: u32 = 1_000;

/// Larger is more specific; `None` does not hold.
fn specificity(key: &str, asked: &Asked) -> Option<u32> {
    let address = asked.request.client.address;
    let location = asked.request.location;
    if let Some((_, length)) = key.split_once('/') {
        return within(key, address).then_some(NETWORK + length.parse::<u32>().unwrap());
    }
    if let Ok(one) = key.parse::<IpAddr>() {
        return (one == address).then_some(NETWORK + 128);
    }
    let on = |code| location.country.and_then(continent_of).is_some_and(|on| on.code() == code);
    let country = location.country.as_ref().map(Country::as_str);
    let subdivision = location.subdivision.as_ref().map(Subdivision::as_str);
    let (holds, rank) = match key {
        "*" => (true, 1),
        "EU" => (on("EU"), 2),
        "continent:NA" => (on("NA"), 2),
        "DE-BE" => (country == Some("DE") && subdivision == Some("BE"), 4),
        "AS1" => (location.asn == Some(1), 5),
        code => (country == Some(code), 3),
    };
    holds.then_some(rank)
}

/// Kilometres along a great circle, and how far off another right way to compute them may be.
pub(super) fn distance(a: Coordinates, b: Coordinates) -> (f64, f64) {
    let on_sphere = |at: Coordinates| {
        let (latitude, longitude) = (at.latitude.to_radians(), at.longitude.to_radians());
        let (x, y) = (longitude.cos(), longitude.sin());
        [latitude.cos() * x, latitude.cos() * y, latitude.sin()]
    };
    let (a, b) = (on_sphere(a), on_sphere(b));
    let dot: f64 = (0..3).map(|i| a[i] * b[i]).sum();
    let cross = |i: usize, j: usize| a[i] * b[j] - a[j] * b[i];
    let length = (cross(0, 1).powi(2) + cross(1, 2).powi(2) + cross(2, 0).powi(2)).sqrt();
    let km = 6371.0088 * length.atan2(dot);
    // The haversine cannot tell places near the other side of the Earth apart.
    (km, if km > 19_900.0 { 1e-3 } else { 2e-9 })
}
