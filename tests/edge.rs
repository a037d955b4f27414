//! The edge that clients see: TLS by name, HTTP/2 beside HTTP/1.1, the PROXY protocol, floods and
//! limits. What is slow by nature is tested beside the code, on a clock of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use http::HeaderValue;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::client::{Client, Request};
use crate::support::edge::{Authority, alpn, get, http1, http2, run, shake, shown, tcp, text};
use crate::support::frames::{
    DATA, END_HEADERS, END_STREAM, Frames, SETTINGS, WINDOW_UPDATE, frame, headers,
};
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup, replace};
use crate::support::until;

const BOTH: [&str; 2] = ["h2", "http/1.1"];
const TLS: &str = "tls: { certificates: [{ certificate: a.pem, key: a.key }, \
                   { certificate: b.pem, key: b.key }] }";

/// A proxy with certificates for `a.test` and `*.b.test`.
struct World {
    origin: Origin,
    proxy: Proxy,
    authority: Authority,
}

impl World {
    fn new(fields: &str) -> Self {
        let origin = Origin::named("us");
        let setup = Setup::over(&[("us", origin.address)]);
        let setup = setup.listener("127.0.0.1", "").listener("127.0.0.2", fields).trusting();
        let authority = Authority::default();
        let dir = TempDir::new().unwrap();
        let world = |name: &str, content: &str| {
            std::fs::write(dir.path().join(name), content).unwrap();
        };
        for (stem, name) in [("a", "a.test"), ("b", "*.b.test")] {
            let (certificate, key) = authority.issue(&[name]);
            world(&format!("{stem}.pem"), &certificate);
            world(&format!("{stem}.key"), &key);
        }
        world("rhumb.yaml", &setup.yaml());
        let proxy = Proxy::start_in(Arc::new(dir));
        Self { origin, proxy, authority }
    }

    fn plain(fields: &str) -> Self {
        let origin = Origin::named("us");
        let proxy =
            Setup::over(&[("us", origin.address)]).listener("127.0.0.1", fields).trusting().start();
        Self { origin, proxy, authority: Authority::default() }
    }
}

#[test]
fn a_certificate_by_name_and_a_protocol_by_agreement() {
    let world = World::new(TLS);
    let address = world.proxy.addresses[1];
    run(async {
        let mut seen = Vec::new();
        for (name, offered, agreed) in [
            ("a.test", &BOTH[..], Some("h2")),
            ("x.b.test", &["http/1.1"], Some("http/1.1")),
            ("a.test", &[], None),
        ] {
            let connector = world.authority.client(offered);
            let stream = shake(&connector, tcp(address).await, name).await;
            assert_eq!(alpn(&stream), agreed);
            seen.push(shown(&stream));
            let answer = match agreed {
                Some("h2") => {
                    let uri = format!("https://{name}/path?q");
                    http2(stream).await.send_request(get(&uri)).await.unwrap()
                }
                _ => http1(stream).await.send_request(get("/path?q")).await.unwrap(),
            };
            assert_eq!((answer.status().as_u16(), text(answer).await), (200, "us".to_owned()));
        }
        assert_ne!(seen[0], seen[1]);
        assert_eq!(seen[0], seen[2]);
    });
    for request in world.origin.requests() {
        assert_eq!(request.head.get("x-forwarded-proto"), Some("https"), "{request:#?}");
        assert_eq!(request.head.word(1), "/path?q");
    }
    assert_eq!(world.proxy.metric("rhumb_tls_handshakes_total", &["result=\"success\""]), 3.0);
}

