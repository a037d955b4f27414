//! What a lookup brings, and which places follow from it. Pure.
//!
//! A server may say anything: addresses are brought into one form, judged, put in order and counted
//! here, whatever it says.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::model::limits::{ADDRESSES_PER_NAME, TARGETS_PER_SERVICE};
use crate::model::{Place, refused_address};

/// Why a lookup brought nothing that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No answer in time, or only ones that were not for the question.
    #[error("no answer in time")]
    Timeout,
    /// The name does not exist, or has no such records.
    #[error("the name has no such records")]
    Empty,
    /// Every address lies in a network that endpoints must not lie in.
    #[error("{0} lies in a network that origins.allow does not name")]
    Refused(IpAddr),
    /// The servers failed, or could not be asked.
    #[error("{0}")]
    Server(String),
}

impl Trouble {
    /// The word used in metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Empty => "empty",
            Self::Refused(_) => "refused",
            Self::Server(_) => "error",
        }
    }
}

/// What is known of a host's addresses of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Family {
    /// These, for so long.
    Found(Vec<IpAddr>, Duration),
    /// It has none.
    Nothing,
    /// That could not be found out.
    Failed(Trouble),
}

/// A host that an answer names, with the answers about its own addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: Arc<str>,
    /// Hosts of a lower number come first; the others are there for when those have no address.
    pub priority: u16,
    /// Its share among those of its priority.
    pub weight: u16,
    /// The port, if the answer says so.
    pub port: Option<u16>,
    /// IPv6 addresses.
    pub v6: Family,
    /// IPv4 addresses.
    pub v4: Family,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// One for addresses; one for each record of a service.
    pub hosts: Vec<Host>,
    /// How long that these are the hosts is good for.
    pub ttl: Duration,
}

/// Addresses that are good, by host and family: `true` is IPv6.
pub(super) type Good = BTreeMap<(Arc<str>, bool), Vec<IpAddr>>;

/// What follows from a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// What is remembered for when a later answer is not complete.
    pub(super) good: Good,
    /// Where the endpoint is; not empty.
    pub(super) places: Vec<Place>,
    /// How long it is good for.
    pub(super) ttl: Duration,
    /// What was missing and made up for by what was known before.
    pub(super) missing: Option<Trouble>,
    /// Addresses that were left out, the first few.
    pub(super) refused: Vec<IpAddr>,
}

/// Judges a reply. `known` are the addresses that were good before; they stand in for a family that
/// could not be looked up.
///
/// # Errors
///
/// When there is no address that is new and good; what is known stays.
pub(super) fn read(reply: &Reply, known: &Good, allowed: &[IpNet]) -> Result<Reading, Trouble> {
    let mut hosts: Vec<&Host> = reply.hosts.iter().collect();
    hosts.sort_by_key(|host| (host.priority, &host.name, host.port));
    hosts.truncate(TARGETS_PER_SERVICE);
    let mut reader = Reader {
        known,
        allowed,
        good: Good::new(),
        refused: Vec::new(),
        ttl: reply.ttl,
        fresh: false,
        trouble: None,
    };
    for host in &hosts {
        reader.family(&host.name, true, &host.v6);
        reader.family(&host.name, false, &host.v4);
    }
    let places = places(&hosts, &reader.good);
    let Reader { good, refused, ttl, fresh, trouble, .. } = reader;
    if places.is_empty() || !fresh {
        let refused = refused.first().copied().map(Trouble::Refused);
        return Err(refused.or(trouble).unwrap_or(Trouble::Empty));
    }
    Ok(Reading { good, places, ttl, missing: trouble, refused })
}

struct Reader<'a> {
    known: &'a Good,
    allowed: &'a [IpNet],
    good: Good,
    refused: Vec<IpAddr>,
    ttl: Duration,
    /// Whether any address comes from this reply.
    fresh: bool,
    trouble: Option<Trouble>,
}

