//! What is between two hops and what is not: `Connection` and what it names, upgrades, `Expect`,
//! trailers, fields that only Rhumb may set, HTTP/2 where it is not spoken, and pipelines.

use super::{Case, Expect, Seen, bad, case, get, post, seen};

pub fn cases() -> Vec<Case> {
    let topics =
        [connection(), upgrades(), expectations(), trailers(), forged(), other(), pipelines()];
    topics.into_iter().flatten().collect()
}

fn x() -> Seen {
    Seen::line("GET /x")
}

fn a_post() -> Seen {
    Seen::line("POST /x")
}

fn connection() -> Vec<Case> {
    let mut cases = vec![
        seen("Connection: keep-alive", x(), get("Connection: keep-alive\r\n")),
        case("Connection: close", Expect::Last(vec![x()]), get("Connection: close\r\n")),
        case(
            "close, then keep-alive",
            Expect::Last(vec![x()]),
            get("Connection: close\r\nConnection: keep-alive\r\n"),
        ),
        case(
            "close among others",
            Expect::Last(vec![x()]),
            get("Connection: keep-alive, CLOSE , x\r\n"),
        ),
        seen(
            "a field that is named goes",
            x().with("x-b: 2"),
            get("Connection: x-a, , \r\nX-A: 1\r\nX-B: 2\r\n"),
        ),
        seen(
            "a field that is named in another line goes",
            x(),
            get("X-A: 1\r\nConnection: keep-alive\r\nConnection: X-A\r\n"),
        ),
        seen(
            "fields between hops go by themselves",
            x().with("x-b: 2"),
            get(
                "Keep-Alive: 5\r\nProxy-Connection: close\r\nProxy-Authorization: Basic eDp5\r\nTE: gzip\r\nX-B: 2\r\n",
            ),
        ),
        seen("trailers are asked for", x().with("te: trailers"), get("TE: trailers\r\n")),
        seen(
            "names that are none in Connection",
            x(),
            get("Connection: a b, (c), \"d\", e;f, \u{e4}\r\n"),
        ),
    ];
    for name in [
        "host",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "via",
        "x-request-id",
        "connection",
    ] {
        let bytes = get(&format!("Connection: {name}\r\n"));
        cases.push(seen(format!("Connection names {name}"), x(), bytes));
    }
    for (name, value) in
        [("cookie", "a=1"), ("authorization", "Basic eDp5"), ("cache-control", "no-cache")]
    {
        let bytes = get(&format!("Connection: close, {name}\r\n{name}: {value}\r\n"));
        let expected = Expect::Last(vec![x().with(&format!("{name}: {value}"))]);
        cases.push(case(format!("Connection names {name}"), expected, bytes));
    }
    cases.push(seen(
        "Connection names the length",
        a_post().sized("hello"),
        post("Connection: content-length\r\nContent-Length: 5\r\n", "hello"),
    ));
    cases.push(seen(
        "Connection names the coding",
        a_post().chunked("hello"),
        post(
            "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
        ),
    ));
    cases
}

