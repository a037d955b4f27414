//! Values as text that cannot be taken for anything else: whatever a client sends, a line stays one
//! line, a JSON string stays one string, and a terminal that shows it does nothing.
//!
//! What is not UTF-8 becomes U+FFFD in JSON, and `\xHH` in templates.

use std::net::Ipv4Addr;
use std::time::Duration;

/// What JSON writes as it is: printable ASCII but `"` and `\`.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        plain[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    plain
};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends a value inside of a JSON string (RFC 8259 section 7).
pub(super) fn json(out: &mut Vec<u8>, value: &[u8]) {
    escape(out, value, json_character, |out, _| out.extend_from_slice("\u{fffd}".as_bytes()));
}

/// Appends a value to a line of text, where `"` or `\` stands before a `\`.
pub(super) fn text(out: &mut Vec<u8>, value: &[u8]) {
    escape(out, value, text_character, |out, bytes| bytes.iter().for_each(|b| hex_byte(out, *b)));
}

/// Copies what is plain in one go, and hands over the rest in pieces.
fn escape(
    out: &mut Vec<u8>,
    value: &[u8],
    character: fn(&mut Vec<u8>, char),
    invalid: fn(&mut Vec<u8>, &[u8]),
) {
    let is_plain = |byte: &u8| PLAIN[usize::from(*byte)];
    let length = value.iter().position(|byte| !is_plain(byte)).unwrap_or(value.len());
    let (plain, rest) = value.split_at(length);
    out.extend_from_slice(plain);
    for chunk in rest.utf8_chunks() {
        for c in chunk.valid().chars() {
            match u8::try_from(c) {
                Ok(byte) if is_plain(&byte) => out.push(byte),
                _ => character(out, c),
            }
        }
        if !chunk.invalid().is_empty() {
            invalid(out, chunk.invalid());
        }
    }
}

/// Whether somebody could take it for the end of a line, or a terminal for a command.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

fn json_character(out: &mut Vec<u8>, c: char) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\t' => out.extend_from_slice(b"\\t"),
        // Below U+10000 all of them, so that four digits are enough.
        c if is_control(c) => {
            out.extend_from_slice(b"\\u");
            for shift in [12, 8, 4, 0] {
                out.push(HEX[(c as usize) >> shift & 15]);
            }
        }
        c => character(out, c),
    }
}

fn text_character(out: &mut Vec<u8>, c: char) {
    if is_control(c) || matches!(c, '"' | '\\') {
        let mut bytes = [0; 4];
        c.encode_utf8(&mut bytes).bytes().for_each(|byte| hex_byte(out, byte));
    } else {
        character(out, c);
    }
}

