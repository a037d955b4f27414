//! Certificates for tests, files to put them in, and handshakes in memory.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::config::{
    Alpn, CertificateFiles, Config, Endpoint, EndpointUrl, Host, Listener, ListenerTls, Scheme,
    TlsVersion, Transport, UpstreamTls,
};
use crate::tls::{Tls, provider};

pub(super) const LISTENER: &str = "127.0.0.1:8443";

/// A directory with files, and who signs the certificates in them.
pub(super) struct Fixture {
    pub(super) dir: tempfile::TempDir,
    pub(super) ca: Authority,
}

pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, in PEM.
pub(super) struct Issued {
    pub(super) pem: String,
    pub(super) der: CertificateDer<'static>,
    pub(super) key: String,
    pub(super) pair: KeyPair,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let (params, key) = authority(name);
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// One that this one vouches for.
    pub(super) fn below(&self, name: &str) -> Self {
        let (params, key) = authority(name);
        Self(CertifiedIssuer::signed_by(params, key, &self.0).unwrap())
    }

    pub(super) fn issue(&self, names: &[&str]) -> Issued {
        self.sign(&params(names), KeyPair::generate().unwrap())
    }

    pub(super) fn sign(&self, params: &CertificateParams, pair: KeyPair) -> Issued {
        let certificate = params.signed_by(&pair, &self.0).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Issued { pem, der, key: pair.serialize_pem(), pair }
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(super) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }
}

fn authority(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.distinguished_name.push(DnType::CommonName, name);
    (params, KeyPair::generate().unwrap())
}

pub(super) fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "somebody");
    params
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), ca: Authority::new("test root") }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file that only its owner can read.
    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        set_mode(&path, 0o600);
        path
    }

    /// A certificate for these names and its key, as files.
    pub(super) fn files(&self, stem: &str, names: &[&str]) -> CertificateFiles {
        self.issued(stem, &self.ca.issue(names))
    }

    pub(super) fn issued(&self, stem: &str, issued: &Issued) -> CertificateFiles {
        CertificateFiles {
            certificate: self.write(&format!("{stem}.pem"), &issued.pem),
            key: self.write(&format!("{stem}.key"), &issued.key),
            ocsp: None,
        }
    }

    /// A client that trusts the test root.
    pub(super) fn client(&self) -> ClientConfig {
        self.client_with(&[&rustls::version::TLS13, &rustls::version::TLS12], None)
    }

    pub(super) fn client_with(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        identity: Option<&Issued>,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            Some(issued) => {
                let key = PrivateKeyDer::try_from(issued.pair.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![issued.der.clone()], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(64);
        config
    }
}

pub(super) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    provider::provider()
}

/// Any key, for tests of what does not look at it.
pub(in crate::tls) fn key() -> Arc<CertifiedKey> {
    let issued = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let key = provider().key_provider.load_private_key(key).unwrap();
    Arc::new(CertifiedKey::new(vec![issued.cert.der().clone()], key))
}

pub(super) fn settings(certificates: Vec<CertificateFiles>) -> ListenerTls {
    ListenerTls {
        certificates,
        min_version: TlsVersion::Tls12,
        alpn: vec![Alpn::H2, Alpn::Http11],
        client: None,
    }
}

pub(in crate::tls) fn address() -> SocketAddr {
    LISTENER.parse().unwrap()
}

/// The smallest configuration, with these listeners.
pub(super) fn config(listeners: Vec<Listener>) -> Config {
    const TEXT: &str = "
listeners: [{ address: \"127.0.0.1:80\" }]
regions: [{ id: a, latitude: 1, longitude: 2, country: DE, endpoints: [http://a] }]
deployments: [{ name: d, primary_region: a }]
";
    let mut config = crate::config::parse(TEXT, "f", Path::new(""), &|_| None).unwrap().config;
    config.listeners = listeners;
    config
}

pub(super) fn listening(settings: ListenerTls) -> Config {
    config(vec![Listener { tls: Some(settings), ..Listener::cleartext(address()) }])
}

/// A configuration whose one region has these endpoints.
pub(super) fn endpoints(endpoints: Vec<(EndpointUrl, UpstreamTls)>) -> Config {
    let mut config = config(Vec::new());
    let endpoint = |(url, tls)| Endpoint {
        url,
        weight: 1,
        transport: Arc::new(Transport { proxy_protocol: None, tls }),
        srv: None,
    };
    let region = Arc::make_mut(&mut config.regions[0]);
    region.endpoints = endpoints.into_iter().map(endpoint).collect();
    config
}

pub(super) fn https(host: &str) -> EndpointUrl {
    let host = match host.parse() {
        Ok(address) => Host::Address(address),
        Err(_) => Host::Name(host.into()),
    };
    EndpointUrl { scheme: Scheme::Https, host, port: 443 }
}

pub(super) fn load(config: &Config) -> Tls {
    Tls::load(config, None).unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn server(tls: &Tls) -> Arc<ServerConfig> {
    Arc::clone(tls.server(address()).unwrap())
}

/// A handshake that came to its end.
pub(super) struct Shaken {
    pub(super) client: ClientConnection,
    pub(super) server: ServerConnection,
}

impl Shaken {
    pub(super) fn kind(&self) -> HandshakeKind {
        self.server.handshake_kind().unwrap()
    }

    /// The certificate that the client was shown.
    pub(super) fn shown(&self) -> &CertificateDer<'static> {
        &self.client.peer_certificates().unwrap()[0]
    }
}

/// Lets both sides talk until neither has more to say, tickets included. The error is the first one, of
/// the side that found it.
pub(super) fn shake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: &str,
) -> Result<Shaken, rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    loop {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let to_server = wire.len();
        feed(&mut wire, |wire| server.read_tls(wire))?;
        server.process_new_packets()?;
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let to_client = wire.len();
        feed(&mut wire, |wire| client.read_tls(wire))?;
        client.process_new_packets()?;
        if to_server + to_client == 0 {
            assert!(!client.is_handshaking() && !server.is_handshaking());
            return Ok(Shaken { client, server });
        }
    }
}

fn feed(
    wire: &mut Vec<u8>,
    mut read: impl FnMut(&mut &[u8]) -> std::io::Result<usize>,
) -> Result<(), rustls::Error> {
    let mut rest = wire.as_slice();
    while !rest.is_empty() {
        read(&mut rest).map_err(|error| rustls::Error::General(error.to_string()))?;
    }
    Ok(())
}
