//! Responses that are compressed on their way, and read again by the decoders of others.

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{LazyLock, Mutex};

use http::Request as Head;

use crate::support::client::{Request, Response};
use crate::support::http::{Body, Framing};
use crate::support::http2::{self, Client};
use crate::support::origin::{Exchange, Origin};
use crate::support::proxy::{Proxy, Setup};
use crate::support::{PATIENCE, until};

const LENGTH_MAX: usize = 8 << 20;
const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];

/// What a decoder makes of it, as far as it comes, and whether it found an end.
fn decode(coding: &str, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let result = match coding {
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
        "br" => brotli::Decompressor::new(bytes, 4_096).read_to_end(&mut out),
        "zstd" => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut out),
        other => panic!("{other}"),
    };
    (out, result.is_ok())
}

/// Text that is never the same for long.
fn text(length: usize) -> Vec<u8> {
    static LONGEST: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut random = fastrand::Rng::with_seed(9);
        let mut text = Vec::with_capacity(LENGTH_MAX + 64);
        while text.len() < LENGTH_MAX {
            writeln!(text, "{{\"id\":{},\"name\":\"n{}\"}}", random.u16(..), random.u8(..))
                .unwrap();
        }
        text
    });
    LONGEST[..length].to_vec()
}

/// Answers `/<length>` with so much text, `/<length>/chunked` without saying how much it will be.
fn sized(exchange: &mut Exchange) -> io::Result<()> {
    let target = exchange.head.word(1).to_owned();
    let mut parts = target.split('/').skip(1);
    let body = text(parts.next().and_then(|length| length.parse().ok()).unwrap_or(0));
    if parts.next().is_none() {
        return exchange.answer("200 OK", "content-type: application/json\r\n", &body);
    }
    exchange.send("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n")?;
    exchange.send("transfer-encoding: chunked\r\n\r\n")?;
    for chunk in body.chunks(10_007) {
        exchange.send(format!("{:x}\r\n", chunk.len()))?;
        exchange.send(chunk)?;
        exchange.send("\r\n")?;
    }
    exchange.send("0\r\n\r\n")
}

/// One origin, and a deployment that compresses with these settings.
fn over(origin: &Origin, settings: &str) -> Proxy {
    let setup = Setup::over(&[("us", origin.address)]);
    setup.deployment(&format!("compression: {{ {settings} }}")).start()
}

fn get(path: &str, accept: &str) -> Request {
    Request::get(path).with("Accept-Encoding", accept)
}

fn coding(answer: &Response) -> Option<&str> {
    answer.head.get("content-encoding")
}

#[test]
fn bodies_of_every_length_arrive_to_the_byte() {
    let origin = Origin::with("us", sized);
    let proxy = over(&origin, "");
    for accept in CODINGS {
        let (mut client, http2) = (proxy.patient_client(), Client::connect(proxy.address));
        for length in [0, 1, 1_023, 1_024, 16_384, 100_000, 1 << 20, LENGTH_MAX] {
            for path in [format!("/{length}"), format!("/{length}/chunked")] {
                let expected = text(length);
                let answer = client.ask(&get(&path, accept));
                if length < 1_024 && !path.ends_with("chunked") {
                    assert_eq!((coding(&answer), answer.head.get("vary")), (None, None));
                    assert!(answer.body.bytes == expected, "{path}");
                    continue;
                }
                assert_eq!(coding(&answer), Some(accept), "{path}");
                assert_eq!(answer.head.get("transfer-encoding"), Some("chunked"));
                assert!(length < 1_024 || answer.body.bytes.len() < length / 2);
                assert!(decode(accept, &answer.body.bytes) == (expected.clone(), true), "{path}");
                let request = Head::get(format!("http://api.test{path}"));
                let request = request.header("accept-encoding", accept).body(()).unwrap();
                let answer = http2.ask(request, b"", None).unwrap();
                assert_eq!(answer.head.headers()["content-encoding"], accept);
                assert!(decode(accept, &answer.body) == (expected, true), "{path} over HTTP/2");
            }
        }
    }
    let counted = |name: &str| proxy.metric(name, &[]);
    let responses = counted("rhumb_compressed_responses_total");
    assert_eq!(responses, 3.0 * 2.0 * (5.0 + 8.0));
    let (bytes_in, bytes_out) =
        (counted("rhumb_compressed_bytes_in_total"), counted("rhumb_compressed_bytes_out_total"));
    assert!(bytes_out > 0.0 && bytes_out < bytes_in / 2.0, "{bytes_in} {bytes_out}");
}