fn character(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn hex_byte(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(b"\\x");
    out.push(HEX[usize::from(byte >> 4)]);
    out.push(HEX[usize::from(byte & 15)]);
}

/// Appends a number.
pub(super) fn number(out: &mut Vec<u8>, number: u64) {
    let (mut digits, mut at, mut rest) = ([0; 20], 20, number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
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

/// Appends a number with so many digits.
fn digits(out: &mut Vec<u8>, number: u64, count: u32) {
    for place in (0..count).rev() {
        out.push(b'0' + (number / 10_u64.pow(place) % 10) as u8);
    }
}

/// Appends a duration in milliseconds with three decimals.
pub(super) fn millis(out: &mut Vec<u8>, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    number(out, micros / 1_000);
    out.push(b'.');
    digits(out, micros % 1_000, 3);
}

/// Appends 16 hexadecimal digits.
pub(super) fn hash(out: &mut Vec<u8>, hash: u64) {
    out.extend((0..16).rev().map(|place| HEX[(hash >> (place * 4) & 15) as usize]));
}

/// Appends a moment in milliseconds since 1970 as RFC 3339 has it, in UTC.
pub(super) fn moment(out: &mut Vec<u8>, unix_millis: u64) {
    let (seconds, millis) = (unix_millis / 1_000, unix_millis % 1_000);
    let (year, month, day) = date(seconds / 86_400);
    digits(out, year, 4);
    out.push(b'-');
    digits(out, month, 2);
    out.push(b'-');
    digits(out, day, 2);
    out.push(b'T');
    digits(out, seconds / 3_600 % 24, 2);
    out.push(b':');
    digits(out, seconds / 60 % 60, 2);
    out.push(b':');
    digits(out, seconds % 60, 2);
    out.push(b'.');
    digits(out, millis, 3);
    out.push(b'Z');
}

/// Year, month and day of a day since 1970: years begin in March, so that the day that some have
/// more is the last one, in eras of 400 years, which are all alike.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    const BEFORE_1970: u64 = 719_468;
    let days = days + BEFORE_1970;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            let mut out = Vec::new();
            super::address(&mut out, address);
            assert_eq!(out, address.to_string().as_bytes());
        }
    }

    #[test]
    fn what_could_do_harm_is_written_in_other_characters() {
        for (value, in_json, in_text) in [
            (&b"plain /path?"[..], "plain /path?", "plain /path?"),
            (b"a\"b\\c", "a\\\"b\\\\c", "a\\x22b\\x5cc"),
            (b"a\r\nb\tc", "a\\u000d\\u000ab\\tc", "a\\x0d\\x0ab\\x09c"),
            (b"\x1b[2J\x7f\x00", "\\u001b[2J\\u007f\\u0000", "\\x1b[2J\\x7f\\x00"),
            ("Zoë €".as_bytes(), "Zoë €", "Zoë €"),
            ("\u{9b}2J\u{85}".as_bytes(), "\\u009b2J\\u0085", "\\xc2\\x9b2J\\xc2\\x85"),
            ("\u{2028}x".as_bytes(), "\\u2028x", "\\xe2\\x80\\xa8x"),
            (b"\xff\xc3", "\u{fffd}\u{fffd}", "\\xff\\xc3"),
            (b"\xf0\x9f\x98!", "\u{fffd}!", "\\xf0\\x9f\\x98!"),
        ] {
            assert_eq!(made(|out| json(out, value)), in_json, "{value:?}");
            assert_eq!(made(|out| text(out, value)), in_text, "{value:?}");
        }
    }

    #[test]
    fn times_and_numbers_are_written_in_full() {
        assert_eq!(made(|out| moment(out, 0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(made(|out| moment(out, 951_782_400_007)), "2000-02-29T00:00:00.007Z");
        assert_eq!(made(|out| moment(out, 4_102_444_799_999)), "2099-12-31T23:59:59.999Z");
        assert_eq!(made(|out| number(out, 0)), "0");
        assert_eq!(made(|out| number(out, u64::MAX)), u64::MAX.to_string());
        assert_eq!(made(|out| millis(out, Duration::from_nanos(12_003_456))), "12.003");
        assert_eq!(made(|out| hash(out, 0xab)), "00000000000000ab");
    }

    proptest! {
        #[test]
        fn json_reads_what_was_written(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let line = made(|out| json(out, &value));
            let read: String = serde_json::from_str(&format!("\"{line}\"")).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&value));
            prop_assert!(!line.chars().any(is_control));
        }

        #[test]
        fn text_can_be_taken_back(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let line = made(|out| text(out, &value));
            prop_assert!(!line.contains('"') && !line.chars().any(is_control));
            let mut back = Vec::new();
            let mut rest = line.as_bytes();
            while let Some((byte, others)) = rest.split_first() {
                rest = others;
                if *byte == b'\\' {
                    let digits = std::str::from_utf8(&rest[1..3]).unwrap();
                    back.push(u8::from_str_radix(digits, 16).unwrap());
                    rest = &rest[3..];
                } else {
                    back.push(*byte);
                }
            }
            prop_assert_eq!(back, value);
        }

        #[test]
        fn moments_are_those_of_the_calendar(millis in 0_u64..=253_402_300_799_999) {
            let line = made(|out| moment(out, millis));
            let read: jiff::Timestamp = line.parse().unwrap();
            prop_assert_eq!(u64::try_from(read.as_millisecond()).unwrap(), millis);
        }
    }
}
