//! What is taken off a message, what is put on it, and what is left alone.

use crate::support::client::{Client, Request};
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup};

/// An origin that answers with these further fields, each with its CRLF.
fn origin_with(fields: &'static str) -> Origin {
    Origin::with("us", move |exchange| {
        exchange.read_body()?;
        exchange.answer("200 OK", fields, b"ok")
    })
}

fn proxy_of(origin: &Origin) -> Proxy {
    let trust = "client: { trusted_proxies: [127.0.0.1/32] }";
    Setup::over(&[("us", origin.address)]).top(trust).start()
}

#[test]
fn hop_by_hop_fields_of_a_request_end_here() {
    let origin = Origin::named("us");
    let proxy = proxy_of(&origin);
    proxy.ask(
        &Request::get("/")
            .with("Connection", "close, X-Private")
            .with("connection", "x-other , ,")
            .with("X-Private", "1")
            .with("X-Other", "2")
            .with("Keep-Alive", "timeout=5")
            .with("Proxy-Connection", "keep-alive")
            .with("Proxy-Authorization", "Basic eDp5")
            .with("Upgrade", "websocket")
            .with("TE", "gzip")
            .with("X-Kept", "3"),
    );
    let head = origin.only().head;
    for name in [
        "x-private",
        "x-other",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "upgrade",
        "te",
        "transfer-encoding",
    ] {
        assert_eq!(head.all(name), [""; 0], "{name}: {head:#?}");
    }
    assert!(!head.lists("connection", "x-private"), "{head:#?}");
    assert!(!head.lists("connection", "upgrade"), "{head:#?}");
    assert_eq!(head.get("x-kept"), Some("3"));
}

#[test]
fn hop_by_hop_fields_of_a_response_end_here() {
    let origin = origin_with(
        "Connection: X-Private, keep-alive\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nProxy-Connection: keep-alive\r\n\
         X-Kept: 3\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n",
    );
    let proxy = proxy_of(&origin);
    let head = proxy.ask(&Request::get("/")).head;
    let stripped = ["x-private", "keep-alive", "proxy-authenticate", "upgrade", "proxy-connection"];
    for name in stripped {
        assert_eq!(head.all(name), [""; 0], "{name}: {head:#?}");
    }
    assert!(!head.lists("connection", "x-private"), "{head:#?}");
    assert_eq!(head.get("x-kept"), Some("3"));
    assert_eq!(head.all("set-cookie"), ["a=1", "b=2"], "lines are not joined");
    assert_eq!(head.all("via"), ["1.1 rhumb"]);
}

#[test]
fn connection_cannot_take_off_what_the_proxy_puts_on() {
    let origin = Origin::named("us");
    let proxy = proxy_of(&origin);
    let named = "x-forwarded-for, x-forwarded-proto, x-forwarded-host, via, x-request-id, host";
    proxy.client_from("127.0.0.2").ask(&Request::get("/").with("Connection", named));
    let head = origin.only().head;
    assert_eq!(head.get("x-forwarded-for"), Some("127.0.0.2"));
    assert_eq!(head.get("x-forwarded-proto"), Some("http"));
    assert_eq!(head.get("x-forwarded-host"), Some("api.test"));
    assert_eq!(head.get("via"), Some("1.1 rhumb"));
    assert_eq!(head.get("host"), Some("api.test"));
    assert!(head.get("x-request-id").is_some());
}

#[test]
fn connection_cannot_take_off_the_framing() {
    let origin = Origin::named("us");
    let proxy = proxy_of(&origin);
    let mut client = proxy.client();
    let post = Request::post("/", "hello").with("Connection", "content-length, keep-alive");
    assert_eq!(client.ask(&post).status(), 200);
    assert_eq!(origin.only().body.unwrap().text(), "hello");
    assert_eq!(client.ask(&Request::get("/")).status(), 200);
}

#[test]
fn forwarding_fields_of_a_stranger_are_replaced() {
    let origin = Origin::named("us");
    let proxy = proxy_of(&origin);
    let mut stranger = proxy.client_from("127.0.0.2");
    stranger.ask(
        &Request::get("/")
            .with("Host", "api.test:8080")
            .with("X-Forwarded-For", "1.2.3.4")
            .with("X-Forwarded-For", "5.6.7.8")
            .with("X-Forwarded-Proto", "https")
            .with("X-Forwarded-Host", "evil.test")
            .with("Forwarded", "for=1.2.3.4")
            .with("X-Request-Id", "chosen-by-a-stranger")
            .with("CF-IPCountry", "DE"),
    );
    let head = origin.only().head;
    assert_eq!(head.get("x-forwarded-for"), Some("127.0.0.2"));
    assert_eq!(head.get("x-forwarded-proto"), Some("http"));
    assert_eq!(head.get("x-forwarded-host"), Some("api.test:8080"));
    assert_eq!(head.get("forwarded"), None);
    assert_eq!(head.get("cf-ipcountry"), None);
    assert_ne!(head.get("x-request-id"), Some("chosen-by-a-stranger"));
}

