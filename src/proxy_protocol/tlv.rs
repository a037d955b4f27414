//! The values behind the addresses of version 2: type, length, value (`proxy-protocol.txt`, section
//! 2.2).
//!
//! They have to be well formed, and the checksum has to be right. What the others say is not kept:
//! nothing believes it.

use crc::{CRC_32_ISCSI, Crc};

use super::ProxyProtocolError;

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const CRC32C: u8 = 0x03;
const UNIQUE_ID: u8 = 0x05;
const SSL: u8 = 0x20;

/// Longest name of a protocol (RFC 7301) and of a host.
const NAME_BYTES: usize = 255;
/// Longest identifier of a connection.
const UNIQUE_ID_BYTES: usize = 128;
/// What stands before the values inside of the value about TLS: a byte of flags, and whether a
/// certificate was verified.
const SSL_FIXED: usize = 5;

/// CRC-32C, as in RFC 4960, appendix B.
static CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// One type and its value.
struct Value<'a> {
    kind: u8,
    bytes: &'a [u8],
}

/// Checks `values`, which are the end of the header `whole`.
pub(super) fn check(whole: &[u8], values: &[u8]) -> Result<(), ProxyProtocolError> {
    let mut rest = values;
    let mut checksum = None;
    while let Some(value) = next(&mut rest)? {
        let wrong = ProxyProtocolError::Value { kind: value.kind };
        let bytes = value.bytes.len();
        match value.kind {
            CRC32C => {
                let said = value.bytes.try_into().map_err(|_| wrong)?;
                let at = whole.len() - rest.len() - bytes;
                if checksum.replace((at, said)).is_some() {
                    return Err(ProxyProtocolError::Checksums);
                }
            }
            ALPN | AUTHORITY if bytes > NAME_BYTES => return Err(wrong),
            UNIQUE_ID if bytes > UNIQUE_ID_BYTES => return Err(wrong),
            SSL => {
                let mut inside = value.bytes.get(SSL_FIXED..).ok_or(wrong)?;
                while next(&mut inside)?.is_some() {}
            }
            _ => {}
        }
    }
    match checksum {
        Some((at, said)) if !is_right(whole, at, said) => Err(ProxyProtocolError::Checksum),
        _ => Ok(()),
    }
}

/// Takes the next value off; `None` at the end.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Option<Value<'a>>, ProxyProtocolError> {
    let Some(&kind) = rest.first() else { return Ok(None) };
    let wrong = ProxyProtocolError::Value { kind };
    let [_, high, low] = *rest.split_off(..3).and_then(<[u8]>::first_chunk).ok_or(wrong)?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let bytes = rest.split_off(..length).ok_or(wrong)?;
    Ok(Some(Value { kind, bytes }))
}

/// Whether the checksum of the whole header, with zeros in the place `at` of the checksum, is `said`.
fn is_right(whole: &[u8], at: usize, said: [u8; 4]) -> bool {
    let Some((before, behind)) = whole.split_at_checked(at) else { return false };
    let mut digest = CASTAGNOLI.digest();
    digest.update(before);
    digest.update(&[0; 4]);
    digest.update(behind.get(4..).unwrap_or_default());
    digest.finalize() == u32::from_be_bytes(said)
}
