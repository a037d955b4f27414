//! What origins are told of a client's verified certificate, in the form of Envoy's
//! `X-Forwarded-Client-Cert`.
//!
//! `Hash=<SHA-256>;Subject="<RFC 4514>";URI=<uri>;DNS=<name>`, the last two as often as there are such
//! names. Whoever asks for a certificate chooses much of what is in it, and may not gain a field, or a
//! second element of the list, by that: a quote, a control character or a character beyond ASCII never
//! gets into the value, a backslash only before two hexadecimal digits, and `,`, `;` and `=` of a name
//! only in quotes. Not here: whether the certificate is verified, and whose header that is.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderValue;
use rustls_pki_types::DnsName;
use x509_parser::extensions::GeneralName;

use super::{certificate, distinguished_name};
use crate::model::limits;

/// What a URI may consist of beside letters and digits (RFC 3986 section 2). A quote, a backslash and a
/// blank are not among it.
const URI_MARKS: &[u8] = b"-._~:/?#[]@!$&'()*+,;=%";
/// What a reader could take for the end of a value.
const SEPARATORS: &[u8] = b",;=";

/// The value that tells origins of the certificate `der`, which has been verified. `None` where it is no
/// certificate.
///
/// It has at most [`limits::CLIENT_CERTIFICATE_BYTES`]. A subject or a name that would make it longer is
/// left out as a whole: what is there is always true, and the hash is always there. Names that are none
/// (a URI with a quote, a host with a space) are left out, too.
pub fn client_certificate_value(der: &[u8]) -> Option<HeaderValue> {
    let certificate = certificate::parse(der).ok()?;
    let mut value = Value(String::with_capacity(256));
    value.hash(der);
    let subject = distinguished_name::text(certificate.subject());
    if !subject.is_empty() {
        value.field("Subject", &subject, true);
    }
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|found| &found.value.general_names);
    for name in names.clone() {
        if let GeneralName::URI(uri) = name
            && is_uri(uri)
        {
            value.field("URI", uri, uri.bytes().any(|byte| SEPARATORS.contains(&byte)));
        }
    }
    for name in names {
        if let GeneralName::DNSName(name) = name
            && DnsName::try_from(name.strip_prefix("*.").unwrap_or(name)).is_ok()
        {
            value.field("DNS", name, false);
        }
    }
    HeaderValue::try_from(value.0).ok()
}

fn is_uri(text: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || URI_MARKS.contains(&byte);
    !text.is_empty() && text.bytes().all(part)
}

/// A value under way.
struct Value(String);

impl Value {
    fn hash(&mut self, der: &[u8]) {
        self.0.push_str("Hash=");
        for byte in digest(&SHA256, der).as_ref() {
            // Writing to a string cannot fail.
            let _ = write!(self.0, "{byte:02x}");
        }
    }

    /// Adds a field, unless there is no room for the whole of it.
    fn field(&mut self, name: &str, value: &str, quoted: bool) {
        let (before, quote) = (self.0.len(), if quoted { "\"" } else { "" });
        let _ = write!(self.0, ";{name}={quote}{value}{quote}");
        if self.0.len() > limits::CLIENT_CERTIFICATE_BYTES {
            self.0.truncate(before);
        }
    }
}