fn upgrades() -> Vec<Case> {
    let upgrade = |fields: &str| get(&format!("Connection: Upgrade, HTTP2-Settings\r\n{fields}"));
    vec![
        seen("h2c upgrade", x(), upgrade("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n")),
        seen(
            "h2c upgrade among others",
            x(),
            upgrade("Upgrade: foo, h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
        ),
        seen("h2c upgrade that is not named", x(), get("Upgrade: h2c\r\n")),
        seen("upgrade to TLS", x(), upgrade("Upgrade: TLS/1.0\r\n")),
        seen(
            "h2c upgrade with a body",
            a_post().sized("hello"),
            post("Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n", "hello"),
        ),
        case(
            "upgrade in HTTP/1.0",
            Expect::Last(vec![x()]),
            "GET /x HTTP/1.0\r\nHost: api.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        ),
    ]
}

fn expectations() -> Vec<Case> {
    let odd = |value: &str| {
        seen(
            format!("Expect: {value}"),
            a_post().with(&format!("expect: {value}")).sized("hello"),
            post(&format!("Expect: {value}\r\nContent-Length: 5\r\n"), "hello"),
        )
    };
    vec![
        odd("200-ok"),
        odd("100-continue, x"),
        seen(
            "Expect of a GET without a body",
            x().with("expect: 100-continue"),
            get("Expect: 100-continue\r\n"),
        ),
        case(
            "Expect in HTTP/1.0",
            Expect::Last(vec![a_post().with("expect: 100-continue").sized("hello")]),
            "POST /x HTTP/1.0\r\nHost: api.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        ),
    ]
}

fn trailers() -> Vec<Case> {
    let with = |fields: &str, trailers: &str| {
        let fields = format!("{fields}Transfer-Encoding: chunked\r\n");
        post(&fields, &format!("5\r\nhello\r\n0\r\n{trailers}\r\n"))
    };
    let announced = |names: &str, trailers: &str| with(&format!("Trailer: {names}\r\n"), trailers);
    let hello = || a_post().chunked("hello");
    let mut cases = vec![
        seen("trailers that nobody announced", hello(), with("", "X-A: 1\r\n")),
        seen(
            "trailers",
            hello().with("trailer: X-A").trailer("x-a: 1"),
            announced("X-A", "X-A: 1\r\n"),
        ),
        case("trailer that is none", Expect::Broken, with("", "nonsense\r\n")),
        case("space in the name of a trailer", Expect::Broken, with("", "X A: 1\r\n")),
        case("space before the colon of a trailer", Expect::Broken, with("", "X-A : 1\r\n")),
        case("NUL in a trailer", Expect::Broken, with("", "X-A: a\0b\r\n")),
        case("bare CR in a trailer", Expect::Broken, with("", "X-A: a\rb\r\n")),
        case("folded trailer", Expect::Broken, with("", "X-A: 1\r\n 2\r\n")),
        case(
            "endless trailers",
            Expect::Broken,
            with("", &format!("X-A: {}\r\n", "a".repeat(200 << 10))),
        ),
    ];
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Connection",
        "Authorization",
        "Cookie",
        "Expect",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Request-Id",
        "Forwarded",
        "Via",
        "X-Rhumb-Force-Region",
        "Rhumb-Hops",
        "X-Forwarded-Client-Cert",
        "X_A",
        "CF-IPCountry",
    ] {
        let bytes = announced(&format!("{name}, X-A"), &format!("{name}: 1\r\nX-A: 1\r\n"));
        let expected = hello().with(&format!("trailer: {name}, X-A")).trailer("x-a: 1");
        cases.push(seen(format!("trailer {name}"), expected, bytes));
    }
    cases
}

/// Fields that only Rhumb, or a trusted peer, may set.
fn forged() -> Vec<Case> {
    [
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.test",
        "X_Forwarded_For: 1.2.3.4",
        "X-Forwarded_For: 1.2.3.4",
        "Forwarded: for=1.2.3.4",
        "Forwarded: for=\"1.2.3.4",
        "X-Request-Id: chosen",
        "X-Rhumb-Force-Region: us",
        "X-Rhumb-Prefer-Region: us",
        "X-Rhumb-Explain: 1",
        "X_Rhumb_Force_Region: us",
        "X-Forwarded-Client-Cert: Hash=1234;Subject=\"CN=root\"",
        "X-Forwarded-Client-Cert: a\r\nX-Forwarded-Client-Cert: b",
        "x_forwarded_client_cert: Hash=1234",
        "X-Forwarded_Client-Cert: Hash=1234",
        "CF-IPCountry: DE",
        "CF_IPCountry: DE",
    ]
    .iter()
    .map(|fields| seen(format!("forged {fields:?}"), x(), get(&format!("{fields}\r\n"))))
    .collect()
}

/// HTTP/2 where HTTP/1.1 is spoken.
fn other() -> Vec<Case> {
    vec![
        seen("a pseudo-header in a value", x().with("x: :path"), get("X: :path\r\n")),
        bad("pseudo-header", get(":path: /y\r\n")),
        bad("pseudo-header of the host", get(":authority: other.test\r\n")),
        bad("preface behind a head", get("PRI * HTTP/2.0\r\n")),
    ]
}

/// What stands behind a request that is refused is not looked at.
fn pipelines() -> Vec<Case> {
    let next = "GET /next HTTP/1.1\r\nHost: api.test\r\n\r\n";
    let last = || Seen::line("GET /next");
    vec![
        case("two requests at once", Expect::Seen(vec![x(), last()]), format!("{}{next}", get(""))),
        case(
            "a request behind a body",
            Expect::Seen(vec![a_post().sized("hello"), last()]),
            post("Content-Length: 5\r\n", &format!("hello{next}")),
        ),
        case(
            "a request behind an empty line behind a body",
            Expect::Seen(vec![a_post().sized("hello"), last()]),
            post("Content-Length: 5\r\n", &format!("hello\r\n{next}")),
        ),
        case(
            "a request behind one that closes",
            Expect::Last(vec![x()]),
            format!("{}{next}", get("Connection: close\r\n")),
        ),
        bad("a request behind a malformed one", format!("{}{next}", get("X : y\r\n"))),
        case(
            "a request behind one without a host",
            Expect::Refused(400, "bad_host"),
            format!("GET /x HTTP/1.1\r\n\r\n{next}"),
        ),
        case(
            "a request behind one that is too long",
            Expect::Refused(414, "uri_too_long"),
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n{next}", "a".repeat(9000)),
        ),
        bad("a request behind a bad path", format!("GET /../x HTTP/1.1\r\nHost: a\r\n\r\n{next}")),
        bad(
            "a request in the body of a bad one",
            format!("POST /%00 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{next}"),
        ),
        bad(
            "a request behind the chunks of a bad one",
            format!(
                "POST /%00 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{next}"
            ),
        ),
        case(
            "a request behind CONNECT",
            Expect::Refused(501, "not_implemented"),
            format!("CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n{next}"),
        ),
        case(
            "a length that is too short leaves a request that is none",
            Expect::Seen(vec![a_post().sized("hel"), Seen::line("GET /y")]),
            post("Content-Length: 3\r\n", "helGET /y HTTP/1.1\r\nHost: api.test\r\n\r\n"),
        ),
    ]
}
