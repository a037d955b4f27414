//! Endpoints that speak something else than HTTP/1.1 in clear text, and those that want to know who
//! calls.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;

use crate::support::client::Request;
use crate::support::http2_origin::{Http2Origin, Manners};
use crate::support::load::Load;
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup};
use crate::support::until;

/// A configuration whose endpoint at that address is spoken to in another way.
fn speaking(scheme: &str, address: SocketAddr, fields: &str) -> String {
    let setup = Setup::empty().region("us", &[address]).workers(1);
    let setup = if fields.is_empty() { setup } else { setup.with(fields) };
    setup.yaml().replace("http://127", &format!("{scheme}://127"))
}

#[test]
fn requests_to_an_http2_origin_share_few_connections_and_none_waits_for_another() {
    const CLIENTS: usize = 30;
    for (streams, most) in [(1, CLIENTS), (10, 6), (100, 1)] {
        let manners = Manners { streams: Some(streams), holding: true, ..Manners::default() };
        let origin = Http2Origin::start("us", manners);
        let proxy = Proxy::start(&speaking("h2c", origin.address, ""));
        for round in 1..=2 {
            let mut clients: Vec<_> = (0..CLIENTS).map(|_| proxy.client()).collect();
            for client in &mut clients {
                client.send(Request::get("/a?b=c").bytes());
            }
            until("every request to arrive", || origin.held() == CLIENTS);
            assert!(origin.connections() <= most, "{round}: {}", origin.connections());
            assert!(origin.most_streams() <= streams as usize, "{}", origin.most_streams());
            origin.release(CLIENTS);
            for client in &mut clients {
                let answer = client.read("GET");
                assert_eq!((answer.status(), answer.body.text()), (200, "us".to_owned()));
            }
        }
        let arrived = &origin.arrived()[0];
        assert_eq!(arrived.version, http::Version::HTTP_2);
        assert!(arrived.uri.starts_with("http://"), "{}", arrived.uri);
        assert!(arrived.uri.ends_with("/a?b=c"), "{}", arrived.uri);
        assert!(!arrived.headers.contains_key("host"));
        assert!(!arrived.headers.contains_key("connection"));
    }
}

#[test]
fn an_origin_that_says_goodbye_again_and_again_loses_no_request() {
    let manners = Manners { goodbye_after: Some(7), ..Manners::default() };
    let origin = Http2Origin::start("us", manners);
    let proxy = Proxy::start(&speaking("h2c", origin.address, ""));
    let load = Load::of(proxy.address, 8, &Request::get("/"));
    let writes = Load::of(proxy.address, 8, &Request::post("/", "x".repeat(1_000)));
    load.until_more(500);
    writes.until_more(500);
    load.stop().assert_nothing_failed();
    writes.stop().assert_nothing_failed();
    assert!(origin.connections() > 20, "{}", origin.connections());
}

#[test]
fn trailers_pass_between_http1_and_http2_in_both_directions() {
    let origin = Http2Origin::start("us", Manners::default());
    let proxy = Proxy::start(&speaking("h2c", origin.address, ""));
    let mut client = proxy.client();
    client.send(
        "POST /up HTTP/1.1\r\nhost: api.example\r\nte: trailers\r\ntrailer: x-sum\r\n\
         transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nx-sum: 42\r\n\r\n",
    );
    let answer = client.read("POST");
    assert_eq!((answer.status(), answer.body.text()), (200, "hello world".to_owned()));
    assert!(answer.head.lists("transfer-encoding", "chunked"), "{answer:#?}");
    assert!(format!("{:?}", answer.body).contains("x-length"), "{answer:#?}");
    let arrived = origin.only();
    assert_eq!((&*arrived.body, &*arrived.uri), (&b"hello world"[..], "http://api.example/up"));
    assert_eq!(
        (arrived.method, &arrived.trailers.unwrap()["x-sum"]),
        ("POST".to_owned(), &"42".parse().unwrap())
    );
    assert_eq!(arrived.headers["te"], "trailers");
    assert!(!arrived.headers.contains_key("transfer-encoding"));
}

