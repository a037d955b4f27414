//! How clients come to a contestant: which protocol, and over TLS or in clear text.
//!
//! Every handshake is a full one: clients keep no session, so that a new connection costs what a new
//! client costs.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use clap::ValueEnum;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::Fault;
use crate::error::BenchError;
use crate::scenario::HOST;

/// What clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// HTTP/1.1 in clear text
    Http,
    /// HTTP/1.1 over TLS
    Https,
    /// HTTP/2 over TLS
    H2,
    /// HTTP/2 in clear text, with prior knowledge
    H2c,
}

impl Protocol {
    pub(crate) const fn is_http2(self) -> bool {
        matches!(self, Self::H2 | Self::H2c)
    }

    pub(crate) const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::H2)
    }

    /// As `X-Forwarded-Proto` has it.
    pub(crate) const fn scheme(self) -> &'static str {
        if self.is_tls() { "https" } else { "http" }
    }
}

/// The certificate that every contestant shows: ECDSA on P-256, as most sites have today.
pub(crate) struct Certificate {
    der: CertificateDer<'static>,
}

impl Certificate {
    /// Makes one, and writes `edge.pem`, `edge.key` and both as `edge.both.pem` for contestants.
    pub(crate) fn issue(directory: &Path) -> Result<Self, BenchError> {
        let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()])
            .map_err(|_| BenchError::Usage("no certificate could be made"))?;
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let both = format!("{certificate}{key}");
        for (name, text) in
            [("edge.pem", &certificate), ("edge.key", &key), ("edge.both.pem", &both)]
        {
            let path = directory.join(name);
            fs::write(&path, text).map_err(|source| BenchError::File {
                doing: "write",
                path,
                source,
            })?;
        }
        Ok(Self { der: made.cert.der().clone() })
    }
}

/// The way to one contestant.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) protocol: Protocol,
    pub(crate) target: SocketAddr,
    tls: Option<Tls>,
}

#[derive(Clone)]
struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Way {
    pub(crate) fn new(
        protocol: Protocol,
        target: SocketAddr,
        certificate: &Certificate,
    ) -> Result<Self, BenchError> {
        let tls = if protocol.is_tls() { Some(Tls::new(protocol, certificate)?) } else { None };
        Ok(Self { protocol, target, tls })
    }

    /// A new connection from `source`, with its handshake done.
    pub(crate) async fn connect(&self, source: IpAddr) -> Result<Stream, Fault> {
        let refused = |_| Fault::Refused;
        let socket = TcpSocket::new_v4().map_err(refused)?;
        socket.set_reuseaddr(true).map_err(refused)?;
        socket.bind((source, 0).into()).map_err(refused)?;
        let stream = socket.connect(self.target).await.map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        match &self.tls {
            None => Ok(Stream::Clear(stream)),
            Some(Tls { connector, name }) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(refused)?;
                Ok(Stream::Secure(Box::new(stream)))
            }
        }
    }
}

impl Tls {
    fn new(protocol: Protocol, certificate: &Certificate) -> Result<Self, BenchError> {
        let wrong = |_| BenchError::Usage("no TLS client could be made");
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der.clone()).map_err(wrong)?;
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(wrong)?
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.resumption = Resumption::disabled();
        let alpn: &[u8] = if protocol.is_http2() { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![alpn.to_vec()];
        let name = ServerName::try_from(HOST)
            .map_err(|_| BenchError::Usage("the host is no name for TLS"))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }
}

/// A connection to a contestant.
pub(crate) enum Stream {
    Clear(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Secure(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Secure(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secure(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
