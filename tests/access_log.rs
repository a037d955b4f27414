//! The access log: every request is a line that others can read, secrets are in none of them, and
//! nothing that happens to the log happens to requests.

use std::io::{BufRead, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, Signal, prlimit};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::{Client, Request};
use crate::support::edge::{Authority, get, http2, run, shake, tcp, text};
use crate::support::load::Load;
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{Taken, eventually, until};

/// A proxy over one region that logs as the fields say, as in a flow mapping of YAML.
struct World {
    origin: Origin,
    proxy: Proxy,
    dir: TempDir,
}

impl World {
    /// To `access.log` in a directory of its own.
    fn file(fields: &str) -> Self {
        Self::with(fields, |setup| setup)
    }

    fn with(fields: &str, change: impl FnOnce(Setup) -> Setup) -> Self {
        let origin = Origin::named("us");
        let dir = TempDir::new().unwrap();
        let log = dir.path().join("access.log");
        let setup = Setup::over(&[("us", origin.address)])
            .top(&format!("access_log: {{ to: file, file: {}, {fields} }}", log.display()));
        let proxy = change(setup).start();
        Self { origin, proxy, dir }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("access.log")
    }

    /// The lines, once there are so many.
    fn lines(&self, count: usize) -> Vec<Value> {
        let lines = || lines(&std::fs::read(self.log()).unwrap());
        until(&format!("{count} lines"), || lines().len() >= count);
        assert_eq!(lines().len(), count, "{:#?}", lines());
        lines()
    }

    fn line(&self) -> Value {
        self.lines(1).remove(0)
    }

    fn text(&self) -> String {
        String::from_utf8(std::fs::read(self.log()).unwrap()).unwrap()
    }
}

/// Whole lines, each of them an object.
fn lines(text: &[u8]) -> Vec<Value> {
    let whole = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    whole.map(object).collect()
}

fn object(line: &[u8]) -> Value {
    let text = String::from_utf8_lossy(line);
    let value = serde_json::from_slice(line).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(matches!(value, Value::Object(_)), "{text}");
    value
}

/// So many requests over a few connections, many at once on each; all are answered with 200.
fn ask(address: SocketAddr, requests: usize) {
    const CONNECTIONS: usize = 4;
    const AT_ONCE: usize = 50;
    let asking = (0..CONNECTIONS).map(|connection| {
        std::thread::spawn(move || {
            let mut client = Client::connect(address);
            client.be_patient();
            let mut number = connection;
            while number < requests {
                let mut numbers = Vec::new();
                while number < requests && numbers.len() < AT_ONCE {
                    numbers.push(number);
                    number += CONNECTIONS;
                }
                let heads = numbers.iter().map(|n| Request::get(&format!("/{n}?a=b")).bytes());
                client.send(heads.collect::<Vec<_>>().concat());
                for _ in &numbers {
                    assert_eq!(client.read("GET").status(), 200);
                }
            }
        })
    });
    for thread in asking.collect::<Vec<_>>() {
        thread.join().unwrap();
    }
}

/// An origin that remembers nothing of its requests.
fn forgetful() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = listener.try_clone().unwrap();
    std::thread::spawn(move || {
        for stream in accepting.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|count| count > 0) {
                    if line == "\r\n" {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                        if std::io::Write::write_all(&mut stream, answer).is_err() {
                            return;
                        }
                    }
                    line.clear();
                }
            });
        }
    });
    (address, listener)
}

fn as_many_lines_as_requests(requests: usize) {
    let (address, _listener) = forgetful();
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("access.log");
    let mut proxy = Setup::over(&[("us", address)]).access_log(&log).start();
    ask(proxy.address, requests);
    until("all lines", || proxy.metric("rhumb_access_log_lines_total", &[]) as usize >= requests);
    assert_eq!(proxy.metric("rhumb_access_log_dropped_total", &[]), 0.0);
    proxy.signal(Signal::TERM);
    assert!(proxy.ended().success());
    let mut seen = vec![false; requests];
    let file = std::io::BufReader::new(std::fs::File::open(&log).unwrap());
    for line in file.split(b'\n') {
        let line = object(&line.unwrap());
        let number: usize = line["path"].as_str().unwrap()[1..].parse().unwrap();
        assert!(!std::mem::replace(&mut seen[number], true), "{number} came twice");
        assert_eq!((&line["status"], &line["query"]), (&json!(200), &json!("…")));
    }
    assert!(seen.into_iter().all(|seen| seen));
}

