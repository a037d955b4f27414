//! Words for names of endpoints: what is asked of the DNS, and the places that are known for it.
//!
//! When it is asked and what an answer is worth is the business of `names`; what a place becomes in
//! a table, that of `routing`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::Serialize;

/// What is asked of the DNS about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sought {
    /// Its addresses, of both families (A and AAAA).
    Addresses,
    /// Who offers a service (SRV, RFC 2782), and then their addresses.
    Service,
}

/// A question whose answer is the places of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Question {
    /// The name, in lower case.
    pub name: Arc<str>,
    /// What is sought there.
    pub sought: Sought,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sought {
            Sought::Addresses => f.write_str(&self.name),
            Sought::Service => write!(f, "{} (SRV)", self.name),
        }
    }
}

/// One place of which an answer says that the endpoint is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The address; never an IPv4 address in the clothes of IPv6.
    pub address: IpAddr,
    /// The port, if the answer says so.
    pub port: Option<u16>,
    /// Its share among the places of this answer; at least 1.
    pub weight: u32,
    /// The same host by its only address of the other family, as far as an answer can tell.
    pub twin: Option<IpAddr>,
}

impl Place {
    /// Where to connect to; `port` is what the configuration says.
    pub fn socket(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, self.port.unwrap_or(port))
    }
}

/// The places that are known, by question. Cheap to clone, never changed.
#[derive(Clone, Debug, Default)]
pub struct Places(Arc<BTreeMap<Question, Arc<[Place]>>>);

impl Places {
    /// The places of one question: those of the last good answer. Empty: there has been none.
    pub fn of(&self, question: &Question) -> &[Place] {
        self.0.get(question).map_or(&[], |places| places)
    }
}

impl FromIterator<(Question, Arc<[Place]>)> for Places {
    fn from_iter<I: IntoIterator<Item = (Question, Arc<[Place]>)>>(places: I) -> Self {
        Self(Arc::new(places.into_iter().collect()))
    }
}
