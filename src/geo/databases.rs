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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::LazyLock;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    static DATABASES: LazyLock<Databases> = LazyLock::new(|| Databases::embedded().unwrap());

    fn testdata(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/geo/testdata").join(name)
    }

    fn lookup(databases: &Databases, address: &str) -> Location {
        databases.lookup(address.parse().unwrap())
    }

    fn country(location: &Location) -> String {
        location.country.map(|country| country.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_embedded_database_says_what_an_independent_reader_says() {
        let mut lines = include_str!("testdata/country.csv").lines();
        let epoch = lines.find_map(|line| line.strip_prefix("# build_epoch=")).unwrap();
        let built = UNIX_EPOCH + Duration::from_secs(epoch.parse().unwrap());
        assert_eq!(DATABASES.build_time(), Some(built), "run src/geo/testdata/make.py again");
        let mut compared = 0;
        for line in lines {
            let (address, expected) = line.split_once(',').unwrap();
            let location = lookup(&DATABASES, address);
            assert_eq!(country(&location), expected, "{address}");
            // Every country that a database names has facts, and so coordinates.
            assert_eq!(location.coordinates.is_some(), location.country.is_some(), "{address}");
            compared += 1;
        }
        assert!(compared >= 600);
    }

    #[test]
    fn ipv4_mapped_ipv6_is_ipv4() {
        for address in ["8.8.8.8", "193.0.6.139", "10.0.0.1"] {
            let mapped = format!("::ffff:{address}");
            assert_eq!(lookup(&DATABASES, &mapped), lookup(&DATABASES, address));
        }
    }

    #[test]
    fn addresses_on_no_map_are_unknown_even_where_the_database_places_them() {
        // The database does have records for some of these; see `special`.
        let address = "192.168.1.1".parse().unwrap();
        assert!(DATABASES.location[0].lookup(address).is_some());
        for address in ["192.168.1.1", "10.0.0.1", "127.0.0.1", "::1", "fe80::1", "2001:db8::1"] {
            assert_eq!(lookup(&DATABASES, address), Location::UNKNOWN, "{address}");
            assert_eq!(DATABASES.answering(address.parse().unwrap()), None);
        }
    }

    #[test]
    fn the_first_database_that_knows_a_place_answers() {
        let files = GeoipFiles {
            databases: vec![testdata("flat-city.mmdb"), testdata("maxmind-city.mmdb")],
            asn_database: Some(testdata("maxmind-asn.mmdb")),
            ..GeoipFiles::default()
        };
        let databases = Databases::open(&files).unwrap();
        for (address, expected, latitude, asn, answering) in [
            ("81.2.69.1", "GB", Some(51.5), None, Some("city")),
            ("5.6.0.1", "US", Some(39.8), None, Some("city")),
            ("2001:4860::1", "US", Some(39.8), None, Some("GeoLite2-City")),
            ("5.7.0.1", "KE", Some(0.6), None, Some("GeoLite2-City")),
            ("5.9.0.1", "", Some(1.5), None, Some("GeoLite2-City")),
            ("1.1.1.1", "", None, Some(13335), None),
            ("9.9.9.9", "", None, None, None),
        ] {
            let location = lookup(&databases, address);
            assert_eq!(country(&location), expected, "{address}");
            assert_eq!(location.coordinates.map(|at| at.latitude), latitude, "{address}");
            assert_eq!(location.asn, asn, "{address}");
            let known = latitude.is_some();
            assert_eq!(location.source == LocationSource::Database, known, "{address}");
            let info = databases.answering(address.parse().unwrap());
            assert_eq!(info.map(|info| info.database_type), answering, "{address}");
        }
        let kinds: Vec<_> = databases.info().map(|info| info.kind).collect();
        assert_eq!(kinds, ["location", "location", "asn"]);
    }

    #[test]
    fn without_files_the_embedded_database_is_used_and_a_bad_file_is_an_error() {
        let asn_database = Some(testdata("maxmind-asn.mmdb"));
        let files = GeoipFiles { asn_database, ..GeoipFiles::default() };
        let databases = Databases::open(&files).unwrap();
        let location = lookup(&databases, "1.1.1.1");
        assert_eq!((country(&location).as_str(), location.asn), ("AU", Some(13335)));
        let files = GeoipFiles { databases: vec![testdata("cities.csv")], ..GeoipFiles::default() };
        let error = Databases::open(&files).unwrap_err();
        assert!(error.to_string().contains("cities.csv"), "{error}");
    }
}
