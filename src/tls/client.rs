//! Handshakes with endpoints: what the settings of a region make of them.

use std::sync::Arc;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, NoKeyLog};
use rustls_pki_types::ServerName;

use super::certificate::CertificateInfo;
use super::error::TlsError;
use super::identity::{Identity, Reading};
use super::provider;
use super::roots::{self, Roots};
use super::server::alpn;
use super::source::{Fingerprint, fingerprint};
use super::unverified::InsecureSkipVerify;
use crate::config::{EndpointUrl, Host, TlsVersion, UpstreamTls};
use crate::model::limits;

/// What handshakes with the endpoints of one way to speak TLS need.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) config: Arc<ClientConfig>,
    /// What Rhumb shows of itself, if it does.
    pub(super) identity: Option<CertificateInfo>,
    /// Of everything in files and in the system that it was made from.
    made_from: Fingerprint,
}

impl Client {
    /// Reads the files of such settings. `before` is what is in use for the same settings: while nothing
    /// has changed it stays, with the sessions in it. `system` is filled by the first that needs it.
    pub(super) fn read(
        reading: &mut Reading<'_>,
        settings: &UpstreamTls,
        provider: &Arc<CryptoProvider>,
        system: &mut Option<Roots>,
        before: Option<&Self>,
    ) -> Result<Self, TlsError> {
        let roots = match (&settings.ca, settings.insecure_skip_verify) {
            // A `ca` beside `insecure_skip_verify` is read all the same: it is to be good when the
            // other goes.
            (Some(ca), _) => Some(roots::of_file(reading.sources, ca)?),
            (None, true) => None,
            (None, false) => Some(of_system(system)?),
        };
        let identity = match &settings.identity {
            Some((chain, key)) => Some(Identity::read(reading, chain, key, None)?),
            None => None,
        };
        let made_from = made_from(reading, settings, roots.as_ref())?;
        if let Some(before) = before.filter(|before| before.made_from == made_from) {
            return Ok(before.clone());
        }
        let info = identity.as_ref().map(|identity| identity.info.clone());
        let config = Arc::new(config(settings, provider, roots, identity)?);
        Ok(Self { config, identity: info, made_from })
    }
}

fn of_system(system: &mut Option<Roots>) -> Result<Roots, TlsError> {
    if let Some(roots) = system {
        return Ok(roots.clone());
    }
    let roots = roots::of_system()?;
    Ok(system.insert(roots).clone())
}

fn config(
    settings: &UpstreamTls,
    provider: &Arc<CryptoProvider>,
    roots: Option<Roots>,
    identity: Option<Identity>,
) -> Result<ClientConfig, TlsError> {
    let setup = |source| TlsError::Setup { what: "endpoints".to_owned(), source };
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&provider::versions(TlsVersion::Tls12))
        .map_err(setup)?;
    let builder = match roots.filter(|_| !settings.insecure_skip_verify) {
        Some(roots) => builder.with_root_certificates(roots.store),
        None => {
            let verifier = Arc::new(InsecureSkipVerify(Arc::clone(provider)));
            builder.dangerous().with_custom_certificate_verifier(verifier)
        }
    };
    let mut config = match identity {
        Some(identity) => {
            let shown: Arc<dyn ResolvesClientCert> = Arc::new(SingleCertAndKey::from(identity.key));
            builder.with_client_cert_resolver(shown)
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn(&settings.alpn, true);
    config.resumption = Resumption::in_memory_sessions(limits::UPSTREAM_SESSIONS);
    // A request that is sent early can be sent again by whoever recorded it.
    config.enable_early_data = false;
    config.enable_sni = true;
    config.max_fragment_size = None;
    // Whatever SSLKEYLOGFILE says: secrets stay here.
    config.key_log = Arc::new(NoKeyLog {});
    config.enable_secret_extraction = false;
    Ok(config)
}

fn made_from(
    reading: &mut Reading<'_>,
    settings: &UpstreamTls,
    roots: Option<&Roots>,
) -> Result<Fingerprint, TlsError> {
    let mut inputs: Vec<Arc<[u8]>> = Vec::new();
    inputs.extend(roots.map(|roots| Arc::from(roots.fingerprint)));
    for path in settings.identity.iter().flat_map(|(chain, key)| [chain, key]) {
        inputs.push(reading.sources.read(path)?.bytes);
    }
    Ok(fingerprint(inputs.iter().map(AsRef::as_ref)))
}

/// The name that an endpoint is asked for and verified by: the configured one, or the URL's host. For an
/// address, no name is asked for, and the certificate has to be for the address.
///
/// # Errors
///
/// A name that cannot be one in TLS.
pub fn server_name(
    url: &EndpointUrl,
    settings: &UpstreamTls,
) -> Result<ServerName<'static>, TlsError> {
    let name = match (&settings.server_name, &url.host) {
        (Some(name), _) => name.as_str(),
        (None, Host::Address(address)) => return Ok(ServerName::IpAddress((*address).into())),
        (None, Host::Name(name)) => name,
    };
    let plain = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    ServerName::try_from(plain)
        .map_err(|source| TlsError::ServerName { name: name.to_owned(), source })
}
