//! The first column of a latency table: which clients a row is for.
//!
//! A key is parsed and written here; what is found under it is `mod`'s business.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::model::limits::{CLIENT_NETWORK_V4, CLIENT_NETWORK_V6};
use crate::model::{Continent, Country, Subdivision};

/// Which clients a row is for. The order is only for sorting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::routing) enum ClientKey {
    /// A network: its first address and prefix length.
    V4(u32, u8),
    /// A network: its first address and prefix length.
    V6(u128, u8),
    /// An autonomous system.
    Asn(u32),
    /// A subdivision of a country, padded with zeros.
    Subdivision(Country, [u8; 3]),
    /// A country.
    Country(Country),
    /// A continent, by its code.
    Continent(&'static str),
    /// `*`.
    Anyone,
}

impl ClientKey {
    pub(super) fn subdivision(country: Country, subdivision: Subdivision) -> Self {
        let mut code = [0; 3];
        for (slot, byte) in code.iter_mut().zip(subdivision.as_str().bytes()) {
            *slot = byte;
        }
        Self::Subdivision(country, code)
    }

    pub(super) fn continent(continent: Continent) -> Self {
        Self::Continent(continent.code())
    }

    /// Whether it says at least as much about a client as the network does that Rhumb measures by.
    pub(in crate::routing) fn is_client_network(self) -> bool {
        match self {
            Self::V4(_, length) => length >= CLIENT_NETWORK_V4,
            Self::V6(_, length) => length >= CLIENT_NETWORK_V6,
            _ => false,
        }
    }

    /// Reads a key; the error says what to write instead.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Anyone);
        }
        if let Some(code) = strip_prefix(text, "continent:") {
            return continent(code).map(Self::continent).ok_or_else(|| {
                format!("`{code}` is not a continent; use AF, AN, AS, EU, NA, OC or SA")
            });
        }
        if let Some(code) = strip_prefix(text, "country:") {
            return Country::new(code.as_bytes()).map(Self::Country).ok_or_else(|| {
                format!("`{code}` is not a country; use two letters as in ISO 3166-1")
            });
        }
        if text.contains(['/', ':']) || text.parse::<IpAddr>().is_ok() {
            return network(text);
        }
        if let Some(number) = strip_prefix(text, "AS").filter(|number| !number.is_empty()) {
            // `AS-01` is a subdivision of American Samoa.
            if number.bytes().all(|byte| byte.is_ascii_digit()) {
                return number.parse().map(Self::Asn).map_err(|_| {
                    format!("`{text}` is not an AS number; the largest is AS{}", u32::MAX)
                });
            }
        }
        if let Some((country, part)) = text.split_once('-') {
            return Country::new(country.as_bytes())
                .zip(Subdivision::new(part))
                .map(|(country, part)| Self::subdivision(country, part))
                .ok_or_else(|| {
                    format!("`{text}` is not a subdivision; write it as in ISO 3166-2: `US-CA`")
                });
        }
        place(text)
    }
}

/// Two letters: a country, or a continent where no country has that code.
fn place(text: &str) -> Result<ClientKey, String> {
    let country = Country::new(text.as_bytes()).ok_or_else(|| {
        format!(
            "`{text}` is not a client: write a network (`192.0.2.0/24`), an AS (`AS64500`), a \
             subdivision (`US-CA`), a country (`DE`), a continent (`EU`) or `*`"
        )
    })?;
    match continent(text) {
        None => Ok(ClientKey::Country(country)),
        Some(found @ (Continent::Eu | Continent::Oc | Continent::An)) => {
            Ok(ClientKey::continent(found))
        }
        Some(_) => Err(format!(
            "`{country}` is both a country and a continent; write `country:{country}` or \
             `continent:{country}`"
        )),
    }
}

fn continent(code: &str) -> Option<Continent> {
    Continent::ALL.into_iter().find(|continent| continent.code().eq_ignore_ascii_case(code))
}

fn network(text: &str) -> Result<ClientKey, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text
            .parse::<IpNet>()
            .map_err(|_| format!("`{text}` is not a network; write it as `192.0.2.0/24`"))?,
    };
    if network.addr() != network.network() {
        return Err(format!(
            "`{text}` has bits set beyond its prefix; write `{}` or a longer prefix",
            network.trunc()
        ));
    }
    Ok(match network {
        IpNet::V4(network) => ClientKey::V4(network.addr().to_bits(), network.prefix_len()),
        IpNet::V6(network) => {
            // Client addresses are written as IPv4 wherever they can be.
            let mapped = network.addr().to_ipv4_mapped().zip(network.prefix_len().checked_sub(96));
            match mapped.and_then(|(first, length)| Ipv4Net::new(first, length).ok()) {
                Some(network) => ClientKey::V4(network.addr().to_bits(), network.prefix_len()),
                None => ClientKey::V6(network.addr().to_bits(), network.prefix_len()),
            }
        }
    })
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(first, length) => write!(f, "{}/{length}", Ipv4Addr::from_bits(*first)),
            Self::V6(first, length) => write!(f, "{}/{length}", Ipv6Addr::from_bits(*first)),
            Self::Asn(number) => write!(f, "AS{number}"),
            Self::Subdivision(country, code) => {
                let code = std::str::from_utf8(code).unwrap_or("?").trim_end_matches('\0');
                write!(f, "{country}-{code}")
            }
            Self::Country(country) => write!(f, "country {country}"),
            Self::Continent(code) => write!(f, "continent {code}"),
            Self::Anyone => f.write_str("*"),
        }
    }
}