/// Decoders that have nothing in common with the encoders.
#[test]
fn other_programs_read_it_as_well() {
    let origin = Origin::with("us", sized);
    let proxy = over(&origin, "");
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--fail"]).args(arguments).stdin(Stdio::null());
        command.output().ok().filter(|output| output.status.success()).map(|output| output.stdout)
    };
    let version = curl(&["--version"]).unwrap_or_default();
    let version = String::from_utf8_lossy(&version).into_owned();
    // The others come with few builds of it.
    assert!(version.contains("zlib/"), "this takes a curl that decompresses: {version:?}");
    let url = format!("http://{}/300000/chunked", proxy.address);
    for (accept, feature) in CODINGS.into_iter().zip(["zstd/", "brotli/", "zlib/"]) {
        if version.contains(feature) {
            let header = format!("accept-encoding: {accept}");
            let got = curl(&["--compressed", "-H", &header, &url]).expect("an answer");
            assert!(got == text(300_000), "{accept}");
        }
    }
}

#[test]
fn a_client_gets_what_it_takes() {
    let origin = Origin::with("us", sized);
    let proxy = over(&origin, "encodings: [br, gzip]");
    for (accept, expected) in [
        ("gzip, deflate, br, zstd", Some("br")),
        ("gzip, zstd", Some("gzip")),
        ("br;q=0.5, gzip", Some("gzip")),
        ("zstd", None),
        ("identity, gzip;q=0.5", None),
        ("*;q=0", None),
        ("*", Some("br")),
        ("", None),
    ] {
        let answer = proxy.ask(&get("/2000", accept));
        assert_eq!(coding(&answer), expected, "{accept:?}");
        assert_eq!(answer.head.get("vary"), Some("Accept-Encoding"), "{accept:?}");
        assert_eq!(answer.head.get("content-length").is_some(), expected.is_none());
        // The origin may compress by itself.
        assert_eq!(origin.last().head.get("accept-encoding"), Some(accept));
    }
    let answer = proxy.ask(&Request::get("/2000"));
    assert_eq!((coding(&answer), answer.head.get("vary")), (None, Some("Accept-Encoding")));
    assert!(answer.body.bytes == text(2000));
}

#[test]
fn a_client_of_http_1_0_reads_to_the_end_of_the_connection() {
    let origin = Origin::with("us", sized);
    let proxy = over(&origin, "");
    for path in ["/100000", "/100000/chunked"] {
        let mut client = proxy.client();
        client.send(format!("GET {path} HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n"));
        let head = client.head();
        assert_eq!(head.get("content-encoding"), Some("gzip"));
        assert_eq!(head.framing().unwrap(), Framing::Unsaid);
        assert!(decode("gzip", &client.rest()) == (text(100_000), true));
    }
}