#[test]
fn a_hundred_thousand_requests_are_as_many_lines() {
    as_many_lines_as_requests(100_000);
}

#[test]
#[ignore = "takes some minutes"]
fn a_million_requests_are_as_many_lines() {
    as_many_lines_as_requests(1_000_000);
}

#[test]
fn a_line_tells_where_a_request_went_and_why() {
    let gone = Taken::refusing();
    let eu = Origin::named("eu");
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("access.log");
    let proxy = Setup::over(&[("us", gone.address), ("eu", eu.address)])
        .trusting()
        .top(&format!("access_log: {{ to: file, file: {}, query: keep, headers: [user-agent] }}", log.display()))
        .deployment(
            "routing_strategy: failover\ntenant: { header: x-tenant }\nrouting_rules: [{ id: r1, methods: [POST], target_regions: [us], fallback_regions: [eu] }]",
        )
        .start();
    let request = Request::post("/v1/a?b=c", "12345")
        .from("203.0.113.9")
        .with("CF-IPCountry", "DE")
        .with("X-Tenant", "acme")
        .with("X-Request-Id", "id-1")
        .with("User-Agent", "test \"1\"");
    let answer = proxy.ask(&request);
    assert_eq!(answer.region(), "eu");
    let lines = eventually("the line", || {
        Some(lines(&std::fs::read(&log).unwrap())).filter(|lines| !lines.is_empty())
    });
    let line = &lines[0];
    let (attempts, hash) = (line["attempts"].as_array().unwrap(), line["tenant_hash"].clone());
    assert_eq!(hash.as_str().unwrap().len(), 16);
    for (key, expected) in [
        ("id", json!("id-1")),
        ("client", json!("203.0.113.9")),
        ("peer", json!("127.0.0.1")),
        ("country", json!("DE")),
        ("method", json!("POST")),
        ("host", json!("api.test")),
        ("path", json!("/v1/a")),
        ("query", json!("b=c")),
        ("protocol", json!("HTTP/1.1")),
        ("deployment", json!("api")),
        ("region", json!("eu")),
        ("endpoint", json!(format!("http://{}", eu.address))),
        ("reason", json!("rule")),
        ("rule", json!("r1")),
        ("status", json!(200)),
        ("bytes_in", json!(5)),
        ("bytes_out", json!(answer.body.bytes.len())),
        ("headers", json!({ "user-agent": "test \"1\"" })),
    ] {
        assert_eq!(line[key], expected, "{key} of {line:#}");
    }
    assert_eq!(line["generation"].as_f64(), Some(1.0), "{line:#}");
    assert_eq!(attempts.len(), 2);
    assert_eq!(
        (&attempts[0]["region"], &attempts[0]["outcome"]),
        (&json!("us"), &json!("connect_failed"))
    );
    assert_eq!((&attempts[1]["region"], &attempts[1]["outcome"]), (&json!("eu"), &json!("ok")));
    let (connect, first) = (&attempts[1]["connect_ms"], &attempts[1]["first_byte_ms"]);
    assert!(connect.as_f64() <= first.as_f64() && first.as_f64() <= line["duration_ms"].as_f64());
    assert!(line.get("tls").is_none() && line.get("error").is_none() && line.get("cut").is_none());
    let time: jiff::Timestamp = line["time"].as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(time).as_secs().abs() < 60);
}

