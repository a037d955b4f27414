//! Requests that are wrong, or could mean one thing here and another at an origin: each gets the
//! answer the RFCs ask for, in Rhumb's own form, and no origin sees a byte of it.

use crate::support::client::{Client, Request};
use crate::support::origin::Origin;
use crate::support::proxy::Setup;

struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    status: u16,
}

fn case(name: &'static str, status: u16, bytes: impl Into<Vec<u8>>) -> Case {
    Case { name, bytes: bytes.into(), status }
}

/// A GET with these lines, each with its CRLF, besides `Host`.
fn get(fields: &str) -> String {
    format!("GET /x HTTP/1.1\r\nHost: api.test\r\n{fields}\r\n")
}

/// A POST with these lines besides `Host`, and what comes behind the head.
fn post(fields: &str, body: &str) -> String {
    format!("POST /x HTTP/1.1\r\nHost: api.test\r\n{fields}\r\n{body}")
}

/// A chunked POST.
fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

fn lengths() -> Vec<Case> {
    let length = |value: &str| post(&format!("Content-Length: {value}\r\n"), "hello");
    vec![
        case("negative length", 400, length("-5")),
        case("signed length", 400, length("+5")),
        case("length with a space inside", 400, length("5 5")),
        case("list of equal lengths", 400, length("5, 5")),
        case("list of lengths", 400, length("5, 6")),
        case("hexadecimal length", 400, length("0x5")),
        case("length with a unit", 400, length("5b")),
        case("fractional length", 400, length("5.0")),
        case("empty length", 400, length("")),
        case("length beyond 64 bits", 400, length("18446744073709551616")),
        case("endless length", 400, length("99999999999999999999999999999999999")),
        case(
            "lengths that differ",
            400,
            post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
        ),
        case(
            "lengths that differ in form",
            400,
            post("Content-Length: 5\r\ncontent-length: +5\r\n", "hello"),
        ),
        case("space before the colon of a length", 400, post("Content-Length : 5\r\n", "hello")),
        case("NUL in a length", 400, length("5\0")),
    ]
}