impl Reader<'_> {
    fn family(&mut self, host: &Arc<str>, v6: bool, family: &Family) {
        let key = (Arc::clone(host), v6);
        match family {
            Family::Nothing => {}
            Family::Failed(trouble) => {
                self.trouble.get_or_insert_with(|| trouble.clone());
                self.recall(key);
            }
            Family::Found(found, ttl) => {
                let (good, refused) = judge(found, v6, self.allowed);
                if let (true, Some(first)) = (good.is_empty(), refused.first()) {
                    // Somebody wants this family's connections to go where none may.
                    self.trouble.get_or_insert(Trouble::Refused(*first));
                    self.recall(key);
                } else if !good.is_empty() {
                    self.fresh = true;
                    self.ttl = self.ttl.min(*ttl);
                    self.good.insert(key, good);
                }
                self.refused.extend(refused);
                self.refused.truncate(ADDRESSES_PER_NAME);
            }
        }
    }

    fn recall(&mut self, key: (Arc<str>, bool)) {
        if let Some(before) = self.known.get(&key) {
            // The same host at another port may have brought something new.
            self.good.entry(key).or_insert_with(|| before.clone());
        }
    }
}

/// The addresses of a family that may be connected to, in order, each once; and those that may not.
fn judge(found: &[IpAddr], v6: bool, allowed: &[IpNet]) -> (Vec<IpAddr>, Vec<IpAddr>) {
    let refused = |address: &IpAddr| refused_address(*address, allowed);
    // A mapped address of IPv4 is no address of IPv6.
    let own = found.iter().copied().filter(|address| address.to_canonical().is_ipv6() == v6);
    let (refused, mut good): (Vec<_>, Vec<_>) = own.partition(refused);
    good.sort_unstable();
    good.dedup();
    // The same ones each time, in whatever order the server has them.
    good.truncate(ADDRESSES_PER_NAME);
    (good, refused)
}

/// The places of the best priority that has any; IPv6 first.
fn places(hosts: &[&Host], good: &Good) -> Vec<Place> {
    let of = |host: &Host, v6| {
        good.get(&(Arc::clone(&host.name), v6)).map_or(&[][..], |addresses| addresses)
    };
    let has_any = |host: &&&Host| !of(host, true).is_empty() || !of(host, false).is_empty();
    let Some(best) = hosts.iter().find(has_any).map(|host| host.priority) else {
        return Vec::new();
    };
    let mut all: Vec<Place> = Vec::new();
    for host in hosts.iter().filter(|host| host.priority == best) {
        let (v6, v4) = (of(host, true), of(host, false));
        let twins = (v6.len() == 1 && v4.len() == 1).then(|| (v6.first(), v4.first()));
        for address in v6.iter().chain(v4).copied() {
            let twin = twins.and_then(|(v6, v4)| if address.is_ipv6() { v4 } else { v6 }).copied();
            // RFC 2782: no weight is next to none, and not none.
            let weight = u32::from(host.weight.max(1));
            let place = Place { address, port: host.port, weight, twin };
            match all.iter_mut().find(|it| it.address == address && it.port == host.port) {
                Some(same) => same.weight = same.weight.saturating_add(weight),
                None => all.push(place),
            }
        }
    }
    all.sort_by_key(|place| (place.address.is_ipv4(), place.address, place.port));
    all
}

/// What of good addresses is still good when other networks are allowed.
pub(super) fn still_good(
    (good, places): (&mut Good, &[Place]),
    allowed: &[IpNet],
) -> Option<Vec<Place>> {
    let fine = |address: IpAddr| !refused_address(address, allowed);
    for addresses in good.values_mut() {
        addresses.retain(|address| fine(*address));
    }
    if places.iter().all(|place| fine(place.address) && place.twin.is_none_or(fine)) {
        return None;
    }
    let left = places.iter().filter(|place| fine(place.address));
    Some(
        left.map(|place| Place { twin: place.twin.filter(|twin| fine(*twin)), ..*place }).collect(),
    )
}