#[test]
fn what_rhumb_answers_itself_and_what_it_cannot_read_are_lines_as_well() {
    let world = World::with("sample: 0", |setup| setup.deployment("hosts: [api.test]"));
    world.proxy.ask(&Request::get("/")).region();
    world
        .proxy
        .ask(&Request::get("/x").with("Host", "other.test"))
        .assert_problem(404, "no_deployment");
    let mut client = world.proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
    assert_eq!(client.read("GET").status(), 400);
    let mut client = world.proxy.client();
    client.send("GET\x01 / HTTP/1.1\r\n\r\n");
    assert_eq!(client.read("GET").status(), 400);
    // The one that went well is no part of the sample.
    let lines = world.lines(3);
    let found = |error: &str| lines.iter().filter(|line| line["error"] == error).count();
    assert_eq!(
        (found("no_deployment"), found("bad_host"), found("malformed_request")),
        (1, 1, 1),
        "{lines:#?}"
    );
    for line in &lines {
        assert!(line["peer"] == "127.0.0.1" && line["status"].is_u64(), "{line:#}");
    }
}

#[test]
fn who_left_early_is_told_apart() {
    let origin = Origin::with("us", |exchange| {
        exchange.read_body()?;
        match exchange.head.word(1) {
            "/silent" => drop(exchange.closed_by_peer()),
            "/broken" => {
                exchange.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123")?;
                exchange.reset()?;
            }
            _ => {
                exchange.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123")?;
                exchange.closed_by_peer();
            }
        }
        exchange.keep = false;
        Ok(())
    });
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("access.log");
    let proxy = Setup::over(&[("us", origin.address)]).access_log(&log).start();
    for path in ["/silent", "/half", "/broken"] {
        let mut client = proxy.client();
        let before = origin.count();
        client.send(Request::get(path).bytes());
        until("the request", || origin.count() > before);
        match path {
            "/silent" => drop(client),
            "/half" => {
                client.head();
                drop(client);
            }
            _ => drop(client.rest()),
        }
    }
    let lines = eventually("the lines", || {
        Some(lines(&std::fs::read(&log).unwrap())).filter(|lines| lines.len() >= 3)
    });
    for (path, status, cut, bytes) in [
        ("/silent", 499, "client_left", 0),
        ("/half", 200, "client_left", 3),
        ("/broken", 200, "origin_broke_off", 3),
    ] {
        let line = lines.iter().find(|line| line["path"] == path).unwrap();
        assert_eq!((&line["status"], &line["cut"]), (&json!(status), &json!(cut)), "{line:#}");
        assert_eq!(line["bytes_out"], bytes, "{line:#}");
    }
    let silent = lines.iter().find(|line| line["path"] == "/silent").unwrap();
    assert_eq!(silent["attempts"][0]["outcome"], "abandoned");
}

#[test]
fn secrets_are_in_no_line() {
    let secret = "s3cr3tv4lue";
    let world = World::with(
        "headers: [authorization, cookie, x-api-key, referer, user-agent, x-tenant]",
        |setup| setup.deployment("tenant: { header: x-customer }"),
    );
    let request = Request::get(&format!("/a?token={secret}&b"))
        .with("Authorization", format!("Bearer {secret}"))
        .with("Cookie", format!("session={secret}; a={secret}"))
        .with("X-Api-Key", secret)
        .with("X-Customer", secret)
        .with("Referer", format!("https://a.example/b?token={secret}"))
        .with("User-Agent", "curl/8");
    world.proxy.ask(&request).region();
    let expected = json!({
        "authorization": "Bearer …",
        "cookie": "session=…; a=…",
        "x-api-key": "…",
        "referer": "https://a.example/b?…",
        "user-agent": "curl/8",
    });
    let line = world.line();
    assert_eq!((&line["query"], &line["headers"]), (&json!("…"), &expected));
    assert!(!world.text().contains(secret), "{}", world.text());
}

#[test]
fn hostile_bytes_stay_in_their_line() {
    let world = World::file("query: keep, headers: [x-a, user-agent]");
    let mut sent = 0;
    let mut send = |path: &[u8], value: &[u8]| {
        let mut client = world.proxy.client();
        let head = [
            b"GET ",
            path,
            b" HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\nX-A: ",
            value,
            b"\r\n\r\n",
        ];
        client.send(head.concat());
        let answer = client.rest();
        assert!(answer.starts_with(b"HTTP/1.1 "), "{answer:?}");
        sent += 1;
    };
    for byte in 0..=255_u8 {
        send(b"/", &[b'a', byte, b'b']);
        send(&[b'/', byte, b'x'], b"");
        send(&[b'/', b'?', byte, b'"', b'x'], b"\"}\\");
    }
    send(b"/%0a%22%00", "{\"status\":500}\u{85}\u{2028}\u{9b}2J".as_bytes());
    send(b"/", b"\xf0\x9f\x98\xed\xa0\x80\xc0\xaf");
    let lines = world.lines(sent);
    let text = world.text();
    let breaks = ['\r', '\u{1b}', '\u{85}', '\u{2028}', '\u{9b}', '\0', '\u{7f}'];
    assert!(!text.contains(breaks));
    let value = |text: &str| lines.iter().any(|line| line["headers"]["x-a"] == text);
    assert!(value("{\"status\":500}\u{85}\u{2028}\u{9b}2J"));
    assert!(value("a\u{fffd}b"));
}

