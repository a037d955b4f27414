//! The first bytes of a connection from a peer that is believed: read as a PROXY protocol header,
//! piece by piece, damaged, and written again.

#![no_main]

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use rhumb::config::ProxyProtocolVersion;
use rhumb::model::limits::PROXY_HEADER_BYTES;
use rhumb::proxy_protocol::{Header, Looks, ProxyProtocolError, starts_like, write};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// A value of type CRC32C, without its checksum.
const CHECKSUM: &[u8] = &[3, 0, 4, 0, 0, 0, 0];

fuzz_target!(|bytes: &[u8]| {
    as_it_is(bytes);
    with_a_checksum(bytes);
});

fn as_it_is(bytes: &[u8]) {
    let found = Header::read(bytes);
    arrives_in_pieces(bytes, found);
    match found {
        Ok(Some((header, taken))) => {
            assert!(taken <= bytes.len() && taken <= PROXY_HEADER_BYTES);
            assert_eq!(starts_like(bytes), Looks::Yes);
            assert_eq!(Header::read(&bytes[..taken]), found, "what comes behind does not count");
            assert_eq!(header.source.is_some(), header.destination.is_some());
            assert!(!header.local || header.source.is_none());
            if let (Some(source), Some(destination)) = (header.source, header.destination) {
                survives_writing(header, source, destination);
            }
        }
        Ok(None) => {
            assert!(bytes.len() < PROXY_HEADER_BYTES, "more is waited for than is read");
            assert_ne!(starts_like(bytes), Looks::No);
        }
        Err(error) => {
            let is_none = error == ProxyProtocolError::NotAHeader;
            assert_eq!(starts_like(bytes) == Looks::No, is_none);
            let text = error.to_string();
            assert!(text.len() < 200 && !text.contains(char::is_control));
        }
    }
}

/// The answer comes at one length, and no byte behind it changes it.
fn arrives_in_pieces(bytes: &[u8], found: Result<Option<(Header, usize)>, ProxyProtocolError>) {
    let mut before = Ok(None);
    for length in 0..=bytes.len().min(300) {
        let now = Header::read(&bytes[..length]);
        assert!(before == Ok(None) || now == before, "{before:?}, then {now:?}");
        before = now;
    }
    assert!(before == Ok(None) || found == before);
}

fn survives_writing(header: Header, source: SocketAddr, destination: SocketAddr) {
    if source.ip().is_unspecified() || destination.ip().is_unspecified() {
        return;
    }
    for version in [ProxyProtocolVersion::V1, ProxyProtocolVersion::V2] {
        let mut out = Vec::new();
        write(version, source, destination, &mut out);
        assert_eq!(Header::read(&out), Ok(Some((header, out.len()))));
    }
}

/// The bytes as command, family, addresses and values of a header whose checksum is right. No
/// single bit of it can be turned over so that it is about somebody else. (From Unix sockets to IPv4
/// it is one bit, and then a path is an address: nothing in the protocol could show that.)
fn with_a_checksum(bytes: &[u8]) {
    let [command, family, at, turned, body @ ..] = bytes else { return };
    let body = &body[..body.len().min(300)];
    let (before, behind) = body.split_at(usize::from(*at).min(body.len()));
    let mut header = SIGNATURE.to_vec();
    header.extend([0x20 | command & 1, *family]);
    header.extend(((body.len() + CHECKSUM.len()) as u16).to_be_bytes());
    header.extend(before);
    header.extend(CHECKSUM);
    header.extend(behind);
    let place = header.len() - behind.len() - 4;
    let crc = crc32c(&header);
    header[place..place + 4].copy_from_slice(&crc.to_be_bytes());
    let Ok(Some((whole, _))) = Header::read(&header) else { return };
    if whole.source.is_none() && !whole.local {
        return;
    }

    let bit = usize::from(*turned) * 8 + usize::from(*at) % 8;
    let (at, bit) = (bit / 8 % header.len(), bit % 8);
    header[at] ^= 1 << bit;
    // The checksum may have ended up inside of an address or of another value, where it is none.
    let is_checked = {
        let mut other = header.clone();
        other[at] ^= 1 << bit;
        other[place] ^= 1;
        Header::read(&other) == Err(ProxyProtocolError::Checksum)
    };
    if is_checked && let Ok(Some((damaged, _))) = Header::read(&header) {
        assert!(damaged.source.is_none() || damaged == whole, "{whole:?} became {damaged:?}");
    }
}

/// Bit by bit: another way than the one that is tested.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 }
        })
    })
}
