//! How the DNS names of endpoints are looked up, and which there are.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Config, Endpoint, Host};
use crate::model::{Question, Sought, limits};

/// How names are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Whom to ask; empty: whom the system asks.
    pub servers: Vec<SocketAddr>,
    /// An answer is good for at least so long.
    pub min_ttl: Duration,
    /// An answer is good for at most so long; not shorter than `min_ttl`.
    pub max_ttl: Duration,
    /// A whole lookup.
    pub timeout: Duration,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            min_ttl: limits::NAME_TTL_LOW,
            max_ttl: limits::NAME_TTL_HIGH,
            timeout: limits::NAME_TIMEOUT,
        }
    }
}

impl Endpoint {
    /// What has to be asked to find it; `None` when its address is written out.
    pub fn question(&self) -> Option<Question> {
        match (&self.srv, &self.url.host) {
            (Some(name), _) => Some(Question { name: name.clone(), sought: Sought::Service }),
            (None, Host::Name(name)) => {
                Some(Question { name: name.clone(), sought: Sought::Addresses })
            }
            (None, Host::Address(_)) => None,
        }
    }
}

impl Config {
    /// What has to be asked to find every endpoint that deployments use.
    pub fn questions(&self) -> BTreeSet<Question> {
        let regions = self.deployments.iter().flat_map(|deployment| &deployment.regions);
        regions.flat_map(|region| &region.endpoints).filter_map(Endpoint::question).collect()
    }
}
