//! One GeoIP database: read whole, verified whole, kept as tables of address ranges.
//!
//! Nothing of the file is kept: overwriting or truncating it later changes nothing, and no lookup
//! can meet a damaged offset. Which databases are asked for what is decided in `databases`.

use std::collections::HashMap;
use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use arrayvec::ArrayVec;
use foldhash::fast::RandomState;
use ipnet::IpNet;
use maxminddb::Reader;

use super::error::{GeoError, TreeProblem};
use super::ranges::{Builder, Builder6, NONE, Ranges, Ranges6};
use super::record::{Fields, Record};
use super::tree::{ALIASES, Alias, Leaf, Tree};
use crate::bounded_file;
use crate::model::limits;

/// A verified database of places or of autonomous systems.
pub struct Database<R> {
    origin: PathBuf,
    database_type: String,
    built: SystemTime,
    ipv4: Ranges<u32>,
    ipv6: Ranges6,
    aliases: ArrayVec<Alias, ALIASES>,
    records: Box<[R]>,
}

impl<R: Record> Database<R> {
    /// Reads and verifies a file.
    pub fn open(path: &Path) -> Result<Self, GeoError> {
        Self::from_bytes(path, &read(path)?)
    }

    /// Verifies a file's content; `origin` names it in errors.
    pub fn from_bytes(origin: &Path, file: &[u8]) -> Result<Self, GeoError> {
        let path = || origin.to_path_buf();
        let format = |source| GeoError::Format { path: path(), source };
        let tree_error = |problem| GeoError::Tree { path: path(), problem };
        let reader = Reader::from_source(file).map_err(format)?;
        let metadata = reader.metadata();
        let tree = Tree::new(file, metadata.node_count, metadata.record_size);
        let mut loader = Loader::new(&reader);
        let failed = |failure| match failure {
            LoadFailure::Tree(problem) => tree_error(problem),
            LoadFailure::Record(network, source) => {
                GeoError::Record { path: path(), network, source }
            }
        };

        let (mut ipv4, mut ipv6) = (Builder::new(), Builder6::new());
        let version_6 = metadata.ip_version == 6;
        let ipv4_root = if version_6 { tree.ipv4_root() } else { Ok(Tree::root(32)) };
        let ipv4_root = ipv4_root.map_err(tree_error)?;
        tree.walk(ipv4_root, None, |leaf| {
            ipv4.push(leaf.start as u32, loader.number(leaf, 32)?);
            Ok(())
        })
        .map_err(failed)?;
        let mut aliases = ArrayVec::new();
        if version_6 {
            aliases = tree
                .walk(Tree::root(128), Some(ipv4_root), |leaf| {
                    ipv6.push(leaf.start, loader.number(leaf, 128)?);
                    Ok(())
                })
                .map_err(failed)?;
        }

        if loader.records.is_empty() {
            let database_type = metadata.database_type.clone();
            return Err(GeoError::NothingUseful { path: path(), database_type, wanted: R::WANTED });
        }
        Ok(Self {
            origin: path(),
            database_type: metadata.database_type.clone(),
            built: metadata.build_time().map_err(format)?,
            ipv4: ipv4.finish().map_err(tree_error)?,
            ipv6: ipv6.finish().map_err(tree_error)?,
            aliases,
            records: loader.records.into(),
        })
    }

    /// What the database says about `address`; IPv4-mapped IPv6 is looked up as IPv4.
    pub fn lookup(&self, address: IpAddr) -> Option<R> {
        self.record(self.number(address))
    }

    /// The number of the record about `address`; 0: there is none.
    pub fn number(&self, address: IpAddr) -> u32 {
        match address.to_canonical() {
            IpAddr::V4(address) => self.ipv4.find(address.to_bits()),
            IpAddr::V6(address) => self.lookup_ipv6(address.to_bits()),
        }
    }

