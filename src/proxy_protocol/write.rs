//! A header for an endpoint, of either version.
//!
//! Plain: no values behind the addresses. Not here: when one is sent (`upstream`).

use std::io::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::{SIGNATURE, canonical};
use crate::config::ProxyProtocolVersion;

/// Version 2, command `PROXY`.
const PROXY: u8 = 0x21;
/// Version 2, command `LOCAL`.
const LOCAL: u8 = 0x20;
/// TCP over IPv4.
const TCP4: u8 = 0x11;
/// TCP over IPv6.
const TCP6: u8 = 0x21;

/// Appends the header of a connection that is made for the client at `source`, which had connected
/// to `destination`.
///
/// If only one of them is IPv4, it is written as IPv6 (`::ffff:192.0.2.1`): both have to be of one
/// family. If one of them is unspecified (`0.0.0.0`, `::`), nothing is known: `UNKNOWN` in version 1,
/// `LOCAL` in version 2. Zones of IPv6 addresses mean nothing to others and are left out.
pub fn write(
    version: ProxyProtocolVersion,
    source: SocketAddr,
    destination: SocketAddr,
    out: &mut Vec<u8>,
) {
    let (source, destination) = (canonical(source), canonical(destination));
    let known = !source.ip().is_unspecified() && !destination.ip().is_unspecified();
    match (version, known) {
        (ProxyProtocolVersion::V1, true) => text(source, destination, out),
        (ProxyProtocolVersion::V1, false) => out.extend_from_slice(b"PROXY UNKNOWN\r\n"),
        (ProxyProtocolVersion::V2, true) => binary(source, destination, out),
        (ProxyProtocolVersion::V2, false) => {
            out.extend_from_slice(SIGNATURE);
            out.extend_from_slice(&[LOCAL, 0, 0, 0]);
        }
    }
}

fn text(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    let (from, to) = (source.port(), destination.port());
    // Writing to a vector cannot fail.
    let _ = match (source.ip(), destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            write!(out, "PROXY TCP4 {source} {destination} {from} {to}\r\n")
        }
        (source, destination) => {
            write!(out, "PROXY TCP6 {} {} {from} {to}\r\n", mapped(source), mapped(destination))
        }
    };
}

fn binary(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            out.extend_from_slice(&[PROXY, TCP4, 0, 12]);
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
        (source, destination) => {
            out.extend_from_slice(&[PROXY, TCP6, 0, 36]);
            out.extend_from_slice(&mapped(source).octets());
            out.extend_from_slice(&mapped(destination).octets());
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
