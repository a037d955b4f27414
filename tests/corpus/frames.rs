//! HTTP/2 towards an origin of HTTP/1.1: what is a field there may be a line here. Requests that are
//! malformed are answered 4xx or end with a reset of their stream or connection; either way the
//! origin sees no byte of them.

use super::{Seen, Stage};
use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PADDED, PRIORITY,
    RST_STREAM, block, frame, headers,
};

struct Sequence {
    name: String,
    bytes: Vec<u8>,
    /// What the origin sees; nothing: it is refused.
    seen: Vec<Seen>,
}

type Fields<'a> = Vec<(&'a str, &'a str)>;

/// The head of a request for `/x` at `api.test`.
fn head<'a>(method: &'a str, more: &[(&'a str, &'a str)]) -> Fields<'a> {
    let pseudo =
        [(":method", method), (":scheme", "http"), (":authority", "api.test"), (":path", "/x")];
    pseudo.into_iter().chain(more.iter().copied()).collect()
}

/// A GET of `/x` with one of its pseudo-headers changed.
fn with(name: &str, value: &str) -> Vec<u8> {
    let mut fields = head("GET", &[]);
    for field in &mut fields {
        if field.0 == name {
            field.1 = value;
        }
    }
    headers(1, END_STREAM, &fields)
}

fn without(name: &str) -> Vec<u8> {
    let mut fields = head("GET", &[]);
    fields.retain(|field| field.0 != name);
    headers(1, END_STREAM, &fields)
}

fn get(more: &[(&str, &str)]) -> Vec<u8> {
    headers(1, END_STREAM, &head("GET", more))
}

/// A POST with a body in one piece.
fn post(more: &[(&str, &str)], body: &str) -> Vec<u8> {
    [headers(1, 0, &head("POST", more)), frame(DATA, END_STREAM, 1, body.as_bytes())].concat()
}

fn x() -> Seen {
    Seen::line("GET /x")
}

fn a_post() -> Seen {
    Seen::line("POST /x")
}

fn bad(name: impl Into<String>, bytes: Vec<u8>) -> Sequence {
    Sequence { name: name.into(), bytes, seen: Vec::new() }
}

fn fine(name: impl Into<String>, seen: Seen, bytes: Vec<u8>) -> Sequence {
    Sequence { name: name.into(), bytes, seen: vec![seen] }
}

fn sequences() -> Vec<Sequence> {
    [pseudo_headers(), paths(), hosts(), fields(), lengths(), framing(), trailers()]
        .into_iter()
        .flatten()
        .collect()
}

fn pseudo_headers() -> Vec<Sequence> {
    let mut all: Vec<_> =
        [":method", ":scheme", ":path"].map(|name| bad(format!("no {name}"), without(name))).into();
    for name in [":method", ":path", ":scheme", ":authority"] {
        let twice: Fields<'_> = [(name, "/y")].into_iter().chain(head("GET", &[])).collect();
        all.push(bad(format!("{name} twice"), headers(1, END_STREAM, &twice)));
        let behind = get(&[("x", "y"), (name, "/y")]);
        all.push(bad(format!("{name} behind a field"), behind));
    }
    for (name, value) in [(":status", "200"), (":protocol", "websocket"), (":x", "y"), (":", "y")] {
        let fields: Fields<'_> = [(name, value)].into_iter().chain(head("GET", &[])).collect();
        all.push(bad(format!("{name} in a GET"), headers(1, END_STREAM, &fields)));
    }
    for method in ["", "GET /y HTTP/1.1\r\nX:", "GET ", "G\0T", "G\r\nET", "CONNECT"] {
        all.push(bad(format!("method {method:?}"), with(":method", method)));
    }
    for scheme in ["", "ftp", "http://", "ht tp", "http\r\n"] {
        all.push(bad(format!("scheme {scheme:?}"), with(":scheme", scheme)));
    }
    all.push(fine("scheme https", x(), with(":scheme", "https")));
    all
}

fn paths() -> Vec<Sequence> {
    let mut all = Vec::new();
    for path in [
        "",
        "x",
        "?x",
        "*",
        "http://other.test/x",
        "/x y",
        "/x HTTP/1.1\r\nHost: other.test\r\n\r\n",
        "/x\r\nX: y",
        "/x\n",
        "/x\0",
        "/x\t",
        "/..",
        "/../x",
        "/a/%2e%2e/%2e%2e/x",
        "/a/..%2fx",
        "/a\\x",
        "/%00",
        "/%zz",
        "/a<b",
    ] {
        all.push(bad(format!("path {path:?}"), with(":path", path)));
    }
    for (path, expected) in [
        ("/a/../b?../c", "/b?../c"),
        ("//a/%7eb", "/a/~b"),
        ("//other.test/x", "/other.test/x"),
        ("/a%2fb", "/a%2Fb"),
        ("/a?b", "/a?b"),
        ("/a#b", "/a"),
        ("#x", "/"),
    ] {
        let expected = Seen::line(&format!("GET {expected}"));
        all.push(fine(format!("path {path:?}"), expected, with(":path", path)));
    }
    all
}

