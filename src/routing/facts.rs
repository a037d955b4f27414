//! What a decision is made from, beside the table: what is known of one request, and what is known
//! of the regions at that moment.
//!
//! Only what others have found out and verified. How a tenant is read, a token is checked or a
//! load is counted is not known here.

use std::net::IpAddr;

use http::{HeaderMap, Method};

use super::draws::{Salt, stable_key};
use super::plan::RegionNumber;
use crate::model::{Client, Location};

/// What is known of one request.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The host it is for, in lower case and without a port; empty if it names none.
    pub host: &'a str,
    /// Its path, without the query.
    pub path: &'a str,
    /// Its query, without the `?`; empty if it has none.
    pub query: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Who sent it.
    pub client: Client,
    /// Where that is.
    pub location: Location,
    /// When the database that knew was built, in Unix seconds.
    pub geoip_built: Option<u64>,
    /// Whose customer that is.
    pub tenant: Option<&'a str>,
    /// The moment, in Unix seconds.
    pub now: u64,
    /// What it says of its region.
    pub words: Words<'a>,
}

/// What a request says of its region, as far as whoever said it is believed. Regions by id; an id
/// that no region has is no word, but for `force`: then no region will do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Words<'a> {
    /// Only this region.
    pub force: Option<Forced<'a>>,
    /// Rather this region.
    pub prefer: Option<&'a str>,
    /// The region that the client's affinity token names.
    pub affinity: Option<&'a str>,
    /// The region of the client's last write, while its reads have to go there.
    pub written: Option<&'a str>,
    /// The priority class.
    pub class: Option<&'a [u8]>,
}

/// Only one region will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forced<'a> {
    /// Its id.
    pub region: &'a str,
    /// Whether an origin asked for it rather than the client.
    pub replay: bool,
}

impl Facts<'_> {
    /// A number that stays the same for the tenant, or without one for the client's address.
    pub(super) fn stable_key(&self) -> u64 {
        match (self.tenant, self.client.address) {
            (Some(tenant), _) => stable_key(Salt::TENANT, tenant.as_bytes()),
            (None, IpAddr::V4(address)) => stable_key(Salt::ADDRESS, &address.octets()),
            (None, IpAddr::V6(address)) => stable_key(Salt::ADDRESS, &address.octets()),
        }
    }
}

/// What is known of regions at one moment, beside the table. By [`RegionNumber`]; of a region
/// beyond the end of a slice nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions<'a> {
    /// How busy they are.
    pub load: &'a [RegionLoad],
    /// Round trips that were measured to them.
    pub measured: &'a [Measured],
    /// Times to the first byte that the client's network had from them.
    pub network: &'a [Measured],
    /// Where the client's network went last.
    pub incumbent: Option<RegionNumber>,
}

impl Conditions<'_> {
    /// Nothing is known.
    pub const NONE: Self = Self { load: &[], measured: &[], network: &[], incumbent: None };

    pub(super) fn load(&self, region: RegionNumber) -> RegionLoad {
        self.load.get(region.index()).copied().unwrap_or_default()
    }

    pub(super) fn measured(&self, region: RegionNumber) -> Option<Measured> {
        self.measured.get(region.index()).copied().filter(|measured| measured.samples > 0)
    }

    pub(super) fn network(&self, region: RegionNumber) -> Option<Measured> {
        self.network.get(region.index()).copied().filter(|measured| measured.samples > 0)
    }
}

/// How busy a region is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegionLoad {
    /// Requests that it is answering.
    pub in_flight: u32,
    /// Whether it was at its limit and has not been clearly below since.
    pub spilling: bool,
}

/// A moving average of measured milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// The average.
    pub ms: f32,
    /// How many measurements are in it; 0: there is none.
    pub samples: u32,
    /// When the newest was made, in Unix seconds.
    pub at: u64,
}