#[test]
fn a_template_tls_and_http_2() {
    let origin = Origin::named("us");
    let dir = TempDir::new().unwrap();
    let authority = Authority::default();
    let (certificate, key) = authority.issue(&["a.test"]);
    std::fs::write(dir.path().join("a.pem"), certificate).unwrap();
    std::fs::write(dir.path().join("a.key"), key).unwrap();
    let setup = Setup::over(&[("us", origin.address)])
        .listener("127.0.0.1", "tls: { certificates: [{ certificate: a.pem, key: a.key }] }")
        .top("access_log: { to: file, file: access.log, format: '{client} {method} {path} {query} {protocol} {tls_version} {sni} {status} {region} {attempts} {trace_id} \"{header.user-agent}\" {{}}' }");
    std::fs::write(dir.path().join("rhumb.yaml"), setup.yaml()).unwrap();
    let proxy = Proxy::start_in(Arc::new(dir));
    run(async {
        let stream = shake(&authority.client(&["h2"]), tcp(proxy.address).await, "a.test").await;
        let mut request = get("https://a.test/b?c=d");
        request.headers_mut().insert("user-agent", "say \"hi\"".parse().unwrap());
        let answer = http2(stream).await.send_request(request).await.unwrap();
        assert_eq!(text(answer).await, "us");
    });
    let line = eventually("the line", || {
        std::fs::read_to_string(proxy.dir().join("access.log")).ok().filter(|text| !text.is_empty())
    });
    let expected = "127.0.0.1 GET /b … HTTP/2 TLSv1.3 a.test 200 us 1 - \"say \\x22hi\\x22\" {}\n";
    assert_eq!(line, expected);
}

#[test]
fn a_pipe_that_nobody_reads_changes_nothing_for_requests() {
    let (address, _listener) = forgetful();
    let mut proxy = Setup::over(&[("us", address)])
        .top("access_log: { to: stdout, query: keep, headers: [x-long] }")
        .start();
    let long = "x".repeat(4_000);
    let requests = 4_000;
    let mut client = proxy.client();
    for number in 0..requests {
        let request = Request::get(&format!("/{number}?{long}")).with("X-Long", &*long);
        assert_eq!(client.ask(&request).status(), 200);
    }
    let dropped = || proxy.metric("rhumb_access_log_dropped_total", &["why=\"queue\""]);
    until("lines to be dropped", || dropped() > 0.0);
    assert!(proxy.log().is_empty() || !proxy.log().contains("ERROR"), "{}", proxy.log());
    // Somebody reads it again: what waited is there, and what comes is written.
    let mut out = proxy.stdout();
    let reading = std::thread::spawn(move || {
        let mut text = Vec::new();
        out.read_to_end(&mut text).unwrap();
        lines(&text)
    });
    let all = || {
        let labels: [&str; 0] = [];
        let [written, dropped] = ["rhumb_access_log_lines_total", "rhumb_access_log_dropped_total"]
            .map(|name| proxy.metric(name, &labels));
        (written, dropped)
    };
    until("the rest to be written", || {
        let (written, dropped) = all();
        (written + dropped) as usize == requests
    });
    assert_eq!(client.ask(&Request::get("/last")).status(), 200);
    let (written, dropped) = all();
    assert!(dropped > 0.0 && written > 0.0, "{written} {dropped}");
    proxy.signal(Signal::TERM);
    assert!(proxy.ended().success());
    let lines = reading.join().unwrap();
    assert_eq!(lines.len(), requests - dropped as usize + 1);
    assert_eq!(lines.last().unwrap()["path"], "/last");
}

