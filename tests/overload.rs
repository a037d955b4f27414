//! Too much load: descriptors that run out, memory that does, and what is told to whom.
//!
//! The program is started with few descriptors (`prlimit`), or with little memory.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::client::{Client, Request};
use crate::support::edge::{get, http2, run, tcp, text};
use crate::support::load::Load;
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{PATIENCE, eventually, until};

/// Descriptors of the program in these tests, and the connections that one worker takes then.
const DESCRIPTORS: u32 = 128;
const SEATS: usize = 32;

fn short(origin: &Origin) -> Setup {
    Setup::over(&[("us", origin.address)]).workers(1).descriptors(DESCRIPTORS)
}

/// What a client that does not ask is told.
fn refusal(mut client: Client) -> String {
    String::from_utf8(client.rest()).unwrap()
}

#[test]
fn as_many_connections_as_there_are_descriptors_for_and_the_others_are_told() {
    let (origin, open) = Origin::gated("us");
    let mut proxy = short(&origin).top("shed: { retry_after_seconds: 7 }").start();
    proxy.until_logged("raise the limit of open files");
    let mut busy: Vec<_> = (0..SEATS).map(|_| proxy.client()).collect();
    for client in &mut busy {
        client.send(Request::get("/").bytes());
    }
    until("all requests to arrive", || origin.count() == SEATS);
    for i in 0..200 {
        let mut client = proxy.client();
        // Some have asked when they are refused, some ask meanwhile, some never do.
        let told = match i % 3 {
            0 => refusal(client),
            _ => {
                let _ = client.try_send(Request::get("/").bytes());
                refusal(client)
            }
        };
        assert!(told.starts_with("HTTP/1.1 503") && told.contains("\"overloaded\""), "{told}");
        assert!(
            told.contains("retry-after: 7\r\n") && told.contains("connection: close"),
            "{told}"
        );
    }
    drop(open);
    for client in &mut busy {
        assert_eq!(client.read("GET").body.text(), "us");
    }
    assert_eq!(proxy.metric("rhumb_connections_refused_total", &["why=\"worker\""]), 200.0);
    assert_eq!(proxy.metric("rhumb_connections_accepted_total", &[]), SEATS as f64);
    drop(busy);
    until("room", || {
        let mut client = proxy.client();
        client.try_ask(&Request::get("/")).is_ok_and(|answer| answer.status() == 200)
    });
    assert!(proxy.is_running());
}

#[test]
fn a_tls_client_is_told_by_an_alert() {
    let origin = Origin::named("us");
    let authority = crate::support::edge::Authority::default();
    let dir = TempDir::new().unwrap();
    let (certificate, key) = authority.issue(&["a.test"]);
    std::fs::write(dir.path().join("a.pem"), certificate).unwrap();
    std::fs::write(dir.path().join("a.key"), key).unwrap();
    let setup = Setup::over(&[("us", origin.address)])
        .workers(1)
        .listener("127.0.0.1", "tls: { certificates: [{ certificate: a.pem, key: a.key }] }")
        .top("limits: { connections_per_worker: 1 }");
    std::fs::write(dir.path().join("rhumb.yaml"), setup.yaml()).unwrap();
    let proxy = Proxy::start_in(Arc::new(dir));
    let _first = proxy.client();
    until("it to be in", || proxy.metric("rhumb_connections", &[]) == 1.0);
    assert_eq!(proxy.client().rest(), [21, 3, 3, 0, 2, 2, 80]);
}

