//! How endpoints are reached, and for whom.

use std::net::SocketAddr;
use std::time::Instant;

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::*;
use crate::config::ProxyProtocolVersion;
use crate::model::{SignalKind, limits};
use crate::upstream::permitted::permitted;
use crate::upstream::{DialError, race};

/// An HTTP/1.1 origin that shows what comes on each connection, byte by byte, and answers all.
async fn plain() -> (SocketAddr, mpsc::Receiver<(usize, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heads) = mpsc::channel(1_000);
    spawn_local(async move {
        for connection in 1.. {
            let (socket, _) = listener.accept().await.unwrap();
            spawn_local(answer(socket, connection, sender.clone()));
        }
    });
    (address, heads)
}

async fn answer(mut socket: TcpStream, connection: usize, heads: mpsc::Sender<(usize, Vec<u8>)>) {
    let mut head = Vec::new();
    while let Ok(byte) = socket.read_u8().await {
        head.push(byte);
        if head.ends_with(b"\r\n\r\n") && head.windows(4).any(|word| word == b"GET ") {
            let _ = heads.send((connection, std::mem::take(&mut head))).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            socket.write_all(answer).await.unwrap();
        }
    }
}

async fn ask_for(endpoint: &Rc<Endpoint<Body>>, caller: &Caller) {
    let lease = endpoint.checkout(Instant::now(), caller);
    let mut lease = match lease {
        Some(lease) => lease,
        None => endpoint.connect(PATIENCE, caller).await.unwrap(),
    };
    let response = lease.send(get("/")).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    lease.give_back(Instant::now());
    // Lets the connection's task notice that the exchange is over.
    tokio::task::yield_now().await;
}

#[test]
fn a_connection_of_http1_serves_one_request_after_the_other() {
    worker(async {
        let (address, mut heads) = plain().await;
        let endpoint = endpoint(route(Scheme::Http, address));
        for _ in 0..3 {
            ask_for(&endpoint, &caller()).await;
            assert_eq!(heads.recv().await.unwrap().0, 1);
        }
        assert_eq!((endpoint.idle(), endpoint.outstanding()), (1, 0));
        endpoint.reap(Instant::now() + limits::POOL_IDLE_TIMEOUT);
        assert_eq!(endpoint.idle(), 0);
    });
}