#[test]
fn a_process_whose_log_is_stuck_ends_all_the_same() {
    let (address, _listener) = forgetful();
    let mut proxy = Setup::over(&[("us", address)]).top("access_log: { to: stdout }").start();
    ask(proxy.address, 2_000);
    proxy.signal(Signal::TERM);
    assert!(proxy.ended().success());
    assert!(proxy.log().contains("its last lines are lost"), "{}", proxy.log());
}

#[test]
fn a_full_disk_changes_nothing_for_requests() {
    let (address, _listener) = forgetful();
    let mut proxy =
        Setup::over(&[("us", address)]).top("access_log: { to: file, file: /dev/full }").start();
    ask(proxy.address, 1_000);
    proxy.until_logged("the access log cannot be written");
    ask(proxy.address, 1_000);
    assert_eq!(proxy.log().matches("cannot be written").count(), 1, "once is enough");
    assert_eq!(proxy.metric("rhumb_access_log_lines_total", &[]), 0.0);
    proxy.signal(Signal::TERM);
    assert!(proxy.ended().success());
}

#[test]
fn a_reload_leaves_a_full_disk_behind() {
    let (address, _listener) = forgetful();
    let setup = Setup::over(&[("us", address)]);
    let proxy = setup.clone().top("access_log: { to: file, file: /dev/full }").start();
    ask(proxy.address, 1_000);
    proxy.until_logged("the access log cannot be written");
    let log = proxy.dir().join("access.log");
    proxy.reload(&setup.access_log(&log).yaml());
    until("a line", || {
        ask(proxy.address, 1);
        !lines(&std::fs::read(&log).unwrap_or_default()).is_empty()
    });
    let lost = proxy.metric("rhumb_access_log_dropped_total", &["why=\"write\""]);
    assert_eq!(lost, 1_000.0);
    proxy.until_logged("the access log is written again");
}

#[test]
fn a_disk_that_has_room_again_gets_what_waited() {
    let (address, _listener) = forgetful();
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("access.log");
    let mut proxy = Setup::over(&[("us", address)]).access_log(&log).start();
    let limit = |bytes: Option<u64>| {
        let rlimit = Rlimit { current: bytes, maximum: None };
        prlimit(Some(proxy.pid()), Resource::Fsize, rlimit).unwrap();
    };
    // In the middle of a line.
    limit(Some(30_001));
    ask(proxy.address, 1_000);
    proxy.until_logged("the access log cannot be written");
    assert_eq!(std::fs::metadata(&log).unwrap().len(), 30_001);
    limit(None);
    proxy.until_logged("the access log is written again");
    proxy.signal(Signal::TERM);
    assert!(proxy.ended().success());
    assert_eq!(lines(&std::fs::read(&log).unwrap()).len(), 1_000);
}

#[test]
fn a_log_that_is_rotated_under_load_loses_no_line() {
    let world = World::file("");
    let load = Load::of(world.proxy.address, 4, &Request::get("/"));
    let mut logs = Vec::new();
    for round in 0..10 {
        load.until_more(100);
        let log = world.log();
        let has_lines = || std::fs::metadata(&log).is_ok_and(|file| file.len() > 0);
        until("lines in the log", has_lines);
        let renamed = world.dir.path().join(format!("access.log.{round}"));
        std::fs::rename(&log, &renamed).unwrap();
        logs.push(renamed);
        world.proxy.signal(Signal::USR1);
        until("the next one", || log.exists());
    }
    load.until_more(100);
    load.stop().assert_nothing_failed();
    let requests = world.origin.count();
    let World { mut proxy, dir, .. } = world;
    proxy.signal(Signal::TERM);
    assert!(proxy.ended().success());
    logs.push(dir.path().join("access.log"));
    let counts = logs.iter().map(|log| lines(&std::fs::read(log).unwrap()).len());
    let counts: Vec<_> = counts.collect();
    assert_eq!(counts.iter().sum::<usize>(), requests, "{counts:?}");
}

