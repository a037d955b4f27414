//! The country database as the contestants need it: HAProxy's map of networks, the list of
//! countries, and a sample of client addresses with the region that each belongs to.
//!
//! Not here: the database's format (the `maxminddb` crate reads it).

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use maxminddb::{PathElement, Reader, WithinOptions};

use crate::error::BenchError;
use crate::regions::Region;

/// Addresses of each country in the sample, as far as it has that many networks.
const V4_PER_COUNTRY: usize = 14;
const V6_PER_COUNTRY: usize = 4;

/// A client, and where its requests must go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    pub(crate) region: Region,
}

/// Everything that is derived from the database.
#[derive(Debug)]
pub(crate) struct Countries {
    /// How many have a country; HAProxy's map has a line for each.
    pub(crate) networks: usize,
    /// Every country that has a network, in alphabetical order.
    pub(crate) codes: Vec<String>,
    /// The sample, in an order that mixes the countries.
    pub(crate) clients: Vec<Client>,
}

/// Networks of one country that were drawn: address, prefix length.
#[derive(Default)]
struct Drawn {
    v4: Reservoir<(Ipv4Addr, u8)>,
    v6: Reservoir<(Ipv6Addr, u8)>,
}

/// Reads every network of `database`, and writes `country.map` (`network country` lines for HAProxy's
/// `map_ip`) to `directory`.
pub(crate) fn prepare(database: &Path, directory: &Path) -> Result<Countries, BenchError> {
    let failed = |source| BenchError::Database { path: database.to_owned(), source };
    let reader = Reader::open_readfile(database).map_err(failed)?;
    let map = directory.join("country.map");
    let unwritten = |source| BenchError::File { doing: "write", path: map.clone(), source };
    let mut out = std::io::BufWriter::new(std::fs::File::create(&map).map_err(unwritten)?);
    let mut random = Random::new();
    let mut drawn = BTreeMap::<String, Drawn>::new();
    let mut networks = 0;
    for found in reader.networks(WithinOptions::default()).map_err(failed)? {
        let found = found.map_err(failed)?;
        let network = found.network().map_err(failed)?;
        let code: Option<&str> =
            found.decode_path(&[PathElement::Key("country_code")]).map_err(failed)?;
        let Some(code) = code.filter(|code| is_country(code)) else { continue };
        writeln!(out, "{network} {code}").map_err(unwritten)?;
        networks += 1;
        let country = drawn.entry(code.to_owned()).or_default();
        match network.network() {
            IpAddr::V4(first) => {
                country.v4.offer((first, network.prefix()), V4_PER_COUNTRY, &mut random);
            }
            IpAddr::V6(first) => {
                country.v6.offer((first, network.prefix()), V6_PER_COUNTRY, &mut random);
            }
        }
    }
    out.flush().map_err(unwritten)?;
    if drawn.is_empty() {
        return Err(BenchError::NoCountries { path: database.to_owned() });
    }
    let clients = clients(&drawn, &mut random);
    Ok(Countries { networks, codes: drawn.into_keys().collect(), clients })
}

fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// One address out of each drawn network, shuffled.
fn clients(drawn: &BTreeMap<String, Drawn>, random: &mut Random) -> Vec<Client> {
    let mut clients = Vec::new();
    for (code, country) in drawn {
        let region = Region::of_country(code);
        for &(first, prefix) in &country.v4.kept {
            let host = (random.next() as u32).checked_shr(prefix.into()).unwrap_or(0);
            let address = Ipv4Addr::from_bits(first.to_bits() | host);
            clients.push(Client { address: address.into(), region });
        }
        for &(first, prefix) in &country.v6.kept {
            let bits = u128::from(random.next()) << 64 | u128::from(random.next());
            let host = bits.checked_shr(prefix.into()).unwrap_or(0);
            let address = Ipv6Addr::from_bits(first.to_bits() | host);
            clients.push(Client { address: address.into(), region });
        }
    }
    for last in (1..clients.len()).rev() {
        clients.swap(last, random.below(last + 1));
    }
    clients
}

/// A uniform sample of a stream of unknown length.
struct Reservoir<T> {
    seen: usize,
    kept: Vec<T>,
}

impl<T> Default for Reservoir<T> {
    fn default() -> Self {
        Self { seen: 0, kept: Vec::new() }
    }
}

impl<T> Reservoir<T> {
    fn offer(&mut self, item: T, capacity: usize, random: &mut Random) {
        self.seen += 1;
        if self.kept.len() < capacity {
            self.kept.push(item);
        } else if let Some(slot) = self.kept.get_mut(random.below(self.seen)) {
            *slot = item;
        }
    }
}

/// SplitMix64 from a fixed seed: every run on the same database uses the same clients.
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(0x5248_554d_4220_0001)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is at least 1.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}
