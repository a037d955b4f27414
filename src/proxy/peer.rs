//! The other end of a client connection, and how it came in: the same for all its requests.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderValue;

use super::headers::address_text;
use crate::access_log::Secured;
use crate::config::HttpsRedirect;
use crate::tls::Certificates;

/// Who is at the other end, and on what terms.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it connects from: the socket's other end, or what a trusted peer said in a PROXY
    /// protocol header. IPv4-mapped addresses are unmapped.
    pub source: SocketAddr,
    /// Where it connected to.
    pub destination: SocketAddr,
    /// What the TLS handshake brought; `None`: clear text.
    pub secure: Option<Secure>,
    /// Every request is sent there instead.
    pub redirect: Option<HttpsRedirect>,
    /// `Strict-Transport-Security` of every answer.
    pub hsts: Option<HeaderValue>,
    /// The source's address as a header value, made once.
    pub(super) text: HeaderValue,
}

/// What a TLS handshake brought.
#[derive(Clone, Debug, Default)]
pub struct Secure {
    /// The version of TLS, as logs have it; empty: not known.
    pub version: &'static str,
    /// The cipher suite by its registered name; empty: not known.
    pub cipher: &'static str,
    /// The name that the client asked for, in lower case.
    pub server_name: Option<Box<str>>,
    /// Its verified certificate, as origins are told of it.
    pub certificate: Option<HeaderValue>,
    /// The certificates that it could be shown: what tells which hosts the connection is for.
    pub certificates: Option<Arc<Certificates>>,
}

impl Peer {
    /// A client in clear text.
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        let canonical = |address: SocketAddr| (address.ip().to_canonical(), address.port()).into();
        let source: SocketAddr = canonical(source);
        Self {
            source,
            destination: canonical(destination),
            secure: None,
            redirect: None,
            hsts: None,
            text: address_text(source.ip()),
        }
    }

    /// What TLS has agreed on, for the log.
    pub(super) fn secured(&self) -> Option<Secured<'_>> {
        let Secure { version, cipher, server_name, .. } = self.secure.as_ref()?;
        Some(Secured { version, cipher, sni: server_name.as_deref().unwrap_or_default() })
    }

    /// Whether a request for that host should have come on another connection: another certificate of
    /// the listener is for it.
    pub(super) fn misdirected(&self, host: &str) -> bool {
        let Some(Secure { server_name, certificates: Some(certificates), .. }) = &self.secure
        else {
            return false;
        };
        certificates.misdirected(server_name.as_deref(), host)
    }

    /// `Strict-Transport-Security` of every answer to it; it means nothing in clear text (RFC 6797
    /// section 7.2).
    pub(super) fn own_hsts(&self) -> Option<&HeaderValue> {
        self.hsts.as_ref().filter(|_| self.secure.is_some())
    }

    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.source.ip()
    }
}
