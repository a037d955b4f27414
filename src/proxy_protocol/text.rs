//! Version 1: one line of text (`proxy-protocol.txt`, section 2.1).
//!
//! Not here: what it starts with, which the caller has seen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{Header, Part, ProxyProtocolError, TEXT};
use crate::model::limits::PROXY_LINE_BYTES;

type Result<T> = std::result::Result<T, ProxyProtocolError>;

/// Reads a line that starts with [`TEXT`]; `None`: its end has not come yet.
pub(super) fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>> {
    let Some(end) = end_of_line(bytes)? else { return Ok(None) };
    let line = bytes.get(TEXT.len()..end).unwrap_or_default();
    if is_unknown(line) {
        return Ok(Some((Header::UNKNOWN, end + 2)));
    }
    let header = match str::from_utf8(line).ok().and_then(|line| line.split_once(' ')) {
        Some(("TCP4", rest)) => addresses::<Ipv4Addr>(rest)?,
        Some(("TCP6", rest)) => addresses::<Ipv6Addr>(rest)?,
        _ => return Err(ProxyProtocolError::Part(Part::Family)),
    };
    Ok(Some((header, end + 2)))
}

/// Where CR LF stands. Either of them alone ends nothing, and has no place in the line either:
/// others could take it for an end.
fn end_of_line(bytes: &[u8]) -> Result<Option<usize>> {
    let bytes = &bytes[..bytes.len().min(PROXY_LINE_BYTES)];
    match bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        Some(at) if bytes[at..].starts_with(b"\r\n") => Ok(Some(at)),
        // The second of the two may still be on its way.
        Some(at) if &bytes[at..] == b"\r" && bytes.len() < PROXY_LINE_BYTES => Ok(None),
        None if bytes.len() < PROXY_LINE_BYTES => Ok(None),
        _ => Err(ProxyProtocolError::Line),
    }
}

/// Whatever else is on such a line is to be passed over.
fn is_unknown(line: &[u8]) -> bool {
    line.strip_prefix(b"UNKNOWN").is_some_and(|rest| matches!(rest.first(), None | Some(b' ')))
}

/// Two addresses and two ports, with one space in between.
fn addresses<A: FromStr + Into<IpAddr>>(text: &str) -> Result<Header> {
    let mut parts = text.split(' ');
    let source = address::<A>(parts.next()).ok_or(ProxyProtocolError::Part(Part::Source))?;
    let destination =
        address::<A>(parts.next()).ok_or(ProxyProtocolError::Part(Part::Destination))?;
    let source_port = port(parts.next()).ok_or(ProxyProtocolError::Part(Part::SourcePort))?;
    let destination_port =
        port(parts.next()).ok_or(ProxyProtocolError::Part(Part::DestinationPort))?;
    if parts.next().is_some() {
        return Err(ProxyProtocolError::Part(Part::End));
    }
    let source = SocketAddr::new(source, source_port);
    Ok(Header::between(source, SocketAddr::new(destination, destination_port)))
}

/// The standard library refuses leading zeros in IPv4 addresses, and zones in IPv6 addresses.
fn address<A: FromStr + Into<IpAddr>>(text: Option<&str>) -> Option<IpAddr> {
    text?.parse::<A>().ok().map(Into::into)
}

/// Digits alone: the standard library would also take `+80` and `080`.
fn port(text: Option<&str>) -> Option<u16> {
    let text = text?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if plain && !leading_zero { text.parse().ok() } else { None }
}