fn both_framings() -> Vec<Case> {
    let body = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: api.test\r\n\r\n";
    let both = |fields| post(fields, body);
    vec![
        case(
            "length, then coding",
            400,
            both("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ),
        case(
            "coding, then length",
            400,
            both("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        ),
        case(
            "both, in odd letters",
            400,
            both("CONTENT-length: 5\r\ntRANSFER-eNCODING: chunked\r\n"),
        ),
        case(
            "both, apart",
            400,
            both("Content-Length: 5\r\nX: y\r\nZ: w\r\nTransfer-Encoding: chunked\r\n"),
        ),
        case(
            "both, with a length of 0",
            400,
            both("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
        ),
    ]
}

fn codings() -> Vec<Case> {
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let coding = |value: &str| post(&format!("Transfer-Encoding: {value}\r\n"), body);
    let either = |value: &str| post(value, body);
    vec![
        case("gzip, chunked", 501, coding("gzip, chunked")),
        case("chunked twice", 501, coding("chunked, chunked")),
        case(
            "chunked in two lines",
            501,
            either("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ),
        case("identity, chunked", 501, coding("identity, chunked")),
        case("identity", 400, coding("identity")),
        case("gzip", 400, coding("gzip")),
        case("chunked not last", 400, coding("chunked, gzip")),
        case("misspelt coding", 400, coding("xchunked")),
        case("chunked with a parameter", 400, coding("chunked;q=1")),
        case("quoted coding", 400, coding("\"chunked\"")),
        case("empty coding", 400, coding("")),
        case("space before the colon of a coding", 400, either("Transfer-Encoding : chunked\r\n")),
        case("tab before the colon of a coding", 400, either("Transfer-Encoding\t: chunked\r\n")),
        case("vertical tab before a coding", 400, coding("\x0bchunked")),
        case(
            "coding in HTTP/1.0",
            400,
            format!("POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"),
        ),
    ]
}

fn chunks() -> Vec<Case> {
    vec![
        case("huge chunk size", 400, chunked("ffffffffffffffffff\r\nhello\r\n0\r\n\r\n")),
        case("negative chunk size", 400, chunked("-5\r\nhello\r\n0\r\n\r\n")),
        case("signed chunk size", 400, chunked("+5\r\nhello\r\n0\r\n\r\n")),
        case("chunk size that is no number", 400, chunked("xyz\r\nhello\r\n0\r\n\r\n")),
        case("chunk size with a prefix", 400, chunked("0x5\r\nhello\r\n0\r\n\r\n")),
        case("empty chunk size", 400, chunked("\r\nhello\r\n0\r\n\r\n")),
        case("chunk size that ends in a bare LF", 400, chunked("5\nhello\r\n0\r\n\r\n")),
        case("chunk size that ends in a bare CR", 400, chunked("5\rhello\r\n0\r\n\r\n")),
        case("space within a chunk size", 400, chunked("1 0\r\nhello\r\n0\r\n\r\n")),
        case("underscore in a chunk size", 400, chunked("1_0\r\nhello\r\n0\r\n\r\n")),
        case("NUL in a chunk size", 400, chunked("5\0\r\nhello\r\n0\r\n\r\n")),
        case("bare LF in a chunk extension", 400, chunked("5;a\nb\r\nhello\r\n0\r\n\r\n")),
        case(
            "endless chunk extension",
            400,
            chunked(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(40_000))),
        ),
        case("negative zero", 400, chunked("-0\r\n\r\n")),
    ]
}

fn hosts() -> Vec<Case> {
    let host = |value: &str| format!("GET /x HTTP/1.1\r\nHost: {value}\r\n\r\n");
    vec![
        case("two hosts", 400, get("Host: other.test\r\n")),
        case("two equal hosts", 400, get("hOST: api.test\r\n")),
        case("no host", 400, "GET /x HTTP/1.1\r\nX: y\r\n\r\n"),
        case("space before the colon of Host", 400, "GET /x HTTP/1.1\r\nHost : api.test\r\n\r\n"),
        case("host with a space", 400, host("api .test")),
        case("host with a slash", 400, host("api.test/x")),
        case("host with a user", 400, host("user@api.test")),
        case("list of hosts", 400, host("api.test, other.test")),
        case("host with a port that is none", 400, host("api.test:80x")),
        case("host with two ports", 400, host("api.test:80:81")),
        case("host with an open bracket", 400, host("[::1")),
        case("host with a query", 400, host("api.test?x")),
        case("empty host", 400, host("")),
        case("host with a port that is too large", 400, host("api.test:65536")),
        case("host with a backslash", 400, host("api.test\\x")),
        case(
            "absolute target of another scheme",
            400,
            "GET ftp://api.test/x HTTP/1.1\r\nHost: api.test\r\n\r\n",
        ),
        case(
            "absolute target with a user",
            400,
            "GET http://u@api.test/x HTTP/1.1\r\nHost: api.test\r\n\r\n",
        ),
        case(
            "absolute target and two hosts",
            400,
            "GET http://api.test/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        ),
        case("absolute target and no host", 400, "GET http://api.test/x HTTP/1.1\r\n\r\n"),
    ]
}

fn request_lines() -> Vec<Case> {
    let line = |line: &str| format!("{line}\r\nHost: api.test\r\n\r\n");
    vec![
        case("no version", 400, line("GET /x")),
        case("version of the future", 400, line("GET /x HTTP/1.2")),
        case("version 2 as text", 400, line("GET /x HTTP/2.0")),
        case("version 0.9", 400, line("GET /x HTTP/0.9")),
        case("version in lower case", 400, line("GET /x http/1.1")),
        case("version of another protocol", 400, line("GET /x RTSP/1.0")),
        case("version with a long number", 400, line("GET /x HTTP/1.10")),
        case("space in the target", 400, line("GET /x y HTTP/1.1")),
        case("tab in the target", 400, line("GET /x\ty HTTP/1.1")),
        case("NUL in the target", 400, line("GET /x\0y HTTP/1.1")),
        case("two spaces before the target", 400, line("GET  /x HTTP/1.1")),
        case("two spaces before the version", 400, line("GET /x  HTTP/1.1")),
        case("space before the method", 400, line(" GET /x HTTP/1.1")),
        case("space behind the version", 400, line("GET /x HTTP/1.1 ")),
        case("target without a slash", 400, line("GET x HTTP/1.1")),
        case("empty target", 400, line("GET  HTTP/1.1")),
        case("asterisk for GET", 400, line("GET * HTTP/1.1")),
        case("control character in the method", 400, line("G\x01T /x HTTP/1.1")),
        case("separator in the method", 400, line("GE(T /x HTTP/1.1")),
        case("CONNECT", 501, "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n"),
        case(
            "TLS",
            400,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefghijklmnop\r\n\r\n".as_slice(),
        ),
        case(
            "target of 8 KiB and a byte",
            414,
            line(&format!("GET /{} HTTP/1.1", "a".repeat(8192))),
        ),
        case("target of 100 KiB", 414, line(&format!("GET /{} HTTP/1.1", "a".repeat(100_000)))),
    ]
}

fn fields() -> Vec<Case> {
    let many: String = (0..101).map(|i| format!("X-{i}: y\r\n")).collect();
    let large = format!("X: {}\r\n", "a".repeat(32 << 10));
    let larger = format!("X: {}\r\n", "a".repeat(200 << 10));
    let name = format!("{}: y\r\n", "n".repeat(70_000));
    let sum: String = (0..40).map(|i| format!("X-{i}: {}\r\n", "a".repeat(1000))).collect();
    vec![
        case("field of 32 KiB", 431, get(&large)),
        case("field of 200 KiB", 431, get(&larger)),
        case("fields of 40 KB in all", 431, get(&sum)),
        case("101 fields", 431, get(&many)),
        case("endless field name", 431, get(&name)),
        case("line without a colon", 400, get("nonsense\r\n")),
        case("empty field name", 400, get(": y\r\n")),
        case("space in a field name", 400, get("X Y: z\r\n")),
        case("space before the colon", 400, get("X : y\r\n")),
        case("control character in a field name", 400, get("X\x02: y\r\n")),
        case("byte beyond ASCII in a field name", 400, get("Ä: y\r\n")),
        case("folded line", 400, get("X: y\r\n z\r\n")),
        case("folded line with a tab", 400, get("X: y\r\n\tz\r\n")),
        case("space before the first field", 400, "GET /x HTTP/1.1\r\n Host: api.test\r\n\r\n"),
        case("NUL in a value", 400, get("X: a\0b\r\n")),
        case("bare CR in a value", 400, get("X: a\rb\r\n")),
        case("bare CR and a forged field", 400, get("X: a\rTransfer-Encoding: chunked\r\n")),
        case("control character in a value", 400, get("X: a\x01b\r\n")),
        case("DEL in a value", 400, get("X: a\x7fb\r\n")),
        case("bare CR at the end of a line", 400, "GET /x HTTP/1.1\rHost: api.test\r\r"),
    ]
}

fn corpus() -> Vec<Case> {
    [lengths(), both_framings(), codings(), chunks(), hosts(), request_lines(), fields()]
        .into_iter()
        .flatten()
        .collect()
}

/// What is wrong with how a case is answered, if anything is.
fn complaint(case: &Case, client: &mut Client) -> Option<String> {
    if let Err(error) = client.try_send(&case.bytes) {
        // It may be refused before it has been sent to its end.
        let too_large = matches!(case.status, 414 | 431);
        if !too_large {
            return Some(format!("could not be sent: {error}"));
        }
    }
    let answer = match client.try_read("GET") {
        Ok(answer) => answer,
        Err(error) => return Some(format!("no answer: {error}")),
    };
    if answer.status() != case.status {
        return Some(format!("{} instead of {}: {answer:?}", answer.status(), case.status));
    }
    if answer.head.get("content-type") != Some("application/problem+json") {
        return Some(format!("no problem details: {answer:?}"));
    }
    if answer.json()["status"] != case.status || !answer.json()["reason"].is_string() {
        return Some(format!("wrong details: {answer:?}"));
    }
    if !answer.head.get("proxy-status").is_some_and(|value| value.starts_with("rhumb; error=")) {
        return Some(format!("no Proxy-Status: {answer:?}"));
    }
    if !answer.head.lists("connection", "close") {
        return Some(format!("the connection is kept: {answer:?}"));
    }
    match client.rest() {
        rest if rest.is_empty() => None,
        rest => Some(format!("more follows: {}", String::from_utf8_lossy(&rest))),
    }
}

#[test]
fn malformed_requests_are_refused_and_reach_no_origin() {
    let origin = Origin::named("us");
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let corpus = corpus();
    assert!(corpus.len() >= 60);
    let mut complaints = Vec::new();
    for case in &corpus {
        let seen = (origin.count(), origin.connections());
        let complaint = complaint(case, &mut proxy.client());
        complaints.extend(complaint.map(|complaint| format!("{}: {complaint}", case.name)));
        if (origin.count(), origin.connections()) != seen {
            complaints.push(format!("{}: the origin saw {:?}", case.name, origin.last().head));
        }
    }
    assert!(
        complaints.is_empty(),
        "{} of {}:\n{}",
        complaints.len(),
        corpus.len(),
        complaints.join("\n")
    );
    assert_eq!(proxy.ask(&Request::get("/")).status(), 200, "others are served as before");
}

#[test]
fn a_malformed_request_behind_a_good_one_is_refused_and_the_good_one_answered() {
    let origin = Origin::named("us");
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut complaints = Vec::new();
    for case in corpus() {
        let mut client = proxy.client();
        let mut bytes = Request::get("/good").bytes();
        bytes.extend_from_slice(&case.bytes);
        let _ = client.try_send(&bytes);
        match client.try_read("GET") {
            Ok(answer) if answer.status() == 200 => {}
            other => complaints.push(format!("{}: good one: {other:?}", case.name)),
        }
        match client.try_read("GET") {
            Ok(answer) if answer.status() == case.status => {}
            // Where its start is in the parser's buffer already, its lines cannot be told apart.
            Ok(answer) if case.status == 431 && answer.status() == 414 => {}
            // What is in the parser's buffer already is resolved as RFC 9112 section 6.3 says: the
            // coding wins, and the connection ends.
            Ok(answer) if case.name.contains("both") || case.name.contains("coding") => {
                let ends = answer.head.lists("connection", "close") || client.is_closed();
                if !ends {
                    complaints.push(format!("{}: goes on after {answer:?}", case.name));
                }
            }
            other => complaints.push(format!("{}: {other:?}", case.name)),
        }
    }
    let smuggled = origin.requests().into_iter().filter(|r| r.head.word(1) == "/smuggled").count();
    assert_eq!(smuggled, 0);
    assert!(complaints.is_empty(), "{}:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn what_is_odd_but_valid_is_served() {
    let origin = Origin::named("us");
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let fields: String = (0..99).map(|i| format!("X-{i}: y\r\n")).collect();
    for (name, bytes) in [
        ("99 fields and Host", get(&fields)),
        ("target of 8 KiB", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(8191))),
        ("large field", get(&format!("X: {}\r\n", "a".repeat(30 << 10)))),
        ("no space behind the colon", get("X:y\r\n")),
        ("empty value", get("X:\r\n")),
        ("space around a value", get("X: \t y \t \r\n")),
        ("bytes beyond ASCII in a value", get("X: äöü\r\n")),
        ("equal lengths", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")),
        ("coding in odd letters", post("tRANSFER-encoding: CHUNKED\r\n", "0\r\n\r\n")),
        ("chunk size with zeros and letters", chunked("00005\r\nhello\r\n00\r\n\r\n")),
        ("chunk extension", chunked("5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n")),
        ("lone slash", "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
    ] {
        let mut client = proxy.client();
        client.send(&bytes);
        let answer = client.read("POST");
        assert!(answer.status() == 200, "{name}: {answer:#?}");
        assert_eq!(client.ask(&Request::get("/")).status(), 200, "{name}: in step");
    }
}

#[test]
fn a_bad_chunk_later_in_a_body_never_lets_the_body_look_whole() {
    let origin = Origin::with("us", |exchange| {
        let body = exchange.read_body()?;
        exchange.answer("200 OK", "", &body.bytes)
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    for bad in
        ["zz\r\nhello\r\n", "6\r\nhello\r\n", "5\r\nhelloXX", "-1\r\n", "fffffffffffffffff\r\n"]
    {
        let mut client = proxy.client();
        client.send(chunked(&format!("5\r\nhello\r\n{bad}0\r\n\r\n")));
        // Behind the bad chunk nothing can be told apart, so the connection ends.
        if let Ok(answer) = client.try_read("POST") {
            assert_eq!(answer.status(), 400, "{bad:?}: {answer:#?}");
        }
        client.rest();
    }
    let whole = origin.requests().into_iter().filter(|request| request.body.is_some()).count();
    assert_eq!(whole, 0);
    assert_eq!(proxy.ask(&Request::get("/")).status(), 200);
}

#[test]
fn trailers_cannot_forge_fields() {
    let origin = Origin::with("us", |exchange| {
        exchange.read_body()?;
        exchange.answer_own_name()
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    client.send(post(
        "Trailer: Content-Length, Host, Transfer-Encoding, X-Forwarded-For, X-Fine\r\nTransfer-Encoding: chunked\r\n",
        "5\r\nhello\r\n0\r\nContent-Length: 99\r\nHost: evil.test\r\n\
         X-Forwarded-For: 1.2.3.4\r\nTransfer-Encoding: chunked\r\nX-Fine: yes\r\n\r\n",
    ));
    let answer = client.try_read("POST");
    for request in origin.requests() {
        let trailers = request.body.map(|body| body.trailers).unwrap_or_default();
        let fine = |(name, _): &(String, String)| name.eq_ignore_ascii_case("x-fine");
        assert!(trailers.iter().any(fine), "{trailers:?}");
        for (name, _) in trailers {
            let name = name.to_lowercase();
            let forged = ["content-length", "host", "transfer-encoding", "x-forwarded-for"];
            assert!(!forged.contains(&name.as_str()), "{name} passed as a trailer");
        }
    }
    if let Ok(answer) = answer {
        assert!(matches!(answer.status(), 200 | 400), "{answer:#?}");
    }
}

#[test]
fn what_only_begins_like_the_preface_of_http_2_reaches_no_origin() {
    let origin = Origin::named("us");
    let proxy = Setup::over(&[("us", origin.address)]).start();
    for bytes in ["PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "PRI * HTTP/2.0\r\nHost: a\r\n\r\n"] {
        let mut client = proxy.client();
        client.send(bytes);
        assert!(!client.rest().windows(12).any(|part| part == b"HTTP/1.1 200"));
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn refused_requests_are_counted() {
    let origin = Origin::named("us");
    let proxy = Setup::over(&[("us", origin.address)]).start();
    for bytes in ["nonsense\r\n\r\n", "GET /x HTTP/1.1\r\n\r\n"] {
        let mut client = proxy.client();
        client.send(bytes);
        assert_eq!(client.read("GET").status(), 400);
    }
    assert_eq!(proxy.metric("rhumb_malformed_requests_total", &[]), 2.0);
    assert_eq!(proxy.metric("rhumb_requests_total", &["code=\"400\""]), 2.0);
}
