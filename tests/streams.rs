//! What flows: tunnels, streams and calls, over either version of HTTP, and how they end.

use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use bytes::Bytes;
use http::{HeaderMap, Request as Head};

use crate::support::client::Request;
use crate::support::http2::{self, Client};
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{PATIENCE, until};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: api.test\r\nConnection: keep-alive, Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const GRANT: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                     Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
                     Sec-WebSocket-Protocol: chat\r\n\r\n";

/// Agrees to every upgrade, says `hello` at once, sends back what comes, and `bye` at its end.
fn echo() -> Origin {
    Origin::with("us", |exchange| {
        if exchange.head.get("upgrade") != Some("websocket") {
            return exchange.answer_own_name();
        }
        assert!(exchange.head.lists("connection", "upgrade"));
        let key = exchange.head.get("sec-websocket-key").unwrap().to_owned();
        exchange.keep = false;
        let grant = GRANT.replace("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &accept(&key));
        exchange.send(format!("{grant}hello"))?;
        let mut buffer = [0; 4096];
        loop {
            let count = exchange.read_some(&mut buffer)?;
            if count == 0 {
                return exchange.send("bye");
            }
            exchange.send(&buffer[..count])?;
        }
    })
}

fn accept(key: &str) -> String {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
    use base64::Engine;
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(hash)
}

fn tunnels(proxy: &Proxy) -> f64 {
    proxy.metric("rhumb_tunnels", &[])
}

#[test]
fn a_websocket_passes_every_byte_both_ways_and_each_end_by_itself() {
    let origin = echo();
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    // What comes behind the request, before the answer, is the tunnel's.
    client.send(format!("{ASK}early"));
    let head = client.head();
    assert_eq!(head.word(1), "101");
    assert_eq!(head.get("upgrade"), Some("websocket"));
    assert!(head.lists("connection", "upgrade"));
    assert_eq!(head.get("sec-websocket-protocol"), Some("chat"));
    assert_eq!(head.get("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    until("the tunnel to be counted", || tunnels(&proxy) == 1.0);
    assert_eq!(proxy.metric("rhumb_in_flight", &["region=\"us\""]), 1.0);
    let bytes: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
    let mut sender = client.raw();
    let sent = bytes.clone();
    let sending = std::thread::spawn(move || {
        std::io::Write::write_all(&mut sender, &sent).unwrap();
        sender.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let received = client.rest();
    sending.join().unwrap();
    let expected = [b"helloearly", &*bytes, b"bye"].concat();
    assert!(received == expected, "{} bytes instead of {}", received.len(), expected.len());
    until("the tunnel to end", || tunnels(&proxy) == 0.0);
    assert_eq!(proxy.metric("rhumb_requests_total", &["code=\"101\""]), 1.0);
    until("nothing in flight", || proxy.metric("rhumb_in_flight", &["region=\"us\""]) == 0.0);
}

#[test]
fn a_client_that_leaves_its_tunnel_takes_the_origins_side_with_it() {
    let (tell, told) = sync_channel(64);
    let tell = Mutex::new(tell);
    let origin = Origin::with("us", move |exchange| {
        exchange.send(GRANT)?;
        let closed = exchange.closed_by_peer();
        tell.lock().unwrap().send(closed).unwrap();
        Ok(())
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    client.send(ASK);
    assert_eq!(client.head().word(1), "101");
    client.reset();
    assert!(told.recv_timeout(PATIENCE).unwrap());
    until("the tunnel to end", || tunnels(&proxy) == 0.0);
}

#[test]
fn a_quiet_tunnel_ends_after_its_time() {
    let origin = echo();
    let proxy = Setup::over(&[("us", origin.address)])
        .deployment("timeouts: { stream_idle_seconds: 0.2 }")
        .start();
    let mut client = proxy.client();
    client.send(ASK);
    assert_eq!(client.head().word(1), "101");
    assert_eq!(client.rest(), b"hello");
    until("the tunnel to end", || tunnels(&proxy) == 0.0);
}

#[test]
fn an_upgrade_that_is_not_allowed_is_a_plain_request() {
    let origin = Origin::named("us");
    let proxy = Setup::over(&[("us", origin.address)])
        .deployment("name: none\npath_prefix: /none\nupgrades: []")
        .deployment("name: some\nupgrades: [websocket, other]")
        .start();
    let asks = |target: &str, protocol: &str| {
        let request = Request::get(target).with("Connection", "Upgrade, HTTP2-Settings");
        request.with("Upgrade", protocol).with("HTTP2-Settings", "AAMAAABkAAQAAP__")
    };
    for request in [
        asks("/none", "websocket"),
        asks("/", "h2c"),
        asks("/", "spdy/3"),
        asks("/", "websocket, other"),
        asks("/", "websocket").with("Upgrade", "other"),
        asks("/", "websocket").with("Content-Length", "2").carrying("ab"),
        Request::get("/").with("Upgrade", "websocket"),
    ] {
        let answer = proxy.ask(&request);
        assert_eq!(answer.status(), 200, "{request:?}");
        let seen = origin.last().head;
        assert!(seen.all("upgrade").is_empty(), "{seen:?}");
        assert!(!seen.lists("connection", "upgrade"), "{seen:?}");
    }
    assert_eq!(proxy.ask(&asks("/", "Other/2")).status(), 200);
    assert_eq!(origin.last().head.get("upgrade"), Some("Other/2"));
}

#[test]
fn a_change_of_protocols_that_nobody_asked_for_is_no_answer() {
    let origin = Origin::with("us", |exchange| {
        exchange.keep = false;
        let wrong = exchange.head.word(1) == "/wrong";
        exchange.send(if wrong {
            GRANT.replace("Upgrade: websocket", "Upgrade: h2c")
        } else {
            GRANT.into()
        })
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    proxy.ask(&Request::get("/")).assert_problem(502, "upstream_protocol");
    let mut client = proxy.client();
    client.send(ASK.replace("/chat", "/wrong"));
    client.read("GET").assert_problem(502, "upstream_protocol");
    assert_eq!(tunnels(&proxy), 0.0);
}

#[test]
fn events_arrive_one_by_one() {
    let (go, wait) = sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    let origin = Origin::with("us", move |exchange| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
        exchange.send(format!("{head}transfer-encoding: chunked\r\n\r\n"))?;
        for _ in 0..5 {
            exchange.send("9\r\ndata: x\n\n\r\n")?;
            wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        exchange.send("0\r\n\r\n")
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    client.send(Request::get("/").bytes());
    let framing = client.head().framing().unwrap();
    let mut events = Vec::new();
    client
        .stream(framing, |part| {
            events.extend_from_slice(part);
            if events.ends_with(b"\n\n") {
                // The origin sends nothing more before this one has come.
                go.send(()).unwrap();
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(events, b"data: x\n\n".repeat(5));
    let client = Client::connect(proxy.address);
    let (answer, _) = client.begin(Head::get("http://api.test/").body(()).unwrap(), true);
    let mut stream = client.wait(answer).unwrap().into_body();
    for _ in 0..5 {
        assert_eq!(client.wait(http2::next(&mut stream)).unwrap().unwrap(), "data: x\n\n");
        go.send(()).unwrap();
    }
    while let Some(rest) = client.wait(http2::next(&mut stream)) {
        assert!(rest.unwrap().is_empty());
    }
}

#[test]
fn what_streams_is_not_bound_by_the_request_timeout() {
    let (go, wait) = sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    let origin = Origin::with("us", move |exchange| {
        wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        exchange.answer_own_name()
    });
    let timeouts = "timeouts: { first_byte_seconds: 0.1, request_seconds: 0.1 }";
    let proxy = Setup::over(&[("us", origin.address)])
        .deployment(&format!("name: poll\npath_prefix: /poll\nstreaming: true\n{timeouts}"))
        .deployment(&format!("name: plain\n{timeouts}\nretries: {{ attempts: 0 }}"))
        .start();
    let mut poll = proxy.client();
    poll.send(Request::get("/poll").bytes());
    until("the poll to arrive", || origin.count() == 1);
    // As long as it takes another one to be over.
    proxy.ask(&Request::get("/")).assert_problem(504, "upstream_timeout");
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert_eq!(poll.read("GET").region(), "us");
}

#[test]
fn a_body_that_is_too_large_is_refused_before_or_cut_in_the_middle() {
    let (tell, told) = sync_channel(64);
    let tell = Mutex::new(tell);
    let origin = Origin::with("us", move |exchange| match exchange.read_body() {
        Ok(_) => exchange.answer_own_name(),
        Err(error) => {
            tell.lock().unwrap().send(error.kind()).unwrap();
            Err(error)
        }
    });
    let proxy = Setup::over(&[("us", origin.address)]).deployment("max_body_bytes: 1000").start();
    let chunked = |size: usize| {
        let chunk = format!("{size:x}\r\n{}\r\n", "x".repeat(size));
        let head = "POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}{chunk}{chunk}0\r\n\r\n")
    };
    assert_eq!(proxy.ask(&Request::post("/", vec![b'x'; 1000])).status(), 200);
    proxy.ask(&Request::post("/", vec![b'x'; 1001])).assert_problem(413, "body_too_large");
    assert_eq!(origin.count(), 1);
    let mut client = proxy.client();
    client.send(chunked(500));
    assert_eq!(client.read("POST").status(), 200);
    let mut client = proxy.client();
    let (start, rest) = (chunked(501)[..500].to_owned(), chunked(501)[500..].to_owned());
    client.send(start);
    until("the start to arrive", || origin.count() == 3);
    client.send(rest);
    client.read("POST").assert_problem(413, "body_too_large");
    told.recv_timeout(PATIENCE).unwrap();
    let http2 = Client::connect(proxy.address);
    let post = || Head::post("http://api.test/").body(()).unwrap();
    assert_eq!(http2.ask(post(), &[b'x'; 1000], None).unwrap().head.status(), 200);
    assert_eq!(http2.ask(post(), &[b'x'; 1001], None).unwrap().head.status(), 413);
}

#[test]
fn clear_text_is_sent_to_https_by_a_host_and_a_path_alone() {
    let origin = Origin::named("us");
    let yaml = Setup::over(&[("us", origin.address)]).yaml().replace(
        "listeners: [{ address: \"127.0.0.1:0\" }]",
        "listeners: [{ address: \"127.0.0.1:0\", redirect_to_https: { port: 8443, status: 307 } }]",
    );
    let proxy = Proxy::start(&yaml);
    let answer = proxy.ask(&Request::get("/a/b?c=d").with("Host", "API.test:80"));
    assert_eq!(answer.status(), 307);
    assert_eq!(answer.head.get("location"), Some("https://api.test:8443/a/b?c=d"));
    assert_eq!(answer.head.get("strict-transport-security"), None);
    for host in ["user@evil.test", "a.test/b", ""] {
        assert_eq!(proxy.ask(&Request::get("/").with("Host", host)).status(), 400, "{host}");
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn bodies_and_trailers_pass_between_the_versions() {
    let origin = Origin::with("us", |exchange| {
        let body = exchange.read_body()?;
        match exchange.head.word(1) {
            "/fixed" => exchange.answer("200 OK", "", &body.bytes),
            "/none" => exchange.send("HTTP/1.1 204 No Content\r\n\r\n"),
            "/head" => exchange.send("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n"),
            _ => {
                let head =
                    "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n";
                let size = body.bytes.len();
                exchange.send(format!("{head}{size:x}\r\n{}\r\n", body.text()))?;
                exchange.send("0\r\nx-sum: 1\r\n\r\n")
            }
        }
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let client = Client::connect(proxy.address);
    let post = |path: &str| Head::post(format!("http://api.test{path}"));
    // With and without a length, both ways.
    let fixed =
        client.ask(post("/fixed").header("content-length", 3).body(()).unwrap(), b"abc", None);
    let fixed = fixed.unwrap();
    assert_eq!(
        (&*fixed.body, fixed.head.headers()["content-length"].as_bytes()),
        (&b"abc"[..], &b"3"[..])
    );
    assert_eq!(origin.last().head.get("content-length"), Some("3"));
    assert!(!fixed.head.headers().contains_key("connection"));
    let declared = post("/chunked").header("te", "trailers").header("trailer", "x-check");
    let trailers: HeaderMap =
        [("x-check".parse().unwrap(), "2".parse().unwrap())].into_iter().collect();
    let chunked = client.ask(declared.body(()).unwrap(), b"abc", Some(trailers)).unwrap();
    assert_eq!(chunked.body, b"abc");
    assert!(!chunked.head.headers().contains_key("content-length"));
    assert_eq!(chunked.said("x-sum"), Some("1"));
    let seen = origin.last();
    assert_eq!(seen.head.get("transfer-encoding"), Some("chunked"));
    assert_eq!(seen.body.unwrap().trailers, [("x-check".to_owned(), "2".to_owned())]);
    assert_eq!(seen.head.all("host"), ["api.test"]);
    let none = client.ask(post("/none").body(()).unwrap(), b"", None).unwrap();
    assert_eq!((none.head.status().as_u16(), none.body.len()), (204, 0));
    let head = Head::head("http://api.test/head").body(()).unwrap();
    let head = client.ask(head, b"", None).unwrap();
    assert_eq!(head.head.headers()["content-length"], "7");
    // And an HTTP/1.1 client of an HTTP/2 origin.
    let origin = http2::Origin::start();
    let proxy = Setup::empty().region_at("us", &[origin.url()]).start();
    let answer = proxy.ask(&Request::post("/echo", "abc").with("TE", "trailers"));
    assert_eq!(answer.body.bytes, b"abc");
    let mut client = proxy.client();
    client.send(
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    );
    assert_eq!(client.read("POST").body.bytes, b"abc");
}

#[test]
fn a_body_that_was_cut_is_never_taken_for_a_whole_one() {
    let origin = Origin::with("us", |exchange| {
        exchange.keep = false;
        match exchange.head.word(1) {
            "/fixed" => exchange.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart"),
            _ => {
                exchange.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n")
            }
        }
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let client = Client::connect(proxy.address);
    let get = |path: &str| Head::get(format!("http://api.test{path}")).body(()).unwrap();
    for path in ["/fixed", "/chunked"] {
        let error = client.ask(get(path), b"", None).unwrap_err();
        assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR), "{path}");
        assert!(proxy.client().try_ask(&Request::get(path)).is_err(), "{path}");
    }
    // A reset that says that all is well, before the end.
    let origin = http2::Origin::start();
    let proxy = Setup::empty().region_at("us", &[origin.url()]).start();
    let client = Client::connect(proxy.address);
    client.ask(get("/cut"), b"", None).unwrap_err();
    assert!(proxy.client().try_ask(&Request::get("/cut")).is_err());
}

#[test]
fn a_request_that_is_taken_back_ends_at_the_origin() {
    let (tell, told) = sync_channel(64);
    let tell = Mutex::new(tell);
    let origin = Origin::with("us", move |exchange| {
        let closed = exchange.closed_by_peer();
        tell.lock().unwrap().send(closed).unwrap();
        Ok(())
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let client = Client::connect(proxy.address);
    for (path, ends) in [("/", true), ("/upload", false)] {
        let request = Head::put(format!("http://api.test{path}")).body(()).unwrap();
        let before = origin.count();
        let (answer, mut upload) = client.begin(request, ends);
        until("the request to arrive", || origin.count() > before);
        upload.send_reset(h2::Reason::CANCEL);
        assert!(told.recv_timeout(PATIENCE).unwrap(), "{path}");
        drop(answer);
    }
    // The client's connection goes on.
    let second = http2::Origin::start();
    let proxy = Setup::empty().region_at("us", &[second.url()]).start();
    let client = Client::connect(proxy.address);
    let (_answer, mut upload) = client.begin(call("/a/hang").body(()).unwrap(), false);
    until("the call to arrive", || second.count() == 1);
    upload.send_reset(h2::Reason::CANCEL);
    assert_eq!(second.cancelled(), h2::Reason::CANCEL);
    assert_eq!(unary(&client, "/a/echo", b"still here").body, b"still here");
}

#[test]
fn an_early_answer_ends_the_upload_and_not_the_connection() {
    let origin = Origin::with("us", |exchange| {
        exchange.answer("403 Forbidden", "", b"no")?;
        exchange.closed_by_peer();
        Ok(())
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let client = Client::connect(proxy.address);
    for _ in 0..3 {
        let request = Head::post("http://api.test/").body(()).unwrap();
        let (answer, mut upload) = client.begin(request, false);
        upload.send_data(Bytes::from_static(b"a start"), false).unwrap();
        let answer = client.wait(http2::read(answer)).unwrap();
        assert_eq!((answer.head.status().as_u16(), &*answer.body), (403, &b"no"[..]));
        let reason = client.wait(std::future::poll_fn(|cx| upload.poll_reset(cx))).unwrap();
        assert_eq!(reason, h2::Reason::NO_ERROR);
    }
}

fn call(path: &str) -> http::request::Builder {
    let call = Head::post(format!("http://api.test{path}")).header("te", "trailers");
    call.header("content-type", "application/grpc+proto")
}

fn unary(client: &Client, path: &str, message: &[u8]) -> http2::Answer {
    client.ask(call(path).body(()).unwrap(), message, None).unwrap()
}

#[test]
fn calls_of_every_kind_pass() {
    let origin = http2::Origin::start();
    let proxy = Setup::empty().region_at("us", &[origin.url()]).start();
    let client = Client::connect(proxy.address);
    let answer = unary(&client, "/a/echo", b"message");
    assert_eq!((&*answer.body, answer.said("grpc-status")), (&b"message"[..], Some("0")));
    assert_eq!(answer.head.headers()["x-saw-te"], "trailers");
    // Both ways at once: each answer comes before the next message is sent.
    let (answer, mut upload) = client.begin(call("/a/head").body(()).unwrap(), false);
    let mut stream = client.wait(answer).unwrap().into_body();
    for message in ["one", "two", "three"] {
        upload.send_data(message.into(), false).unwrap();
        assert_eq!(client.wait(http2::next(&mut stream)).unwrap().unwrap(), message);
    }
    upload.send_data(Bytes::new(), true).unwrap();
    assert!(client.wait(http2::next(&mut stream)).is_none());
    let trailers = client.wait(stream.trailers()).unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
}

#[test]
fn a_call_ends_with_its_time() {
    let origin = http2::Origin::start();
    let proxy = Setup::empty().region_at("us", &[origin.url()]).start();
    let client = Client::connect(proxy.address);
    let ask = |path: &str| {
        let call = call(path).header("grpc-timeout", "200m").body(()).unwrap();
        client.ask(call, b"message", None).unwrap()
    };
    let before = ask("/a/hang");
    assert_eq!((before.head.status().as_u16(), before.said("grpc-status")), (200, Some("4")));
    assert_eq!(origin.cancelled(), h2::Reason::CANCEL);
    let within = ask("/a/slow");
    assert_eq!((&*within.body, within.said("grpc-status")), (&b"part"[..], Some("4")));
    assert_eq!(within.head.headers()["x-saw-grpc-timeout"], "200m");
    assert_eq!(origin.cancelled(), h2::Reason::CANCEL);
}

#[test]
fn calls_are_refused_in_their_own_words() {
    let plain = Origin::named("us");
    let proxy = Setup::over(&[("us", plain.address)])
        .deployment("hosts: [api.test]\nmax_body_bytes: 10")
        .start();
    let client = Client::connect(proxy.address);
    // HTTP/1.1 cannot carry it.
    let refused = unary(&client, "/a/echo", b"message");
    assert_eq!(refused.head.status(), 200);
    assert_eq!(refused.head.headers()["content-type"], "application/grpc");
    assert!(refused.head.headers().contains_key("proxy-status"));
    assert!(refused.body.is_empty() && refused.trailers.is_none());
    assert_eq!(refused.said("grpc-status"), Some("14"));
    assert!(refused.said("grpc-message").unwrap().starts_with("upstream_protocol: "));
    assert_eq!(plain.count(), 0);
    let large = call("/a/echo").header("content-length", 11).body(()).unwrap();
    let large = client.ask(large, b"hello world", None).unwrap();
    assert_eq!(large.said("grpc-status"), Some("8"));
    let unknown = Head::post("http://b.test/a/echo").header("content-type", "application/grpc");
    let unknown = client.ask(unknown.body(()).unwrap(), b"", None).unwrap();
    assert_eq!(unknown.said("grpc-status"), Some("12"));
    assert_eq!(proxy.metric("rhumb_requests_total", &["code=\"404\""]), 1.0);
}

#[test]
fn a_call_that_nobody_worked_on_goes_to_another_endpoint() {
    let (busy, free) = (http2::Origin::start(), http2::Origin::start());
    busy.decline();
    let setup = |retries: &str| {
        Setup::empty()
            .region_at("us", &[busy.url()])
            .region_at("eu", &[free.url()])
            .deployment(&format!("routing_strategy: failover\nretries: {{ {retries} }}"))
            .start()
    };
    let proxy = setup("attempts: 2");
    let client = Client::connect(proxy.address);
    let answer = unary(&client, "/a/echo", b"message");
    assert_eq!((&*answer.body, answer.said("grpc-status")), (&b"message"[..], Some("0")));
    assert_eq!((busy.count(), free.count()), (1, 1));
    // More than is kept is not sent twice.
    let answer = unary(&client, "/a/echo", &[0; 60_000]);
    assert_eq!(answer.said("grpc-status"), Some("0"));
    // Nobody is free: the last one's answer is the answer.
    free.decline();
    let answer = unary(&client, "/a/echo", b"message");
    assert_eq!(answer.said("grpc-status"), Some("14"));
    assert!(!answer.head.headers().contains_key("proxy-status"));
    let proxy = setup("attempts: 2, grpc_statuses: []");
    let before = free.count();
    assert_eq!(
        unary(&Client::connect(proxy.address), "/a/echo", b"m").said("grpc-status"),
        Some("14")
    );
    assert_eq!(free.count(), before);
}

#[test]
fn a_call_whose_stream_is_refused_is_made_again_with_all_of_its_messages() {
    let (refusing, free) = (http2::Origin::start(), http2::Origin::start());
    refusing.refuse();
    let proxy = Setup::empty()
        .region_at("us", &[refusing.url()])
        .region_at("eu", &[free.url()])
        .deployment("routing_strategy: failover")
        .start();
    let client = Client::connect(proxy.address);
    let messages: Vec<u8> = (0..60_000_u32).map(|i| (i % 251) as u8).collect();
    let answer = unary(&client, "/a/echo", &messages);
    assert_eq!((answer.body == messages, answer.said("grpc-status")), (true, Some("0")));
    assert!(refusing.count() > 1, "it was asked again");
    assert_eq!(free.count(), 1);
    // More than is kept cannot be sent again.
    let answer = unary(&client, "/a/echo", &[0; 80_000]);
    assert_eq!(answer.said("grpc-status"), Some("14"));
    assert_eq!(free.count(), 1);
}

#[test]
fn a_websocket_goes_over_a_stream_of_http2() {
    let origin = echo();
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let client = Client::connect(proxy.address);
    client.until_extended_connect();
    let ask = |protocol: &'static str| {
        let mut request = Head::builder().method("CONNECT").uri("http://api.test/chat");
        request.extensions_mut().unwrap().insert(h2::ext::Protocol::from_static(protocol));
        request.header("sec-websocket-version", "13").body(()).unwrap()
    };
    let (answer, mut upload) = client.begin(ask("websocket"), false);
    let answer = client.wait(answer).unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
    for name in ["sec-websocket-accept", "upgrade", "connection"] {
        assert!(!answer.headers().contains_key(name), "{name}");
    }
    let mut stream = answer.into_body();
    upload.send_data(Bytes::from_static(b"question"), true).unwrap();
    let mut text = Vec::new();
    while let Some(part) = client.wait(http2::next(&mut stream)) {
        text.extend_from_slice(&part.unwrap());
    }
    assert_eq!(text, b"helloquestionbye");
    until("the tunnel to end", || tunnels(&proxy) == 0.0);
    assert_eq!(client.ask(ask("other"), b"", None).unwrap().head.status(), 501);
    let plain = Head::builder().method("CONNECT").uri("api.test:80").body(()).unwrap();
    assert_eq!(client.ask(plain, b"", None).unwrap().head.status(), 501);
    // A stream that is reset takes the origin's side with it.
    let (answer, mut upload) = client.begin(ask("websocket"), false);
    assert_eq!(client.wait(answer).unwrap().status(), 200);
    until("the tunnel to be counted", || tunnels(&proxy) == 1.0);
    upload.send_reset(h2::Reason::CANCEL);
    until("the tunnel to end", || tunnels(&proxy) == 0.0);
}