#[test]
fn a_request_for_a_host_of_another_certificate_belongs_on_another_connection() {
    let world = World::new(TLS);
    let address = world.proxy.addresses[1];
    let asked = [
        ("a.test", 200),
        ("A.test:8443", 200),
        ("x.b.test", 421),
        // No certificate is for this one, so no connection would be better.
        ("elsewhere.test", 200),
    ];
    run(async {
        let connector = world.authority.client(&["h2"]);
        let mut sender = http2(shake(&connector, tcp(address).await, "a.test").await).await;
        for (host, status) in asked {
            let answer = sender.send_request(get(&format!("https://{host}/"))).await.unwrap();
            assert_eq!(answer.status(), status, "{host}");
            if status == 421 {
                assert!(text(answer).await.contains("misdirected_request"));
            }
        }
        let connector = world.authority.client(&["http/1.1"]);
        let mut sender = http1(shake(&connector, tcp(address).await, "a.test").await).await;
        for (host, status) in asked {
            let mut request = get("/");
            request.headers_mut().insert("host", host.parse().unwrap());
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.status(), status, "{host}");
            text(answer).await;
        }
        // The wildcard is for both of these.
        let connector = world.authority.client(&["h2"]);
        let mut sender = http2(shake(&connector, tcp(address).await, "x.b.test").await).await;
        for (host, status) in [("y.b.test", 200), ("a.test", 421)] {
            let answer = sender.send_request(get(&format!("https://{host}/"))).await.unwrap();
            assert_eq!(answer.status(), status, "{host}");
        }
    });
    assert_eq!(world.origin.count(), 7, "what is refused is not sent");
    // Clear text has no certificates.
    let mut client = world.proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: x.b.test\r\n\r\n");
    assert_eq!(client.read("GET").status(), 200);
}

#[test]
fn many_requests_at_once_on_one_connection() {
    let world = World::plain("");
    let answers = run(async {
        let sender = http2(tcp(world.proxy.address).await).await;
        let asking = (0..300).map(|number| {
            let mut sender = sender.clone();
            tokio::spawn(async move {
                sender.ready().await.unwrap();
                let uri = format!("http://edge.test/{number}");
                text(sender.send_request(get(&uri)).await.unwrap()).await
            })
        });
        let mut answers = Vec::new();
        for answer in asking.collect::<Vec<_>>() {
            answers.push(answer.await.unwrap());
        }
        answers
    });
    assert!(answers.len() == 300 && answers.iter().all(|answer| answer == "us"));
    assert_eq!(world.origin.count(), 300);
    assert_eq!(world.proxy.metric("rhumb_floods_total", &[]), 0.0);
}

#[test]
fn many_long_heads_at_once_are_all_understood() {
    let world = World::new(TLS);
    let value = |number: usize| format!("{number}-").repeat(8_000 / format!("{number}-").len());
    run(async {
        let connector = world.authority.client(&["h2"]);
        let tls = shake(&connector, tcp(world.proxy.addresses[1]).await, "a.test").await;
        let clear = http2(tcp(world.proxy.addresses[0]).await).await;
        for (sender, scheme) in [(clear, "http"), (http2(tls).await, "https")] {
            let asking = (0..100).map(|number| {
                let mut sender = sender.clone();
                tokio::spawn(async move {
                    sender.ready().await.unwrap();
                    let mut request = get(&format!("{scheme}://a.test/{number}"));
                    let value = HeaderValue::try_from(value(number)).unwrap();
                    request.headers_mut().insert("x-long", value);
                    text(sender.send_request(request).await.unwrap()).await
                })
            });
            for answer in asking.collect::<Vec<_>>() {
                assert_eq!(answer.await.unwrap(), "us");
            }
        }
    });
    let seen = world.origin.requests();
    assert_eq!(seen.len(), 200);
    for seen in seen {
        let number = seen.head.word(1)[1..].parse().unwrap();
        assert_eq!(seen.head.get("x-long"), Some(value(number).as_str()));
    }
    assert_eq!(world.proxy.metric("rhumb_floods_total", &[]), 0.0);
}

#[test]
fn http_1_on_the_same_listener_does_not_wait_for_a_preface() {
    let world = World::plain("");
    for request in ["PRIVATE / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n", "P / HTTP/1.1\r\n"] {
        let mut client = world.proxy.client();
        // Byte by byte, so that each start of it is looked at.
        for byte in format!("{request}Host: a\r\nContent-Length: 0\r\n\r\n").as_bytes() {
            client.send([*byte]);
        }
        assert_eq!(client.read("POST").status(), 200, "{request}");
    }
}

#[test]
fn clear_text_on_a_tls_port_is_answered_in_clear_text() {
    let world = World::new(TLS);
    let mut client = Client::connect(world.proxy.addresses[1]);
    client.ask(&Request::get("/")).assert_problem(400, "malformed_request");
    assert_eq!(world.origin.connections(), 0);
}

