//! Requests to a random world, and the moment at which they come.

use http::{HeaderValue, Method, header};

use super::{AGES, COUNTRIES, Dice, REGIONS, TENANTS, place};
use crate::model::Subdivision;
use crate::routing::tests::fixture::Request;
use crate::routing::tests::reference::world::{Asked, NOW, World};
use crate::routing::{Draws, Measured, RegionLoad};

const ADDRESSES: [&str; 8] = [
    "10.1.2.3",
    "10.1.2.200",
    "10.1.9.9",
    "10.9.9.9",
    "192.0.2.1",
    "2001:db8::1",
    "2001:db8:0:1::1",
    "2001:db9::1",
];
const HOSTS: [&str; 10] = [
    "api.example.com",
    "a.api.example.com",
    "b.example.com",
    "example.com",
    "example.org",
    "x.example.org",
    "a.b.org",
    "",
    "api.example.com.",
    "notexample.com",
];
const PATHS: [&str; 13] = [
    "/",
    "/v1",
    "/v1/",
    "/v10",
    "/v1/eu",
    "/v1/eu/x",
    "/v1/europe",
    "/v2/x",
    "/V1",
    "//v1/./eu",
    "/v1/../v2",
    "/%76%31%2feu",
    "/x/%2e%2e/v2",
];
const QUERIES: [&str; 10] = [
    "",
    "a=1",
    "a=alpha&b=beta",
    "a=al%70ha",
    "a=x+y&a=1",
    "b=x%20y&a=%61lphabet",
    "%61=1",
    "b",
    "&&a=&",
    "c=1&a=alpha=1",
];
const COOKIES: [&str; 6] =
    ["a=1; b=alpha", "b=beta", "a=alpha", "c=1; a=alphabet; a=1", "ab=1", "a=; b=1"];
const VALUES: [&str; 5] = ["alpha", "1", "alphabet", "", "beta"];
const METHODS: [Method; 8] = [
    Method::GET,
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::HEAD,
    Method::OPTIONS,
    Method::TRACE,
    Method::DELETE,
];
const HOUR: u64 = 3_600;

pub(super) fn asked(dice: &mut Dice<'_>, world: &World) -> Asked {
    let mut of_request = dice.cut(40);
    let request = request(&mut of_request);
    let count = world.config.regions.len();
    // Some words name a region that there is not.
    let mut word = |percent| {
        let id = dice.maybe(percent, &REGIONS[..count.max(6)]);
        id.map(str::to_owned)
    };
    let prefer = word(10);
    let written = word(15);
    let token = word(60);
    let force = word(6);
    let force = force.map(|region| (region, dice.chance(40)));
    let class = dice.maybe(50, &["batch", "gold", "other"]);
    let incumbent = dice.chance(50).then(|| dice.below(count) as u16);
    let draws = Draws { entropy: dice.number(), turn: dice.one(&[0, 1, 2, 5, u64::MAX]) };
    Asked {
        request,
        force,
        prefer,
        affinity: token,
        written,
        class,
        load: loads(&mut dice.cut(28), count),
        measured: measurements(&mut dice.cut(26), count),
        network: measurements(&mut dice.cut(26), count),
        incumbent,
        draws,
    }
}

fn request(dice: &mut Dice<'_>) -> Request {
    let mut request = Request::default().with_address(dice.one(&ADDRESSES));
    request.method = match dice.below(40) {
        39 => Method::from_bytes(b"PURGE").unwrap(),
        _ => dice.one(&METHODS),
    };
    if dice.chance(60) {
        let host = dice.one(&HOSTS);
        request = request.to(host, "/");
    }
    dice.one(&PATHS).clone_into(&mut request.path);
    dice.one(&QUERIES).clone_into(&mut request.query);
    if let Some(from) = dice.maybe(75, &COUNTRIES) {
        request = request.in_country(from);
        let part = dice.maybe(50, &["BE", "CA"]);
        request.location.subdivision = part.map(|part| Subdivision::new(part).unwrap());
    }
    request.location.coordinates = dice.chance(75).then(|| place(dice));
    request.location.asn = dice.maybe(50, &[1, 2]);
    request.tenant = dice.maybe(55, &TENANTS).map(str::to_owned);
    if request.tenant.is_some() && dice.chance(10) {
        request.tenant = Some("t3".to_owned());
    }
    for _ in 0..dice.below(4) {
        let name = dice.one(&["x-a", "x-b"]);
        request = request.with_header(name, dice.one(&VALUES));
    }
    for _ in 0..dice.below(3) {
        let cookies = HeaderValue::from_static(dice.one(&COOKIES));
        request.headers.append(header::COOKIE, cookies);
    }
    let offset = dice.one(&[0, 0, 40, 20 * HOUR, 4 * 24 * HOUR, 107 * 60 - 20, 107 * 60 + 40]);
    request.now = NOW + offset;
    request
}

/// Of all regions or only of the first ones.
fn known(dice: &mut Dice<'_>, count: usize) -> usize {
    if dice.chance(80) { count } else { dice.below(count + 1) }
}

fn loads(dice: &mut Dice<'_>, count: usize) -> Vec<RegionLoad> {
    let many: &[u32] = match dice.below(7) {
        0 | 1 => &[0, 0, 0, 1, 2],
        2 => &[0],
        3 => &[0, 1, 2, 3, 4, 8, 9, 10],
        4 => &[0, 1, 2, 5, 7, 8, 9, 10, 15, 17, 18, 20, 84, 85, 86, 99, 100],
        5 => &[8, 10, 12, 30],
        _ => &[100],
    };
    (0..known(dice, count))
        .map(|_| RegionLoad { in_flight: dice.one(many), spilling: dice.chance(20) })
        .collect()
}

fn measurements(dice: &mut Dice<'_>, count: usize) -> Vec<Measured> {
    if !dice.chance(50) {
        return Vec::new();
    }
    let one = |dice: &mut Dice<'_>| {
        // One byte for what belongs together: there are many of these.
        let choice = dice.below(240);
        Measured {
            ms: [10.0, 5.0, 10.5, 30.0, 100.0][choice % 5],
            samples: [1, 0, 2, 5][choice / 5 % 4],
            at: NOW - AGES[choice / 20 % 6],
        }
    };
    (0..known(dice, count)).map(|_| one(dice)).collect()
}
