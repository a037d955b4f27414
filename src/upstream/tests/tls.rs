//! Endpoints behind TLS: whom they are, and what they agree to speak.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Instant;

use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::{Alpn, UpstreamTls};
use crate::upstream::DialError;

const BOTH: [Alpn; 2] = [Alpn::H2, Alpn::Http11];

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

/// An origin that shows this certificate, and says on which protocol it was asked.
struct Origin {
    address: SocketAddr,
    connections: Rc<Cell<usize>>,
}

async fn origin(ca: &Issuer, params: &CertificateParams, alpn: &[&str]) -> Origin {
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, ca).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Rc::<Cell<usize>>::default();
    let count = Rc::clone(&connections);
    spawn_local(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            count.set(count.get() + 1);
            let acceptor = acceptor.clone();
            spawn_local(async move {
                let Ok(stream) = acceptor.accept(socket).await else { return };
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let service = service_fn(|request: Request<Incoming>| async move {
                    let heard = format!("{:?}", request.version());
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(heard)))
                });
                let io = TokioIo::new(stream);
                let _ = match http2 {
                    true => {
                        let builder =
                            hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        builder.serve_connection(io, service).await
                    }
                    false => {
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(io, service)
                            .await
                    }
                };
            });
        }
    });
    Origin { address, connections }
}

fn to(origin: &Origin, trusted: &Issuer, settings: UpstreamTls) -> Rc<Endpoint<Body>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols =
        settings.alpn.iter().map(|alpn| alpn.as_str().as_bytes().to_vec()).collect();
    let transport = Transport { tls: settings, ..Transport::default() };
    endpoint(Route {
        transport: Arc::new(transport),
        tls: Some(Arc::new(config)),
        ..route(Scheme::Https, origin.address)
    })
}

fn speaking(alpn: &[Alpn], name: Option<&str>) -> UpstreamTls {
    UpstreamTls {
        alpn: alpn.to_vec(),
        server_name: name.map(str::to_owned),
        ..UpstreamTls::default()
    }
}

#[test]
fn the_handshake_decides_what_is_spoken() {
    for (theirs, ours, spoken) in [
        (&["h2", "http/1.1"][..], &BOTH[..], Some("HTTP/2.0")),
        (&["http/1.1"], &BOTH, Some("HTTP/1.1")),
        (&["h2"], &BOTH, Some("HTTP/2.0")),
        (&[], &BOTH, Some("HTTP/1.1")),
        (&["h2", "http/1.1"], &[Alpn::Http11], Some("HTTP/1.1")),
        // The server's order counts (RFC 7301 section 3.2).
        (&["h2", "http/1.1"], &[Alpn::Http11, Alpn::H2], Some("HTTP/2.0")),
        (&[], &[Alpn::H2], None),
        (&["http/1.1"], &[Alpn::H2], None),
    ] {
        worker(async move {
            let ca = authority("one");
            let origin = origin(&ca, &params("127.0.0.1"), theirs).await;
            let endpoint = to(&origin, &ca, speaking(ours, None));
            let Some(spoken) = spoken else {
                let error = endpoint.connect(PATIENCE, &caller()).await.map(|_| ()).unwrap_err();
                let refused = matches!(error.source, DialError::Protocol | DialError::Tls(_));
                return assert!(refused, "{theirs:?} {ours:?}: {error:?}");
            };
            for _ in 0..3 {
                let (response, lease) = ask(&endpoint, "/").await.unwrap();
                assert_eq!(lease.is_http2(), spoken == "HTTP/2.0");
                let body = response.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(body, spoken, "{theirs:?} {ours:?}");
                lease.give_back(Instant::now());
                tokio::task::yield_now().await;
            }
            assert_eq!(origin.connections.get(), 1);
        });
    }
}

#[test]
fn certificates_are_verified_and_what_is_wrong_with_them_is_told() {
    let past = rcgen::date_time_ymd(2001, 1, 1);
    let mut expired = params("127.0.0.1");
    (expired.not_before, expired.not_after) = (past, past);
    for (certificate, name, by_us, wrong) in [
        (params("127.0.0.1"), None, true, None),
        (params("api.internal"), Some("api.internal"), true, None),
        (params("api.internal"), None, true, Some("not valid for")),
        (params("api.internal"), Some("db.internal"), true, Some("not valid for")),
        (expired, None, true, Some("expired")),
        (params("127.0.0.1"), None, false, Some("UnknownIssuer")),
    ] {
        worker(async move {
            let (ca, other) = (authority("one"), authority("other"));
            let origin = origin(&ca, &certificate, &["h2"]).await;
            let endpoint = to(&origin, if by_us { &ca } else { &other }, speaking(&BOTH, name));
            let connected = endpoint.connect(PATIENCE, &caller()).await;
            let Some(wrong) = wrong else { return drop(connected.unwrap()) };
            let error = connected.map(|_| ()).unwrap_err();
            assert!(matches!(error.source, DialError::Tls(_)), "{error:?}");
            assert!(error.source.is_misconfigured());
            assert!(error.source.detail().contains(wrong), "{}", error.source.detail());
        });
    }
}

#[test]
fn at_a_cold_start_an_origin_of_http1_gets_a_connection_for_each_request() {
    worker(async {
        let ca = authority("one");
        let origin = origin(&ca, &params("127.0.0.1"), &["http/1.1"]).await;
        let endpoint = to(&origin, &ca, speaking(&BOTH, None));
        let leases: Vec<_> = (0..8)
            .map(|_| {
                let endpoint = Rc::clone(&endpoint);
                spawn_local(async move { lease(&endpoint).await.unwrap() })
            })
            .collect();
        let mut held = Vec::new();
        for lease in leases {
            held.push(lease.await.unwrap());
        }
        assert_eq!(origin.connections.get(), 8);
        assert!(held.iter().all(|lease| !lease.is_http2() && !lease.reused()));
    });
}

#[test]
fn at_a_cold_start_an_origin_of_http2_gets_one_handshake() {
    worker(async {
        let ca = authority("one");
        let origin = origin(&ca, &params("127.0.0.1"), &["h2", "http/1.1"]).await;
        let endpoint = to(&origin, &ca, speaking(&BOTH, None));
        let asking: Vec<_> = (0..50)
            .map(|_| {
                let endpoint = Rc::clone(&endpoint);
                spawn_local(async move {
                    let (response, lease) = ask(&endpoint, "/").await.unwrap();
                    let body = response.into_body().collect().await.unwrap().to_bytes();
                    assert_eq!(body, "HTTP/2.0");
                    lease.give_back(Instant::now());
                })
            })
            .collect();
        for asked in asking {
            asked.await.unwrap();
        }
        assert_eq!(origin.connections.get(), 1);
    });
}