#[test]
fn large_bodies_pass_at_the_pace_of_the_slower_side() {
    let origin = Http2Origin::start("us", Manners::default());
    let proxy = Proxy::start(&speaking("h2c", origin.address, ""));
    let body: Vec<u8> = (0..8_000_000_u32).map(|i| (i % 251) as u8).collect();
    let answer = proxy.patient_client().ask(&Request::post("/", body.clone()));
    assert_eq!(answer.status(), 200);
    assert_eq!(&*origin.only().body, &body[..]);
}

#[test]
fn checks_speak_to_an_endpoint_as_requests_do() {
    let origin = Http2Origin::start("us", Manners::default());
    let check = "health_check: { interval_seconds: 0.05, timeout_seconds: 60 }";
    let yaml = Setup::empty().region("us", &[origin.address]).deployment(check).yaml();
    let proxy = Proxy::start(&yaml.replace("http://127", "h2c://127"));
    until("some checks", || origin.checks() > 3);
    assert_eq!(proxy.state("us"), "healthy");
}

/// An origin of raw bytes that remembers what comes first on each connection.
fn listening() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&heads);
    std::thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while let Ok(1) = socket.read(&mut byte) {
                    head.push(byte[0]);
                    let requested = head.windows(5).any(|word| word == b"GET /");
                    if requested && head.ends_with(b"\r\n\r\n") {
                        let text = std::mem::take(&mut head);
                        seen.lock().unwrap().push(String::from_utf8_lossy(&text).into_owned());
                        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                    }
                }
            });
        }
    });
    (address, heads)
}

#[test]
fn endpoints_are_told_who_calls_on_connections_of_their_own() {
    for version in ["v1", "v2"] {
        let (address, heads) = listening();
        let fields = format!("proxy_protocol: {version}");
        let proxy = Proxy::start(&speaking("http", address, &fields));
        let mut clients = ["127.0.0.8", "127.0.0.9"].map(|own| proxy.client_from(own));
        for _ in 0..2 {
            for client in &mut clients {
                assert_eq!(client.ask(&Request::get("/")).status(), 200);
            }
        }
        let heads = heads.lock().unwrap();
        let introduced =
            |head: &&String| head.starts_with("PROXY ") || head.starts_with("\r\n\r\n\0\r\nQUIT\n");
        assert_eq!(heads.iter().filter(introduced).count(), 2, "{heads:#?}");
        assert!(heads[..2].iter().all(|head| introduced(&head)), "{heads:#?}");
        if version == "v1" {
            let port = proxy.address.port();
            for (head, source) in heads.iter().zip(["127.0.0.8", "127.0.0.9"]) {
                assert!(head.starts_with(&format!("PROXY TCP4 {source} 127.0.0.1 ")), "{head}");
                assert!(head.lines().next().unwrap().ends_with(&format!(" {port}")), "{head}");
            }
        }
    }
}