#[test]
fn forwarding_fields_of_a_trusted_peer_are_kept_and_continued() {
    let origin = Origin::named("us");
    let proxy = proxy_of(&origin);
    proxy.ask(
        &Request::get("/")
            .with("X-Forwarded-For", "1.2.3.4")
            .with("X-Forwarded-For", "5.6.7.8, 9.9.9.9")
            .with("X-Forwarded-Proto", "https")
            .with("X-Forwarded-Host", "front.test")
            .with("Via", "2 front")
            .with("X-Request-Id", "abc-123")
            .with("CF-IPCountry", "DE"),
    );
    let head = origin.only().head;
    assert_eq!(head.get("x-forwarded-for"), Some("1.2.3.4, 5.6.7.8, 9.9.9.9, 127.0.0.1"));
    assert_eq!(head.get("x-forwarded-proto"), Some("https"));
    assert_eq!(head.get("x-forwarded-host"), Some("front.test"));
    assert_eq!(head.all("via").join(", "), "2 front, 1.1 rhumb");
    assert_eq!(head.get("x-request-id"), Some("abc-123"));
    assert_eq!(head.get("cf-ipcountry"), Some("DE"));
}

#[test]
fn a_trusted_peer_that_says_nothing_gets_the_fields_made() {
    let origin = Origin::named("us");
    let proxy = proxy_of(&origin);
    proxy.ask(&Request::get("/"));
    let head = origin.only().head;
    assert_eq!(head.get("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(head.get("x-forwarded-proto"), Some("http"));
    assert_eq!(head.get("x-forwarded-host"), Some("api.test"));
    assert!(head.get("x-request-id").is_some_and(|id| id.len() >= 16));
}

#[test]
fn a_request_id_that_is_no_id_is_replaced_even_from_a_trusted_peer() {
    let origin = Origin::named("us");
    let proxy = proxy_of(&origin);
    let mut client = proxy.client();
    let long = "x".repeat(5000);
    for id in ["", &long] {
        client.ask(&Request::get("/").with("X-Request-Id", id));
        let head = origin.last().head;
        let found = head.get("x-request-id").unwrap();
        assert!((16..=128).contains(&found.len()), "{found}");
    }
}

#[test]
fn every_request_has_an_id_of_its_own() {
    let origin = Origin::named("us");
    let proxy = proxy_of(&origin);
    let mut client = proxy.client();
    for _ in 0..50 {
        client.ask(&Request::get("/"));
    }
    let ids: std::collections::BTreeSet<_> = origin
        .requests()
        .iter()
        .map(|request| request.head.get("x-request-id").unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 50);
}

#[test]
fn host_and_query_reach_the_origin_as_they_came_and_the_path_in_its_normal_form() {
    let origin = Origin::named("us");
    let proxy = proxy_of(&origin);
    let mut client = proxy.client();
    for (host, target, expected) in [
        ("Api.Test:8080", "/", "/"),
        ("api.test", "/a/../b//c/./%7E/%2e%2E/?x=%20&y=a+b&%zz/../", "/b/c/?x=%20&y=a+b&%zz/../"),
        ("api.test", "/?", "/?"),
        ("[::1]:80", "/ä", "/ä"),
        ("api.test", "/a;b=c,d:e@f!g$h&i'j(k)l*m", "/a;b=c,d:e@f!g$h&i'j(k)l*m"),
        ("api.test", "//double", "/double"),
    ] {
        let response = client.ask(&Request::get(target).with("Host", host));
        assert_eq!(response.status(), 200, "{response:#?}");
        let head = origin.last().head;
        assert_eq!((head.get("host"), head.word(1)), (Some(host), expected), "{head:#?}");
    }
}

#[test]
fn forwarded_of_a_trusted_peer_is_continued() {
    let origin = Origin::named("us");
    let proxy = proxy_of(&origin);
    let mut client = proxy.client();
    for (given, expected) in [
        ("for=1.2.3.4", "for=1.2.3.4, for=127.0.0.1;host=\"api.test:80\";proto=http"),
        ("for=\"1.2.3.4", "for=127.0.0.1;host=\"api.test:80\";proto=http"),
    ] {
        client.ask(&Request::get("/").with("Host", "api.test:80").with("Forwarded", given));
        assert_eq!(origin.last().head.get("forwarded"), Some(expected));
    }
    client.ask(&Request::get("/"));
    assert_eq!(origin.last().head.get("forwarded"), None);
}

#[test]
fn what_is_explained_is_what_is_served() {
    let origin = Origin::named("us");
    let deployments = "name: api\npath_prefix: /v1/users";
    let proxy = Setup::over(&[("us", origin.address)]).deployment(deployments).start();
    for (path, found) in [
        ("/v1/users", true),
        ("//v1/./x/..//%75sers/", true),
        ("/v1/users/../admin", false),
        ("/v1/users%2F", false),
    ] {
        let body = serde_json::json!({ "path": path }).to_string();
        let explained = Client::connect(proxy.admin).ask(&Request::post("/api/v1/route", body));
        assert_eq!(explained.status(), 200, "{explained:#?}");
        assert_eq!(explained.json()["decision"]["region"] == "us", found, "{path}: {explained:#?}");
        assert_eq!(proxy.ask(&Request::get(path)).status() == 200, found, "{path}");
    }
    let body = serde_json::json!({ "path": "/v1/users/../../.." }).to_string();
    let refused = Client::connect(proxy.admin).ask(&Request::post("/api/v1/route", body));
    assert_eq!(refused.status(), 422, "{refused:#?}");
}

#[test]
fn an_absolute_target_reaches_the_origin_in_origin_form() {
    let origin = Origin::named("us");
    let proxy = proxy_of(&origin);
    let mut client = proxy.client();
    for (target, expected) in [
        ("http://other.test/a?b=c", "/a?b=c"),
        ("http://other.test", "/"),
        ("HTTP://other.test/", "/"),
        ("http://other.test?x", "/?x"),
    ] {
        assert_eq!(client.ask(&Request::get(target)).status(), 200, "{target}");
        let head = origin.last().head;
        assert_eq!(head.word(1), expected, "{target}");
        assert_eq!(head.get("host"), Some("other.test"), "the target wins over Host");
        assert_eq!(head.get("x-forwarded-host"), Some("other.test"), "{head:#?}");
    }
}

#[test]
fn options_asterisk_reaches_the_origin_as_it_is() {
    let origin = Origin::named("us");
    let proxy = proxy_of(&origin);
    assert_eq!(proxy.ask(&Request::new("OPTIONS", "*")).status(), 200);
    assert_eq!(origin.only().head.start, "OPTIONS * HTTP/1.1");
}

#[test]
fn methods_that_nobody_knows_are_passed_on() {
    let origin = Origin::named("us");
    let proxy = proxy_of(&origin);
    let mut client = proxy.client();
    for method in ["PROPFIND", "get", "X-Y_Z!", "M-SEARCH"] {
        let response = client.ask(&Request::new(method, "/"));
        assert_eq!(response.status(), 200, "{method}");
        assert_eq!(origin.last().head.word(0), method);
    }
}

#[test]
fn values_pass_through_byte_for_byte() {
    let origin = Origin::with("us", |exchange| {
        let echo = exchange.head.get("x-odd").unwrap().to_owned();
        exchange.answer("200 Fine", &format!("X-Odd: {echo}\r\nServer: theirs\r\n"), b"")
    });
    let proxy = proxy_of(&origin);
    for value in ["a  b\tc", "\"q\\\"\"", "a,b;c=d", "äöü", ":", "=?utf-8?q?x?="] {
        let head = proxy.ask(&Request::get("/").with("X-Odd", value)).head;
        assert_eq!(origin.last().head.get("x-odd"), Some(value));
        assert_eq!(head.get("x-odd"), Some(value));
        assert_eq!(head.get("server"), Some("theirs"));
        assert!(head.get("date").is_some(), "RFC 9110 section 6.6.1: added where it is missing");
    }
}

#[test]
fn trailers_are_asked_for_only_when_the_client_takes_them() {
    let origin = Origin::named("us");
    let proxy = proxy_of(&origin);
    let mut client = proxy.client();
    client.ask(&Request::get("/").with("TE", "trailers, gzip").with("Connection", "TE"));
    assert_eq!(origin.last().head.get("te"), Some("trailers"));
    client.ask(&Request::get("/"));
    assert_eq!(origin.last().head.get("te"), None);
}

#[test]
fn an_http_1_0_request_is_announced_as_such() {
    let origin = Origin::named("us");
    let proxy = proxy_of(&origin);
    let mut client = proxy.client();
    client.send("GET /x HTTP/1.0\r\n\r\n");
    assert_eq!(client.read("GET").status(), 200);
    let head = origin.only().head;
    assert_eq!(head.get("via"), Some("1.0 rhumb"));
    assert_eq!(head.start, "GET /x HTTP/1.1", "each hop speaks its own version");
    assert!(head.get("host").is_some(), "HTTP/1.1 needs a host: {head:#?}");
}

#[test]
fn an_origin_that_speaks_http_1_0_is_understood() {
    let origin = Origin::with("us", |exchange| {
        exchange.keep = false;
        exchange.send("HTTP/1.0 200 OK\r\nx-region: us\r\n\r\nuntil the end")
    });
    let proxy = proxy_of(&origin);
    let mut client = proxy.client();
    for _ in 0..3 {
        let response = client.ask(&Request::get("/"));
        assert_eq!(response.head.word(0), "HTTP/1.1");
        assert_eq!(response.body.text(), "until the end");
        assert_eq!(response.head.get("via"), Some("1.0 rhumb"));
    }
}