#[test]
fn requests_that_find_no_descriptor_are_told_and_their_endpoint_is_not_blamed() {
    let (origin, open) = Origin::gated("us");
    let proxy = short(&origin)
        .deployment("health_check: { path: /health, interval_seconds: 0.05, timeout_seconds: 5 }")
        .start();
    run(async {
        // Each stream needs a connection to the origin: more than there are descriptors.
        let mut asking = Vec::new();
        for _ in 0..4 {
            let sender = http2(tcp(proxy.address).await).await;
            for _ in 0..60 {
                let mut sender = sender.clone();
                asking.push(tokio::spawn(async move {
                    sender.ready().await.unwrap();
                    let answer = sender.send_request(get("http://a.test/")).await.unwrap();
                    let status = answer.status().as_u16();
                    (status, answer.headers().contains_key("retry-after"), text(answer).await)
                }));
            }
        }
        // Those that are refused are so at once; the others wait for the gate.
        let settled = async {
            let refused = || asking.iter().filter(|task| task.is_finished()).count();
            while origin.count() + refused() < asking.len() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, settled).await.expect("each to wait or be refused");
        drop(open);
        let (mut served, mut refused) = (0, 0);
        for answer in asking {
            match answer.await.unwrap() {
                (200, _, text) if text == "us" => served += 1,
                (503, true, text) if text.contains("\"overloaded\"") => refused += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((served, served + refused), (origin.count(), 240));
        assert!(refused > 0 && served > 0, "{served} {refused}");
    });
    let refused = proxy.metric("rhumb_shed_total", &["why=\"descriptors\""]);
    assert!(refused > 0.0);
    assert_eq!(proxy.metric("rhumb_upstream_failures_total", &[]), 0.0);
    assert_eq!(proxy.state("us"), "healthy", "{}", proxy.log());
    assert_eq!(proxy.metric("rhumb_failovers_total", &[]), 0.0);
    assert_eq!(proxy.ask(&Request::get("/")).status(), 200);
}

/// Processor time of the program so far, in ticks of the system's clock.
fn ticks(proxy: &Proxy) -> u64 {
    let stat =
        std::fs::read_to_string(format!("/proc/{}/stat", proxy.pid().as_raw_nonzero())).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_worker_that_cannot_accept_waits_and_does_not_spin() {
    let origin = Origin::named("us");
    let mut proxy = short(&origin).start();
    let mut first = proxy.client();
    assert_eq!(first.ask(&Request::get("/")).status(), 200);
    // The limit falls under what is in use: nothing can be opened any more.
    proxy.limit_descriptors(8);
    let mut waiting: Vec<_> = (0..50).map(|_| proxy.client()).collect();
    for client in &mut waiting {
        client.send(Request::get("/").bytes());
    }
    // What it has is enough for a client that is there, over the connection to the origin that is.
    until("a failure to accept", || {
        assert_eq!(first.ask(&Request::get("/")).status(), 200);
        proxy.log().contains("cannot accept connections")
    });
    // Readings of the clock that every request of the control side needs are not wanted here: the
    // program is left alone while it tries again some forty times.
    let told = || proxy.log().matches("cannot accept connections").count();
    let (lines, before, started) = (told(), ticks(&proxy), Instant::now());
    while started.elapsed() < Duration::from_secs(2) {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let spent = ticks(&proxy) - before;
    // A hundred ticks a second are a whole core.
    assert!(spent < 50, "{spent} ticks in two seconds");
    let lines = told() - lines;
    assert!(lines <= 3, "{lines} lines in two seconds");
    proxy.limit_descriptors(DESCRIPTORS);
    for client in &mut waiting {
        let answer = client.read("GET");
        assert!([200, 503].contains(&answer.status()), "{answer:#?}");
    }
    assert_eq!(first.ask(&Request::get("/")).status(), 200);
    assert!(proxy.is_running());
}

#[test]
fn under_a_flood_of_connections_those_that_are_there_are_served() {
    let origin = Origin::named("us");
    let mut proxy = short(&origin).start();
    let load = Load::of(proxy.address, 8, &Request::get("/"));
    load.until_more(50);
    let address = proxy.address;
    let flooding: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let held: Vec<_> =
                    (0..100).filter_map(|_| TcpStream::connect(address).ok()).collect();
                held.len()
            })
        })
        .collect();
    load.until_more(200);
    for flood in flooding {
        assert_eq!(flood.join().unwrap(), 100);
    }
    load.until_more(200);
    load.stop().assert_nothing_failed();
    until("room", || {
        let mut client = proxy.client();
        client.try_ask(&Request::get("/")).is_ok_and(|answer| answer.status() == 200)
    });
    assert!(proxy.is_running());
}