#[test]
fn who_connects_through_a_proxy_is_told_to_origins() {
    let world = World::plain("proxy_protocol: { trusted: [127.0.0.1/32] }");
    let v2 = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..],
        &[198, 51, 100, 8, 192, 0, 2, 1, 0x1e, 0x61, 1, 187],
    ]
    .concat();
    let v1 = b"PROXY TCP4 198.51.100.7 192.0.2.1 7777 443\r\n".to_vec();
    for header in [v1.clone(), v2] {
        let mut client = world.proxy.client();
        client.send(header);
        assert_eq!(client.ask(&Request::get("/")).status(), 200);
        assert_eq!(client.ask(&Request::get("/")).status(), 200);
    }
    let told: Vec<_> = world
        .origin
        .requests()
        .iter()
        .map(|request| request.head.get("x-forwarded-for").unwrap().to_owned())
        .collect();
    assert_eq!(told, ["198.51.100.7", "198.51.100.7", "198.51.100.8", "198.51.100.8"]);
    let mut without = world.proxy.client();
    without.send(Request::get("/").bytes());
    assert!(without.is_closed(), "a header is required");
    let mut stranger = world.proxy.client_from("127.0.0.3");
    stranger.send(v1);
    assert!(stranger.is_closed(), "nobody else may send one");
    assert_eq!(world.proxy.metric("rhumb_proxy_protocol_errors_total", &[]), 2.0);
    assert_eq!(world.origin.count(), 4);
}

#[test]
fn a_new_certificate_is_for_new_connections_and_old_ones_go_on() {
    let world = World::new(TLS);
    let address = world.proxy.addresses[1];
    let (certificate, key) = world.authority.issue(&["a.test"]);
    run(async {
        let connector = world.authority.client(&["h2"]);
        let stream = shake(&connector, tcp(address).await, "a.test").await;
        let before = shown(&stream);
        let mut old = http2(stream).await;
        let ask = async |sender: &mut hyper::client::conn::http2::SendRequest<_>| {
            let answer = sender.send_request(get("https://a.test/")).await.unwrap();
            assert_eq!(text(answer).await, "us");
        };
        ask(&mut old).await;
        replace(&world.proxy.dir().join("a.key"), key.as_bytes());
        replace(&world.proxy.dir().join("a.pem"), certificate.as_bytes());
        let mut fresh = loop {
            let connector = world.authority.client(&["h2"]);
            let stream = shake(&connector, tcp(address).await, "a.test").await;
            if shown(&stream) != before {
                break http2(stream).await;
            }
        };
        ask(&mut fresh).await;
        ask(&mut old).await;
    });
}

#[test]
fn a_client_has_only_so_many_connections() {
    let origin = Origin::named("us");
    let proxy =
        Setup::over(&[("us", origin.address)]).top("limits: { connections_per_client: 2 }").start();
    let mut two: Vec<_> = (0..2).map(|_| proxy.client_from("127.0.0.5")).collect();
    for client in &mut two {
        assert_eq!(client.ask(&Request::get("/")).status(), 200);
    }
    let third = proxy.client_from("127.0.0.5").rest();
    assert!(third.starts_with(b"HTTP/1.1 503"), "{}", String::from_utf8_lossy(&third));
    assert_eq!(proxy.client_from("127.0.0.6").ask(&Request::get("/")).status(), 200);
    assert_eq!(proxy.metric("rhumb_connections_refused_total", &["why=\"client\""]), 1.0);
    drop(two);
    until("room", || {
        let mut client = proxy.client_from("127.0.0.5");
        client.try_ask(&Request::get("/")).is_ok_and(|answer| answer.status() == 200)
    });
}

#[test]
fn a_worker_has_only_so_many_connections() {
    let origin = Origin::named("us");
    let proxy = Setup::over(&[("us", origin.address)])
        .top("limits: { connections_per_worker: 3 }")
        .workers(1)
        .start();
    let mut three: Vec<_> = (0..3).map(|_| proxy.client()).collect();
    for client in &mut three {
        assert_eq!(client.ask(&Request::get("/")).status(), 200);
    }
    assert!(proxy.client().rest().starts_with(b"HTTP/1.1 503"));
    assert_eq!(proxy.metric("rhumb_connections_refused_total", &["why=\"worker\""]), 1.0);
}

