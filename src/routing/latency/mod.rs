//! Expected round-trip times from clients to regions, by what is known of the client.
//!
//! A row may say when it was measured. Beyond the hard limit of [`Freshness`] it is passed over, and
//! the next less specific one counts; a row that says nothing does not age. A time that lies ahead
//! (clocks differ) is taken as this moment.
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

use super::continents::Continents;
use super::networks::{self, Networks};
use super::plan::RegionPosition;
use super::regions::RegionSet;
use crate::config::Freshness;
use crate::model::{Continent, Country, Location, RegionId};
use crate::routing::LineError;

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

/// A million of them are read at random: sixteen bytes each.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    region: u32,
    updated: Updated,
    rtt_ms: f64,
}

/// When a row was measured, in Unix seconds up to the year 2106. Its order is that of age: what does
/// not age is later than any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Updated(u32);

impl Updated {
    /// It does not age.
    const NEVER: Self = Self(u32::MAX);
    /// The latest time that can be said.
    const LATEST: u32 = u32::MAX - 1;

    fn seconds(self) -> Option<u64> {
        (self != Self::NEVER).then_some(self.0.into())
    }
}

/// A row for a region that is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    /// The region.
    pub(super) position: RegionPosition,
    /// The expected round trip.
    pub(super) ms: f64,
    /// For which clients.
    pub(super) key: ClientKey,
    /// When it was measured, in Unix seconds; `None`: it does not age.
    pub(super) updated: Option<u64>,
}

/// What a lookup asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// The client.
    pub(super) address: IpAddr,
    /// Where it is.
    pub(super) location: &'a Location,
    /// The regions.
    pub(super) regions: RegionSet,
    /// By region number of the table: its position in the deployment.
    pub(super) positions: &'a [Option<RegionPosition>],
    /// The moment, in Unix seconds.
    pub(super) now: u64,
}

impl LatencyTable {
    /// Reads CSV `client,region,rtt_ms[,updated]`. `known` says whether a region exists. All errors come at
    /// once, up to [`CONFIG_ERRORS`](crate::model::limits::CONFIG_ERRORS).
    pub fn parse(text: &str, known: &dyn Fn(&str) -> bool) -> Result<Self, Vec<LineError>> {
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
    /// How old its rows may be.
    pub(super) freshness: Freshness,
    continents: Continents,
}

impl Lookup {
    pub(super) fn new(
        table: LatencyTable,
        freshness: Freshness,
        continent_of: impl Fn(Country) -> Option<Continent>,
    ) -> Self {
        Self { table, freshness, continents: Continents::new(continent_of) }
    }

    /// By region number of the table: its position in a deployment.
    pub(super) fn positions(
        &self,
        position: impl Fn(&RegionId) -> Option<RegionPosition>,
    ) -> Box<[Option<RegionPosition>]> {
        self.table.regions().iter().map(position).collect()
    }

    /// Calls `found` with the row of each wanted region that has one: the longest network with a
    /// row for that region, else the AS, the subdivision, the country, the continent, `*`. Rows that
    /// are passed over because of their age go to `too_old`. Gives back the regions without a row.
    pub(super) fn rows(
        &self,
        wanted: &Wanted<'_>,
        mut found: impl FnMut(Row),
        mut too_old: impl FnMut(Row),
    ) -> RegionSet {
        let rows = &*self.table.0;
        let oldest = self.oldest(wanted.now);
        let mut missing = wanted.regions;
        let mut take = |range: &Range<u32>, key: ClientKey| {
            let range = range.start as usize..range.end as usize;
            for entry in rows.entries.get(range).unwrap_or_default() {
                let position = wanted.positions.get(entry.region as usize).copied().flatten();
                if let Some(position) = position.filter(|position| missing.contains(*position)) {
                    let (ms, updated) = (entry.rtt_ms, entry.updated.seconds());
                    let row = Row { position, ms, key, updated };
                    if entry.updated < oldest {
                        too_old(row);
                    } else {
                        missing.remove(position);
                        found(row);
                    }
                }
            }
            missing.is_empty()
        };
        let done =
            match wanted.address {
                IpAddr::V4(address) => rows.v4.enclosing(address.to_bits()).any(|network| {
                    take(&network.rows, ClientKey::V4(network.first, network.length))
                }),
                IpAddr::V6(address) => rows.v6.enclosing(address.to_bits()).any(|network| {
                    take(&network.rows, ClientKey::V6(network.first, network.length))
                }),
            };
        if !done {
            let keys = self.keys(wanted.location).into_iter().flatten();
            for (key, range) in keys.filter_map(|key| Some((key, rows.places.get(&key)?))) {
                if take(range, key) {
                    break;
                }
            }
        }
        missing
    }

    /// Rows from before that moment are passed over.
    fn oldest(&self, now: u64) -> Updated {
        let hard = self.freshness.hard.map_or(u64::MAX, |hard| hard.as_secs());
        Updated(u32::try_from(now.saturating_sub(hard)).unwrap_or(u32::MAX))
    }

    /// The keys that hold for a place, most specific first.
    fn keys(&self, location: &Location) -> [Option<ClientKey>; 5] {
        let Location { country, subdivision, asn, .. } = *location;
        let continent = country.and_then(|country| self.continents.of(country));
        [
            asn.map(ClientKey::Asn),
            country.zip(subdivision).map(|(country, part)| ClientKey::subdivision(country, part)),
            country.map(ClientKey::Country),
            continent.map(ClientKey::continent),
            Some(ClientKey::Anyone),
        ]
    }
}