/// Without a memory limit: a reload brings one that is close to what the program has. Tenants make that
/// more than the least that can be configured.
fn with_classes(origin: &Origin, dir: &TempDir) -> Setup {
    let file = dir.path().join("tenants.csv");
    let mut text = "tenant,region\n".to_owned();
    for tenant in 0..500_000 {
        let _ = writeln!(text, "{tenant:0>128},us");
    }
    std::fs::write(&file, text).unwrap();
    let setup = Setup::over(&[("us", origin.address)]).trusting().deployment(
        "priorities: { header: x-priority, classes: { batch: 50, user: 100 }, default_percent: 100 }",
    );
    setup.top(&format!("tenants: {{ file: {} }}", file.display()))
}

/// Puts a memory limit in place of which the program uses so many percent, and waits for the level.
fn press(proxy: &Proxy, setup: &Setup, percent: usize, level: f64) {
    eventually(&format!("pressure {level}"), || {
        let bytes = proxy.memory_kib() * 1024 * 100 / percent;
        proxy.reload(&setup.clone().top(&format!("memory_limit: {bytes}")).yaml());
        let found = || proxy.try_metric("rhumb_memory_pressure") == Some(level);
        (0..50).find(|_| {
            std::thread::park_timeout(Duration::from_millis(10));
            found()
        })
    });
}

#[test]
fn close_to_the_memory_limit_new_connections_and_low_classes_are_refused() {
    let (origin, dir) = (Origin::named("us"), TempDir::new().unwrap());
    let setup = with_classes(&origin, &dir);
    let proxy = setup.start();
    let mut client = proxy.client();
    assert_eq!(client.ask(&Request::get("/")).status(), 200);
    press(&proxy, &setup, 92, 1.0);
    let told = refusal(proxy.client());
    assert!(told.starts_with("HTTP/1.1 503") && told.contains("retry-after: 1"), "{told}");
    let of = |class: &str| Request::get("/").with("X-Priority", class);
    client.ask(&of("batch")).assert_problem(503, "overloaded");
    assert_eq!(client.ask(&of("user")).status(), 200);
    assert_eq!(client.ask(&Request::get("/")).status(), 200);
    assert_eq!(proxy.metric("rhumb_shed_total", &["why=\"priority\""]), 1.0);
    assert!(proxy.metric("rhumb_connections_refused_total", &["why=\"memory\""]) >= 1.0);
    press(&proxy, &setup, 50, 0.0);
    assert_eq!(client.ask(&of("batch")).status(), 200);
    assert_eq!(proxy.ask(&of("batch")).status(), 200);
}

#[test]
fn at_the_memory_limit_all_that_is_new_is_refused_and_what_is_under_way_is_finished() {
    let (origin, open) = Origin::gated("us");
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("access.log");
    let setup = with_classes(&origin, &dir).access_log(&log);
    let proxy = setup.start();
    let (mut busy, mut next) = (proxy.client(), proxy.client());
    busy.send(Request::get("/").bytes());
    next.send("GET /refused HTTP/1.1\r\n");
    until("the request to arrive", || origin.count() == 1);
    until("both to be in", || proxy.metric("rhumb_connections", &[]) >= 2.0);
    press(&proxy, &setup, 120, 2.0);
    next.send("Host: api.test\r\n\r\n");
    let answer = next.read("GET");
    answer.assert_problem(503, "overloaded");
    assert_eq!(answer.head.get("retry-after"), Some("1"));
    assert!(next.is_closed());
    drop(open);
    assert_eq!(busy.read("GET").status(), 200);
    assert_eq!(proxy.metric("rhumb_shed_total", &["why=\"memory\""]), 1.0);
    until("its line", || {
        let lines = std::fs::read_to_string(&log).unwrap_or_default();
        let line = lines.lines().find(|line| line.contains("\"/refused\""));
        line.is_some_and(|line| line.contains("\"status\":503") && line.contains("overloaded"))
    });
    press(&proxy, &setup, 50, 0.0);
    assert_eq!(busy.ask(&Request::get("/")).status(), 200);
    assert_eq!(proxy.ask(&Request::get("/")).status(), 200);
}