#[test]
fn the_head_says_what_is_so() {
    let origin = Origin::with("us", |exchange| {
        let fields = "content-type: text/html; charset=utf-8\r\netag: \"v1\"\r\nvary: Origin\r\n\
                      accept-ranges: bytes\r\ncontent-digest: sha-256=:AA==:\r\n\
                      last-modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        match exchange.head.word(0) {
            "HEAD" => {
                exchange.send(format!("HTTP/1.1 200 OK\r\n{fields}content-length: 5000\r\n\r\n"))
            }
            _ => exchange.answer("200 OK", fields, &text(5_000)),
        }
    });
    let proxy = over(&origin, "");
    let answer = proxy.ask(&get("/", "gzip"));
    let head = |method: &str, accept: Option<&str>| {
        let request = Request::new(method, "/");
        let request = match accept {
            Some(accept) => request.with("Accept-Encoding", accept),
            None => request,
        };
        let mut fields = proxy.ask(&request).head.fields;
        fields.retain(|(name, _)| {
            !["date", "via", "x-region", "transfer-encoding"].contains(&&*name.to_lowercase())
        });
        fields.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
        fields.sort();
        fields
    };
    assert_eq!(coding(&answer), Some("gzip"));
    assert_eq!(answer.head.get("etag"), Some("W/\"v1\""));
    assert_eq!(answer.head.all("vary"), ["Origin", "Accept-Encoding"]);
    assert!(answer.head.get("last-modified").is_some());
    for gone in ["content-length", "accept-ranges", "content-digest"] {
        assert_eq!(answer.head.get(gone), None, "{gone}");
    }
    // HEAD says what GET says (RFC 9110 section 9.3.2), and no other length.
    assert_eq!(head("HEAD", Some("gzip")), head("GET", Some("gzip")));
    assert_eq!(head("HEAD", None), head("GET", None));
    let plain = proxy.ask(&Request::get("/"));
    assert_eq!(plain.head.get("etag"), Some("\"v1\""));
    assert_eq!(plain.head.get("accept-ranges"), Some("bytes"));
    assert_eq!(plain.head.all("vary"), ["Origin", "Accept-Encoding"]);
}

#[test]
fn what_is_not_to_be_touched_passes_as_it_is() {
    let origin = Origin::with("us", |exchange| {
        let body = text(5_000);
        let (status, fields) = match exchange.head.word(1) {
            "/image" => ("200 OK", "content-type: image/png\r\n"),
            "/untyped" => ("200 OK", ""),
            "/encoded" => ("200 OK", "content-type: text/html\r\ncontent-encoding: gzip\r\n"),
            "/fixed" => ("200 OK", "content-type: text/html\r\ncache-control: no-transform\r\n"),
            "/part" => (
                "206 Partial Content",
                "content-type: text/html\r\ncontent-range: bytes 0-4999/9000\r\n",
            ),
            "/events" => ("200 OK", "content-type: text/event-stream\r\n"),
            "/error" => ("503 Service Unavailable", "content-type: application/problem+json\r\n"),
            _ => ("200 OK", "content-type: text/html\r\n"),
        };
        exchange.answer(status, fields, &body)
    });
    let proxy = over(&origin, "");
    for path in ["/image", "/untyped", "/encoded", "/fixed", "/part", "/events"] {
        let answer = proxy.ask(&get(path, "zstd"));
        let own = (path == "/encoded").then_some("gzip");
        assert_eq!((coding(&answer), answer.head.get("vary")), (own, None), "{path}");
        assert!(answer.body.bytes == text(5_000), "{path}");
    }
    let ranged = proxy.ask(&get("/", "zstd").with("Range", "bytes=0-99999"));
    assert_eq!((coding(&ranged), ranged.head.get("vary")), (None, Some("Accept-Encoding")));
    assert_eq!(coding(&proxy.ask(&get("/error", "zstd"))), Some("zstd"));
    // Rhumb's own answers are short.
    let off = Setup::over(&[("us", origin.address)]).start();
    let answer = off.ask(&get("/", "zstd"));
    assert_eq!((coding(&answer), answer.head.get("vary")), (None, None));
    assert_eq!(off.metric("rhumb_compressed_responses_total", &[]), 0.0);
}

