//! Where an endpoint is, and what it speaks.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use super::Transport;

/// One upstream address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is.
    pub url: EndpointUrl,
    /// Share of the region's requests, relative to the others; at least 1.
    pub weight: u32,
    /// How it is spoken to.
    pub transport: Arc<Transport>,
    /// The name whose SRV records say where it is, in place of the URL's host and port; the URL then
    /// has the name that requests and certificates go by.
    pub srv: Option<Arc<str>>,
}

/// `scheme://host:port`, without a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointUrl {
    /// What is spoken there.
    pub scheme: Scheme,
    /// Name or address.
    pub host: Host,
    /// Port; 80, or 443 for `https`, unless written.
    pub port: u16,
}

/// What an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1 in clear text.
    Http,
    /// TLS, and in it what the handshake agrees on.
    Https,
    /// HTTP/2 in clear text, with prior knowledge.
    H2c,
}

impl Scheme {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2c => "h2c",
        }
    }
}

impl EndpointUrl {
    /// `host:port`, as a `Host` header has it.
    pub fn authority(&self) -> String {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            Host::Address(IpAddr::V4(address)) => format!("{address}:{}", self.port),
            Host::Name(name) => format!("{name}:{}", self.port),
        }
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

impl Serialize for EndpointUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Host part of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IP address.
    Address(IpAddr),
    /// A DNS name, in lower case.
    Name(Arc<str>),
}