#[test]
fn endpoints_are_told_who_calls_and_connections_are_kept_for_the_same_caller() {
    let [one, two] = [4711, 4712]
        .map(|port| Caller { source: SocketAddr::from(([192, 0, 2, 7], port)), ..caller() });
    let text = |port: u16| format!("PROXY TCP4 192.0.2.7 198.51.100.1 {port} 443\r\nGET /");
    for version in [ProxyProtocolVersion::V1, ProxyProtocolVersion::V2] {
        worker(async move {
            let (address, mut heads) = plain().await;
            let transport = Transport { proxy_protocol: Some(version), ..Transport::default() };
            let route = Route { transport: Arc::new(transport), ..route(Scheme::Http, address) };
            let endpoint = endpoint(route);
            let mut expected = Vec::new();
            for (caller, connection) in [(one, 1), (one, 1), (two, 2), (one, 1), (two, 2)] {
                ask_for(&endpoint, &caller).await;
                let (seen, head) = heads.recv().await.unwrap();
                assert_eq!(seen, connection);
                let first = !expected.contains(&connection);
                expected.push(connection);
                let introduced = match version {
                    ProxyProtocolVersion::V1 => {
                        head.starts_with(text(caller.source.port()).as_bytes())
                    }
                    ProxyProtocolVersion::V2 => {
                        head.starts_with(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07")
                            && head[24..26] == caller.source.port().to_be_bytes()
                            && head[28..].starts_with(b"GET /")
                    }
                };
                assert_eq!(introduced, first, "{head:?}");
                assert_eq!(head.starts_with(b"GET /"), !first);
            }
        });
    }
}

#[test]
fn connections_of_many_callers_are_kept_within_bounds_and_the_newest_stay() {
    worker(async {
        let (address, mut heads) = plain().await;
        let version = Some(ProxyProtocolVersion::V2);
        let transport = Transport { proxy_protocol: version, ..Transport::default() };
        let route = Route { transport: Arc::new(transport), ..route(Scheme::Http, address) };
        let endpoint = endpoint(route);
        let callers = (1..=limits::POOL_IDLE_PER_ENDPOINT as u16 + 3)
            .map(|port| Caller { source: SocketAddr::from(([192, 0, 2, 7], port)), ..caller() });
        for caller in callers.clone() {
            ask_for(&endpoint, &caller).await;
            heads.recv().await.unwrap();
        }
        assert_eq!(endpoint.idle(), limits::POOL_IDLE_PER_ENDPOINT);
        let newest = callers.clone().next_back().unwrap();
        assert!(endpoint.checkout(Instant::now(), &newest).is_some());
    });
}

#[test]
fn checks_say_that_nobody_in_particular_connects() {
    for (version, header) in [
        (ProxyProtocolVersion::V1, &b"PROXY UNKNOWN\r\n"[..]),
        (ProxyProtocolVersion::V2, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"),
    ] {
        worker(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let transport = Transport { proxy_protocol: Some(version), ..Transport::default() };
            let route = Route { transport: Arc::new(transport), ..route(Scheme::Http, address) };
            let (dialled, accepted) = tokio::join!(route.dial(None, PATIENCE), listener.accept());
            drop(dialled.unwrap());
            let mut bytes = Vec::new();
            accepted.unwrap().0.read_to_end(&mut bytes).await.unwrap();
            assert_eq!(bytes, header);
        });
    }
}

#[test]
fn a_refused_address_hears_nothing_unless_its_network_is_allowed() {
    worker(async {
        // The one address that is refused and yet can be listened on.
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for literal in ["0.0.0.0", "::ffff:0.0.0.0"] {
            let address = SocketAddr::new(literal.parse().unwrap(), port);
            let refused = route(Scheme::Http, address);
            let error = refused.dial(None, PATIENCE).await.unwrap_err();
            assert!(matches!(error, DialError::Refused(_)), "{error:?}");
            assert!(error.to_string().starts_with("endpoint refused"), "{error}");
            let all = ["0.0.0.0/8".parse().unwrap(), "::/0".parse().unwrap()];
            let allowed = Route { allowed: Arc::new(all), ..refused };
            let (stream, _) = allowed.dial(None, PATIENCE).await.unwrap();
            // The first to knock is the one that was allowed.
            let (_, from) = listener.accept().await.unwrap();
            assert_eq!(from.port(), stream.tcp().local_addr().unwrap().port());
        }
    });
}

#[test]
fn connections_are_kept_over_a_reload_only_if_nothing_about_them_has_changed() {
    let base = route(Scheme::Https, "127.0.0.1:1".parse().unwrap());
    let roots = rustls::RootCertStore::empty();
    let tls = || {
        Some(Arc::new(
            rustls::ClientConfig::builder()
                .with_root_certificates(roots.clone())
                .with_no_client_auth(),
        ))
    };
    let base = Route { tls: tls(), ..base };
    assert!(base.is_same(&base.clone()));
    let alike = Route { transport: Arc::new(Transport::default()), ..base.clone() };
    assert!(base.is_same(&alike));
    let twin = Some("[::1]:1".parse().unwrap());
    assert!(base.is_same(&Route { twin, ..base.clone() }), "a twin comes and goes");
    let proxied =
        Transport { proxy_protocol: Some(ProxyProtocolVersion::V1), ..Transport::default() };
    for other in [
        Route { url: url(Scheme::H2c, "127.0.0.1:1".parse().unwrap()), ..base.clone() },
        Route { url: url(Scheme::Https, "127.0.0.1:2".parse().unwrap()), ..base.clone() },
        Route { address: Some("127.0.0.1:2".parse().unwrap()), ..base.clone() },
        Route { address: None, ..base.clone() },
        Route { transport: Arc::new(proxied), ..base.clone() },
        Route { tls: tls(), ..base.clone() },
        Route { tls: None, ..base.clone() },
        Route { allowed: Arc::new(["169.254.0.0/16".parse().unwrap()]), ..base.clone() },
    ] {
        assert!(!base.is_same(&other), "{other:?}");
    }
}

#[test]
fn the_twin_of_an_address_is_tried_when_it_fails_or_takes_long() {
    worker(async {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let unreachable: SocketAddr = "255.255.255.255:9".parse().unwrap();
        // A queue that is full: the kernel answers nobody any more.
        let silent = TcpSocket::new_v4().unwrap();
        silent.bind("127.0.0.3:0".parse().unwrap()).unwrap();
        let silent = silent.listen(0).unwrap();
        let full = silent.local_addr().unwrap();
        let mut waiting = Vec::new();
        let moment = Duration::from_millis(300);
        while let Ok(stream) = timeout(moment, TcpStream::connect(full)).await {
            waiting.push(stream.unwrap());
        }
        for (first, twin, reached) in [
            (open, None, Some(open)),
            (open, Some(closed), Some(open)),
            (closed, Some(open), Some(open)),
            (unreachable, Some(open), Some(open)),
            (full, Some(open), Some(open)),
            (closed, Some(closed), None),
            (closed, None, None),
            (unreachable, None, None),
        ] {
            let connected = timeout(PATIENCE, race::connect(first, twin)).await.unwrap();
            assert_eq!(connected.as_ref().ok().map(|it| it.peer_addr().unwrap()), reached);
            assert!(connected.is_ok_and(|it| it.nodelay().unwrap()) || reached.is_none());
        }
        let refused = Route {
            twin: Some("169.254.169.254:80".parse().unwrap()),
            ..route(Scheme::Http, closed)
        };
        assert_eq!(permitted(&refused).unwrap(), (closed, None));
    });
}

#[test]
fn what_keeps_a_connection_from_being_made_is_told_apart() {
    worker(async {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let to_closed = endpoint::<Body>(route(Scheme::H2c, closed));
        let error = to_closed.connect(PATIENCE, &caller()).await.map(|_| ()).unwrap_err();
        assert!(matches!(error.source, DialError::Connect(_)), "{error:?}");
        assert_eq!(error.signal(), Some(SignalKind::ConnectFailed));
        assert!(error.source.detail().contains("refused"), "{}", error.source.detail());

        let unprepared = endpoint::<Body>(Route { tls: None, ..route(Scheme::Https, closed) });
        let error = unprepared.connect(PATIENCE, &caller()).await.map(|_| ()).unwrap_err();
        assert!(matches!(error.source, DialError::Connect(_) | DialError::Unprepared));

        let nowhere =
            EndpointUrl { scheme: Scheme::Http, host: Host::Name("name.invalid".into()), port: 80 };
        let nowhere = Route { url: nowhere, address: None, ..route(Scheme::Http, closed) };
        let error = endpoint::<Body>(nowhere).connect(PATIENCE, &caller()).await;
        let error = error.map(|_| ()).unwrap_err();
        assert!(matches!(error.source, DialError::Unresolved), "{error:?}");
        assert_eq!(error.signal(), Some(SignalKind::ConnectFailed));
    });
}

#[test]
fn an_upgraded_connection_lives_on_without_its_lease_and_is_never_given_back() {
    worker(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = endpoint(route(Scheme::Http, listener.local_addr().unwrap()));
        spawn_local(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            let answer = "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nhi";
            socket.write_all(answer.as_bytes()).await.unwrap();
            let (mut read, mut write) = socket.split();
            tokio::io::copy(&mut read, &mut write).await.unwrap();
        });
        let mut lease = lease(&endpoint).await.unwrap();
        let mut request = get("/");
        request.headers_mut().insert("connection", "upgrade".parse().unwrap());
        request.headers_mut().insert("upgrade", "echo".parse().unwrap());
        let mut response = lease.send(request).await.unwrap();
        assert_eq!(response.status(), 101);
        let upgraded = hyper::upgrade::on(&mut response);
        lease.upgraded();
        lease.give_back(Instant::now());
        assert_eq!(endpoint.idle(), 0);
        let mut echo = hyper_util::rt::TokioIo::new(upgraded.await.unwrap());
        echo.write_all(b" there").await.unwrap();
        let mut heard = [0; 8];
        echo.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hi there");
    });
}