    /// What the record of that number says.
    pub fn record(&self, number: u32) -> Option<R> {
        // Number 0 is "no record", so that the first record has number 1.
        self.records.get(number.checked_sub(1)? as usize).copied()
    }

    fn lookup_ipv6(&self, address: u128) -> u32 {
        match self.aliases.iter().find_map(|alias| alias.embedded(address)) {
            Some(embedded) => self.ipv4.find(embedded),
            None => self.ipv6.find(address),
        }
    }
}

impl<R> Database<R> {
    /// The file, or a name for the embedded database.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// What the file says it is, such as `GeoLite2-City`.
    pub fn database_type(&self) -> &str {
        &self.database_type
    }

    /// When the file was built.
    pub fn built(&self) -> SystemTime {
        self.built
    }

    /// How old the data are; nothing when the file says it was built later than `now`.
    pub fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.built).unwrap_or_default()
    }

    /// Ranges of addresses that are told apart.
    pub fn ranges(&self) -> usize {
        self.ipv4.len() + self.ipv6.len()
    }

    /// Where ranges of IPv4 addresses start that are told apart, ascending.
    pub(super) fn ipv4_starts(&self) -> &[u32] {
        self.ipv4.starts()
    }

    /// Distinct records.
    pub fn records(&self) -> usize {
        self.records.len()
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.ipv4.bytes() + self.ipv6.bytes() + size_of_val(&*self.records)
    }
}

impl<R> fmt::Debug for Database<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("origin", &self.origin)
            .field("database_type", &self.database_type)
            .field("ranges", &self.ranges())
            .field("records", &self.records())
            .finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, GeoError> {
    let limit = limits::GEOIP_BYTES;
    let read = bounded_file::read(path, limit).map_err(|source| {
        let path = path.to_path_buf();
        match source.kind() {
            ErrorKind::FileTooLarge => GeoError::TooLarge { path, limit },
            _ => GeoError::Read { path, source },
        }
    });
    Ok(read?.bytes)
}

enum LoadFailure {
    Tree(TreeProblem),
    Record(IpNet, maxminddb::MaxMindDbError),
}

impl From<TreeProblem> for LoadFailure {
    fn from(problem: TreeProblem) -> Self {
        Self::Tree(problem)
    }
}

/// Decodes each record once and gives equal ones the same number.
struct Loader<'a, R: Record> {
    reader: &'a Reader<&'a [u8]>,
    by_offset: HashMap<u32, u32, RandomState>,
    by_key: HashMap<R::Key, u32, RandomState>,
    records: Vec<R>,
}

impl<'a, R: Record> Loader<'a, R> {
    fn new(reader: &'a Reader<&'a [u8]>) -> Self {
        Self {
            reader,
            by_offset: HashMap::default(),
            by_key: HashMap::default(),
            records: Vec::new(),
        }
    }

    /// The number of a leaf's record; `bits` says whether its address is IPv4 or IPv6.
    fn number(&mut self, leaf: Leaf, bits: u8) -> Result<u32, LoadFailure> {
        let Some(offset) = leaf.record else { return Ok(NONE) };
        if let Some(number) = self.by_offset.get(&offset) {
            return Ok(*number);
        }
        let address = match bits {
            32 => IpAddr::V4(Ipv4Addr::from_bits(leaf.start as u32)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(leaf.start)),
        };
        let failed = |source| LoadFailure::Record(network(address, leaf.length), source);
        let fields = self
            .reader
            .lookup(address)
            .and_then(|found| found.decode::<Fields>())
            .map_err(failed)?;
        let number = match fields.as_ref().and_then(R::from_fields) {
            Some(record) => {
                let next = u32::try_from(self.records.len() + 1)
                    .ok()
                    .filter(|next| *next < u32::MAX)
                    .ok_or(TreeProblem::TooManyRanges)?;
                *self.by_key.entry(record.key()).or_insert_with(|| {
                    self.records.push(record);
                    next
                })
            }
            None => NONE,
        };
        self.by_offset.insert(offset, number);
        Ok(number)
    }
}

