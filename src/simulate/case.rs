//! One request of a simulation, as it is found in a log or made up.

use std::net::IpAddr;

use http::{HeaderMap, Method};

use crate::model::{Client, ClientSource, Country, Location};
use crate::routing::{Draws, Facts, Words};

/// A request to be decided.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Which one it is; all that is drawn for it follows from this and the seed.
    pub number: u64,
    /// When it came, in Unix seconds.
    pub now: u64,
    /// When it came, in microseconds, for what is in flight; `None`: not known.
    pub at_us: Option<u64>,
    /// How long its region has it, in microseconds.
    pub duration_us: u64,
    /// Its method.
    pub method: &'a Method,
    /// Its host, in lower case and without a port.
    pub host: &'a str,
    /// Its path.
    pub path: &'a str,
    /// Its query.
    pub query: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Who sent it.
    pub address: IpAddr,
    /// Its country, where the databases are not to be asked for it.
    pub country: Option<Country>,
    /// Whose customer that is.
    pub tenant: Option<&'a str>,
}

impl<'a> Case<'a> {
    /// What a decision is made from.
    pub fn facts(&self, location: Location) -> Facts<'a> {
        Facts {
            method: self.method,
            host: self.host,
            path: self.path,
            query: self.query,
            headers: self.headers,
            client: Client { address: self.address, source: ClientSource::Peer },
            location,
            geoip_built: None,
            tenant: self.tenant,
            now: self.now,
            words: Words::default(),
        }
    }

    /// What a decision may draw from, but for the turn.
    pub fn draws(&self, seed: u64) -> Draws {
        Draws { entropy: fastrand::Rng::with_seed(mixed(seed, self.number)).u64(..), turn: 0 }
    }
}

/// A number for each pair of numbers.
pub(super) fn mixed(seed: u64, number: u64) -> u64 {
    // Neighbours have to be far apart: the generator's state only grows by a constant.
    let spread = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (seed ^ spread ^ (spread >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// When requests come, and how long they take, where they do not say so themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// The moment of requests without one, in Unix seconds.
    pub now: u64,
    /// Requests a second, evenly spread, whatever they say; `None`: as they say.
    pub rate: Option<f64>,
    /// How long a request takes, in microseconds.
    pub duration_us: u64,
}

impl Pace {
    /// When request `number` comes, in microseconds, if all come evenly.
    pub fn even(&self, number: u64) -> Option<u64> {
        let rate = self.rate.filter(|rate| *rate > 0.0)?;
        let since = (number as f64 * 1e6 / rate) as u64;
        Some(self.now.saturating_mul(1_000_000).saturating_add(since))
    }
}