#[test]
fn a_reload_turns_it_on_changes_it_and_turns_it_off() {
    let origin = Origin::named("us");
    let setup = Setup::over(&[("us", origin.address)]);
    let proxy = setup.start();
    let log = |name: &str| std::fs::read_to_string(proxy.dir().join(name)).unwrap_or_default();
    let ask = |path: &str| proxy.ask(&Request::get(path)).region().to_owned();
    ask("/before");
    let to =
        |fields: &str| setup.clone().top(&format!("access_log: {{ to: file, {fields} }}")).yaml();
    proxy.reload(&to("file: one.log, format: '{path}'"));
    ask("/one");
    until("the first line", || log("one.log") == "/one\n");
    proxy.reload(&to("file: two.log, format: '{status} {path}'"));
    ask("/two");
    until("the second line", || log("two.log") == "200 /two\n");
    // A log that could not be written is no configuration to take up.
    let refused = proxy.reloads("config", "failure");
    proxy.replace_config(&to("file: nowhere/at/all.log"));
    until("the refusal", || proxy.reloads("config", "failure") > refused);
    ask("/three");
    until("the third line", || log("two.log") == "200 /two\n200 /three\n");
    proxy.reload(&setup.yaml());
    ask("/four");
    assert_eq!(proxy.metric("rhumb_access_log_lines_total", &[]), 3.0);
    assert_eq!((log("one.log").lines().count(), log("two.log").lines().count()), (1, 2));
}

#[test]
fn syslog_gets_a_message_for_each_request() {
    let dir = TempDir::new().unwrap();
    let unix = dir.path().join("log");
    let socket = std::os::unix::net::UnixDatagram::bind(&unix).unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let origin = Origin::named("us");
    let addresses =
        [format!("unix:{}", unix.display()), format!("udp:{}", udp.local_addr().unwrap())];
    for address in addresses {
        let proxy = Setup::over(&[("us", origin.address)])
            .top(&format!("access_log: {{ to: syslog, syslog: {{ address: \"{address}\", facility: daemon }} }}"))
            .start();
        proxy.ask(&Request::get("/a")).region();
        let mut message = [0; 4096];
        let count = match address.starts_with("unix") {
            true => socket.recv(&mut message).unwrap(),
            false => udp.recv(&mut message).unwrap(),
        };
        let message = std::str::from_utf8(&message[..count]).unwrap();
        let (head, line) = message.split_once(" - {").unwrap();
        assert!(head.starts_with("<30>1 20") && head.ends_with(" access"), "{head}");
        assert_eq!(object(format!("{{{line}").as_bytes())["path"], "/a");
    }
}

#[test]
fn the_log_can_be_replayed_by_the_simulator() {
    let world = World::file("");
    world.proxy.ask(&Request::get("/a?b=c")).region();
    world.proxy.ask(&Request::post("/b", "x")).region();
    let log = world.log();
    world.lines(2);
    let config = world.proxy.config();
    let arguments =
        ["simulate", "-c", config.to_str().unwrap(), "--log", log.to_str().unwrap(), "--json"];
    let output = crate::support::proxy::rhumb(&arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report.to_string().contains("\"requests\":2"), "{report:#}");
}

#[test]
fn a_tunnel_is_one_line_with_all_that_went_through_it() {
    let origin = Origin::with("us", |exchange| {
        let grant =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
        exchange.keep = false;
        exchange.send(format!("{grant}hello"))?;
        let mut buffer = [0; 64];
        while exchange.read_some(&mut buffer)? > 0 {}
        exchange.send("bye")
    });
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("access.log");
    let proxy = Setup::over(&[("us", origin.address)])
        .access_log(&log)
        .deployment("upgrades: [echo]")
        .start();
    let mut client = proxy.client();
    client.send(
        "GET /t HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly",
    );
    assert_eq!(client.head().word(1), "101");
    client.send("late").raw().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.rest(), b"hellobye");
    let lines = eventually("the line", || {
        Some(lines(&std::fs::read(&log).unwrap())).filter(|lines| !lines.is_empty())
    });
    assert_eq!(lines[0]["status"], 101);
    assert_eq!((&lines[0]["bytes_in"], &lines[0]["bytes_out"]), (&json!(9), &json!(8)));
}
