//! Version 2: the binary form (`proxy-protocol.txt`, section 2.2).
//!
//! Not here: the values behind the addresses (`tlv`).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Header, ProxyProtocolError, SIGNATURE, tlv};
use crate::model::limits::PROXY_HEADER_BYTES;

/// Signature, version and command, family and transport, length.
const FIXED: usize = SIGNATURE.len() + 4;
/// Two addresses and two ports of IPv4.
const INET: usize = 12;
/// The same of IPv6.
const INET6: usize = 36;
/// Two paths of Unix sockets.
const UNIX: usize = 216;

type Result<T> = std::result::Result<T, ProxyProtocolError>;

/// Reads a header that starts with [`SIGNATURE`]; `None`: it is not all here yet.
pub(super) fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>> {
    let mut next = bytes.get(SIGNATURE.len()..).unwrap_or_default().iter().copied();
    let Some(version_and_command) = next.next() else { return Ok(None) };
    let local = is_local(version_and_command)?;
    let Some(kind) = next.next() else { return Ok(None) };
    // Of a peer that speaks for itself the family is ignored, as the text demands.
    let family = if local { Family::of(kind).ok() } else { Some(Family::of(kind)?) };
    let (Some(high), Some(low)) = (next.next(), next.next()) else { return Ok(None) };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > PROXY_HEADER_BYTES {
        return Err(ProxyProtocolError::TooLong { bytes: length });
    }
    let Some(whole) = bytes.get(..length) else { return Ok(None) };
    let header = match family {
        Some(family) if !local => proxied(whole, family)?,
        family => of_itself(whole, family)?,
    };
    Ok(Some((header, length)))
}

fn is_local(version_and_command: u8) -> Result<bool> {
    match (version_and_command >> 4, version_and_command & 0xf) {
        (2, 0) => Ok(true),
        (2, 1) => Ok(false),
        (2, command) => Err(ProxyProtocolError::Command(command)),
        (version, _) => Err(ProxyProtocolError::Version(version)),
    }
}

/// What the addresses are of.
#[derive(Clone, Copy)]
enum Family {
    /// Nothing that has addresses here.
    Unspecified,
    Inet,
    Inet6,
    /// Its addresses say nothing of where a client is.
    Unix,
}

impl Family {
    /// The seven combinations that the text expects. Whether a client came by stream or by datagram
    /// (QUIC) does not change who it is.
    fn of(kind: u8) -> Result<Self> {
        match kind {
            0x00 => Ok(Self::Unspecified),
            0x11 | 0x12 => Ok(Self::Inet),
            0x21 | 0x22 => Ok(Self::Inet6),
            0x31 | 0x32 => Ok(Self::Unix),
            other => Err(ProxyProtocolError::Family(other)),
        }
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Unspecified => 0,
            Self::Inet => INET,
            Self::Inet6 => INET6,
            Self::Unix => UNIX,
        }
    }
}

/// A header about a client: all of it has to be right.
fn proxied(whole: &[u8], family: Family) -> Result<Header> {
    let body = whole.get(FIXED..).unwrap_or_default();
    let Some((addresses, values)) = body.split_at_checked(family.bytes()) else {
        return Err(ProxyProtocolError::Addresses { bytes: body.len(), needed: family.bytes() });
    };
    tlv::check(whole, values)?;
    let read = match family {
        Family::Unspecified | Family::Unix => None,
        Family::Inet => pair::<4, Ipv4Addr>(addresses),
        Family::Inet6 => pair::<16, Ipv6Addr>(addresses),
    };
    Ok(read.map_or(Header::UNKNOWN, |(source, destination)| Header::between(source, destination)))
}

/// A header of a peer that speaks for itself: what is in it is to be skipped, whatever it is. But a
/// checksum that can be found has to be right: this could be a damaged header about a client.
fn of_itself(whole: &[u8], family: Option<Family>) -> Result<Header> {
    let body = whole.get(FIXED..).unwrap_or_default();
    let values = family.and_then(|family| body.get(family.bytes()..));
    if let Some(Err(damaged @ ProxyProtocolError::Checksum)) =
        values.map(|values| tlv::check(whole, values))
    {
        return Err(damaged);
    }
    Ok(Header { local: true, ..Header::UNKNOWN })
}

/// Two addresses of `N` bytes, then two ports, all in network order.
fn pair<const N: usize, A: From<[u8; N]>>(mut bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)>
where
    std::net::IpAddr: From<A>,
{
    let source: [u8; N] = *bytes.split_off(..N)?.first_chunk()?;
    let destination: [u8; N] = *bytes.split_off(..N)?.first_chunk()?;
    let [s0, s1, d0, d1] = *bytes.first_chunk::<4>()?;
    Some((
        SocketAddr::new(A::from(source).into(), u16::from_be_bytes([s0, s1])),
        SocketAddr::new(A::from(destination).into(), u16::from_be_bytes([d0, d1])),
    ))
}
