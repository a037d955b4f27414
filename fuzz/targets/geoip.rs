//! The bytes of a GeoIP database, of places and of autonomous systems: refused as a whole, or good
//! for every address.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use rhumb::geo::{Asn, Database, Place, Record, countries};

/// Bytes of the first indexes of the tables, which every database has.
const INDEX_BYTES: usize = 2 << 20;
/// Bytes that one range takes at most in all tables together.
const RANGE_BYTES: usize = 64;

fuzz_target!(|file: &[u8]| {
    if let Some(database) = open::<Place>(file) {
        for address in addresses(file) {
            if let Some(place) = both_ways(&database, address) {
                place_makes_sense(place);
            }
        }
    }
    if let Some(database) = open::<Asn>(file) {
        for address in addresses(file) {
            both_ways(&database, address);
        }
    }
});

/// What is kept is in proportion to the file.
fn open<R: Record>(file: &[u8]) -> Option<Database<R>> {
    let database = Database::<R>::from_bytes(Path::new("fuzz.mmdb"), file).ok()?;
    assert!(database.records() > 0, "a database of nothing");
    assert!(database.records() <= file.len());
    assert!(database.ranges() <= 6 * file.len(), "{} ranges", database.ranges());
    let most = INDEX_BYTES + RANGE_BYTES * (database.ranges() + database.records());
    assert!(database.bytes() <= most, "{} bytes", database.bytes());
    assert!(database.database_type().len() <= file.len());
    Some(database)
}

/// An IPv4 address is the same one when it is written as IPv6.
fn both_ways<R: Record + PartialEq + std::fmt::Debug>(
    database: &Database<R>,
    address: IpAddr,
) -> Option<R> {
    let found = database.lookup(address);
    if let IpAddr::V4(address) = address {
        assert_eq!(database.lookup(address.to_ipv6_mapped().into()), found);
    }
    found
}

fn place_makes_sense(place: Place) {
    assert!(place.country.is_some() || place.coordinates.is_some());
    assert!(place.subdivision.is_none() || place.country.is_some());
    if let Some(country) = place.country {
        assert!(countries::get(country).is_some(), "{country} is not in the table");
    }
    if let Some(at) = place.coordinates {
        assert!((-90.0..=90.0).contains(&at.latitude), "{at:?}");
        assert!((-180.0..=180.0).contains(&at.longitude), "{at:?}");
    }
}

/// The corners of both spaces, what the seeds are about, and addresses that the file itself spells.
fn addresses(file: &[u8]) -> impl Iterator<Item = IpAddr> {
    let fixed = [0, 1, 0x0505_0101, 0x0506_0101, 0x5102_4501, u32::MAX - 1, u32::MAX];
    let corners = [0, 1, 1 << 127, u128::MAX, 0x2001_4860 << 96 | 0x8888, 0x2002_0505_0101 << 80];
    let spelled = file.chunks_exact(16).take(32).filter_map(|chunk| chunk.first_chunk::<16>());
    let spelled = spelled.flat_map(|bytes| {
        let six = u128::from_be_bytes(*bytes);
        [IpAddr::V6(Ipv6Addr::from(six)), IpAddr::V4(Ipv4Addr::from(six as u32))]
    });
    let fixed = fixed.into_iter().map(|bits| IpAddr::V4(Ipv4Addr::from(bits)));
    fixed.chain(corners.into_iter().map(|bits| Ipv6Addr::from(bits).into())).chain(spelled)
}
