//! All the databases that are in use, and the one answer they give together.
//!
//! The answer is made here: which database wins, a country's centroid where no coordinates are
//! known, nothing for addresses that are on no map. Files are watched and reloaded elsewhere.
//!
//! A database that was built too long ago is not asked. That is settled between requests, by
//! whoever has a clock ([`Databases::at`]), so that an answer costs no look at the time.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::database::Database;
use super::record::{Asn, Place};
use super::special::is_special;
use super::{GeoError, countries};
use crate::config::{Freshness, GeoipFiles};
use crate::model::{Location, LocationSource};

/// The database that is part of the program.
static EMBEDDED: &[u8] = include_bytes!("../../geoip/country.mmdb");
/// How the embedded database is named where others have a path.
const EMBEDDED_NAME: &str = "(embedded country database)";

/// The databases that are in use. Cheap to clone: the data are shared.
#[derive(Clone, Debug)]
pub struct Databases {
    /// Databases of places, asked in order.
    pub location: Vec<Arc<Database<Place>>>,
    /// The database of autonomous systems.
    pub asn: Option<Arc<Database<Asn>>>,
    freshness: Freshness,
    too_old: TooOld,
}

/// Which databases are not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct TooOld {
    /// By position in `location`; nothing beyond its end.
    location: Vec<bool>,
    asn: bool,
}

/// Where an address is, and how old that knowledge is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Where it is.
    pub location: Location,
    /// When the database that knew the place was built, in Unix seconds; `None` if none did.
    pub built: Option<u64>,
}

/// Which records of the databases are about an address: a fraction of the size of what they say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Located {
    /// Position of the database that knows the place.
    database: u8,
    /// Its record; 0: none.
    place: u32,
    /// The record of the autonomous system; 0: none.
    asn: u32,
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

/// What the age of data means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Age {
    /// They are used.
    Fresh,
    /// They are used, and it is said that they are old.
    Stale,
    /// They are passed over.
    Expired,
}

impl Age {
    /// Every age.
    pub const ALL: [Self; 3] = [Self::Fresh, Self::Stale, Self::Expired];

    /// The word in metrics and explanations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Expired => "expired",
        }
    }
}

impl Databases {
    /// The embedded country database alone.
    pub fn embedded() -> Result<Self, GeoError> {
        Ok(Self::of(vec![embedded()?], None, Freshness::default()))
    }

    /// Reads and verifies the files; the embedded database stands in for absent ones. However old
    /// they are, they are asked until [`at`](Self::at) says otherwise.
    pub fn open(files: &GeoipFiles) -> Result<Self, GeoError> {
        let location = if files.databases.is_empty() {
            vec![embedded()?]
        } else {
            files.databases.iter().map(|path| Database::open(path)).collect::<Result<_, _>>()?
        };
        let asn = files.asn_database.as_deref().map(Database::open).transpose()?;
        Ok(Self::of(location, asn, files.freshness))
    }

    fn of(
        location: Vec<Database<Place>>,
        asn: Option<Database<Asn>>,
        freshness: Freshness,
    ) -> Self {
        let location = location.into_iter().map(Arc::new).collect();
        Self { location, asn: asn.map(Arc::new), freshness, too_old: TooOld::default() }
    }

    /// These databases as they are at `now`, if other ones are too old to be asked by then.
    #[must_use]
    pub fn at(&self, now: SystemTime) -> Option<Self> {
        let too_old = |age| self.freshness.hard.is_some_and(|hard| age > hard);
        let too_old = TooOld {
            location: self.location.iter().map(|database| too_old(database.age(now))).collect(),
            asn: self.asn.as_ref().is_some_and(|database| too_old(database.age(now))),
        };
        let none = |flags: &TooOld| !flags.asn && !flags.location.contains(&true);
        let same = too_old == self.too_old || none(&too_old) && none(&self.too_old);
        (!same).then(|| Self { too_old, ..self.clone() })
    }

    /// Where `address` is, as far as the databases know.
    pub fn lookup(&self, address: IpAddr) -> Location {
        self.find(address).location
    }

    /// Where `address` is, as far as the databases know, and since when they do.
    pub fn find(&self, address: IpAddr) -> Found {
        self.tell(self.locate(address))
    }

    /// The records about `address`: all of the search, and nothing of what it finds.
    pub fn locate(&self, address: IpAddr) -> Located {
        let address = address.to_canonical();
        if is_special(address) {
            return Located::default();
        }
        let asn = self.asn.as_ref().filter(|_| !self.too_old.asn);
        let asn = asn.map_or(0, |database| database.number(address));
        let (database, place) = self.place(address).unwrap_or_default();
        Located { database, place, asn }
    }

