//! TLS on both edges: what the files of a configuration make of it, ready for handshakes.
//!
//! Built as one value whenever files change, checked as a whole, and swapped like everything else.
//! Not here: sockets and handshakes themselves (`server`, `upstream`).

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ServerConfig};

use crate::config::{
    CertificateFiles, Config, Endpoint, EndpointUrl, Listener, ListenerTls, Scheme, UpstreamTls,
};

mod certificate;
mod certificates;
mod client;
mod client_certificate;
mod distinguished_name;
mod error;
mod identity;
mod ocsp;
mod provider;
mod roots;
mod server;
mod source;
#[cfg(test)]
mod tests;
mod unverified;
mod warning;

use client::Client;
use identity::Reading;
use server::Server;
use source::Sources;

pub use certificate::{CertificateInfo, CertificateReport, Validity};
pub use certificates::Certificates;
pub use client::server_name;
pub use client_certificate::client_certificate_value;
pub use error::TlsError;
pub use ocsp::StapleError;
pub use warning::TlsWarning;

/// Everything that handshakes need, for all listeners and all endpoints.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    servers: HashMap<SocketAddr, Server>,
    clients: HashMap<UpstreamTls, Client>,
    /// Endpoints that nobody verifies.
    insecure: Vec<EndpointUrl>,
    warnings: Vec<TlsWarning>,
}

impl Tls {
    /// Reads all files that a configuration names. `before` is what is in use: where nothing has
    /// changed the very same values stay, and session tickets that were given out stay good unless
    /// other clients are to be let in. Says in the log what is probably not meant.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used.
    pub fn load(config: &Config, before: Option<&Self>) -> Result<Self, TlsError> {
        let (tls, errors) = Self::read(config, before);
        if let Some(error) = errors.into_iter().next() {
            return Err(error);
        }
        tls.warn(SystemTime::now());
        Ok(tls)
    }

    /// Reads all files that a configuration names as far as they can be read, and finds every error.
    pub fn inspect(config: &Config) -> (Self, Vec<TlsError>) {
        Self::read(config, None)
    }

    fn read(config: &Config, before: Option<&Self>) -> (Self, Vec<TlsError>) {
        let mut loading = Loading {
            provider: provider::provider(),
            sources: Sources::default(),
            before,
            tls: Self::default(),
            errors: Vec::new(),
        };
        for (listener, settings) in listeners(config) {
            loading.listener(listener, settings);
        }
        loading.endpoints(config);
        loading.tls.warnings.sort_by(|a, b| (&a.file, &a.message).cmp(&(&b.file, &b.message)));
        loading.tls.warnings.dedup();
        (loading.tls, loading.errors)
    }

    /// Every file that a configuration names for TLS.
    pub fn paths(config: &Config) -> impl Iterator<Item = &Path> {
        let mut paths: Vec<&Path> = Vec::new();
        for (_, settings) in listeners(config) {
            for CertificateFiles { certificate, key, ocsp } in &settings.certificates {
                paths.extend([certificate.as_path(), key]);
                paths.extend(ocsp.as_deref());
            }
            paths.extend(settings.client.iter().map(|client| client.ca.as_path()));
        }
        for settings in upstream(config) {
            paths.extend(settings.ca.as_deref());
            paths.extend(settings.identity.iter().flat_map(|(chain, key)| [&**chain, &**key]));
        }
        paths.into_iter()
    }

    /// Whether two configurations want different things of TLS, their files apart.
    pub fn differs(a: &Config, b: &Config) -> bool {
        a.listeners != b.listeners || upstream(a) != upstream(b) || insecure(a) != insecure(b)
    }

    /// For handshakes of clients with the listener that is configured with this address; `None`
    /// if it speaks clear text.
    pub fn server(&self, listener: SocketAddr) -> Option<&Arc<ServerConfig>> {
        self.servers.get(&listener).map(|server| &server.config)
    }

    /// The certificates of that listener, to tell which hosts a connection is for; `None` if it
    /// speaks clear text.
    pub fn certificates(&self, listener: SocketAddr) -> Option<&Arc<Certificates>> {
        self.servers.get(&listener).map(|server| &server.certificates)
    }

    /// For handshakes with `https` endpoints.
    pub fn client(&self, settings: &UpstreamTls) -> Option<&Arc<ClientConfig>> {
        self.clients.get(settings).map(|client| &client.config)
    }

    /// Every certificate that Rhumb shows: by listener, the default first; then to endpoints.
    pub fn shown(&self) -> Vec<&CertificateInfo> {
        let mut servers: Vec<_> = self.servers.iter().collect();
        servers.sort_by_key(|(listener, _)| **listener);
        let servers = servers.into_iter().flat_map(|(_, server)| server.certificates.infos());
        let mut clients: Vec<_> =
            self.clients.values().filter_map(|client| client.identity.as_ref()).collect();
        clients.sort_by(|a, b| a.file.cmp(&b.file));
        clients.dedup();
        servers.chain(clients).collect()
    }

