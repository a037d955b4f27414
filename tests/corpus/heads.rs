//! Request lines and fields: what is no HTTP, what is another version of it, and what hides
//! something in a line.

use super::{Case, Expect, Seen, bad, case, get, seen};

pub fn cases() -> Vec<Case> {
    [lines(), versions(), methods(), names(), values(), sizes(), ends(), strangers()]
        .into_iter()
        .flatten()
        .collect()
}

fn line(line: &str) -> String {
    format!("{line}\r\nHost: api.test\r\n\r\n")
}

fn x() -> Seen {
    Seen::line("GET /x")
}

fn lines() -> Vec<Case> {
    let mut cases = Vec::new();
    for text in [
        "GET /x y HTTP/1.1",
        "GET /x\ty HTTP/1.1",
        "GET\t/x\tHTTP/1.1",
        "GET /x\0y HTTP/1.1",
        "GET /x\x01y HTTP/1.1",
        "GET /x\x7fy HTTP/1.1",
        "GET /x\ry HTTP/1.1",
        "GET  /x HTTP/1.1",
        "GET /x  HTTP/1.1",
        "GET /x\tHTTP/1.1",
        "GET /x\x0bHTTP/1.1",
        " GET /x HTTP/1.1",
        "\tGET /x HTTP/1.1",
        "GET /x HTTP/1.1 ",
        "GET /x HTTP/1.1\t",
        "GET /x HTTP/1.1 GET /y HTTP/1.1",
        "GET /x HTTP/1.1\r",
        "GET HTTP/1.1",
        "GET  HTTP/1.1",
        "/x HTTP/1.1",
        "GET",
        "GET /x HTTP/1.1 Host: api.test",
        "GET /x;HTTP/1.1",
        "\0GET /x HTTP/1.1",
        "\u{feff}GET /x HTTP/1.1",
        "HTTP/1.1 200 OK",
    ] {
        cases.push(bad(format!("line {text:?}"), line(text)));
    }
    cases.push(seen("empty lines before a request", x(), format!("\r\n\r\n{}", get(""))));
    cases.push(seen("bare LF before a request", x(), format!("\n\n{}", get(""))));
    cases
}

fn versions() -> Vec<Case> {
    let mut cases = Vec::new();
    for version in [
        "HTTP/0.9",
        "HTTP/1.2",
        "HTTP/1.10",
        "HTTP/1.01",
        "HTTP/01.1",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/2",
        "HTTP/2.0",
        "HTTP/3",
        "HTTP/11",
        "HTTP/1,1",
        "HTTP/1.1x",
        "HTTP/ 1.1",
        "HTTP 1.1",
        "http/1.1",
        "Http/1.1",
        "HTTPS/1.1",
        "RTSP/1.0",
        "ICAP/1.0",
        "HTTP/-1.1",
        "HTTP/1.\u{661}",
        "HTTP",
    ] {
        cases.push(bad(format!("version {version:?}"), line(&format!("GET /x {version}"))));
    }
    cases.push(bad("no version", line("GET /x")));
    cases.push(bad("HTTP/0.9", "GET /x\r\n"));
    cases.push(case(
        "HTTP/1.0",
        Expect::Last(vec![x()]),
        "GET /x HTTP/1.0\r\nHost: api.test\r\n\r\n",
    ));
    cases.push(case(
        "HTTP/1.0 that is kept alive",
        Expect::Seen(vec![x()]),
        "GET /x HTTP/1.0\r\nHost: api.test\r\nConnection: keep-alive\r\n\r\n",
    ));
    cases
}

fn methods() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in ["get", "PROPFIND", "M-SEARCH", "X-Y_Z!", "TRACE", "PRI", "G'E.T", "\u{7e}"] {
        let expected = Seen::line(&format!("{method} /x"));
        let bytes = line(&format!("{method} /x HTTP/1.1"));
        cases.push(seen(format!("method {method:?}"), expected, bytes));
    }
    for method in [
        "G\x01T", "GE(T", "GE{T", "GE:T", "GE/T", "G,T", "G\"T", "G@T", "G[T", "\u{e4}", "G=T", "",
        "GE\0T", "<GET>", "GET;",
    ] {
        cases.push(bad(format!("method {method:?}"), line(&format!("{method} /x HTTP/1.1"))));
    }
    for target in ["api.test:443", "/x", "*", "http://api.test/x", "api.test"] {
        let bytes = line(&format!("CONNECT {target} HTTP/1.1"));
        let expect = match target {
            "*" | "/x" | "http://api.test/x" | "api.test" | "api.test:443" => {
                Expect::Refused(501, "not_implemented")
            }
            _ => Expect::Refused(400, "malformed_request"),
        };
        cases.push(case(format!("CONNECT {target}"), expect, bytes));
    }
    cases
}

