//! Requests that are made up: clients spread over the world as real addresses are, asking for what
//! the deployments answer.
//!
//! Every request follows from the seed and its number alone, so that any thread can make any.

use std::sync::Arc;

use http::{HeaderMap, Method};

use super::case::{Case, Pace, mixed};
use super::tenants::TenantNames;
use crate::config::{Config, Deployment, HostPattern};
use crate::geo::AddressSpace;

/// What stands for the labels of a wildcard.
const LABEL: &str = "any";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host.
    pub host: String,
    /// The path.
    pub path: String,
}

/// A population that cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PopulationError {
    /// No address has a place.
    #[error(
        "the GeoIP database places no IPv4 address in a country, so no clients can be drawn; \
         use one with countries, or replay a log with --log"
    )]
    NoAddresses,
    /// There is nothing to ask for.
    #[error("there is no deployment to ask for anything")]
    NoTargets,
}

/// Clients and what they ask for.
#[derive(Debug)]
pub struct Population {
    space: Arc<AddressSpace>,
    /// By deployment, so that each gets as many requests whatever its hosts.
    targets: Vec<Vec<Target>>,
    tenants: TenantNames,
    /// The part of requests that are writes, in hundredths of a percent.
    writes: u16,
    seed: u64,
    headers: HeaderMap,
}

impl Population {
    /// A population. `targets` are by deployment; each deployment is asked as often.
    ///
    /// # Errors
    ///
    /// When there is nobody to ask or nothing to ask for.
    pub fn new(
        space: Arc<AddressSpace>,
        mut targets: Vec<Vec<Target>>,
        seed: u64,
    ) -> Result<Self, PopulationError> {
        targets.retain(|targets| !targets.is_empty());
        if space.total() == 0 {
            return Err(PopulationError::NoAddresses);
        }
        if targets.is_empty() {
            return Err(PopulationError::NoTargets);
        }
        let (tenants, headers) = (TenantNames::default(), HeaderMap::new());
        Ok(Self { space, targets, tenants, writes: 0, seed, headers })
    }

    /// Requests of these tenants, each as often.
    #[must_use]
    pub fn with_tenants(self, tenants: TenantNames) -> Self {
        Self { tenants, ..self }
    }

    /// So many writes among the requests, in hundredths of a percent.
    #[must_use]
    pub fn with_writes(self, writes: u16) -> Self {
        Self { writes, ..self }
    }

    /// Where addresses are drawn from.
    pub fn space(&self) -> &AddressSpace {
        &self.space
    }

    /// Request number `number`.
    pub fn case(&self, number: u64, pace: &Pace) -> Case<'_> {
        let mut draws = fastrand::Rng::with_seed(mixed(!self.seed, number));
        let address = self.space.sample(draws.u64(..)).unwrap_or(std::net::Ipv4Addr::UNSPECIFIED);
        let target = drawn(&self.targets, &mut draws).and_then(|own| drawn(own, &mut draws));
        let writes = self.writes > 0 && draws.u16(..10_000) < self.writes;
        let tenant = drawn(self.tenants.names(), &mut draws).map(|name| &**name);
        Case {
            number,
            now: pace.now,
            at_us: pace.even(number),
            duration_us: pace.duration_us,
            method: if writes { &Method::POST } else { &Method::GET },
            host: target.map_or("", |target| &target.host),
            path: target.map_or("/", |target| &target.path),
            query: "",
            headers: &self.headers,
            address: address.into(),
            country: None,
            tenant,
        }
    }
}

fn drawn<'a, T>(from: &'a [T], draws: &mut fastrand::Rng) -> Option<&'a T> {
    match from {
        [] => None,
        [one] => Some(one),
        several => several.get(draws.usize(..several.len())),
    }
}

impl Target {
    /// What the deployments of a configuration answer: each of their hosts, at their prefix.
    pub fn of(config: &Config) -> Vec<Vec<Self>> {
        let of_one = |deployment: &Arc<Deployment>| {
            let path = deployment.path_prefix.clone();
            if deployment.hosts.is_empty() {
                return vec![Self { host: String::new(), path }];
            }
            let host = |pattern: &HostPattern| match pattern {
                HostPattern::Exact(host) => host.clone(),
                HostPattern::Wildcard(suffix) => format!("{LABEL}.{suffix}"),
            };
            let target = |pattern| Self { host: host(pattern), path: path.clone() };
            deployment.hosts.iter().map(target).collect()
        };
        config.deployments.iter().map(of_one).collect()
    }
}