    /// Endpoints whose certificates are not verified.
    pub fn insecure_endpoints(&self) -> &[EndpointUrl] {
        &self.insecure
    }

    /// What is probably not meant in the files, at `now`, the times of certificates apart
    /// ([`TlsWarning::of_time`]).
    pub fn warnings(&self, now: SystemTime) -> Vec<TlsWarning> {
        let staples = self.servers.values().flat_map(|server| &server.staples);
        let stale = staples.filter(|(_, until)| *until <= certificate::unix(now));
        let mut warnings = self.warnings.clone();
        warnings.extend(stale.map(|(file, _)| TlsWarning::stale_staple(file)));
        warnings
    }

    fn warn(&self, now: SystemTime) {
        let times = self.shown().into_iter().filter_map(|info| TlsWarning::of_time(info, now));
        for warning in self.warnings(now).into_iter().chain(times.map(|(warning, _)| warning)) {
            tracing::warn!("{warning}");
        }
        self.warn_of_insecure();
    }

    /// Says in the log which endpoints are not verified. Who reads a configuration says it every time,
    /// also when this value stays.
    pub fn warn_of_insecure(&self) {
        for endpoint in &self.insecure {
            tracing::warn!(
                %endpoint,
                "INSECURE: the certificate of this endpoint is not verified \
                 (insecure_skip_verify); anyone on the way can read and change what goes there"
            );
        }
    }
}

/// A load under way.
struct Loading<'a> {
    provider: Arc<CryptoProvider>,
    sources: Sources,
    before: Option<&'a Tls>,
    tls: Tls,
    errors: Vec<TlsError>,
}

impl Loading<'_> {
    fn listener(&mut self, listener: &Listener, settings: &ListenerTls) {
        let before = self.before.and_then(|tls| tls.servers.get(&listener.address));
        let mut reading = Reading {
            sources: &mut self.sources,
            provider: &self.provider,
            warnings: &mut self.tls.warnings,
        };
        match Server::read(&mut reading, listener, settings, &self.provider, before) {
            Ok(server) => {
                let same = |other: &Server| other.made_from == server.made_from;
                if self.tls.servers.get(&listener.address).is_some_and(|other| !same(other)) {
                    self.errors.push(TlsError::SameListener { listener: listener.address });
                }
                self.tls.servers.insert(listener.address, server);
            }
            Err(error) => self.errors.push(error),
        }
    }

    fn endpoints(&mut self, config: &Config) {
        let mut system = None;
        for settings in upstream(config) {
            let before = self.before.and_then(|tls| tls.clients.get(settings));
            let mut reading = Reading {
                sources: &mut self.sources,
                provider: &self.provider,
                warnings: &mut self.tls.warnings,
            };
            match Client::read(&mut reading, settings, &self.provider, &mut system, before) {
                Ok(client) => drop(self.tls.clients.insert(settings.clone(), client)),
                Err(error) => self.errors.push(error),
            }
        }
        let mut names = HashSet::new();
        for endpoint in https(config) {
            if names.insert((&endpoint.url.host, &endpoint.transport.tls.server_name)) {
                self.errors.extend(server_name(&endpoint.url, &endpoint.transport.tls).err());
            }
        }
        self.tls.insecure = insecure(config).into_iter().cloned().collect();
        self.tls.insecure.sort_by_key(ToString::to_string);
    }
}

fn listeners(config: &Config) -> impl Iterator<Item = (&Listener, &ListenerTls)> {
    config.listeners.iter().filter_map(|listener| Some((listener, listener.tls.as_ref()?)))
}

/// Every endpoint that is spoken to in TLS; some more than once.
fn https(config: &Config) -> impl Iterator<Item = &Endpoint> {
    let own = config.deployments.iter().flat_map(|deployment| &deployment.regions);
    let own = own.flat_map(|region| &region.endpoints);
    let endpoints = config.regions.iter().flat_map(|region| &region.endpoints).chain(own);
    endpoints.filter(|endpoint| endpoint.url.scheme == Scheme::Https)
}

/// Every way in which endpoints, and the receiver of traces, are spoken to in TLS.
fn upstream(config: &Config) -> HashSet<&UpstreamTls> {
    let receiver = config.tracing.iter().map(|tracing| &*tracing.otlp);
    let receiver = receiver.filter(|otlp| otlp.url.scheme == Scheme::Https).map(|otlp| &otlp.tls);
    https(config).map(|endpoint| &endpoint.transport.tls).chain(receiver).collect()
}

fn insecure(config: &Config) -> HashSet<&EndpointUrl> {
    let insecure = https(config).filter(|endpoint| endpoint.transport.tls.insecure_skip_verify);
    insecure.map(|endpoint| &endpoint.url).collect()
}
