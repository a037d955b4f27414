//! Expected round-trip times from clients to regions, by what is known of the client.
//!
//! Reading the text is `parse`, the keys are `key`, address ranges are `routing::networks`. Where the file
//! is and when it is read again is not known here, nor what is done without a row.

mod ages;
mod key;
mod parse;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use foldhash::quality::FixedState;

pub use ages::RowAges;
pub(super) use key::ClientKey;
pub use parse::LatencyError;

use super::networks::{self, Networks};
use super::plan::RegionPosition;
use super::regions::RegionSet;
use crate::model::{Continent, Country, Location, RegionId};

/// A table of expected round-trip times. Cheap to clone: the rows are shared.
#[derive(Clone, Debug)]
pub struct LatencyTable(Arc<Rows>);

#[derive(Debug, Default)]
struct Rows {
    /// Regions that occur, by the number that the entries use.
    regions: Vec<RegionId>,
    /// All rows, those of one client key together.
    entries: Vec<Entry>,
    v4: Networks<u32>,
    v6: Networks<u128>,
    /// The keys that are not networks.
    places: HashMap<ClientKey, Range<u32>, FixedState>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    region: u32,
    rtt_ms: f64,
}

impl LatencyTable {
    /// Reads CSV `client,region,rtt_ms`. `known` says whether a region exists. All errors come at
    /// once, up to [`CONFIG_ERRORS`](crate::model::limits::CONFIG_ERRORS).
    pub fn parse(text: &str, known: &dyn Fn(&str) -> bool) -> Result<Self, Vec<LatencyError>> {
        parse::parse(text, known).map(|rows| Self(Arc::new(rows)))
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    /// The regions that occur in it, each once.
    pub fn regions(&self) -> &[RegionId] {
        &self.0.regions
    }
}

/// A latency table with what it takes to look a client up.
#[derive(Debug)]
pub(super) struct Lookup {
    table: LatencyTable,
    /// By [`Country::index`].
    continents: Box<[Option<Continent>]>,
}

impl Lookup {
    pub(super) fn new(
        table: LatencyTable,
        continent_of: impl Fn(Country) -> Option<Continent>,
    ) -> Self {
        let mut continents = vec![None; Country::COUNT];
        for code in (b'A'..=b'Z').flat_map(|a| (b'A'..=b'Z').map(move |b| [a, b])) {
            if let Some(country) = Country::new(&code) {
                continents[country.index()] = continent_of(country);
            }
        }
        Self { table, continents: continents.into() }
    }

    /// By region number of the table: its position in a deployment.
    pub(super) fn positions(
        &self,
        position: impl Fn(&RegionId) -> Option<RegionPosition>,
    ) -> Box<[Option<RegionPosition>]> {
        self.table.regions().iter().map(position).collect()
    }

    /// Calls `found` with the row of each wanted region that has one: the longest network with a
    /// row for that region, else the AS, the subdivision, the country, the continent, `*`.
    pub(super) fn rows(
        &self,
        address: IpAddr,
        location: &Location,
        wanted: RegionSet,
        positions: &[Option<RegionPosition>],
        mut found: impl FnMut(RegionPosition, f64, ClientKey),
    ) {
        let rows = &*self.table.0;
        let mut missing = wanted;
        let mut take = |range: Range<u32>, key: ClientKey| {
            let range = range.start as usize..range.end as usize;
            for entry in rows.entries.get(range).unwrap_or_default() {
                let position = positions.get(entry.region as usize).copied().flatten();
                if let Some(position) = position.filter(|position| missing.contains(*position)) {
                    missing.remove(position);
                    found(position, entry.rtt_ms, key);
                }
            }
            missing.is_empty()
        };
        let done = match address {
            IpAddr::V4(address) => rows.v4.enclosing(address.to_bits()).any(|network| {
                take(network.rows.clone(), ClientKey::V4(network.first, network.length))
            }),
            IpAddr::V6(address) => rows.v6.enclosing(address.to_bits()).any(|network| {
                take(network.rows.clone(), ClientKey::V6(network.first, network.length))
            }),
        };
        if done {
            return;
        }
        for key in self.keys(location).into_iter().flatten() {
            let done = rows.places.get(&key).is_some_and(|range| take(range.clone(), key));
            if done {
                return;
            }
        }
    }

    /// The keys that hold for a place, most specific first.
    fn keys(&self, location: &Location) -> [Option<ClientKey>; 5] {
        let Location { country, subdivision, asn, .. } = *location;
        let continent = country.and_then(|country| *self.continents.get(country.index())?);
        [
            asn.map(ClientKey::Asn),
            country.zip(subdivision).map(|(country, part)| ClientKey::subdivision(country, part)),
            country.map(ClientKey::Country),
            continent.map(ClientKey::continent),
            Some(ClientKey::Anyone),
        ]
    }
}
