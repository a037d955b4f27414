//! Clients that speak TLS and HTTP/2: hyper's, on a runtime that lasts as long as a test's talk.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::PATIENCE;

/// Who signs the certificates of a test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }
}

impl Authority {
    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names and its key, in PEM.
    pub fn issue(&self, names: &[&str]) -> (String, String) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A client that believes it and speaks these protocols.
    pub fn client(&self, alpn: &[&str]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

/// Shakes hands with the one who is called `name`.
pub async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
    connector: &TlsConnector,
    stream: S,
    name: &str,
) -> TlsStream<S> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    connector.connect(name, stream).await.unwrap()
}

/// The certificate that the other side showed.
pub fn shown<S>(stream: &TlsStream<S>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// The protocol that was agreed on.
pub fn alpn<S>(stream: &TlsStream<S>) -> Option<&str> {
    stream.get_ref().1.alpn_protocol().map(|name| std::str::from_utf8(name).unwrap())
}

pub async fn tcp(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// An HTTP/2 client on a stream.
pub async fn http2<S>(stream: S) -> http2::SendRequest<Full<Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    // How it ends is seen by its requests.
    drop(tokio::spawn(connection));
    sender
}

/// An HTTP/1.1 client on a stream.
pub async fn http1<S>(stream: S) -> http1::SendRequest<Full<Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    drop(tokio::spawn(connection));
    sender
}

/// A GET, with the host in the place where the version has it.
pub fn get(uri: &str) -> Request<Full<Bytes>> {
    let mut request = Request::get(uri).body(Full::default()).unwrap();
    if let (None, uri) = (request.uri().authority(), uri) {
        assert!(uri.starts_with('/'));
        request.headers_mut().insert("host", "edge.test".parse().unwrap());
    }
    request
}

/// The body of an answer, as text.
pub async fn text(response: Response<hyper::body::Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a talk to its end.
pub fn run<T>(talk: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let talk = async { tokio::time::timeout(PATIENCE, talk).await.expect("it takes too long") };
    runtime.block_on(talk)
}
