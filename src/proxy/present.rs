//! Which fields a message has, found in one pass: a look-up of each would hash a name each.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Fields that Rhumb cares about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Present {
    pub(super) hosts: u32,
    pub(super) codings: u32,
    /// Lines of `Content-Length`.
    pub(super) lengths: u32,
    pub(super) cookies: u32,
    /// What `Content-Length` says.
    length: Option<u64>,
    /// A length that is not written as Rhumb would write it.
    odd_form: bool,
    /// A length that is no number, or another than the one before it.
    odd_length: bool,
    /// A transfer coding other than `chunked` alone.
    pub(super) odd_coding: bool,
    pub(super) connection: bool,
    pub(super) te: bool,
    pub(super) rare_hop: bool,
    /// A field about an HTTP/1.1 connection that HTTP/2 does not have (RFC 9113 section 8.2.2),
    /// apart from `Connection` itself and `TE`.
    pub(super) http_1: bool,
    /// A name with `_`.
    pub(super) underscore: bool,
    pub(super) forwarded_for: bool,
    pub(super) forwarded_proto: bool,
    pub(super) forwarded_host: bool,
    pub(super) forwarded: bool,
    pub(super) request_id: bool,
    pub(super) expect: bool,
    pub(super) traceparent: bool,
    pub(super) tracestate: bool,
    /// A word of a request about its region.
    pub(super) word: bool,
    /// What a response says to Rhumb, or Rhumb about its decision.
    pub(super) told: bool,
    name_lengths: u64,
}

impl Present {
    /// Looks at every field once.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for (name, value) in headers {
            let name = name.as_str();
            present.name_lengths |= length_bit(name);
            present.underscore |= has_underscore(name.as_bytes());
            // By length first: most names end there.
            match name.len() {
                2 => present.te |= name == "te",
                4 => present.hosts += u32::from(name == "host"),
                6 => {
                    present.expect |= name == "expect";
                    present.cookies += u32::from(name == "cookie");
                }
                7 => present.hop(name == "upgrade"),
                9 => present.forwarded |= name == "forwarded",
                10 => {
                    present.connection |= name == "connection";
                    present.hop(name == "keep-alive");
                    present.tracestate |= name == "tracestate";
                }
                11 => present.traceparent |= name == "traceparent",
                12 => {
                    present.request_id |= name == "x-request-id";
                    present.told |= name == "rhumb-replay";
                }
                14 if name == "content-length" => present.count_length(value),
                15 => {
                    present.forwarded_for |= name == "x-forwarded-for";
                    present.word |= name == "x-rhumb-explain";
                }
                16 => {
                    present.forwarded_host |= name == "x-forwarded-host";
                    present.hop(name == "proxy-connection");
                    present.told |= name == "x-rhumb-decision";
                }
                17 => {
                    present.forwarded_proto |= name == "x-forwarded-proto";
                    if name == "transfer-encoding" {
                        present.codings += 1;
                        present.odd_coding |= !is_chunked(value);
                        present.hop(true);
                    }
                }
                18 => present.rare_hop |= name == "proxy-authenticate",
                19 => present.rare_hop |= name == "proxy-authorization",
                20 => present.word |= name == "x-rhumb-force-region",
                21 => present.word |= name == "x-rhumb-prefer-region",
                _ => {}
            }
        }
        present
    }

    fn hop(&mut self, found: bool) {
        self.rare_hop |= found;
        self.http_1 |= found;
    }

    fn count_length(&mut self, value: &HeaderValue) {
        let length = digits(value.as_bytes());
        self.odd_length |= length.is_none() || self.lengths > 0 && self.length != length;
        self.odd_form |= self.lengths > 0 || value.len() > 1 && value.as_bytes().starts_with(b"0");
        self.length = length;
        self.lengths += 1;
    }

    /// The length of the body, if it has to be written anew: it was said twice, or with zeros
    /// before it, which some would read as octal.
    pub(super) fn length_to_mend(&self) -> Option<u64> {
        self.length.filter(|_| self.odd_form)
    }

    /// Whether a message's body ends in one place only: one length, even if it is said twice, or
    /// `chunked`, and never both (RFC 9112 section 6.3).
    pub(super) fn has_one_end(&self) -> bool {
        match self.codings {
            0 => !self.odd_length,
            1 => !self.odd_coding && self.lengths == 0,
            _ => false,
        }
    }

    /// False if there is certainly no field of that name: no name is as long.
    pub(super) fn may_have(&self, name: &HeaderName) -> bool {
        self.name_lengths & length_bit(name.as_str()) != 0
    }
}

fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}

/// Eight bytes at a time, because every name is looked through.
fn has_underscore(name: &[u8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let look = |word: [u8; 8]| {
        let difference = u64::from_le_bytes(word) ^ (EACH * u64::from(b'_'));
        difference.wrapping_sub(EACH) & !difference & (EACH << 7)
    };
    let (words, rest) = name.as_chunks();
    let found = words.iter().fold(0, |found, word| found | look(*word));
    match name.last_chunk() {
        Some(last) => found | look(*last) != 0,
        None => rest.contains(&b'_'),
    }
}

/// RFC 9110 section 8.6: digits alone, and so few of them that the number is one.
fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

fn is_chunked(value: &HeaderValue) -> bool {
    value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field that is filed under the wrong length would never be found.
    #[test]
    fn every_field_is_found_by_its_name() {
        type Read = fn(&Present) -> bool;
        let fields: [(&'static str, Read); 25] = [
            ("te", |p| p.te),
            ("host", |p| p.hosts == 1),
            ("expect", |p| p.expect),
            ("cookie", |p| p.cookies == 1),
            ("content-length", |p| p.lengths == 1),
            ("upgrade", |p| p.rare_hop && p.http_1),
            ("forwarded", |p| p.forwarded),
            ("connection", |p| p.connection),
            ("tracestate", |p| p.tracestate),
            ("traceparent", |p| p.traceparent),
            ("keep-alive", |p| p.rare_hop && p.http_1),
            ("x-request-id", |p| p.request_id),
            ("x-forwarded-for", |p| p.forwarded_for),
            ("x-forwarded-host", |p| p.forwarded_host),
            ("x-forwarded-proto", |p| p.forwarded_proto),
            ("proxy-connection", |p| p.rare_hop && p.http_1),
            ("transfer-encoding", |p| p.codings == 1 && p.rare_hop && p.http_1),
            ("proxy-authenticate", |p| p.rare_hop && !p.http_1),
            ("proxy-authorization", |p| p.rare_hop && !p.http_1),
            ("rhumb-replay", |p| p.told),
            ("x-rhumb-decision", |p| p.told),
            ("x-rhumb-explain", |p| p.word),
            ("x-rhumb-force-region", |p| p.word),
            ("x-rhumb-prefer-region", |p| p.word),
            ("cf-ipcountry", |p| p.may_have(&HeaderName::from_static("cf-ipcountry"))),
        ];
        for (name, read) in fields {
            let mut headers = HeaderMap::new();
            assert!(!read(&Present::of(&headers)), "{name}");
            headers.insert(HeaderName::from_static(name), "x".parse().unwrap());
            assert!(read(&Present::of(&headers)), "{name}");
        }
    }

    #[test]
    fn a_body_ends_in_one_place_or_is_refused() {
        for (lengths, codings, expected) in [
            (&[][..], &[][..], true),
            (&["5"], &[], true),
            (&["0"], &[], true),
            (&["18446744073709551615"], &[], true),
            (&["5", "5"], &[], true),
            (&["5", "05"], &[], true),
            (&["5", "6"], &[], false),
            (&["5", "6", "5"], &[], false),
            (&["5", "x"], &[], false),
            (&["5, 5"], &[], false),
            (&["+5"], &[], false),
            (&["-5"], &[], false),
            (&[""], &[], false),
            (&["18446744073709551616"], &[], false),
            (&[], &["chunked"], true),
            (&[], &["Chunked "], true),
            (&[], &["gzip"], false),
            (&[], &["gzip, chunked"], false),
            (&[], &["chunked", "chunked"], false),
            (&["5"], &["chunked"], false),
        ] {
            let lengths = lengths.iter().map(|v| ("content-length", *v));
            let codings = codings.iter().map(|v| ("transfer-encoding", *v));
            let fields = lengths.chain(codings);
            let fields =
                fields.map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)));
            let headers: HeaderMap = fields.clone().collect();
            assert_eq!(Present::of(&headers).has_one_end(), expected, "{headers:?}");
        }
    }

    #[test]
    fn underscores_are_seen_wherever_they_stand() {
        for length in 1..40 {
            let mut name = vec![b'a'; length];
            assert!(!has_underscore(&name));
            for at in 0..length {
                name[at] = b'_';
                assert!(has_underscore(&name), "{length} {at}");
                name[at] = b'-';
            }
            assert!(!has_underscore(&name));
        }
    }
}
