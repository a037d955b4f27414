//! Whose customer sends a request, read where the deployment says.
//!
//! What could be read in two ways names no tenant: an origin might read it in the other. The text is
//! borrowed from the request or counted by reference, never copied. What follows from a tenant is
//! not known here.

use std::net::IpAddr;
use std::ops::Range;
use std::rc::Rc;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use super::cookies;
use super::identify::Asked;
use crate::config::{JwtSource, TenantSource};
use crate::model::limits::TENANT_LENGTH;

/// Where the tenant of a request stands.
#[derive(Clone, Debug, Default)]
pub(super) enum Tenant {
    /// It is not known.
    #[default]
    Unknown,
    /// In the host.
    InHost(Range<usize>),
    /// In the path.
    InPath(Range<usize>),
    /// In a header, which is kept: it may not be among those that are sent on.
    InValue(HeaderValue, Range<usize>),
    /// In a token that was verified, or in words that were given.
    Given(Rc<str>),
}

impl Tenant {
    /// Reads it; `verify` tells what a JSON Web Token says if it can be believed.
    pub(super) fn read(
        source: &TenantSource,
        asked: &Asked<'_>,
        verify: impl FnOnce(&[u8], &JwtSource) -> Option<Rc<str>>,
    ) -> Self {
        let found = match source {
            TenantSource::Header(name) => in_header(asked.headers, name),
            TenantSource::HostLabel(index) => host_label(asked.host, *index).map(Self::InHost),
            TenantSource::PathSegment(index) => path_segment(asked.path, *index).map(Self::InPath),
            TenantSource::Cookie(name) => in_cookie(asked.headers, name),
            TenantSource::Jwt(source) => bearer(asked.headers, &source.header)
                .and_then(|token| verify(token, source))
                .map(Self::Given),
        };
        found.unwrap_or_default()
    }

    /// Its text, in the same host and path as when it was read.
    pub(super) fn text<'a>(&'a self, host: &'a str, path: &'a str) -> Option<&'a str> {
        match self {
            Self::Unknown => None,
            Self::InHost(range) => host.get(range.clone()),
            Self::InPath(range) => path.get(range.clone()),
            Self::InValue(value, range) => {
                std::str::from_utf8(value.as_bytes().get(range.clone())?).ok()
            }
            Self::Given(text) => Some(text),
        }
    }
}

/// Whether the text may name a tenant.
fn is_name(text: &[u8]) -> bool {
    let fits = (1..=TENANT_LENGTH).contains(&text.len());
    fits && std::str::from_utf8(text).is_ok_and(|text| !text.chars().any(char::is_control))
}

/// The one line of a header.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

fn in_header(headers: &HeaderMap, name: &HeaderName) -> Option<Tenant> {
    let value = only(headers, name)?;
    // A list may have been put together from several lines on the way.
    let text = value.as_bytes().trim_ascii();
    let start = value.len() - value.as_bytes().trim_ascii_start().len();
    let is_one = is_name(text) && !text.contains(&b',');
    is_one.then(|| Tenant::InValue(value.clone(), start..start + text.len()))
}

fn in_cookie(headers: &HeaderMap, name: &str) -> Option<Tenant> {
    let mut cookies = cookies::find(headers, name);
    let (line, at, value) = cookies.next()?;
    // Of two with different values one would be the origin's choice.
    let is_one = is_name(value) && cookies.all(|(_, _, other)| other == value);
    is_one.then(|| Tenant::InValue(line.clone(), at..at + value.len()))
}

fn host_label(host: &str, index: usize) -> Option<Range<usize>> {
    if host.starts_with('[') || host.parse::<IpAddr>().is_ok() {
        return None;
    }
    piece(host, host.split('.').nth(index)?)
}

fn path_segment(path: &str, index: usize) -> Option<Range<usize>> {
    let segment = path.strip_prefix('/')?.split('/').nth(index)?;
    // An origin decodes what is escaped, and resolves dots; here both stay unread.
    let is_plain = !segment.contains('%') && segment != "." && segment != "..";
    piece(path, segment).filter(|_| is_plain)
}

/// Where `part`, which is a part of `whole`, is in it.
fn piece(whole: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    is_name(part.as_bytes()).then_some(start..start + part.len())
}

