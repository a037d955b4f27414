//! Nothing is unbounded. Limits on time are ten seconds and more, so their tests are ignored by
//! default: `cargo test --test integration -- --ignored` runs them in about a minute.

use crate::support::client::Request;
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup};
use crate::support::until;

fn world() -> (Origin, Proxy) {
    let origin = Origin::named("us");
    let proxy = Setup::over(&[("us", origin.address)]).start();
    (origin, proxy)
}

#[test]
fn idle_connections_do_not_keep_others_from_being_served() {
    let (_origin, proxy) = world();
    let mut idle: Vec<_> = (0..400).map(|_| proxy.client()).collect();
    for client in idle.iter_mut().step_by(2) {
        client.send("GET /half HTTP/1.1\r\nHost:");
    }
    for _ in 0..20 {
        assert_eq!(proxy.ask(&Request::get("/")).status(), 200);
    }
    until("all to be counted", || proxy.metric("rhumb_connections", &[]) >= 400.0);
    drop(idle);
    until("all to be gone", || proxy.metric("rhumb_connections", &[]) == 0.0);
}

#[test]
fn a_head_of_an_origin_that_is_too_large_is_a_502() {
    let origin = Origin::with("us", |exchange| {
        let fields = match exchange.head.word(1) {
            "/large" => format!("X: {}\r\n", "a".repeat(100 << 10)),
            "/many" => (0..2000).map(|i| format!("X-{i}: y\r\n")).collect(),
            _ => String::new(),
        };
        exchange.answer("200 OK", &fields, b"ok")
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    for path in ["/large", "/many"] {
        client.ask(&Request::get(path)).assert_problem(502, "upstream_protocol");
        assert_eq!(client.ask(&Request::get("/")).status(), 200);
    }
}

#[test]
fn an_endless_head_is_cut_off_while_it_is_sent() {
    let (origin, proxy) = world();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    let mut sent = 0;
    let line = format!("X: {}\r\n", "a".repeat(1000));
    while sent < 10 << 20 && client.try_send(&line).is_ok() {
        sent += line.len();
    }
    assert!(sent < 10 << 20, "ten megabytes of head were taken");
    assert_eq!(origin.connections(), 0);
}

#[test]
#[ignore = "waits for ten seconds"]
fn a_connection_that_says_nothing_is_closed_after_ten_seconds() {
    let (_origin, proxy) = world();
    let mut client = proxy.client();
    assert!(client.is_closed());
}

#[test]
#[ignore = "waits for ten seconds"]
fn a_head_that_does_not_come_to_its_end_is_a_408_after_ten_seconds() {
    let (origin, proxy) = world();
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX: y");
    client.read("GET").assert_problem(408, "request_timeout");
    assert!(client.is_closed());
    assert_eq!(origin.connections(), 0);
}

#[test]
#[ignore = "waits for ten seconds"]
fn a_head_that_trickles_in_is_not_given_more_time_for_each_byte() {
    let (_origin, proxy) = world();
    let mut client = proxy.client();
    let start = std::time::Instant::now();
    client.send("GET / HTTP/1.1\r\nX: ");
    while client.try_send("a").is_ok() {
        assert!(start.elapsed().as_secs() < 60, "it goes on for ever");
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
}

#[test]
#[ignore = "waits for thirty seconds"]
fn a_body_that_stalls_ends_the_request_after_thirty_seconds() {
    let (origin, proxy) = world();
    let mut client = proxy.patient_client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    client.read("POST").assert_problem(408, "request_timeout");
    assert!(client.is_closed());
    until("the origin to be let go", || origin.open() == 0);
}

#[test]
#[ignore = "waits for thirty seconds"]
fn a_client_that_takes_nothing_is_let_go_after_thirty_seconds() {
    let origin = Origin::with("us", |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")?;
        exchange.send(vec![0; 1_000_000_000])
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    client.send(Request::get("/").bytes());
    client.head();
    let start = std::time::Instant::now();
    while proxy.metric("rhumb_connections", &[]) > 0.0 {
        assert!(start.elapsed().as_secs() < 90, "it is still there");
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
}

#[test]
#[ignore = "waits for a minute"]
fn a_kept_connection_without_a_request_is_closed_after_a_minute() {
    let (_origin, proxy) = world();
    let mut client = proxy.patient_client();
    assert_eq!(client.ask(&Request::get("/")).status(), 200);
    assert!(client.is_closed());
}