    /// What records of these databases say.
    pub fn tell(&self, located: Located) -> Found {
        let Located { database, place, asn } = located;
        let asn = self.asn.as_ref().and_then(|database| database.record(asn));
        let asn = asn.map(|Asn(number)| number);
        let database = self.location.get(usize::from(database));
        let Some((database, place)) =
            database.and_then(|database| Some((database, database.record(place)?)))
        else {
            return Found { location: Location { asn, ..Location::UNKNOWN }, built: None };
        };
        let location = Location {
            country: place.country,
            subdivision: place.subdivision,
            coordinates: place
                .coordinates
                .or_else(|| place.country.and_then(countries::get).map(|facts| facts.centroid)),
            asn,
            source: LocationSource::Database,
        };
        Found { location, built: unix_seconds(database.built()) }
    }

    /// The database that `lookup` takes the place of `address` from.
    pub fn answering(&self, address: IpAddr) -> Option<DatabaseInfo<'_>> {
        let address = address.to_canonical();
        let (position, _) = self.place(address).filter(|_| !is_special(address))?;
        Some(info("location", self.location.get(usize::from(position))?))
    }

    /// Every database in use, in the order in which they are asked.
    pub fn info(&self) -> impl Iterator<Item = DatabaseInfo<'_>> {
        let location = self.location.iter().map(|database| info("location", database));
        location.chain(self.asn.iter().map(|database| info("asn", database)))
    }

    /// What the age at `now` means of each database, in the order of [`info`](Self::info).
    pub fn ages(&self, now: SystemTime) -> impl Iterator<Item = Age> {
        let location = (0..).map(|position| self.is_too_old(position));
        let location = self.location.iter().map(move |database| database.age(now)).zip(location);
        let asn = self.asn.iter().map(move |database| (database.age(now), self.too_old.asn));
        location.chain(asn).map(|(age, too_old)| match self.freshness.soft {
            _ if too_old => Age::Expired,
            Some(soft) if age > soft => Age::Stale,
            _ => Age::Fresh,
        })
    }

    /// When the oldest database in use was built.
    pub fn build_time(&self) -> Option<SystemTime> {
        self.info().map(|info| info.built).min()
    }

    fn is_too_old(&self, position: usize) -> bool {
        self.too_old.location.get(position).copied().unwrap_or(false)
    }

    /// The position of the first database that knows a place, and the number of its record.
    fn place(&self, address: IpAddr) -> Option<(u8, u32)> {
        // There are few, and positions that do not fit are of databases that are not asked.
        let asked = self.location.iter().zip(0..=u8::MAX);
        let mut asked = asked.filter(|(_, position)| !self.is_too_old(usize::from(*position)));
        asked.find_map(|(database, position)| {
            let number = database.number(address);
            (number > 0).then_some((position, number))
        })
    }
}

fn unix_seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
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
    fn a_database_that_is_too_old_is_not_asked() {
        let hours = |hours: u64| Duration::from_secs(3_600 * hours);
        let files = GeoipFiles {
            databases: vec![testdata("flat-city.mmdb"), testdata("maxmind-city.mmdb")],
            asn_database: Some(testdata("maxmind-asn.mmdb")),
            freshness: Freshness { soft: Some(hours(1)), hard: Some(hours(2)) },
        };
        let databases = Databases::open(&files).unwrap();
        let built: Vec<_> = databases.info().map(|info| info.built).collect();
        let known = |databases: &Databases, address: &str| {
            let found = databases.find(address.parse().unwrap());
            (found.location.country.is_some(), found.location.asn.is_some())
        };
        let early = *built.iter().min().unwrap();
        assert!(databases.at(early).is_none(), "all are fresh");
        assert!(databases.ages(early).all(|age| age == Age::Fresh));
        let address: IpAddr = "81.2.69.1".parse().unwrap();
        let first = Duration::from_secs(databases.find(address).built.unwrap());
        assert_eq!(UNIX_EPOCH + first, built[0]);

        let late = *built.iter().max().unwrap() + hours(2);
        assert!(databases.ages(late).all(|age| age >= Age::Stale));
        let old = databases.at(late + Duration::from_secs(1)).unwrap();
        assert!(old.at(late + hours(1)).is_none(), "nothing changes any more");
        assert!(old.ages(late + hours(1)).all(|age| age == Age::Expired));
        for address in ["81.2.69.1", "5.7.0.1", "1.1.1.1"] {
            assert_ne!(known(&databases, address), (false, false), "{address}");
            assert_eq!(known(&old, address), (false, false), "{address}");
            assert_eq!(old.find(address.parse().unwrap()).built, None);
            assert_eq!(old.answering(address.parse().unwrap()), None);
        }
        assert_eq!(old.info().count(), 3, "they are still there to be seen");
        assert!(old.at(early).is_some(), "a clock that was set back is believed");
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
