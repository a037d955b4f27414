//! Places on Earth: countries, continents, coordinates and the distance between them.
//!
//! The table of countries with their centroids and continents is data and lives in `geo`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Mean radius of the Earth in kilometres (IUGG R1).
pub const EARTH_RADIUS_KM: f64 = 6371.0088;

/// An ISO 3166-1 alpha-2 country code, in upper case.
///
/// Only the form is checked (two ASCII letters); `geo` knows which codes are assigned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Country {
    /// Reads two ASCII letters in either case; anything else is `None`.
    pub const fn new(code: &[u8]) -> Option<Self> {
        match code {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }

    /// A dense number below [`Country::COUNT`], for tables indexed by country.
    pub const fn index(self) -> usize {
        (self.0[0] - b'A') as usize * 26 + (self.0[1] - b'A') as usize
    }

    /// One more than the largest [`Country::index`].
    pub const COUNT: usize = 26 * 26;
}

impl FromStr for Country {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::new(text.as_bytes()).ok_or(())
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Country {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse()
            .map_err(|()| serde::de::Error::custom("expected a two-letter ISO 3166 country code"))
    }
}

/// A continent as GeoIP databases name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Continent {
    /// Africa.
    Af,
    /// Antarctica.
    An,
    /// Asia.
    As,
    /// Europe.
    Eu,
    /// North America, with Central America and the Caribbean.
    Na,
    /// Oceania.
    Oc,
    /// South America.
    Sa,
}

impl Continent {
    /// Every continent, in alphabetical order of the codes.
    pub const ALL: [Self; 7] =
        [Self::Af, Self::An, Self::As, Self::Eu, Self::Na, Self::Oc, Self::Sa];

    /// The two-letter code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Af => "AF",
            Self::An => "AN",
            Self::As => "AS",
            Self::Eu => "EU",
            Self::Na => "NA",
            Self::Oc => "OC",
            Self::Sa => "SA",
        }
    }
}

/// An ISO 3166-2 subdivision: the part after the hyphen, one to three letters or digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subdivision {
    code: [u8; 3],
    length: u8,
}

impl Subdivision {
    /// Reads one to three ASCII letters or digits, upper-casing them.
    pub fn new(code: &str) -> Option<Self> {
        let bytes = code.as_bytes();
        if !(1..=3).contains(&bytes.len()) || !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        let mut out = [0; 3];
        out[..bytes.len()].copy_from_slice(bytes);
        out.make_ascii_uppercase();
        Some(Self { code: out, length: bytes.len() as u8 })
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.code[..usize::from(self.length)]).unwrap_or("?")
    }
}

impl fmt::Debug for Subdivision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Subdivision {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A point on Earth in decimal degrees, within -90..=90 and -180..=180.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Coordinates {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

impl Coordinates {
    /// Checks both ranges; NaN is refused.
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        ((-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude))
            .then_some(Self { latitude, longitude })
    }

    /// Great-circle distance in kilometres by the haversine formula
    /// (R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984).
    pub fn distance_km(self, other: Self) -> f64 {
        let (lat_a, lat_b) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half_lat = (lat_b - lat_a) / 2.0;
        let half_lon = (other.longitude - self.longitude).to_radians() / 2.0;
        let h = half_lat.sin().powi(2) + lat_a.cos() * lat_b.cos() * half_lon.sin().powi(2);
        2.0 * EARTH_RADIUS_KM * h.min(1.0).sqrt().asin()
    }
}

/// Where a client is, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Location {
    /// Country, when known.
    pub country: Option<Country>,
    /// Subdivision of the country, when known.
    pub subdivision: Option<Subdivision>,
    /// The client's coordinates, or the centroid of its country.
    pub coordinates: Option<Coordinates>,
    /// Autonomous system number of the client's network, when known.
    pub asn: Option<u32>,
    /// How the place was learned.
    pub source: LocationSource,
}

impl Location {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        country: None,
        subdivision: None,
        coordinates: None,
        asn: None,
        source: LocationSource::Unknown,
    };
}

/// How a location was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LocationSource {
    /// A geo header of a trusted peer.
    Header,
    /// A GeoIP database.
    Database,
    /// Neither knew.
    Unknown,
}
