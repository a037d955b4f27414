//! Numbers, durations, addresses and hashes as text. None of it needs to be escaped.

use std::net::Ipv4Addr;
use std::time::Duration;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends a number.
pub(super) fn number(out: &mut Vec<u8>, number: u64) {
    match u8::try_from(number) {
        Ok(digit) if digit < 10 => out.push(b'0' + digit),
        _ => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
    }
}

/// Appends an address.
pub(super) fn address(out: &mut Vec<u8>, address: Ipv4Addr) {
    let [first, others @ ..] = address.octets();
    number(out, first.into());
    for octet in others {
        out.push(b'.');
        number(out, octet.into());
    }
}

/// A number with so many digits; those in front of them are left out.
pub(super) fn digits<const N: usize>(number: u64) -> [u8; N] {
    let (mut text, mut rest) = ([b'0'; N], number);
    for place in text.iter_mut().rev() {
        *place += (rest % 10) as u8;
        rest /= 10;
    }
    text
}

/// Appends a duration in milliseconds with three decimals.
pub(super) fn millis(out: &mut Vec<u8>, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    number(out, micros / 1_000);
    let [a, b, c] = digits(micros % 1_000);
    out.extend_from_slice(&[b'.', a, b, c]);
}

/// Appends 16 hexadecimal digits.
pub(super) fn hash(out: &mut Vec<u8>, hash: u64) {
    out.extend((0..16).rev().map(|place| HEX[(hash >> (place * 4) & 15) as usize]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn addresses_as_everybody_writes_them() {
        for address in [[0, 0, 0, 0], [127, 0, 0, 1], [255, 255, 255, 255], [10, 200, 3, 99]] {
            let address = Ipv4Addr::from(address);
            assert_eq!(made(|out| super::address(out, address)), address.to_string());
        }
    }

    #[test]
    fn numbers_are_written_in_full() {
        for value in [0, 9, 10, 255, 256, u64::MAX] {
            assert_eq!(made(|out| number(out, value)), value.to_string());
        }
        assert_eq!(digits(1_234_507), *b"4507");
        assert_eq!(made(|out| millis(out, Duration::from_nanos(12_003_456))), "12.003");
        assert_eq!(made(|out| hash(out, 0xab)), "00000000000000ab");
    }
}