fn names() -> Vec<Case> {
    let mut cases = Vec::new();
    for field in [
        "nonsense",
        ": y",
        " : y",
        "X Y: z",
        "X : y",
        "X\t: y",
        "X\x02: y",
        "X\0: y",
        "X\x7f: y",
        "\u{c4}: y",
        "(X): y",
        "X,Y: z",
        "X/Y: z",
        "X;Y: z",
        "X=Y",
        "X@Y: z",
        "[X]: y",
        "{X}: y",
        "\"X\": y",
        "<X>: y",
        "X?: y",
        "X\\: y",
        "X: y\r\n z",
        "X: y\r\n\tz",
        "X:\r\n y",
        "X: y\r\n \r\n z",
        " X: y",
        "\tX: y",
        "X\r: y",
    ] {
        cases.push(bad(format!("field {field:?}"), get(&format!("{field}\r\n"))));
    }
    for (field, expected) in [
        ("X:y", "x: y"),
        ("X:", "x: "),
        ("X: \t y \t ", "x: y"),
        ("x-UPPER-lower: Y", "x-upper-lower: Y"),
        ("!#$%&'*+-.^`|~09: y", "!#$%&'*+-.^`|~09: y"),
        ("X: y: z", "x: y: z"),
        ("X::y", "x: :y"),
        ("-: y", "-: y"),
        ("0: y", "0: y"),
    ] {
        let bytes = get(&format!("{field}\r\n"));
        cases.push(seen(format!("field {field:?}"), x().with(expected), bytes));
    }
    for name in ["X_Forwarded_For", "x-real_ip", "_", "__proto__", "Host_", "X_Tenant"] {
        let bytes = get(&format!("{name}: evil\r\n"));
        cases.push(seen(format!("twin {name:?}"), x(), bytes));
    }
    cases
}

fn values() -> Vec<Case> {
    let mut cases = Vec::new();
    for value in [
        "a\0b",
        "a\rb",
        "a\x01b",
        "a\x08b",
        "a\x0bb",
        "a\x0cb",
        "a\x1bb",
        "a\x1fb",
        "a\x7fb",
        "\0",
        "a\r",
        "a\rTransfer-Encoding: chunked",
        "a\r\rb",
    ] {
        cases.push(bad(format!("value {value:?}"), get(&format!("X: {value}\r\n"))));
    }
    for value in [
        "a\tb",
        "a  b",
        "\u{e4}\u{f6}\u{fc}",
        "\"a\\\"",
        "a,b;c=d",
        "%0d%0aX-Forged: 1",
        "\u{560a}",
    ] {
        let expected = x().with(&format!("x: {value}"));
        cases.push(seen(format!("value {value:?}"), expected, get(&format!("X: {value}\r\n"))));
    }
    cases
}

fn sizes() -> Vec<Case> {
    let too_large = || Expect::Refused(431, "headers_too_large");
    let many: String = (0..101).map(|i| format!("X-{i}: y\r\n")).collect();
    let sum: String = (0..40).map(|i| format!("X-{i}: {}\r\n", "a".repeat(1000))).collect();
    let large = format!("X: {}\r\n", "a".repeat(32 << 10));
    let name = format!("{}: y\r\n", "n".repeat(70_000));
    let long = line(&format!("GET /{} HTTP/1.1", "a".repeat(8192)));
    let longer = line(&format!("GET /{} HTTP/1.1", "a".repeat(100_000)));
    let query = line(&format!("GET /?{} HTTP/1.1", "a".repeat(8191)));
    let most = "a".repeat(8191);
    let too_long = || Expect::Refused(414, "uri_too_long");
    vec![
        case("101 fields", too_large(), get(&many)),
        case("fields of 40 KB", too_large(), get(&sum)),
        // What is in the parser's buffer already cannot be told from a long line.
        case("field of 32 KiB", too_large(), get(&large)).behind(too_long()),
        case("endless field name", too_large(), get(&name)).behind(too_long()),
        case("target of 8193 bytes", too_long(), long),
        case("target of 100 KB", too_long(), longer),
        case("query of 8192 bytes", too_long(), query),
        seen(
            "target of 8192 bytes",
            Seen::line(&format!("GET /{most}")),
            line(&format!("GET /{most} HTTP/1.1")),
        ),
    ]
}

/// Ends of lines. A bare LF ends a line (RFC 9112 section 2.2), a bare CR does nothing but harm;
/// what is sent on has CRLF in any case.
fn ends() -> Vec<Case> {
    vec![
        seen("heads in bare LF", x(), "GET /x HTTP/1.1\nHost: api.test\n\n"),
        seen("bare LF behind the line", x(), "GET /x HTTP/1.1\nHost: api.test\r\n\r\n"),
        seen("bare LF behind the head", x(), "GET /x HTTP/1.1\r\nHost: api.test\r\n\n"),
        seen("bare LF between fields", x().with("x: y").with("z: w"), get("X: y\nZ: w\r\n")),
        bad("heads in bare CR", "GET /x HTTP/1.1\rHost: api.test\r\r"),
        bad("bare CR behind the line", "GET /x HTTP/1.1\rHost: api.test\r\n\r\n"),
        bad("LF and CR", "GET /x HTTP/1.1\n\rHost: api.test\n\r\n\r"),
        bad("CR, CR and LF", "GET /x HTTP/1.1\r\r\nHost: api.test\r\r\n\r\r\n"),
        bad("space before the first field", "GET /x HTTP/1.1\r\n Host: api.test\r\n\r\n"),
        bad("tab before the first field", "GET /x HTTP/1.1\r\n\tHost: api.test\r\n\r\n"),
        bad("NEL behind the line", "GET /x HTTP/1.1\u{85}Host: api.test\r\n\r\n"),
    ]
}

/// Other protocols.
fn strangers() -> Vec<Case> {
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefghijklmnop\r\n\r\n";
    vec![
        bad("TLS", tls.as_slice()),
        bad(
            "PROXY protocol",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        bad("SSH", "SSH-2.0-OpenSSH_9.0\r\n\r\n"),
        bad("SMTP", "EHLO example.com\r\n\r\n"),
        bad("Redis", "*1\r\n$4\r\nPING\r\n\r\n"),
        bad("a response", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        bad("JSON", "{\"a\":1}\r\n\r\n"),
    ]
}
