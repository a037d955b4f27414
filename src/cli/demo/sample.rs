//! The clients of the demo: real addresses, with the country that another reader of the database
//! found for each (see `sample.py`).

use std::net::IpAddr;

use super::places::{Biases, Each, ranking};
use crate::geo::countries;
use crate::model::{Coordinates, Country};

const SAMPLE: &str = include_str!("sample.csv");

/// One client.
#[derive(Clone, Debug)]
pub(super) struct SampleClient {
    pub(super) address: IpAddr,
    pub(super) country: Country,
    pub(super) country_name: &'static str,
    /// The middle of its country.
    pub(super) place: Coordinates,
}

impl SampleClient {
    /// Where its requests should go, in order.
    pub(super) fn ranking(&self, biases: Biases) -> Each<usize> {
        ranking(self.place, biases)
    }
}

/// All clients; a line that is none is left out, which a test rules out.
pub(super) fn clients() -> Vec<SampleClient> {
    SAMPLE.lines().filter_map(client).collect()
}

/// A client of that country, for lines to try by hand.
pub(super) fn client_of(clients: &[SampleClient], code: &str) -> Option<IpAddr> {
    let of_country = |client: &&SampleClient| client.country.as_str() == code;
    let mut found = clients.iter().filter(of_country).map(|client| client.address);
    // IPv4 is shorter to type.
    found.clone().find(IpAddr::is_ipv4).or_else(|| found.next())
}

fn client(line: &str) -> Option<SampleClient> {
    let (address, code) = line.split_once(',')?;
    let facts = countries::all().iter().find(|facts| facts.code.as_str() == code)?;
    Some(SampleClient {
        address: address.parse().ok()?,
        country: facts.code,
        country_name: facts.name,
        place: facts.centroid,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::places::{COUNT, STRETCH, STRETCHED};
    use super::*;
    use crate::geo::Databases;

    #[test]
    fn every_line_is_a_client_that_the_database_places_in_that_country() {
        let lines = SAMPLE.lines().filter(|line| !line.starts_with('#')).count();
        let clients = clients();
        assert_eq!(clients.len(), lines);
        assert!(lines >= 300);
        let databases = Databases::embedded().unwrap();
        for client in &clients {
            let country = databases.lookup(client.address).country;
            assert_eq!(country, Some(client.country), "{}: run sample.py again", client.address);
        }
        let countries: BTreeSet<_> = clients.iter().map(|client| client.country).collect();
        assert!(countries.len() >= 100);
        let addresses: BTreeSet<_> = clients.iter().map(|client| client.address).collect();
        assert_eq!(addresses.len(), lines);
    }

    #[test]
    fn every_region_has_clients_and_the_reload_moves_some() {
        let clients = clients();
        let mut stretched = [0; COUNT];
        stretched[STRETCHED] = STRETCH;
        let mut homes = [0; COUNT];
        let mut moved = 0;
        for client in &clients {
            let home = client.ranking([0; COUNT])[0];
            homes[home] += 1;
            moved += usize::from(client.ranking(stretched)[0] != home);
        }
        println!("{homes:?}, {moved} move");
        assert!(homes.iter().all(|clients| *clients >= 40), "{homes:?}");
        assert!(moved >= 10, "{moved}");
        assert!(client_of(&clients, "DE").is_some_and(|address| address.is_ipv4()));
    }
}