fn hosts() -> Vec<Sequence> {
    let mut all = Vec::new();
    for authority in [
        "",
        "user@api.test",
        "api.test, other.test",
        "api.test,other.test",
        "api.test:x",
        "api.test:65536",
        "api.test/x",
        "api.test\r\nX: y",
        "api.test\0",
        "api.test other.test",
        "[::1",
        ":80",
        "api.test:80:81",
    ] {
        all.push(bad(format!("authority {authority:?}"), with(":authority", authority)));
    }
    let alone = |hosts: &[(&'static str, &'static str)]| {
        let mut fields = head("GET", hosts);
        fields.retain(|field| field.0 != ":authority");
        headers(1, END_STREAM, &fields)
    };
    all.push(bad("no host at all", without(":authority")));
    all.push(fine("Host alone", x().at("other.test"), alone(&[("host", "other.test")])));
    all.push(bad("two hosts", alone(&[("host", "api.test"), ("host", "api.test")])));
    all.push(bad("Host with a user", alone(&[("host", "u@api.test")])));
    all.push(fine("the same twice", x(), get(&[("host", "api.test")])));
    all.push(bad("another Host", get(&[("host", "other.test")])));
    all.push(bad(
        "the same and another Host",
        get(&[("host", "api.test"), ("host", "other.test")]),
    ));
    all.push(fine(
        "authority with a port",
        x().at("API.test:81"),
        with(":authority", "API.test:81"),
    ));
    all
}

fn fields() -> Vec<Sequence> {
    let mut all = Vec::new();
    for (name, value) in [
        ("connection", "close"),
        ("connection", "x-forwarded-for"),
        ("keep-alive", "5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("te", "trailers, chunked"),
        ("X", "y"),
        ("Host", "other.test"),
        ("Transfer-Encoding", "chunked"),
        ("", "y"),
        ("x y", "z"),
        ("x:", "y"),
        ("x\r\ny", "z"),
        ("x: y\r\nhost", "other.test"),
        ("transfer-encoding: chunked\r\nx", "y"),
        ("x\0", "y"),
        ("\u{e4}", "y"),
        ("x", "y\r\nhost: other.test"),
        ("x", "y\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: api.test\r\n\r\n"),
        ("x", "y\ntransfer-encoding: chunked"),
        ("x", "y\rz"),
        ("x", "y\0z"),
        ("x", "\r\n"),
        ("cookie", "a=1\r\nx: y"),
    ] {
        all.push(bad(format!("field {name:?}: {value:?}"), get(&[(name, value)])));
    }
    all.push(fine("trailers are asked for", x().with("te: trailers"), get(&[("te", "trailers")])));
    all.push(fine(
        "crumbs",
        x().with("cookie: a=1; b=2; c=3").with("x: y"),
        get(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c=3")]),
    ));
    all.push(fine(
        "a twin",
        x(),
        get(&[("x_forwarded_for", "1.2.3.4"), ("transfer_encoding", "chunked")]),
    ));
    all.push(fine("a forged certificate", x(), get(&[("x-forwarded-client-cert", "Hash=1")])));
    all.push(fine(
        "a forged address",
        x(),
        get(&[("x-forwarded-for", "1.2.3.4"), ("forwarded", "for=1.2.3.4")]),
    ));
    all.push(fine(
        "a settings field of an upgrade",
        x().with("http2-settings: AAMA"),
        get(&[("http2-settings", "AAMA")]),
    ));
    all
}

fn lengths() -> Vec<Sequence> {
    let mut all = Vec::new();
    for length in ["4", "6", "0", "-5", "+5", "5,5", "0x5", "", "x", "18446744073709551616"] {
        let bytes = post(&[("content-length", length)], "hello");
        all.push(bad(format!("length {length:?} of five bytes"), bytes));
    }
    all.push(fine("a length", a_post().sized("hello"), post(&[("content-length", "5")], "hello")));
    all.push(fine("no length", a_post().chunked("hello"), post(&[], "hello")));
    all.push(bad(
        "a length and no body",
        headers(1, END_STREAM, &head("POST", &[("content-length", "5")])),
    ));
    all.push(bad(
        "two lengths",
        post(&[("content-length", "5"), ("content-length", "6")], "hello"),
    ));
    all.push(fine(
        "the same length twice",
        a_post().sized("hello"),
        post(&[("content-length", "5"), ("content-length", "5")], "hello"),
    ));
    all.push(bad(
        "a length and a coding",
        post(&[("content-length", "5"), ("transfer-encoding", "chunked")], "hello"),
    ));
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: api.test\r\n\r\n";
    all.push(fine(
        "a body that looks like the end of chunks",
        a_post().chunked(smuggled),
        post(&[], smuggled),
    ));
    all.push(fine(
        "a GET with a body",
        x().chunked("hello"),
        [headers(1, 0, &head("GET", &[])), frame(DATA, END_STREAM, 1, b"hello")].concat(),
    ));
    all
}

fn framing() -> Vec<Sequence> {
    let fields = block(&head("GET", &[("x", "y")]));
    let (first, second) = fields.split_at(fields.len() / 2);
    let padded = [&[3][..], &fields, &[0, 0, 0]].concat();
    let weight = [&[0, 0, 0, 0, 15][..], &fields].concat();
    let expected = || x().with("x: y");
    vec![
        fine(
            "a head in two frames",
            expected(),
            [frame(HEADERS, END_STREAM, 1, first), frame(CONTINUATION, END_HEADERS, 1, second)]
                .concat(),
        ),
        fine(
            "a padded head",
            expected(),
            frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, &padded),
        ),
        fine(
            "a head with a priority",
            expected(),
            frame(HEADERS, END_STREAM | END_HEADERS | 0x20, 1, &weight),
        ),
        fine(
            "a body in padded pieces",
            a_post().sized("hello"),
            [
                headers(1, 0, &head("POST", &[("content-length", "5")])),
                frame(DATA, PADDED, 1, b"\x02hel\0\0"),
                frame(DATA, PADDED | END_STREAM, 1, b"\x01lo\0"),
            ]
            .concat(),
        ),
        bad(
            "padding that is longer than its frame",
            frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, &[255, 0]),
        ),
        bad("a body before its head", frame(DATA, END_STREAM, 1, b"hello")),
        bad("a head on stream 0", headers(0, END_STREAM, &head("GET", &[]))),
        bad("a head on an even stream", headers(2, END_STREAM, &head("GET", &[]))),
        bad(
            "something else within a head",
            [frame(HEADERS, END_STREAM, 1, first), frame(PRIORITY, 0, 1, &[0; 5])].concat(),
        ),
        bad(
            "a continued head on another stream",
            [frame(HEADERS, END_STREAM, 1, first), frame(CONTINUATION, END_HEADERS, 3, second)]
                .concat(),
        ),
        bad("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, &fields)),
        bad(
            "a block that cannot be decompressed",
            frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0xff; 9]),
        ),
        bad("an index that is none", frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0x80])),
    ]
}

