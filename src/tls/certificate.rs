//! What a certificate says of itself: whose it is, and for how long.
//!
//! Whether it is to be believed is for handshakes to find out.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::DnsName;
use serde::{Serialize, Serializer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::distinguished_name;
use crate::model::limits;

const DAY_SECONDS: i64 = 86_400;

/// A certificate that Rhumb shows, to clients or to endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateInfo {
    /// The listener that shows it, as configured; `None`: it is shown to endpoints.
    pub listener: Option<SocketAddr>,
    /// Where it was read.
    pub file: PathBuf,
    /// Hosts that it is for, in lower case; some begin with `*.`.
    pub names: Arc<[String]>,
    /// Addresses that it is for.
    pub addresses: Vec<IpAddr>,
    /// Its subject (RFC 4514).
    pub subject: String,
    /// Who has signed it (RFC 4514).
    pub issuer: String,
    /// Valid from then, in Unix seconds.
    #[serde(serialize_with = "as_date")]
    pub not_before: i64,
    /// Valid until then, in Unix seconds.
    #[serde(serialize_with = "as_date")]
    pub not_after: i64,
}

/// A certificate with what depends on the time, as JSON shows it; times are RFC 3339.
#[derive(Debug, Serialize)]
pub struct CertificateReport<'a> {
    #[serde(flatten)]
    info: &'a CertificateInfo,
    state: Validity,
    days_left: i64,
}

/// What a certificate's time means now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// Its time has not come.
    NotYet,
    /// It is valid, and will be for a while.
    Valid,
    /// It is valid, but not for long.
    EndsSoon,
    /// Its time is over.
    Expired,
}

impl CertificateInfo {
    /// What it says; `None` where it is no certificate.
    pub(super) fn read(
        der: &[u8],
        file: &Path,
        listener: Option<SocketAddr>,
    ) -> Result<Self, String> {
        let certificate = parse(der)?;
        let (names, addresses) = names(&certificate)?;
        let validity = certificate.validity();
        Ok(Self {
            listener,
            file: file.to_owned(),
            names: names.into(),
            addresses,
            subject: distinguished_name::text(certificate.subject()),
            issuer: distinguished_name::text(certificate.issuer()),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
        })
    }

    /// One name for it: its first, or its subject, or its file's.
    pub fn name(&self) -> String {
        let address = || self.addresses.first().map(ToString::to_string);
        let subject = || Some(self.subject.clone()).filter(|subject| !subject.is_empty());
        let first = self.names.first().cloned().or_else(address).or_else(subject);
        first.unwrap_or_else(|| self.file.display().to_string())
    }

    /// What its time means at `now`.
    pub fn validity(&self, now: SystemTime) -> Validity {
        let now = unix(now);
        let soon = i64::try_from(limits::CERTIFICATE_NOTICE.as_secs()).unwrap_or(i64::MAX);
        if now > self.not_after {
            Validity::Expired
        } else if now < self.not_before {
            Validity::NotYet
        } else if self.not_after.saturating_sub(now) < soon {
            Validity::EndsSoon
        } else {
            Validity::Valid
        }
    }

    /// It as JSON shows it.
    pub fn report(&self, now: SystemTime) -> CertificateReport<'_> {
        CertificateReport { info: self, state: self.validity(now), days_left: self.days_left(now) }
    }

    /// Whole days until it ends; negative once it has.
    pub fn days_left(&self, now: SystemTime) -> i64 {
        self.not_after.saturating_sub(unix(now)).div_euclid(DAY_SECONDS)
    }
}

pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("there are bytes behind its end".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Hosts and addresses among the alternative names. What is neither is for others than servers, and
/// what is no name that a client could ask for is passed over.
fn names(certificate: &X509Certificate<'_>) -> Result<(Vec<String>, Vec<IpAddr>), String> {
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    let alternatives = certificate.subject_alternative_name().map_err(|error| error.to_string())?;
    let alternatives = alternatives.iter().flat_map(|found| &found.value.general_names);
    for name in alternatives {
        match name {
            GeneralName::DNSName(name) => names.extend(host(name)),
            GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
            _ => {}
        }
    }
    Ok((names, addresses))
}

/// A host as it is looked up: in lower case, without a dot at its end.
fn host(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let plain = name.strip_prefix("*.").unwrap_or(&name);
    DnsName::try_from(plain).is_ok().then_some(name)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4().or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

/// Unix seconds; before 1970 all times are alike.
pub(super) fn unix(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn as_date<S: Serializer>(seconds: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    match jiff::Timestamp::from_second(*seconds) {
        Ok(time) => serializer.collect_str(&time),
        // Beyond the year 9999: the number says as much.
        Err(_) => serializer.serialize_i64(*seconds),
    }
}
