//! Who sent a request, and how that is known.

use std::net::IpAddr;

use serde::Serialize;

/// The address a request is attributed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Client {
    /// The address, with IPv4-mapped IPv6 addresses already written as IPv4.
    pub address: IpAddr,
    /// Where the address was read.
    pub source: ClientSource,
}

/// Where a client address was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientSource {
    /// The other end of the connection.
    Peer,
    /// The `Forwarded` header of a trusted peer (RFC 7239).
    Forwarded,
    /// The `X-Forwarded-For` header of a trusted peer.
    XForwardedFor,
}
