//! Handshakes with clients: what a listener's settings and files make of them.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{NoKeyLog, ServerConfig};

use super::certificates::{Certificates, Entry};
use super::error::TlsError;
use super::identity::{Identity, Reading};
use super::ocsp::{self, Status};
use super::provider;
use super::roots;
use super::source::{Fingerprint, Sources, fingerprint};
use super::warning::TlsWarning;
use crate::config::{
    Alpn, CertificateFiles, ClientCertificates, Listener, ListenerTls, TlsVersion,
};
use crate::model::limits;

/// What handshakes of one listener need.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) config: Arc<ServerConfig>,
    pub(super) certificates: Arc<Certificates>,
    /// OCSP responses that are no good any more are found by their time.
    pub(super) staples: Vec<(std::path::PathBuf, i64)>,
    /// Of everything that it was made from.
    pub(super) made_from: Fingerprint,
    /// Of what decides which clients are let in: a session counts only where it is the same.
    lets_in: Fingerprint,
}

impl Server {
    /// Reads the files of a listener. `before` is the one that is in use in its place.
    ///
    /// Everything unchanged: the very same value. Clients let in by the same rules: session tickets
    /// that were given out stay good. Otherwise all of them are void, because a session that is
    /// resumed is not verified anew.
    pub(super) fn read(
        reading: &mut Reading<'_>,
        listener: &Listener,
        settings: &ListenerTls,
        provider: &Arc<CryptoProvider>,
        before: Option<&Self>,
    ) -> Result<Self, TlsError> {
        let (mut entries, mut staples) = (Vec::new(), Vec::new());
        for files in &settings.certificates {
            entries.push(entry(reading, files, listener, &mut staples)?);
        }
        let lets_in = lets_in(reading.sources, settings.client.as_ref())?;
        let made_from = made_from(reading.sources, listener, settings, lets_in)?;
        if let Some(before) = before.filter(|before| before.made_from == made_from) {
            return Ok(before.clone());
        }
        let verifier = verifier(reading.sources, settings.client.as_ref(), provider)?;
        let certificates = Arc::new(Certificates::new(entries));
        let setup = |source| TlsError::Setup { what: listener.address.to_string(), source };
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&provider::versions(settings.min_version))
            .map_err(setup)?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&certificates) as _);
        let same_clients = before.filter(|before| before.lets_in == lets_in);
        config.ticketer = match same_clients {
            Some(before) => Arc::clone(&before.config.ticketer),
            None => ticketer().map_err(setup)?,
        };
        config.alpn_protocols = alpn(&settings.alpn, listener.http2);
        restrict(&mut config);
        let config = Arc::new(config);
        Ok(Self { config, certificates, staples, made_from, lets_in })
    }
}

/// Keys for tickets are made anew every 6 hours, and forgotten after 12. All workers share them, and
/// their lock for reading, once a handshake.
fn ticketer() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    Ticketer::new()
}

/// What the defaults of the library would decide, decided here.
fn restrict(config: &mut ServerConfig) {
    // The order of `provider`: scanners take a server without one for misconfigured.
    config.ignore_client_order = true;
    // Tickets are enough. What is kept here, clients could fill, and workers would lock it.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = limits::SESSION_TICKETS;
    config.max_tls13_tickets = limits::SESSION_TICKETS;
    // Early data can be sent again by whoever recorded it (RFC 8446 section 8).
    config.max_early_data_size = 0;
    // Nothing goes out before the client has shown that it is one.
    config.send_half_rtt_data = false;
    // Records as large as they may be: fewer of them, and fewer system calls.
    config.max_fragment_size = None;
    // Whatever SSLKEYLOGFILE says: secrets stay here.
    config.key_log = Arc::new(NoKeyLog {});
    config.enable_secret_extraction = false;
}

/// The protocols that are offered, in order of preference.
pub(super) fn alpn(protocols: &[Alpn], http2: bool) -> Vec<Vec<u8>> {
    let spoken = protocols.iter().filter(|protocol| http2 || **protocol != Alpn::H2);
    spoken.map(|protocol| protocol.as_str().as_bytes().to_vec()).collect()
}

fn entry(
    reading: &mut Reading<'_>,
    files: &CertificateFiles,
    listener: &Listener,
    staples: &mut Vec<(std::path::PathBuf, i64)>,
) -> Result<Entry, TlsError> {
    let CertificateFiles { certificate, key, ocsp } = files;
    let Identity { key, info, serial } =
        Identity::read(reading, certificate, key, Some(listener.address))?;
    let stapled = match ocsp {
        Some(path) => Some(stapled(reading, path, certificate, &key, &serial)?),
        None => None,
    };
    if let (Some(path), Some((_, until))) = (ocsp, &stapled) {
        staples.push((path.clone(), *until));
    }
    Ok(Entry { key: Arc::new(key), stapled, info })
}

/// The certificate with its staple, and until when that one is sent.
fn stapled(
    reading: &mut Reading<'_>,
    path: &Path,
    certificate: &Path,
    key: &CertifiedKey,
    serial: &[u8],
) -> Result<(Arc<CertifiedKey>, i64), TlsError> {
    let source = reading.sources.read(path)?;
    let staple = ocsp::read(&source.bytes, serial).map_err(|source| TlsError::Staple {
        path: path.to_owned(),
        certificate: certificate.to_owned(),
        source,
    })?;
    match staple.status {
        Status::Good => {}
        Status::Revoked => reading.warnings.push(TlsWarning::revoked(path)),
        Status::Unknown => reading.warnings.push(TlsWarning::not_known(path)),
    }
    let mut key = key.clone();
    key.ocsp = Some(source.bytes.to_vec());
    Ok((Arc::new(key), staple.next_update.unwrap_or(i64::MAX)))
}

fn verifier(
    sources: &mut Sources,
    client: Option<&ClientCertificates>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let Some(ClientCertificates { ca, required }) = client else { return Ok(None) };
    let roots = roots::of_file(sources, ca)?.store;
    let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    let builder = if *required { builder } else { builder.allow_unauthenticated() };
    let verifier = builder.build().map_err(|error| TlsError::Setup {
        what: format!("client certificates by {}", ca.display()),
        source: rustls::Error::General(error.to_string()),
    })?;
    Ok(Some(verifier))
}

fn lets_in(
    sources: &mut Sources,
    client: Option<&ClientCertificates>,
) -> Result<Fingerprint, TlsError> {
    let Some(ClientCertificates { ca, required }) = client else {
        return Ok(fingerprint([]));
    };
    let ca = sources.read(ca)?;
    Ok(fingerprint([&[u8::from(*required)][..], &ca.bytes]))
}

fn made_from(
    sources: &mut Sources,
    listener: &Listener,
    settings: &ListenerTls,
    lets_in: Fingerprint,
) -> Result<Fingerprint, TlsError> {
    let mut inputs: Vec<Arc<[u8]>> = Vec::new();
    for CertificateFiles { certificate, key, ocsp } in &settings.certificates {
        for path in [certificate, key].into_iter().chain(ocsp) {
            // The name belongs to what is shown of the certificate.
            inputs.push(path.as_os_str().as_encoded_bytes().into());
            inputs.push(sources.read(path)?.bytes);
        }
        inputs.push([u8::from(ocsp.is_some())].into());
    }
    inputs.extend(alpn(&settings.alpn, listener.http2).into_iter().map(Arc::from));
    inputs.push([u8::from(settings.min_version == TlsVersion::Tls13)].into());
    inputs.push(lets_in.into());
    Ok(fingerprint(inputs.iter().map(AsRef::as_ref)))
}
