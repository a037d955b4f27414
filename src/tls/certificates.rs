//! Which of a listener's certificates a client is shown, and which hosts that one is for.
//!
//! The name that the client asks for (SNI, RFC 6066) picks those that have exactly that name, else
//! those with a wildcard in place of its first label, else the first of all. Of several, the first one
//! whose signatures the client can verify: an ECDSA and an RSA certificate may have the same names.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use foldhash::quality::RandomState;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::{self, CertificateInfo};

/// The certificates of one listener; at least one.
#[derive(Debug)]
pub struct Certificates {
    entries: Box<[Entry]>,
    /// By names without a wildcard.
    exact: Places<Box<str>>,
    /// By what is behind `*.`.
    wildcard: Places<Box<str>>,
    addresses: Places<IpAddr>,
    /// The first, and those with the same names.
    fallback: Vec<usize>,
}

type Places<K> = HashMap<K, Vec<usize>, RandomState>;

/// One certificate, ready to be shown.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Arc<CertifiedKey>,
    /// The same with an OCSP response, and until when that one is sent, in Unix seconds.
    pub(super) stapled: Option<(Arc<CertifiedKey>, i64)>,
    pub(super) info: CertificateInfo,
}

impl Certificates {
    /// With these, the default first.
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let (mut exact, mut wildcard) = (Places::default(), Places::default());
        let mut addresses = Places::default();
        for (place, entry) in entries.iter().enumerate() {
            for name in entry.info.names.iter() {
                let (places, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcard, parent),
                    None => (&mut exact, name.as_str()),
                };
                let places = places.entry(name.into()).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
            for address in &entry.info.addresses {
                addresses.entry(*address).or_insert_with(Vec::new).push(place);
            }
        }
        let names = entries.first().map(|entry| Arc::clone(&entry.info.names));
        let alike = |entry: &Entry| names.as_ref().is_some_and(|names| entry.info.names == *names);
        let fallback = (0..entries.len())
            .filter(|place| *place == 0 || entries.get(*place).is_some_and(alike))
            .collect();
        Self { entries: entries.into(), exact, wildcard, addresses, fallback }
    }

    /// What they say of themselves, the default first.
    pub fn infos(&self) -> impl Iterator<Item = &CertificateInfo> {
        self.entries.iter().map(|entry| &entry.info)
    }

    /// Whether a request for `host` came on a connection for something else (RFC 9110 section 15.5.20):
    /// the client asked for the certificate of `sni`, that one is not for `host`, and another one is.
    /// Neither has a port; an IPv6 address is in brackets.
    pub fn misdirected(&self, sni: Option<&str>, host: &str) -> bool {
        let Some(sni) = sni else { return false };
        if self.entries.len() < 2 || sni.eq_ignore_ascii_case(host) {
            return false;
        }
        let (sni, host) = (normal(sni), normal(host));
        if sni == host {
            return false;
        }
        let shown = self.places(Some(&sni));
        let mut able = self.able(&host).peekable();
        able.peek().is_some() && !able.any(|place| shown.contains(&place))
    }

    /// The certificates that are for a host in lower case.
    fn able(&self, host: &str) -> impl Iterator<Item = usize> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let places = match bare.parse::<IpAddr>() {
            Ok(address) => [self.addresses.get(&address), None],
            Err(_) => {
                [self.exact.get(host), parent(host).and_then(|parent| self.wildcard.get(parent))]
            }
        };
        places.into_iter().flatten().flatten().copied()
    }

    /// The certificates for a name in lower case; never none.
    fn places(&self, name: Option<&str>) -> &[usize] {
        let found = name.and_then(|name| {
            let wildcard = || self.wildcard.get(parent(name)?);
            self.exact.get(name).or_else(wildcard)
        });
        found.unwrap_or(&self.fallback)
    }

    /// The one for a client that asks for `name` and can verify what `suits`.
    fn choose(&self, name: Option<&str>, suits: impl Fn(&CertifiedKey) -> bool) -> Option<&Entry> {
        let name = name.map(normal);
        let places = self.places(name.as_deref());
        let mut entries = places.iter().filter_map(|place| self.entries.get(*place));
        let first = entries.clone().next();
        entries.find(|entry| suits(&entry.key)).or(first)
    }
}

impl Entry {
    fn at(&self, now: impl FnOnce() -> SystemTime) -> &Arc<CertifiedKey> {
        match &self.stapled {
            Some((stapled, until)) if certificate::unix(now()) < *until => stapled,
            _ => &self.key,
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let suits = |key: &CertifiedKey| key.key.choose_scheme(schemes).is_some();
        let entry = self.choose(hello.server_name(), suits)?;
        Some(Arc::clone(entry.at(SystemTime::now)))
    }
}

/// A name in lower case, without a dot at its end.
fn normal(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(name.to_ascii_lowercase());
    }
    Cow::Borrowed(name)
}

/// A name without its first label.
fn parent(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, parent)| parent)
}

#[cfg(test)]
#[path = "tests/certificates.rs"]
mod tests;
