//! Whose signatures are believed: a file's, or the system's.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;

use super::error::TlsError;
use super::identity::certificates;
use super::source::{Fingerprint, Sources, fingerprint};

/// Reasons of the system that a message repeats.
const REASONS: usize = 3;

/// Trusted roots; at least one.
#[derive(Clone, Debug)]
pub(super) struct Roots {
    pub(super) store: Arc<RootCertStore>,
    pub(super) fingerprint: Fingerprint,
}

impl Roots {
    fn new(store: RootCertStore, certificates: &[CertificateDer<'_>]) -> Self {
        let fingerprint = fingerprint(certificates.iter().map(AsRef::as_ref));
        Self { store: Arc::new(store), fingerprint }
    }
}

/// Those of a file. Each one has to be good: a root that is passed over would be missed much later.
pub(super) fn of_file(sources: &mut Sources, path: &Path) -> Result<Roots, TlsError> {
    let found = certificates(&sources.read(path)?, path)?;
    let mut store = RootCertStore::empty();
    for (place, certificate) in found.iter().enumerate() {
        store.add(certificate.clone()).map_err(|error| TlsError::BadCertificate {
            path: path.to_owned(),
            number: place + 1,
            reason: error.to_string(),
        })?;
    }
    Ok(Roots::new(store, &found))
}

/// Those of the system. It has many, and the odd one that nobody can read is passed over.
pub(super) fn of_system() -> Result<Roots, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    let (_, ignored) = store.add_parsable_certificates(found.certs.iter().cloned());
    if store.is_empty() {
        let reasons: Vec<_> = found.errors.iter().take(REASONS).map(ToString::to_string).collect();
        let reasons =
            if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) };
        return Err(TlsError::NoSystemRoots { reasons });
    }
    if ignored > 0 || !found.errors.is_empty() {
        tracing::debug!(ignored, errors = ?found.errors, "some roots of the system are not used");
    }
    Ok(Roots::new(store, &found.certs))
}