fn network(address: IpAddr, length: u8) -> IpNet {
    IpNet::new(address, length).unwrap_or_else(|_| IpNet::from(address))
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::geo::{Asn, Place};
    use crate::model::{Country, Subdivision};

    const MAXMIND_CITY: &[u8] = include_bytes!("testdata/maxmind-city.mmdb");
    const MAXMIND_ASN: &[u8] = include_bytes!("testdata/maxmind-asn.mmdb");
    const FLAT_CITY: &[u8] = include_bytes!("testdata/flat-city.mmdb");
    const IPINFO: &[u8] = include_bytes!("testdata/ipinfo.mmdb");

    fn load<R: Record>(bytes: &[u8]) -> Result<Database<R>, GeoError> {
        Database::from_bytes(Path::new("test.mmdb"), bytes)
    }

    /// country, subdivision, latitude, longitude
    type Spot = (Option<&'static str>, Option<&'static str>, Option<(f64, f64)>);

    /// schema, file, what it says about addresses
    type Table = (&'static str, &'static [u8], &'static [(&'static str, Option<Spot>)]);

    #[test]
    fn every_schema_is_understood() {
        const LONDON: Option<(f64, f64)> = Some((51.5142, -0.0931));
        let tables: [Table; 3] = [
            (
                "maxmind",
                MAXMIND_CITY,
                &[
                    ("81.2.69.1", Some((Some("GB"), Some("ENG"), LONDON))),
                    ("::ffff:81.2.69.255", Some((Some("GB"), Some("ENG"), LONDON))),
                    ("81.2.70.0", None),
                    ("2001:4860::8888", Some((Some("US"), None, None))),
                    ("2001:4861::", None),
                    ("5.5.1.1", Some((Some("SE"), None, None))),
                    ("5.6.1.1", Some((Some("NL"), None, None))),
                    ("5.7.1.1", Some((Some("KE"), None, None))),
                    ("5.8.1.1", Some((Some("KE"), None, None))),
                    ("5.9.1.1", Some((None, None, Some((1.5, 2.5))))),
                    ("5.10.1.1", None),
                    ("5.11.1.1", None),
                ],
            ),
            (
                "ip-location-db",
                FLAT_CITY,
                &[
                    ("81.2.69.1", Some((Some("GB"), None, Some((51.5, -0.125))))),
                    ("5.5.1.1", Some((Some("CH"), None, Some((47.25, 8.5))))),
                    ("5.6.1.1", Some((Some("US"), Some("CA"), None))),
                ],
            ),
            (
                "ipinfo",
                IPINFO,
                &[
                    ("81.2.69.1", Some((Some("GB"), Some("ENG"), Some((51.50853, -0.12574))))),
                    ("5.5.1.1", Some((Some("SE"), None, None))),
                    ("5.6.1.1", Some((Some("NL"), None, Some((52.3740, 4.8897))))),
                    ("5.7.1.1", None),
                ],
            ),
        ];
        for (schema, bytes, expected) in tables {
            let database = load::<Place>(bytes).unwrap();
            for (address, expected) in expected {
                let place = database.lookup(address.parse().unwrap());
                let found = place.as_ref().map(|place| {
                    (
                        place.country.as_ref().map(Country::as_str),
                        place.subdivision.as_ref().map(Subdivision::as_str),
                        place.coordinates.map(|at| (at.latitude, at.longitude)),
                    )
                });
                assert_eq!(found, *expected, "{schema} {address}");
            }
        }
    }

    #[test]
    fn systems_are_numbers_or_text() {
        for (bytes, address, expected) in [
            (MAXMIND_ASN, "1.1.1.1", Some(13335)),
            (MAXMIND_ASN, "2a00::1", Some(4_200_000_001)),
            (MAXMIND_ASN, "5.5.1.1", None),
            (MAXMIND_ASN, "5.6.1.1", None),
            (IPINFO, "81.2.69.1", Some(20712)),
            (IPINFO, "5.5.1.1", Some(1257)),
            (IPINFO, "5.6.1.1", None),
            (IPINFO, "5.7.1.1", None),
        ] {
            let found = load::<Asn>(bytes).unwrap().lookup(address.parse().unwrap());
            assert_eq!(found.map(|Asn(number)| number), expected, "{address}");
        }
    }

    #[test]
    fn a_database_of_another_kind_is_refused_by_name() {
        let asn = load::<Place>(MAXMIND_ASN).unwrap_err();
        assert!(matches!(asn, GeoError::NothingUseful { .. }), "{asn}");
        assert!(asn.to_string().contains("GeoLite2-ASN"), "{asn}");
        let city = load::<Asn>(MAXMIND_CITY).unwrap_err();
        assert!(city.to_string().contains("autonomous system number"), "{city}");
    }

    #[test]
    fn metadata_are_read() {
        let database = load::<Place>(MAXMIND_CITY).unwrap();
        assert_eq!(database.database_type(), "GeoLite2-City");
        assert_eq!(database.origin(), Path::new("test.mmdb"));
        let hour = Duration::from_secs(3600);
        assert_eq!(database.age(database.built() + hour), hour);
        assert_eq!(database.age(database.built() - hour), Duration::ZERO);
    }

    #[test]
    fn files_that_are_none_are_refused_with_path_and_advice() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, content: &[u8]| std::fs::write(path(name), content).unwrap();
        write("empty", b"");
        write("text", b"country,region\nDE,eu\n");
        write("packed", b"\x1f\x8b\x08\x00\x00\x00\x00\x00");
        write("marker", b"\xab\xcd\xefMaxMind.com");
        write("bare", &[b"\xab\xcd\xefMaxMind.com".as_slice(), &[0xe0]].concat());
        for name in ["missing", ".", "empty", "text", "packed", "marker", "bare"] {
            let error = Database::<Place>::open(&path(name)).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(&path(name).display().to_string()), "{text}");
            assert!(text.contains("fetch"), "{text}");
            assert!(error.source().is_some(), "{text}");
        }
    }

    #[test]
    fn a_file_over_the_limit_is_not_read() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(MAXMIND_CITY).unwrap();
        file.as_file().set_len(limits::GEOIP_BYTES + 1).unwrap();
        let error = Database::<Place>::open(file.path()).unwrap_err();
        assert!(matches!(error, GeoError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn overwriting_the_file_changes_nothing() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(MAXMIND_CITY).unwrap();
        let database = Database::<Place>::open(file.path()).unwrap();
        let address = "81.2.69.1".parse().unwrap();
        let before = database.lookup(address);
        file.as_file().set_len(10).unwrap();
        assert!(before.is_some());
        assert_eq!(database.lookup(address), before);
    }

    #[test]
    fn every_truncation_is_refused() {
        for length in 0..MAXMIND_CITY.len() {
            assert!(load::<Place>(&MAXMIND_CITY[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn damage_is_an_error_or_harmless_but_never_a_panic(
            flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6),
            addresses in prop::collection::vec(any::<u128>(), 8),
            asn: bool,
        ) {
            let mut bytes = if asn { MAXMIND_ASN } else { MAXMIND_CITY }.to_vec();
            for (at, bit) in flips {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            let addresses = addresses.into_iter().flat_map(|bits| {
                [IpAddr::V6(bits.into()), IpAddr::V4((bits as u32).into())]
            });
            if let Ok(database) = load::<Place>(&bytes) {
                addresses.clone().for_each(|address| { database.lookup(address); });
            }
            if let Ok(database) = load::<Asn>(&bytes) {
                addresses.for_each(|address| { database.lookup(address); });
            }
        }
    }
}