/// A tag that was made weak comes back, and matches at the origin as it is (RFC 9110 section 13.1.2).
#[test]
fn a_client_asks_again_by_the_weak_tag() {
    let origin = Origin::with("us", |exchange| {
        let known = exchange.head.get("if-none-match").unwrap_or_default().to_owned();
        let weakly = |tag: &str| tag.trim().trim_start_matches("W/") == "\"v1\"";
        match known.split(',').any(weakly) {
            true => exchange.send("HTTP/1.1 304 Not Modified\r\netag: \"v1\"\r\n\r\n"),
            false => exchange.answer(
                "200 OK",
                "etag: \"v1\"\r\ncontent-type: text/css\r\n",
                &text(5_000),
            ),
        }
    });
    let proxy = over(&origin, "");
    let mut client = proxy.client();
    let tag = client.ask(&get("/", "br")).head.get("etag").unwrap().to_owned();
    assert_eq!(tag, "W/\"v1\"");
    let answer = client.ask(&get("/", "br").with("If-None-Match", &tag));
    assert_eq!(origin.last().head.get("if-none-match"), Some("W/\"v1\""));
    assert_eq!(answer.status(), 304);
    assert_eq!(answer.head.get("etag"), Some("W/\"v1\""), "the tag that it has");
    assert_eq!(answer.head.get("vary"), Some("Accept-Encoding"));
    let answer = client.ask(&Request::get("/").with("If-None-Match", "\"v1\""));
    assert_eq!((answer.status(), answer.head.get("etag")), (304, Some("\"v1\"")));
    let answer = client.ask(&get("/", "br").with("If-None-Match", "W/\"v0\""));
    assert_eq!((answer.status(), coding(&answer)), (200, Some("br")));
}

