//! On which continent each country is, in the form that is cheapest to ask.
//!
//! Who knows it is an argument.

use crate::model::{Continent, Country};

/// Says on which continent a country is.
pub type ContinentOf = fn(Country) -> Option<Continent>;

/// The continents of all countries, by [`Country::index`].
#[derive(Debug)]
pub(super) struct Continents(Box<[Option<Continent>]>);

impl Continents {
    pub(super) fn new(continent_of: impl Fn(Country) -> Option<Continent>) -> Self {
        let mut all = vec![None; Country::COUNT];
        for code in (b'A'..=b'Z').flat_map(|a| (b'A'..=b'Z').map(move |b| [a, b])) {
            let country = Country::new(&code);
            let slot = country.and_then(|country| Some((country, all.get_mut(country.index())?)));
            if let Some((country, slot)) = slot {
                *slot = continent_of(country);
            }
        }
        Self(all.into())
    }

    pub(super) fn of(&self, country: Country) -> Option<Continent> {
        self.0.get(country.index()).copied().flatten()
    }
}
