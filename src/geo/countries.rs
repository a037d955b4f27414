//! The countries of ISO 3166-1 and where they are, found by code in constant time.
//!
//! The rows themselves are in `country_table`. Nothing here knows about databases or clients.

use super::country_table::COUNTRIES;
use crate::model::{Continent, Coordinates, Country};

/// What is known of a country.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CountryFacts {
    /// Its code.
    pub code: Country,
    /// English short name.
    pub name: &'static str,
    /// The continent that databases count it to.
    pub continent: Continent,
    /// Roughly its middle, for clients of which only the country is known.
    pub centroid: Coordinates,
}

impl CountryFacts {
    /// A row of the table, checked when the program is compiled.
    #[expect(clippy::panic, reason = "only evaluated at compile time, for the table")]
    pub(super) const fn from_row(
        code: [u8; 2],
        name: &'static str,
        continent: Continent,
        latitude: f64,
        longitude: f64,
    ) -> Self {
        let Some(code) = Country::new(&code) else { panic!("not a country code") };
        Self { code, name, continent, centroid: Coordinates { latitude, longitude } }
    }
}

/// Row of each code, by `Country::index`; `NO_ROW` where a code is not assigned.
static ROWS: [u8; Country::COUNT] = rows();
const NO_ROW: u8 = u8::MAX;

const fn rows() -> [u8; Country::COUNT] {
    assert!(COUNTRIES.len() < NO_ROW as usize);
    let mut rows = [NO_ROW; Country::COUNT];
    let mut row = 0;
    while row < COUNTRIES.len() {
        let index = COUNTRIES[row].code.index();
        assert!(rows[index] == NO_ROW, "a code occurs twice");
        rows[index] = row as u8;
        row += 1;
    }
    rows
}

/// The facts of a country; `None` for codes that are not assigned, such as `XX` or `EU`.
pub fn get(country: Country) -> Option<&'static CountryFacts> {
    let row = ROWS.get(country.index())?;
    COUNTRIES.get(usize::from(*row))
}

/// Every country, in the order of the codes.
pub fn all() -> &'static [CountryFacts] {
    &COUNTRIES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(code: &str) -> &'static CountryFacts {
        get(code.parse().unwrap()).unwrap_or_else(|| panic!("{code} is missing"))
    }

    #[test]
    fn every_assigned_code_is_there_once_and_no_other() {
        // ISO 3166-1 alpha-2, all 249 officially assigned codes, and XK.
        const CODES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH \
            BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV \
            CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG \
            GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT \
            JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD \
            ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP \
            NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE \
            SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT \
            TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";
        let expected: Vec<&str> = CODES.split_whitespace().collect();
        let found: Vec<&str> = all().iter().map(|facts| facts.code.as_str()).collect();
        assert_eq!(expected.len(), 250);
        assert_eq!(found, expected);
        for first in b'A'..=b'Z' {
            for second in b'A'..=b'Z' {
                let country = Country::new(&[first, second]).unwrap();
                let listed = expected.contains(&country.as_str());
                assert_eq!(get(country).map(|facts| facts.code), listed.then_some(country));
            }
        }
    }

    #[test]
    fn every_centroid_is_on_earth_and_not_at_zero() {
        for facts in all() {
            let Coordinates { latitude, longitude } = facts.centroid;
            assert!(Coordinates::new(latitude, longitude).is_some(), "{facts:?}");
            assert!(latitude.abs() + longitude.abs() > 1.0, "{facts:?}");
            assert!(!facts.name.is_empty() && facts.name.trim() == facts.name, "{facts:?}");
        }
    }

    #[test]
    fn centroids_lie_near_capitals() {
        // Capitals from any atlas; the limit is about the size of the country.
        for (code, latitude, longitude, limit_km) in [
            ("AR", -34.60, -58.38, 900.0),
            ("AT", 48.21, 16.37, 250.0),
            ("AU", -35.28, 149.13, 2000.0),
            ("BE", 50.85, 4.35, 60.0),
            ("BR", -15.79, -47.88, 900.0),
            ("CA", 45.42, -75.70, 2600.0),
            ("CH", 46.95, 7.45, 120.0),
            ("CL", -33.45, -70.67, 400.0),
            ("CN", 39.90, 116.40, 1300.0),
            ("DE", 52.52, 13.40, 350.0),
            ("EG", 30.04, 31.24, 500.0),
            ("ES", 40.42, -3.70, 100.0),
            ("FI", 60.17, 24.94, 550.0),
            ("FJ", -18.14, 178.44, 100.0),
            ("FR", 48.86, 2.35, 320.0),
            ("GB", 51.51, -0.13, 400.0),
            ("ID", -6.21, 106.85, 1400.0),
            ("IE", 53.35, -6.26, 150.0),
            ("IN", 28.61, 77.21, 800.0),
            ("IS", 64.15, -21.94, 250.0),
            ("JP", 35.68, 139.69, 250.0),
            ("KE", -1.29, 36.82, 350.0),
            ("MX", 19.43, -99.13, 700.0),
            ("NG", 9.06, 7.49, 150.0),
            ("NO", 59.91, 10.75, 700.0),
            ("NZ", -41.29, 174.78, 350.0),
            ("PL", 52.23, 21.01, 150.0),
            ("SG", 1.29, 103.85, 15.0),
            ("TO", -21.14, -175.20, 30.0),
            ("US", 38.91, -77.04, 2000.0),
            ("ZA", -25.75, 28.19, 600.0),
        ] {
            let distance =
                facts(code).centroid.distance_km(Coordinates::new(latitude, longitude).unwrap());
            assert!(distance <= limit_km, "{code}: {distance:.0} km");
        }
    }

    #[test]
    fn centroids_lie_near_the_cities_of_an_independent_database() {
        let lines = include_str!("testdata/cities.csv").lines().filter(|l| !l.starts_with('#'));
        let distances: Vec<(f64, &str)> = lines
            .map(|line| {
                let [code, latitude, longitude] =
                    line.split(',').collect::<Vec<_>>().try_into().unwrap();
                let city = Coordinates::new(latitude.parse().unwrap(), longitude.parse().unwrap())
                    .unwrap();
                (facts(code).centroid.distance_km(city), code)
            })
            .collect();
        assert!(distances.len() > 240);
        let near = distances.iter().filter(|(distance, _)| *distance <= 1_000.0).count();
        assert!(near * 100 >= distances.len() * 95, "{near} of {}", distances.len());
        // The rest are as large as this themselves (CA, RU, AQ, ...); a swapped sign is far more.
        for (distance, code) in distances {
            assert!(distance <= 3_500.0, "{code}: {distance:.0} km");
        }
    }

    #[test]
    fn continents_are_those_of_geoip_databases() {
        for (code, continent) in [
            ("RU", Continent::Eu),
            ("TR", Continent::As),
            ("CY", Continent::As),
            ("EG", Continent::Af),
            ("MX", Continent::Na),
            ("TT", Continent::Na),
            ("GL", Continent::Na),
            ("RE", Continent::Af),
            ("GF", Continent::Sa),
            ("AQ", Continent::An),
            ("TL", Continent::As),
            ("PG", Continent::Oc),
        ] {
            assert_eq!(facts(code).continent, continent, "{code}");
        }
    }
}