#[test]
fn streams_under_way_are_finished_before_the_process_ends() {
    let (origin, open) = Origin::gated("us");
    let mut proxy = Setup::over(&[("us", origin.address)]).start();
    run(async {
        let mut sender = http2(tcp(proxy.address).await).await;
        let asking = (0..20).map(|_| tokio::spawn(sender.send_request(get("http://a.test/"))));
        let asking: Vec<_> = asking.collect();
        while origin.count() < asking.len() {
            tokio::task::yield_now().await;
        }
        proxy.signal(Signal::TERM);
        while tokio::net::TcpStream::connect(proxy.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        drop(open);
        for answer in asking {
            assert_eq!(text(answer.await.unwrap().unwrap()).await, "us");
        }
    });
    assert_eq!(proxy.ended().code(), Some(0), "{}", proxy.log());
}

#[test]
fn requests_that_are_taken_back_never_have_more_at_origins_than_streams_may_be_open() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let origin = {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        Origin::with("us", move |exchange| {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            // Waits until the connection ends.
            let _ = exchange.read_body();
            now.fetch_sub(1, SeqCst);
            exchange.answer_own_name()
        })
    };
    let proxy = Setup::over(&[("us", origin.address)])
        .top("limits: { streams_per_connection: 10 }")
        .workers(1)
        .start();
    run(async {
        let mut stream = tcp(proxy.address).await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        let block = [&[0x82, 0x84, 0x86, 0x01, 6][..], b"a.test"].concat();
        let mut id = 1;
        while id < 10_000 {
            let round: Vec<u8> = (0..10)
                .flat_map(|i| frame(1, 5, id + i * 2, &block))
                .chain((0..10).flat_map(|i| frame(3, 0, id + i * 2, &[0, 0, 0, 8])))
                .collect();
            if stream.write_all(&round).await.is_err() {
                break;
            }
            id += 20;
            tokio::task::yield_now().await;
        }
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
    });
    until("the flood to be counted", || {
        proxy.metric("rhumb_floods_total", &["kind=\"rapid_reset\""]) == 1.0
    });
    assert!(most.load(SeqCst) <= 10, "{} at once", most.load(SeqCst));
    assert_eq!(proxy.ask(&Request::get("/")).status(), 200);
}

#[test]
fn a_client_that_does_not_read_keeps_nobody_waiting_and_loses_nothing() {
    const LARGE: usize = 32 << 20;
    const MOST: u32 = i32::MAX as u32;
    let body: Arc<[u8]> = (0..LARGE).map(|i| (i % 251) as u8).collect();
    let sent = Arc::new(AtomicUsize::new(0));
    let origin = {
        let (body, sent) = (Arc::clone(&body), Arc::clone(&sent));
        Origin::with("us", move |exchange| {
            if exchange.head.word(1) != "/large" {
                return exchange.answer_own_name();
            }
            exchange.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n"))?;
            for part in body.chunks(64 << 10) {
                exchange.send(part)?;
                sent.fetch_add(part.len(), SeqCst);
            }
            Ok(())
        })
    };
    let proxy = Setup::over(&[("us", origin.address)]).workers(1).start();
    let mut silent = Frames::connect(proxy.address);
    let wide = [&4_u16.to_be_bytes()[..], &MOST.to_be_bytes()].concat();
    let more = (MOST - (64 << 10)).to_be_bytes();
    let fields =
        [(":method", "GET"), (":scheme", "http"), (":path", "/large"), (":authority", "a.test")];
    let begun = [
        frame(SETTINGS, 0, 0, &wide),
        frame(WINDOW_UPDATE, 0, 0, &more),
        headers(1, END_STREAM | END_HEADERS, &fields),
    ];
    silent.send(&begun.concat()).unwrap();
    until("the answer to begin", || sent.load(SeqCst) > 0);
    // Others are served until the origin cannot send any more, and then as well.
    let mut other = proxy.client();
    let (mut before, mut stuck) = (0, 0);
    while stuck < 500 {
        assert_eq!(other.ask(&Request::get("/")).status(), 200);
        let now = sent.load(SeqCst);
        stuck = if now == before { stuck + 1 } else { 0 };
        before = now;
    }
    assert!(before < LARGE, "it takes everything without being read");
    let mut received = Vec::with_capacity(LARGE);
    while received.len() < LARGE {
        let frame = silent.next().expect("the rest of the answer");
        if frame.kind == DATA {
            received.extend(frame.payload);
        }
    }
    assert!(received == *body);
}