fn trailers() -> Vec<Sequence> {
    let with = |fields: &[(&str, &str)]| {
        [
            headers(1, 0, &head("POST", &[("trailer", "x-a, host, content-length")])),
            frame(DATA, 0, 1, b"hello"),
            headers(1, END_STREAM, fields),
        ]
        .concat()
    };
    let expected =
        || a_post().with("trailer: x-a, host, content-length").chunked("hello").trailer("x-a: 1");
    vec![
        fine("trailers", expected(), with(&[("x-a", "1")])),
        fine(
            "trailers that want to be heads",
            expected(),
            with(&[
                ("x-a", "1"),
                ("host", "other.test"),
                ("content-length", "9"),
                ("x-forwarded-for", "1.2.3.4"),
            ]),
        ),
        // Their request has begun, and never ends.
        bad("pseudo-header among trailers", with(&[("x-a", "1"), (":path", "/y")])),
        bad("line break in a trailer", with(&[("x-a", "1\r\n\r\nGET /smuggled HTTP/1.1\r\n")])),
        bad("coding among trailers", with(&[("transfer-encoding", "chunked")])),
    ]
}

/// Whether the request was refused; reads until that is clear.
fn is_refused(frames: &mut Frames) -> bool {
    loop {
        let Some(frame) = frames.next() else { return true };
        match frame.kind {
            GOAWAY => return true,
            RST_STREAM if frame.stream == 1 => return true,
            HEADERS if frame.stream == 1 => return !frame.is_ok(),
            _ => {}
        }
    }
}

#[test]
fn frames_mean_the_same_to_the_proxy_and_its_origin() {
    let sequences = sequences();
    assert!(sequences.len() >= 100, "{}", sequences.len());
    let mut stage = Stage::new("");
    let mut complaints = Vec::new();
    for sequence in &sequences {
        let mut frames = Frames::connect(stage.proxy.address);
        // Whoever is refused early may not be able to send everything.
        let _ = frames.send(&sequence.bytes);
        let refused = is_refused(&mut frames);
        drop(frames);
        let arrived = stage.arrived();
        if refused != sequence.seen.is_empty() || arrived != sequence.seen {
            let how = if refused { "refused" } else { "answered" };
            complaints.push(format!("{}: {how}, and the origin saw {arrived:#?}", sequence.name));
        }
    }
    let (wrong, all) = (complaints.len(), sequences.len());
    assert!(complaints.is_empty(), "{wrong} of {all}:\n{}", complaints.join("\n"));
    let with_body =
        |sequence: &&Sequence| sequence.seen.is_empty() && sequence.bytes.ends_with(b"hello");
    let trailers = 3;
    stage.reconcile(sequences.iter().filter(with_body).count() + trailers);
}
