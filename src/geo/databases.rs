//! All the databases that are in use, and the one answer they give together.
//!
//! The answer is made here: which database wins, a country's centroid where no coordinates are
//! known, nothing for addresses that are on no map. Files are watched and reloaded elsewhere.

use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;

use super::database::Database;
use super::record::{Asn, Place};
use super::special::is_special;
use super::{GeoError, countries};
use crate::config::GeoipFiles;
use crate::model::{Location, LocationSource};

/// The database that is part of the program.
static EMBEDDED: &[u8] = include_bytes!("../../geoip/country.mmdb");
/// How the embedded database is named where others have a path.
const EMBEDDED_NAME: &str = "(embedded country database)";

/// The databases that are in use.
#[derive(Debug)]
pub struct Databases {
    /// Databases of places, asked in order.
    pub location: Vec<Database<Place>>,
    /// The database of autonomous systems.
    pub asn: Option<Database<Asn>>,
}

/// What is known of one database, for metrics and explanations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseInfo<'a> {
    /// `location` or `asn`.
    pub kind: &'static str,
    /// The file, or a name for the embedded database.
    pub origin: &'a Path,
    /// What the file says it is.
    pub database_type: &'a str,
    /// When the file was built.
    pub built: SystemTime,
}

impl Databases {
    /// The embedded country database alone.
    pub fn embedded() -> Result<Self, GeoError> {
        Ok(Self { location: vec![embedded()?], asn: None })
    }

    /// Reads and verifies the files; the embedded database stands in for absent ones.
    pub fn open(files: &GeoipFiles) -> Result<Self, GeoError> {
        let location = if files.databases.is_empty() {
            vec![embedded()?]
        } else {
            files.databases.iter().map(|path| Database::open(path)).collect::<Result<_, _>>()?
        };
        let asn = files.asn_database.as_deref().map(Database::open).transpose()?;
        Ok(Self { location, asn })
    }

    /// Where `address` is, as far as the databases know.
    pub fn lookup(&self, address: IpAddr) -> Location {
        let address = address.to_canonical();
        if is_special(address) {
            return Location::UNKNOWN;
        }
        let asn = self.asn.as_ref().and_then(|database| database.lookup(address));
        let asn = asn.map(|Asn(number)| number);
        match self.place(address) {
            Some((place, _)) => Location {
                country: place.country,
                subdivision: place.subdivision,
                coordinates: place
                    .coordinates
                    .or_else(|| place.country.and_then(countries::get).map(|facts| facts.centroid)),
                asn,
                source: LocationSource::Database,
            },
            None => Location { asn, ..Location::UNKNOWN },
        }
    }

    /// The database that `lookup` takes the place of `address` from.
    pub fn answering(&self, address: IpAddr) -> Option<DatabaseInfo<'_>> {
        let address = address.to_canonical();
        let (_, database) = self.place(address).filter(|_| !is_special(address))?;
        Some(info("location", database))
    }

    /// Every database in use, in the order in which they are asked.
    pub fn info(&self) -> impl Iterator<Item = DatabaseInfo<'_>> {
        let location = self.location.iter().map(|database| info("location", database));
        location.chain(self.asn.iter().map(|database| info("asn", database)))
    }

    /// When the oldest database in use was built.
    pub fn build_time(&self) -> Option<SystemTime> {
        self.info().map(|info| info.built).min()
    }

    /// The first database that knows a place, and what it knows.
    fn place(&self, address: IpAddr) -> Option<(Place, &Database<Place>)> {
        self.location
            .iter()
            .find_map(|database| database.lookup(address).map(|place| (place, database)))
    }
}

fn embedded() -> Result<Database<Place>, GeoError> {
    Database::from_bytes(Path::new(EMBEDDED_NAME), EMBEDDED)
}

fn info<'a, R>(kind: &'static str, database: &'a Database<R>) -> DatabaseInfo<'a> {
    DatabaseInfo {
        kind,
        origin: database.origin(),
        database_type: database.database_type(),
        built: database.built(),
    }
}
