//! What a database record says about a place or a network, whoever made the database.
//!
//! | made by | country | subdivision | coordinates | system |
//! |---|---|---|---|---|
//! | MaxMind, DB-IP | `country.iso_code`, else `registered_country.iso_code` | `subdivisions[0].iso_code` | `location.latitude`, `.longitude` | `autonomous_system_number` |
//! | ip-location-db | `country_code` | (names only) | `latitude`, `longitude` | `autonomous_system_number` |
//! | IPinfo | `country_code` or `country` | `region_code` | `lat`, `lng` as text, or `loc` | `asn` as `AS123` |
//!
//! A field of an unexpected type counts as absent: vendors add and change fields. Which place
//! wins when several databases know one is decided in `databases`.

use std::fmt;
use std::hash::Hash;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::countries;
use crate::model::{Coordinates, Country, Subdivision};

/// What a kind of database knows about an address.
pub trait Record: Copy + Send + Sync + 'static {
    /// Equal for records that are the same.
    type Key: Eq + Hash;
    /// What is missing when a file is of another kind.
    const WANTED: &'static str;

    /// The useful part of a record, if it has one.
    fn from_fields(fields: &Fields) -> Option<Self>;
    /// Equal for records that are the same.
    fn key(&self) -> Self::Key;
}

/// Where an address is; at least one of country and coordinates is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// A country of the table.
    pub country: Option<Country>,
    /// Subdivision of that country.
    pub subdivision: Option<Subdivision>,
    /// Coordinates, when the database has them.
    pub coordinates: Option<Coordinates>,
}

impl Record for Place {
    type Key = (Option<Country>, Option<Subdivision>, Option<(u64, u64)>);
    const WANTED: &'static str = "a country or coordinates";

    fn from_fields(fields: &Fields) -> Option<Self> {
        let Fields { country, coordinates, .. } = *fields;
        let subdivision = fields.subdivision.filter(|_| country.is_some());
        (country.is_some() || coordinates.is_some()).then_some(Self {
            country,
            subdivision,
            coordinates,
        })
    }

    fn key(&self) -> Self::Key {
        let bits = |at: Coordinates| (at.latitude.to_bits(), at.longitude.to_bits());
        (self.country, self.subdivision, self.coordinates.map(bits))
    }
}

/// Number of the autonomous system that announces an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asn(pub u32);

impl Record for Asn {
    type Key = u32;
    const WANTED: &'static str = "an autonomous system number";

    fn from_fields(fields: &Fields) -> Option<Self> {
        fields.asn.map(Self)
    }

    fn key(&self) -> u32 {
        self.0
    }
}

/// Everything that is understood of one record.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fields {
    country: Option<Country>,
    subdivision: Option<Subdivision>,
    coordinates: Option<Coordinates>,
    asn: Option<u32>,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        let (mut code, mut country, mut registered) = (None, None, None);
        let (mut latitude, mut longitude) = (None, None);
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "country_code" | "country_iso_code" => code = map.next_value::<Value>()?.country(),
                "country" => country = map.next_value::<Value>()?.country(),
                "registered_country" => registered = map.next_value::<Value>()?.country(),
                "subdivisions" | "region_code" | "state1" => {
                    fields.subdivision =
                        map.next_value::<Value>()?.subdivision().or(fields.subdivision);
                }
                "location" | "loc" => {
                    let place = map.next_value::<Value>()?;
                    (latitude, longitude) =
                        (place.latitude.or(latitude), place.longitude.or(longitude));
                }
                "latitude" | "lat" => latitude = map.next_value::<Value>()?.number(),
                "longitude" | "lng" | "lon" => longitude = map.next_value::<Value>()?.number(),
                "autonomous_system_number" | "asn" => fields.asn = map.next_value::<Value>()?.asn(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        fields.country = code.or(country).or(registered);
        fields.coordinates = coordinates(latitude, longitude);
        Ok(fields)
    }
}

/// Zero degrees north and east is how databases write "unknown"; nobody lives there.
fn coordinates(latitude: Option<f64>, longitude: Option<f64>) -> Option<Coordinates> {
    let (latitude, longitude) = (latitude?, longitude?);
    Coordinates::new(latitude, longitude).filter(|_| latitude != 0.0 || longitude != 0.0)
}

/// What is understood of one value, whatever its type.
#[derive(Default)]
struct Value<'de> {
    text: Option<&'de str>,
    number: Option<f64>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    iso_code: Option<&'de str>,
}

impl Value<'_> {
    /// A code that is in the table of countries: neither a name nor a stand-in such as `EU`.
    fn country(&self) -> Option<Country> {
        let country = Country::new(self.iso_code.or(self.text)?.trim().as_bytes())?;
        countries::get(country).map(|facts| facts.code)
    }

    /// Flat files put names where others have codes, and some names are as short as a code
    /// ("Zug" is CH-ZG): a code has no small letters.
    fn subdivision(&self) -> Option<Subdivision> {
        let code = self.iso_code.or(self.text)?.trim();
        Subdivision::new(code).filter(|_| !code.bytes().any(|byte| byte.is_ascii_lowercase()))
    }

    fn number(&self) -> Option<f64> {
        self.number.or_else(|| self.text?.trim().parse().ok())
    }

    fn asn(&self) -> Option<u32> {
        let from_text = || {
            let text = self.text?.trim();
            let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as"));
            digits.unwrap_or(text).parse().ok()
        };
        let from_number = |number: f64| {
            let whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
            whole.then_some(number as u32)
        };
        // 0 is reserved (RFC 7607); databases use it for "none".
        self.number.map_or_else(from_text, from_number).filter(|asn| *asn != 0)
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl ValueVisitor {
    fn number<'de, E>(number: f64) -> Result<Value<'de>, E> {
        Ok(Value { number: Some(number), ..Value::default() })
    }
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        let mut value = Value { text: Some(text), ..Value::default() };
        if let Some((latitude, longitude)) = text.split_once(',') {
            value.latitude = latitude.trim().parse().ok();
            value.longitude = longitude.trim().parse().ok();
        }
        Ok(value)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut value = Value::default();
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "iso_code" => value.iso_code = map.next_value::<Value>()?.text,
                "latitude" => value.latitude = map.next_value::<Value>()?.number(),
                "longitude" => value.longitude = map.next_value::<Value>()?.number(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(value)
    }

    /// Of a list, the first element counts: subdivisions go from the largest to the smallest.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let first = list.next_element::<Value>()?.unwrap_or_default();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value { iso_code: first.iso_code, ..Value::default() })
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Self::number(number)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Self::number(number as f64)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Self::number(number as f64)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Self::Value, E> {
        Ok(Value::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Value::default())
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(Value::default())
    }
}
