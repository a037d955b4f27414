//! Where a request goes: its path, its host, and the forms that both can hide in.

use super::{Case, Expect, Seen, bad, case, seen};

/// Encoded slashes become slashes.
pub const DECODE: &str = "requests: { encoded_slash: decode }";
/// Everything that can be refused is.
pub const STRICT: &str = "requests: { encoded_slash: refuse, repeated_slash: refuse, \
                          dot_segments: refuse, underscores: refuse }";
/// Everything that can be kept is.
pub const LAX: &str = "requests: { repeated_slash: keep, underscores: keep }\n\
                       client: { certificate_header: x-cert }";

pub fn cases() -> Vec<Case> {
    let topics = [paths(), refused_paths(), queries(), forms(), hosts(), absolute_hosts()];
    topics.into_iter().flatten().collect()
}

fn target(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: api.test\r\n\r\n")
}

fn to(path: &str) -> Seen {
    Seen::line(&format!("GET {path}"))
}

fn routed(given: &str, expected: &str) -> Case {
    seen(format!("path {given:?}"), to(expected), target(given))
}

fn paths() -> Vec<Case> {
    let pairs = [
        ("/", "/"),
        ("/a/b/", "/a/b/"),
        ("/%7Euser/%41%2dz", "/~user/A-z"),
        ("/%e4%ba%ba/%3a", "/%E4%BA%BA/%3A"),
        ("/a%20b", "/a%20b"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/.%2E/b", "/b"),
        ("/a/%2e/b", "/a/b"),
        ("/public/..//admin", "/admin"),
        ("/public/%2e%2e/admin", "/admin"),
        ("//admin", "/admin"),
        ("///", "/"),
        ("/a//b///c", "/a/b/c"),
        ("//api.test/x", "/api.test/x"),
        ("/a/%252e%252e/b", "/a/%252e%252e/b"),
        ("/a%252fb", "/a%252fb"),
        ("/a%2fb", "/a%2Fb"),
        ("/a%5cb", "/a%5Cb"),
        ("/a%2F%2Fb", "/a%2F%2Fb"),
        ("/...", "/..."),
        ("/.a/..b/c..", "/.a/..b/c.."),
        ("/a;b=c/d", "/a;b=c/d"),
        ("/a;/../b", "/b"),
        ("/%c0%ae%c0%ae/a", "/%C0%AE%C0%AE/a"),
        ("/%ef%bc%8e%ef%bc%8e/a", "/%EF%BC%8E%EF%BC%8E/a"),
        ("/a|b^c[d]{e}\"f", "/a|b^c[d]{e}\"f"),
        ("/\u{e4}", "/\u{e4}"),
        ("/a:80@b", "/a:80@b"),
        // What follows a `#` is nobody's: it is not routed, and not sent on.
        ("/a#b", "/a"),
        ("/a#/../../b", "/a"),
    ];
    pairs.iter().map(|(given, expected)| routed(given, expected)).collect()
}

fn refused_paths() -> Vec<Case> {
    let mut cases = Vec::new();
    for path in [
        "/..",
        "/../a",
        "/a/../..",
        "/a/../../b",
        "/%2e%2e",
        "/%2e%2e/a",
        "/.%2e/a",
        "/./../a",
        "//../a",
        "/a/..%2fb",
        "/a/..%2F..%2Fb",
        "/a%2f..%2fb",
        "/a%2F../b",
        "/a%2f%2e%2e/b",
        "/a/..%5cb",
        "/a%5c..%5cb",
        "/..%2fa",
        "/.%2fa",
        "/a%2f.",
        "/a/..;/b",
        "/a/..;x=y/b",
        "/a/.;/b",
        "/a/..%3b/b",
        "/a\\b",
        "/a/..\\b",
        "/\\a",
        "\\a",
        "/a%00",
        "/%00/..",
        "/a%0ab",
        "/a%0d%0aX:y",
        "/a%09b",
        "/a%1fb",
        "/a%7fb",
        "/%",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%2g",
        "/%u002e",
        "/%%32%65",
        "/a%+1",
        "/a% 41",
        "/a<b>",
        "/a`b",
        "/a\u{7f}b",
    ] {
        cases.push(bad(format!("path {path:?}"), target(path)));
    }
    cases.push(bad(
        "path that is no UTF-8",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(),
    ));
    cases
}

fn queries() -> Vec<Case> {
    let pairs = [
        ("/?", "/?"),
        ("/a?b=/../c//d/%2e%2e/%7e&%zz&%00", "/a?b=/../c//d/%2e%2e/%7e&%zz&%00"),
        ("/a?b?c", "/a?b?c"),
        ("/a/../b?../c", "/b?../c"),
        ("/a%3Fb?c", "/a%3Fb?c"),
        ("/a?b\\c", "/a?b\\c"),
        ("/a?http://b/", "/a?http://b/"),
    ];
    let mut cases: Vec<_> = pairs.iter().map(|(given, expected)| routed(given, expected)).collect();
    for query in ["/a?b<c", "/a?b>c"] {
        cases.push(bad(format!("query {query:?}"), target(query)));
    }
    cases
}

fn forms() -> Vec<Case> {
    let at = |path: &str, host: &str| to(path).at(host);
    let absolute =
        |given: &str, expected: Seen| seen(format!("target {given:?}"), expected, target(given));
    let mut cases = vec![
        absolute("http://other.test/a?b", at("/a?b", "other.test")),
        absolute("http://other.test", at("/", "other.test")),
        absolute("http://other.test?b", at("/?b", "other.test")),
        absolute("http://other.test#b", at("/", "other.test")),
        absolute("http://other.test?b#c", at("/?b", "other.test")),
        absolute("http://other.test/a/../b", at("/b", "other.test")),
        absolute("http://other.test//a", at("/a", "other.test")),
        absolute("HTTP://OTHER.test:80/", at("/", "OTHER.test:80")),
        absolute("https://other.test/", at("/", "other.test")),
        absolute("http://[::1]:8080/", at("/", "[::1]:8080")),
        seen(
            "asterisk for OPTIONS",
            Seen::line("OPTIONS *"),
            "OPTIONS * HTTP/1.1\r\nHost: api.test\r\n\r\n",
        ),
    ];
    for given in [
        "ftp://api.test/x",
        "file:///etc/passwd",
        "http:///x",
        "http://",
        "http:/x",
        "http:x",
        "https://",
        "javascript:x",
        "gopher://api.test:70/x",
        "ws://api.test/x",
        "://api.test/",
        "//",
        "x",
        "x/y",
        "./x",
        "../x",
        "?x",
        "#x",
        "*",
        "*x",
        "/*\u{0}",
        "api.test",
        "api.test:80",
        "api.test/x",
        "@",
        ":80",
        "http://api.test:80:81/x",
        "http://api.test\\x",
        "http://a b/x",
        "http://[::1/x",
        "http://::1/x",
        "h\u{e4}ttp://a/x",
        "%2fx",
        "http%3a//api.test/x",
    ] {
        if given == "//" {
            continue;
        }
        cases.push(bad(format!("target {given:?}"), target(given)));
    }
    cases
}

fn bad_host(name: String, bytes: impl Into<Vec<u8>>) -> Case {
    case(name, Expect::Refused(400, "bad_host"), bytes)
}

fn hosts() -> Vec<Case> {
    let lines = |lines: &str| format!("GET /x HTTP/1.1\r\n{lines}\r\n");
    let mut cases = Vec::new();
    for host in [
        "api.test",
        "API.Test",
        "api.test:8080",
        "api.test:",
        "api.test.",
        "127.0.0.1",
        "[::1]",
        "[::1]:80",
        "a_b.test",
        "xn--bcher-kva.test",
        "api.test:65535",
        "1.2.3.4.5",
        "0x7f.1",
    ] {
        let bytes = lines(&format!("Host: {host}\r\n"));
        cases.push(seen(format!("host {host:?}"), to("/x").at(host), bytes));
    }
    for host in [
        "",
        " ",
        ".",
        ":80",
        "api.test:80x",
        "api.test:80:81",
        "api.test:65536",
        "api.test:999999",
        "api.test:+80",
        "api.test:-80",
        "api.test: 80",
        "api .test",
        "api.test other.test",
        "api.test,other.test",
        "api.test, api.test",
        "user@api.test",
        "user:password@api.test",
        "api.test:80@other.test",
        "@api.test",
        "api.test@",
        "api.test/x",
        "api.test\\x",
        "api.test?x",
        "api.test#x",
        "http://api.test",
        "[::1",
        "::1",
        "[::1]x",
        "[]",
        "[api.test]",
        "[::1%eth0]",
        "[v1.a]",
        "api%2etest",
        "api.test%00",
        "api.test;x",
        "api.t\u{e4}st",
        "\u{ff41}pi.test",
        "\"api.test\"",
        "api.test\t",
        "api\ttest",
        "<api.test>",
        "*",
        "*.test",
        "api.test|other",
        "{api.test}",
        "$(api.test)",
        "api.test'",
    ] {
        if host == "api.test\t" {
            continue;
        }
        cases.push(bad_host(format!("host {host:?}"), lines(&format!("Host: {host}\r\n"))));
    }
    let long = "a".repeat(256);
    cases.push(bad_host("host of 256 bytes".to_owned(), lines(&format!("Host: {long}\r\n"))));
    for (name, fields) in [
        ("two hosts", "Host: api.test\r\nHost: other.test\r\n"),
        ("two equal hosts", "Host: api.test\r\nhOST: api.test\r\n"),
        ("two hosts, one empty", "Host: api.test\r\nHost:\r\n"),
        ("two hosts, far apart", "Host: api.test\r\nX: y\r\nZ: w\r\nHost: other.test\r\n"),
        ("no host", "X: y\r\n"),
        ("a twin of the host alone", "Host_: api.test\r\n"),
        ("another name of the host alone", "X-Host: api.test\r\n"),
    ] {
        cases.push(bad_host(name.to_owned(), lines(fields)));
    }
    for (name, fields) in [
        ("space before the colon of Host", "Host : api.test\r\n"),
        ("tab before the colon of Host", "Host\t: api.test\r\n"),
        ("NUL in Host", "Host: api\0.test\r\n"),
        ("bare CR in Host", "Host: api.test\rHost: other.test\r\n"),
        ("folded host", "Host: api.test\r\n other.test\r\n"),
        ("folded behind Host", "Host:\r\n api.test\r\n"),
        ("indented host behind another", "Host: api.test\r\n Host: other.test\r\n"),
        ("indented host before another", " Host: other.test\r\nHost: api.test\r\n"),
    ] {
        cases.push(bad(name, lines(fields)));
    }
    cases.push(seen("host behind white space", to("/x"), lines("Host: \t api.test \t \r\n")));
    cases.push(seen(
        "names that want to be the host",
        to("/x").with("x-host: evil.test").with("x-original-host: evil.test"),
        lines("Host: api.test\r\nX-Host: evil.test\r\nX-Forwarded-Host: evil.test\r\nX-Original-Host: evil.test\r\n"),
    ));
    cases
}

fn absolute_hosts() -> Vec<Case> {
    let both = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\n{host}\r\n");
    let mut cases = vec![
        seen(
            "target and another host",
            to("/x").at("other.test"),
            both("http://other.test/x", "Host: api.test\r\n"),
        ),
        seen(
            "target and the same host",
            to("/x").at("api.test"),
            both("http://api.test/x", "Host: api.test\r\n"),
        ),
        case(
            "target with a host and none, in HTTP/1.0",
            Expect::Last(vec![to("/x").at("api.test")]),
            "GET http://api.test/x HTTP/1.0\r\n\r\n",
        ),
    ];
    for (target, host) in [
        ("http://api.test/x", ""),
        ("http://api.test/x", "Host:\r\n"),
        ("http://api.test/x", "Host: a\r\nHost: b\r\n"),
        ("http://api.test/x", "Host: u@api.test\r\n"),
        ("http://api.test/x", "Host: a, b\r\n"),
        ("http://u@api.test/x", "Host: api.test\r\n"),
        ("http://u:p@api.test/x", "Host: api.test\r\n"),
        ("http://api.test@other.test/x", "Host: api.test\r\n"),
        ("http://api.test:99999/x", "Host: api.test\r\n"),
        ("http://api.test,other.test/x", "Host: api.test\r\n"),
        ("http://[::g]/x", "Host: api.test\r\n"),
    ] {
        let name = format!("target {target:?} with {host:?}");
        cases.push(bad_host(name, both(target, host)));
    }
    cases
}

/// With [`DECODE`].
pub fn decoding() -> Vec<Case> {
    let mut cases = vec![
        routed("/a%2fb", "/a/b"),
        routed("/a%5Cb", "/a/b"),
        routed("/a%2f%2Fb", "/a/b"),
        routed("/a%2f..%2fb", "/b"),
        routed("/a%2F../b", "/b"),
        routed("/a%252fb", "/a%252fb"),
    ];
    for path in ["/..%2fa", "/a%2f..%2f..", "/a\\b", "/a%2f..;%2fb"] {
        cases.push(bad(format!("path {path:?}"), target(path)));
    }
    cases
}

/// With [`STRICT`].
pub fn refusing() -> Vec<Case> {
    let mut cases = vec![routed("/a/b.c/", "/a/b.c/"), routed("/%7ea", "/~a")];
    for path in ["/a%2fb", "/a%5cb", "//a", "/a//b", "/a/./b", "/a/../b", "/a/%2e%2e/b", "/a/."] {
        cases.push(bad(format!("path {path:?}"), target(path)));
    }
    cases.push(bad("a twin", "GET /x HTTP/1.1\r\nHost: api.test\r\nX_Y: z\r\n\r\n"));
    cases
}

/// With [`LAX`].
pub fn keeping() -> Vec<Case> {
    let kept =
        |given: &str, expected: &str| seen(format!("path {given:?}"), to(expected), target(given));
    let host = "GET /x HTTP/1.1\r\nHost: api.test\r\n";
    vec![
        kept("//a//b", "//a//b"),
        kept("/a//../b", "/a/b"),
        seen(
            "twins",
            to("/x").with("x_y: z"),
            format!(
                "{host}X_Y: z\r\nX_Forwarded_For: 1.2.3.4\r\nX_Cert: forged\r\nX-Cert: forged\r\n\r\n"
            ),
        ),
        seen("Forwarded of a stranger", to("/x"), format!("{host}Forwarded: for=1.2.3.4\r\n\r\n")),
    ]
}