/// The token in a header, with or without `Bearer` (RFC 6750 section 2.1).
fn bearer<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let value = only(headers, name)?.as_bytes().trim_ascii();
    let token = match value.split_at_checked(b"bearer ".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => value,
    };
    // Another scheme, and its credentials, are no token and no forged one either.
    let is_token = !token.eq_ignore_ascii_case(b"bearer") && !token.contains(&b' ');
    (is_token && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    struct Sent {
        host: &'static str,
        path: String,
        headers: HeaderMap,
    }

    impl Sent {
        fn new(fields: &[(&'static str, &[u8])]) -> Self {
            let value = |value: &[u8]| HeaderValue::from_bytes(value).unwrap();
            let fields = fields.iter().map(|(n, v)| (HeaderName::from_static(n), value(v)));
            Self { host: "", path: "/".to_owned(), headers: fields.collect() }
        }

        fn read(&self, source: &TenantSource) -> Option<String> {
            let asked = Asked {
                method: &Method::GET,
                host: self.host,
                path: &self.path,
                query: "",
                headers: &self.headers,
            };
            let tenant = Tenant::read(source, &asked, |token, _| {
                Some(std::str::from_utf8(token).unwrap().into())
            });
            tenant.text(self.host, &self.path).map(str::to_owned)
        }
    }

    #[test]
    fn a_header_names_one_tenant_or_none() {
        let source = TenantSource::Header(HeaderName::from_static("x-tenant"));
        let long = [b'x'; TENANT_LENGTH + 1];
        for (lines, expected) in [
            (&[&b"acme"[..]][..], Some("acme")),
            (&[b"  acme "], Some("acme")),
            (&["grün".as_bytes()], Some("grün")),
            (&[&long[1..]], std::str::from_utf8(&long[1..]).ok()),
            (&[], None),
            (&[b""], None),
            (&[b" "], None),
            (&[b"acme", b"acme"], None),
            (&[b"acme, globex"], None),
            (&[b"a\tb"], None),
            (&[b"\xff\xfe"], None),
            (&[&long], None),
        ] {
            let fields: Vec<_> = lines.iter().map(|line| ("x-tenant", *line)).collect();
            assert_eq!(Sent::new(&fields).read(&source).as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_cookie_names_one_tenant_or_none() {
        let source = TenantSource::Cookie("t".into());
        for (lines, expected) in [
            (&[&b"a=1; t=acme; b=2"[..]][..], Some("acme")),
            (&[b"t=acme", b"t=acme"], Some("acme")),
            (&[b"t=acme; t=globex"], None),
            (&[b"t=acme", b"t=globex"], None),
            (&[b"tt=acme"], None),
            (&[b"t="], None),
            (&[b"t"], None),
        ] {
            let fields: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
            assert_eq!(Sent::new(&fields).read(&source).as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_label_of_a_host_but_not_of_an_address() {
        for (host, index, expected) in [
            ("acme.api.example", 0, Some("acme")),
            ("acme.api.example", 2, Some("example")),
            ("acme.api.example", 3, None),
            ("acme..example", 1, None),
            ("", 0, None),
            ("192.0.2.1", 0, None),
            ("[2001:db8::1]", 0, None),
        ] {
            let sent = Sent { host, ..Sent::new(&[]) };
            let found = sent.read(&TenantSource::HostLabel(index));
            assert_eq!(found.as_deref(), expected, "{host} {index}");
        }
    }

    #[test]
    fn a_segment_of_a_path_as_it_is_written() {
        let long = format!("/{}", "x".repeat(TENANT_LENGTH + 1));
        for (path, index, expected) in [
            ("/acme/users", 0, Some("acme")),
            ("/acme/users", 1, Some("users")),
            ("/acme/users", 2, None),
            ("/acme/", 1, None),
            ("//acme", 0, None),
            ("//acme", 1, Some("acme")),
            ("/%61cme", 0, None),
            ("/./acme", 0, None),
            ("/../acme", 0, None),
            ("*", 0, None),
            ("/", 0, None),
            (&long, 0, None),
        ] {
            let sent = Sent { path: path.to_owned(), ..Sent::new(&[]) };
            let found = sent.read(&TenantSource::PathSegment(index));
            assert_eq!(found.as_deref(), expected, "{path} {index}");
        }
    }

    #[test]
    fn a_token_with_or_without_bearer() {
        let source = TenantSource::Jwt(JwtSource {
            header: http::header::AUTHORIZATION,
            claim: "tenant".into(),
            jwks: "jwks.json".into(),
            issuer: None,
            audience: None,
        });
        for (lines, expected) in [
            (&[&b"Bearer a.b.c"[..]][..], Some("a.b.c")),
            (&[b"bearer   a.b.c "], Some("a.b.c")),
            (&[b"a.b.c"], Some("a.b.c")),
            (&[b"Basic dTpw"], None),
            (&[b"Bearer "], None),
            (&[b"Bearer a.b.c", b"Bearer a.b.c"], None),
            (&[], None),
        ] {
            let fields: Vec<_> = lines.iter().map(|line| ("authorization", *line)).collect();
            assert_eq!(Sent::new(&fields).read(&source).as_deref(), expected, "{lines:?}");
        }
    }
}
