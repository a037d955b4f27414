//! A certificate chain and its private key: what Rhumb shows of itself, to clients and to endpoints.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate::{self, CertificateInfo};
use super::error::TlsError;
use super::source::{Source, Sources};
use super::warning::TlsWarning;
use crate::model::limits;

/// How a private key says that it is encrypted: PKCS #8, and what OpenSSL wrote before.
const ENCRYPTED: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
/// How a value in DER begins where a certificate or a key could be: a sequence with a long length.
const DER_SEQUENCE: [u8; 1] = [0x30];

/// A chain with its key.
pub(super) struct Identity {
    pub(super) key: CertifiedKey,
    pub(super) info: CertificateInfo,
    /// Of its first certificate.
    pub(super) serial: Vec<u8>,
}

/// What an identity is read with.
pub(super) struct Reading<'a> {
    pub(super) sources: &'a mut Sources,
    pub(super) provider: &'a CryptoProvider,
    pub(super) warnings: &'a mut Vec<TlsWarning>,
}

impl Identity {
    /// Reads chain and key, and finds out whether they belong together.
    pub(super) fn read(
        reading: &mut Reading<'_>,
        chain_file: &Path,
        key_file: &Path,
        listener: Option<SocketAddr>,
    ) -> Result<Self, TlsError> {
        let chain = chain(&reading.sources.read(chain_file)?, chain_file)?;
        let bad = |number, reason| TlsError::BadCertificate {
            path: chain_file.to_owned(),
            number,
            reason,
        };
        let leaf = chain.first().map(AsRef::as_ref).unwrap_or_default();
        let info =
            CertificateInfo::read(leaf, chain_file, listener).map_err(|reason| bad(1, reason))?;
        let parsed = certificate::parse(leaf).map_err(|reason| bad(1, reason))?;
        let serial = parsed.raw_serial().to_vec();
        let source = reading.sources.read(key_file)?;
        if source.public {
            reading.warnings.push(TlsWarning::public_key_file(key_file));
        }
        let key = private_key(&source, key_file, reading.provider)?;
        belong_together(&chain, chain_file, key.as_ref(), key_file)?;
        if let Some(number) = first_stranger(&chain) {
            reading.warnings.push(TlsWarning::chain_order(chain_file, number));
        }
        if listener.is_some() && info.names.is_empty() && info.addresses.is_empty() {
            reading.warnings.push(TlsWarning::no_names(chain_file));
        }
        Ok(Self { key: CertifiedKey::new(chain, key), info, serial })
    }
}

/// The certificates of a file, at least one.
pub(super) fn certificates(
    source: &Source,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    if source.bytes.starts_with(&DER_SEQUENCE) {
        return Err(TlsError::Der { path: path.to_owned(), command: "x509" });
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&source.bytes).collect();
    let found = found.map_err(|source| TlsError::Pem { path: path.to_owned(), source })?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(found)
}

fn chain(source: &Source, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = certificates(source, path)?;
    let limit = limits::CHAIN_CERTIFICATES;
    if found.len() > limit {
        return Err(TlsError::LongChain { path: path.to_owned(), limit });
    }
    Ok(found)
}

fn private_key(
    source: &Source,
    path: &Path,
    provider: &CryptoProvider,
) -> Result<Arc<dyn SigningKey>, TlsError> {
    if source.bytes.starts_with(&DER_SEQUENCE) {
        return Err(TlsError::Der { path: path.to_owned(), command: "pkey" });
    }
    if ENCRYPTED.iter().any(|mark| memchr::memmem::find(&source.bytes, mark).is_some()) {
        return Err(TlsError::EncryptedKey { path: path.to_owned() });
    }
    let found = PrivateKeyDer::pem_slice_iter(&source.bytes).next();
    let key = found
        .ok_or_else(|| TlsError::NoKey { path: path.to_owned() })?
        .map_err(|source| TlsError::Pem { path: path.to_owned(), source })?;
    let unusable = |source| TlsError::UnusableKey { path: path.to_owned(), source };
    provider.key_provider.load_private_key(key).map_err(unusable)
}

/// Whether the first certificate of the chain is of the key.
fn belong_together(
    chain: &[CertificateDer<'_>],
    chain_file: &Path,
    key: &dyn SigningKey,
    key_file: &Path,
) -> Result<(), TlsError> {
    // All keys of the provider say what their public half is.
    let Some(public) = key.public_key() else { return Ok(()) };
    let is_of_key = |der: &CertificateDer<'_>| {
        certificate::parse(der).is_ok_and(|found| found.public_key().raw == public.as_ref())
    };
    let (certificate, key) = (chain_file.to_owned(), key_file.to_owned());
    match chain.iter().position(is_of_key) {
        Some(0) => Ok(()),
        Some(place) => Err(TlsError::LeafNotFirst { certificate, key, number: place + 1 }),
        None => Err(TlsError::KeyMismatch { certificate, key }),
    }
}

/// The first certificate, from 1, that the one behind it has not issued.
fn first_stranger(chain: &[CertificateDer<'_>]) -> Option<usize> {
    let issued = |pair: &[CertificateDer<'_>]| {
        let [subject, issuer] = pair else { return true };
        let (Ok(subject), Ok(issuer)) = (certificate::parse(subject), certificate::parse(issuer))
        else {
            return false;
        };
        subject.issuer().as_raw() == issuer.subject().as_raw()
    };
    chain.windows(2).position(|pair| !issued(pair)).map(|place| place + 1)
}