/// Who signs, and a directory for the files.
struct World {
    dir: Arc<TempDir>,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl World {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = Arc::new(TempDir::new().unwrap());
        let world = Self { dir, ca };
        world.write("ca.pem", &world.ca.pem());
        let (certificate, key) = world.issue("rhumb.internal");
        world.write("client.pem", &certificate.pem());
        world.write("client.key", &key.serialize_pem());
        world
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.dir.path().join(name), content).unwrap();
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.ca).unwrap(), key)
    }

    fn origin(&self, name: &str, alpn: &[&str], asks: bool) -> Http2Origin {
        let (certificate, key) = self.issue(name);
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let builder = rustls::ServerConfig::builder();
        let builder = if asks {
            let mut roots = RootCertStore::empty();
            roots.add(self.ca.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let mut tls = builder.with_single_cert(chain, key).unwrap();
        tls.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Http2Origin::start("us", Manners { tls: Some(Arc::new(tls)), ..Manners::default() })
    }

    fn proxy(&self, origin: &Http2Origin, tls: &str) -> Proxy {
        self.write("rhumb.yaml", &speaking("https", origin.address, &format!("tls: {{ {tls} }}")));
        Proxy::start_in(Arc::clone(&self.dir))
    }
}

#[test]
fn endpoints_behind_tls_are_who_they_say_or_get_nothing() {
    let world = World::new();
    for (certificate, tls, wrong) in [
        ("127.0.0.1", "ca: ca.pem", None),
        ("api.internal", "ca: ca.pem, server_name: api.internal", None),
        ("api.internal", "ca: ca.pem", Some("not valid for")),
        ("127.0.0.1", "ca: ca.pem, server_name: api.internal", Some("not valid for")),
        ("127.0.0.1", "alpn: [h2]", Some("UnknownIssuer")),
        ("api.internal", "insecure_skip_verify: true", None),
    ] {
        let origin = world.origin(certificate, &["h2", "http/1.1"], false);
        let proxy = world.proxy(&origin, tls);
        let mut client = proxy.client();
        for _ in 0..3 {
            let answer = client.ask(&Request::get("/"));
            match wrong {
                None => assert_eq!(answer.status(), 200, "{tls}"),
                Some(_) => answer.assert_problem(502, "upstream_unreachable"),
            }
        }
        match wrong {
            None => assert_eq!(origin.connections(), 1, "{tls}"),
            Some(wrong) => {
                assert!(origin.arrived().is_empty());
                let log = proxy.log();
                let told: Vec<_> =
                    log.lines().filter(|line| line.contains("endpoint cannot be used")).collect();
                assert_eq!(told.len(), 1, "at a bounded rate: {log}");
                assert!(told[0].contains(wrong), "{told:?}");
            }
        }
    }
}

#[test]
fn endpoints_behind_tls_speak_what_the_handshake_agrees_on() {
    let world = World::new();
    for (theirs, tls, version) in [
        (&["h2", "http/1.1"][..], "ca: ca.pem", http::Version::HTTP_2),
        (&["http/1.1"], "ca: ca.pem", http::Version::HTTP_11),
        (&[], "ca: ca.pem", http::Version::HTTP_11),
        (&["h2", "http/1.1"], "ca: ca.pem, alpn: [http/1.1]", http::Version::HTTP_11),
    ] {
        let origin = world.origin("127.0.0.1", theirs, false);
        let proxy = world.proxy(&origin, tls);
        let answer = proxy.ask(&Request::post("/", "hello"));
        assert_eq!((answer.status(), answer.body.text()), (200, "hello".to_owned()));
        let arrived = origin.only();
        assert_eq!(arrived.version, version, "{theirs:?} {tls}");
        if version == http::Version::HTTP_2 {
            assert!(arrived.uri.starts_with("https://"), "{}", arrived.uri);
        }
    }
}

#[test]
fn endpoints_that_ask_are_shown_a_certificate() {
    let world = World::new();
    let origin = world.origin("127.0.0.1", &["h2"], true);
    let proxy = world.proxy(&origin, "ca: ca.pem");
    proxy.ask(&Request::get("/")).assert_problem(502, "upstream_unreachable");
    drop(proxy);
    let tls = "ca: ca.pem, client_certificate: client.pem, client_key: client.key";
    let proxy = world.proxy(&origin, tls);
    assert_eq!(proxy.ask(&Request::get("/")).status(), 200);
    assert!(origin.only().certified);
}

#[test]
fn an_endpoint_that_moves_to_another_protocol_is_followed_by_a_reload() {
    let (one, two) = (Origin::named("us"), Http2Origin::start("us", Manners::default()));
    let proxy = Proxy::start(&speaking("http", one.address, ""));
    assert_eq!(proxy.ask(&Request::get("/")).status(), 200);
    proxy.reload(&speaking("h2c", two.address, ""));
    until("the other origin to be asked", || {
        assert_eq!(proxy.ask(&Request::get("/")).status(), 200);
        !two.arrived().is_empty()
    });
}
