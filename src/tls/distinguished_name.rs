//! Names of subjects and issuers as text (RFC 4514), in printable ASCII whatever a certificate says.
//!
//! The text has no quote, and a backslash in it is always followed by two hexadecimal digits: whoever
//! puts it in quotes needs to escape nothing more.

use std::fmt::Write as _;

use x509_parser::asn1_rs::{Any, Tag, ToDer};
use x509_parser::x509::{AttributeTypeAndValue, RelativeDistinguishedName, X509Name};

/// The short names of RFC 4514 section 3.
const SHORT_NAMES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// The name, its last part first, as RFC 4514 section 2.1 has it.
pub(super) fn text(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<&RelativeDistinguishedName<'_>> = name.iter_rdn().collect();
    for (place, part) in parts.into_iter().rev().enumerate() {
        if place > 0 {
            text.push(',');
        }
        for (place, attribute) in part.iter().enumerate() {
            if place > 0 {
                text.push('+');
            }
            push_attribute(&mut text, attribute);
        }
    }
    text
}

/// RFC 4514 sections 2.3 and 2.4: an attribute without a short name is told by its number, and its
/// value in the encoding that it has.
fn push_attribute(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let number = attribute.attr_type().to_id_string();
    let short = SHORT_NAMES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name);
    text.push_str(short.unwrap_or(&number));
    text.push('=');
    match (short, characters(attribute.attr_value())) {
        (Some(_), Some(value)) => push_escaped(text, &value),
        _ => push_encoding(text, attribute.attr_value()),
    }
}

/// The characters of a value of one of the kinds of string that say which characters they have.
fn characters(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString => {
            std::str::from_utf8(value.data).ok().map(str::to_owned)
        }
        Tag::BmpString => {
            let (units, rest) = value.data.as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

/// All that could mean something to whoever reads the text goes as hexadecimal digits, also where the
/// RFC would allow the character behind a backslash: readers differ in what they make of those.
fn push_escaped(text: &mut String, value: &str) {
    let last = value.len().saturating_sub(1);
    for (place, byte) in value.bytes().enumerate() {
        let plain = match byte {
            b'"' | b'\\' | b',' | b';' | b'+' | b'<' | b'>' | b'=' => false,
            b' ' => place > 0 && place < last,
            b'#' => place > 0,
            _ => byte.is_ascii_graphic(),
        };
        if plain {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\{byte:02X}");
        }
    }
}

fn push_encoding(text: &mut String, value: &Any<'_>) {
    text.push('#');
    for byte in value.to_der_vec().unwrap_or_default() {
        let _ = write!(text, "{byte:02x}");
    }
}