#[test]
fn events_that_are_listed_arrive_one_by_one() {
    let (go, wait) = sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    let origin = Origin::with("us", move |exchange| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
        exchange.send(format!("{head}transfer-encoding: chunked\r\n\r\n"))?;
        for _ in 0..20 {
            exchange.send("9\r\ndata: x\n\n\r\n")?;
            wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        exchange.send("0\r\n\r\n")
    });
    let proxy = over(&origin, "types: [text/event-stream]");
    let event = b"data: x\n\n";
    for accept in CODINGS {
        let mut client = proxy.client();
        client.send(get("/", accept).bytes());
        let framing = client.head().framing().unwrap();
        let (mut bytes, mut events) = (Vec::new(), 0);
        client
            .stream(framing, |part| {
                bytes.extend_from_slice(part);
                let (seen, _) = decode(accept, &bytes);
                if seen.len() == (events + 1) * event.len() && events < 20 {
                    events += 1;
                    // The origin sends nothing more before this one has come.
                    go.send(()).unwrap();
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(decode(accept, &bytes), (event.repeat(20), true), "{accept}");
        let client = Client::connect(proxy.address);
        let request = Head::get("http://api.test/").header("accept-encoding", accept);
        let (answer, _) = client.begin(request.body(()).unwrap(), true);
        let mut stream = client.wait(answer).unwrap().into_body();
        let (mut bytes, mut events) = (Vec::new(), 0);
        while let Some(part) = client.wait(http2::next(&mut stream)) {
            bytes.extend_from_slice(&part.unwrap());
            if decode(accept, &bytes).0.len() == (events + 1) * event.len() && events < 20 {
                events += 1;
                go.send(()).unwrap();
            }
        }
        assert_eq!(decode(accept, &bytes), (event.repeat(20), true), "{accept} over HTTP/2");
    }
}

/// Never a part that looks whole: not to HTTP, and not to the decoder.
#[test]
fn an_origin_that_breaks_off_breaks_the_compressed_body_off() {
    let origin = Origin::with("us", |exchange| {
        let body = text(60_000);
        let framing = match exchange.head.word(1) {
            "/chunked" => "transfer-encoding: chunked\r\n\r\n10000\r\n",
            _ => "content-length: 65536\r\n\r\n",
        };
        exchange.send(format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n{framing}"))?;
        exchange.send(&body)?;
        exchange.keep = false;
        Ok(())
    });
    let proxy = over(&origin, "");
    for accept in CODINGS {
        for path in ["/chunked", "/fixed"] {
            let mut client = proxy.client();
            client.send(get(path, accept).bytes());
            let framing = client.head().framing().unwrap();
            let mut bytes = Vec::new();
            let cut = client.stream(framing, |part| {
                bytes.extend_from_slice(part);
                Ok(())
            });
            assert!(cut.is_err(), "{accept} {path}");
            let (read, whole) = decode(accept, &bytes);
            assert!(!whole || bytes.is_empty(), "{accept} {path}");
            assert!(text(60_000).starts_with(&read));
            let http2 = Client::connect(proxy.address);
            let request = Head::get(format!("http://api.test{path}"));
            let request = request.header("accept-encoding", accept).body(()).unwrap();
            let reset = http2.ask(request, b"", None).expect_err("a reset");
            assert_eq!(reset.reason(), Some(h2::Reason::INTERNAL_ERROR), "{accept} {path}");
            let mut old = proxy.client();
            old.send(format!("GET {path} HTTP/1.0\r\nAccept-Encoding: {accept}\r\n\r\n"));
            old.head();
            let bytes = old.rest();
            assert!(bytes.is_empty() || !decode(accept, &bytes).1, "{accept} {path} HTTP/1.0");
        }
    }
}

#[test]
fn trailers_pass_behind_a_compressed_body() {
    let origin = Origin::with("us", |exchange| {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ntrailer: x-sum, content-digest\r\n";
        exchange.send(format!("{head}transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n"))?;
        exchange.send("0\r\nx-sum: 1\r\ncontent-digest: sha-256=:AA==:\r\n\r\n")
    });
    let proxy = over(&origin, "");
    let answer = proxy.ask(&get("/", "gzip").with("TE", "trailers").with("Connection", "TE"));
    let Body { bytes, trailers } = answer.body;
    assert_eq!(decode("gzip", &bytes), (b"body".to_vec(), true));
    assert_eq!(trailers, [("x-sum".to_owned(), "1".to_owned())]);
}

#[test]
fn connections_are_used_again_behind_compressed_bodies() {
    let origin = Origin::with("us", sized);
    let proxy = Setup::over(&[("us", origin.address)])
        .workers(1)
        .deployment("compression: { level: best }")
        .start();
    let mut client = proxy.client();
    for round in 0..6 {
        let path = if round % 2 == 0 { "/50000" } else { "/50000/chunked" };
        let answer = client.ask(&get(path, CODINGS[round % 3]));
        assert!(decode(CODINGS[round % 3], &answer.body.bytes) == (text(50_000), true));
    }
    assert_eq!(origin.connections(), 1);
}

/// A client that reads nothing holds an encoder; others still get answers, and those that find no
/// room get them as they are.
#[test]
fn encoders_do_not_take_all_memory() {
    let origin = Origin::with("us", sized);
    let proxy = Setup::over(&[("us", origin.address)])
        .workers(1)
        .deployment("compression: { level: best }")
        .start();
    let http2 = Client::connect(proxy.address);
    // 128 MiB at 1.25 MiB each, held by streams whose windows are full.
    let mut held = Vec::new();
    let mut clients = vec![http2];
    for round in 0..120 {
        if round % 50 == 49 {
            clients.push(Client::connect(proxy.address));
        }
        let client = clients.last().unwrap();
        let request = Head::get("http://api.test/2000000").header("accept-encoding", "zstd");
        let (answer, _) = client.begin(request.body(()).unwrap(), true);
        let answer = client.wait(answer).unwrap();
        let coding = answer.headers().get("content-encoding").is_some();
        held.push((coding, answer));
    }
    let compressed = held.iter().filter(|(coding, _)| *coding).count();
    let most = 128 * 4 / 5;
    assert!((most - 4..=most).contains(&compressed), "{compressed}");
    assert_eq!(proxy.metric("rhumb_compression_refused_total", &[]), (120 - compressed) as f64);
    let plain = proxy.ask(&get("/5000", "zstd"));
    assert_eq!((coding(&plain), plain.status()), (None, 200));
    assert_eq!(plain.head.get("vary"), Some("Accept-Encoding"));
    drop((held, clients));
    until("encoders to be free", || coding(&proxy.ask(&get("/5000", "zstd"))) == Some("zstd"));
}
