//! Values as text that cannot be taken for anything else: whatever a client sends, a line stays one
//! line, a JSON string stays one string, and a terminal that shows it does nothing.
//!
//! What is not UTF-8 becomes U+FFFD in JSON, and `\xHH` in templates.

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

/// Copies what is plain, which nearly all is, in one go, and hands over anything else in pieces.
#[inline]
fn escape(
    out: &mut Vec<u8>,
    value: &[u8],
    character: fn(&mut Vec<u8>, char),
    invalid: fn(&mut Vec<u8>, &[u8]),
) {
    if is_plain(value) {
        out.extend_from_slice(value);
    } else {
        escape_rare(out, value, character, invalid);
    }
}

/// Whether nothing of a value needs another form. Looks at eight bytes at a time, in which a byte's
/// highest bit says of it that it does.
pub(super) fn is_plain(value: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let is = |word: u64, byte: u64| below(word ^ (ONES * byte), 1);
    let other = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        word | below(word, 0x20) | is(word, b'"'.into()) | is(word, b'\\'.into()) | is(word, 0x7f)
    };
    // The last eight are looked at even if some of them were before.
    let Some(last) = value.last_chunk() else {
        return value.iter().all(|byte| PLAIN[usize::from(*byte)]);
    };
    let words = value.as_chunks().0.iter().map(other);
    words.fold(other(last), |all, other| all | other) & HIGH == 0
}

#[cold]
fn escape_rare(
    out: &mut Vec<u8>,
    value: &[u8],
    character: fn(&mut Vec<u8>, char),
    invalid: fn(&mut Vec<u8>, &[u8]),
) {
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            match u8::try_from(c) {
                Ok(byte) if PLAIN[usize::from(byte)] => out.push(byte),
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
    fn every_byte_counts_wherever_it_is() {
        for length in [1, 7, 8, 9, 16, 17, 31] {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut value = vec![b'~'; length];
                    value[at] = byte;
                    assert_eq!(is_plain(&value), PLAIN[usize::from(byte)], "{byte:#x} at {at}");
                }
            }
        }
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
    }
}
