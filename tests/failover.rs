//! Origins die, hang and come back; clients see none of it, and nothing is sent twice that must
//! not be.

use std::net::SocketAddr;

use rustix::process::Signal;

use crate::support::client::{Client, Request, until_refused};
use crate::support::load::Load;
use crate::support::origin::{Exchange, Origin};
use crate::support::origin_process::OriginProcess;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{eventually, until};

/// Checks that find out fast, a cooldown that a test can wait for.
const CHECKED: &str = "routing_strategy: failover\n\
     health_check: { path: /health, interval_seconds: 1, timeout_seconds: 1 }\n\
     failover: { failover_cooldown_seconds: 0.2 }\n";

/// The same for tests in which a region that is down stays down.
const CHECKED_FOR_GOOD: &str = "routing_strategy: failover\n\
     health_check: { path: /health, interval_seconds: 1, timeout_seconds: 1 }\n";

fn two_regions(us: SocketAddr, eu: SocketAddr, deployment: &str) -> Proxy {
    Setup::over(&[("us", us), ("eu", eu)]).deployment(deployment).start()
}

/// The latest event about a region that went to that state.
fn event(proxy: &Proxy, region: &str, to: &str) -> serde_json::Value {
    let events = proxy.inspect("/api/v1/events").json();
    let events = events["events"].as_array().unwrap();
    let found = events.iter().rfind(|event| event["region"] == region && event["to"] == to);
    found.unwrap_or_else(|| panic!("no event of {region} to {to}: {events:#?}")).clone()
}

#[test]
fn a_killed_region_fails_no_request_and_is_down() {
    let mut us = OriginProcess::named("us");
    let eu = Origin::named("eu");
    let proxy = two_regions(us.address, eu.address, CHECKED_FOR_GOOD);
    let load = Load::of(proxy.address, 4, &Request::get("/"));
    load.until_more_from("us", 500);
    us.kill();
    proxy.until_state("us", "down");
    load.until_more_from("eu", 500);
    let tally = load.stop();
    tally.assert_nothing_failed();

    let event = event(&proxy, "us", "down");
    assert_eq!(event["successor"], "eu", "{event}");
    assert_eq!(event["cause"]["kind"], "checks_failed", "{event}");
    assert_eq!(event["cause"]["endpoint"], format!("http://{}", us.address));
    assert!(event["cause"]["last"]["kind"].is_string(), "{event}");
    let labels = ["deployment=\"api\"", "from=\"us\"", "to=\"eu\""];
    assert_eq!(proxy.metric("rhumb_failovers_total", &labels), 1.0);
    assert_eq!(proxy.metric("rhumb_region_up", &["region=\"us\""]), 0.0);
    assert_eq!(proxy.metric("rhumb_region_up", &["region=\"eu\""]), 1.0);
    assert_eq!(proxy.metric("rhumb_region_state", &["region=\"us\"", "state=\"down\""]), 1.0);
    assert!(proxy.metric("rhumb_retries_total", &["region=\"eu\""]) > 0.0);
    let failures = ["region=\"us\"", "kind=\""];
    assert!(proxy.metric("rhumb_upstream_failures_total", &failures) > 0.0);
    proxy.until_logged("region us");
}

#[test]
fn a_region_that_is_down_is_not_asked_any_more() {
    let mut us = OriginProcess::named("us");
    let eu = Origin::named("eu");
    let proxy = two_regions(us.address, eu.address, CHECKED_FOR_GOOD);
    us.kill();
    proxy.until_state("us", "down");
    let failures = || proxy.metric("rhumb_upstream_failures_total", &["region=\"us\""]);
    let before = failures();
    let mut client = proxy.client();
    for _ in 0..100 {
        assert_eq!(client.ask(&Request::get("/")).region(), "eu");
    }
    assert_eq!(failures(), before);
}

#[test]
fn a_hanging_region_fails_no_request_and_is_down() {
    let us = OriginProcess::named("us");
    let eu = Origin::named("eu");
    let deployment = format!("{CHECKED_FOR_GOOD}timeouts: {{ first_byte_seconds: 1 }}");
    let proxy = two_regions(us.address, eu.address, &deployment);
    let load = Load::of(proxy.address, 4, &Request::get("/"));
    load.until_more_from("us", 300);
    us.signal(Signal::STOP);
    proxy.until_state("us", "down");
    load.until_more_from("eu", 300);
    load.stop().assert_nothing_failed();
    assert_eq!(event(&proxy, "us", "down")["cause"]["last"]["kind"], "timeout");
}

#[test]
fn a_region_comes_back_after_its_cooldown() {
    let us = Origin::named("us");
    let eu = Origin::named("eu");
    let proxy = two_regions(us.address, eu.address, CHECKED);
    let load = Load::of(proxy.address, 2, &Request::get("/"));
    for _ in 0..2 {
        load.until_more_from("us", 50);
        us.set_healthy(false);
        proxy.until_state("us", "down");
        let down = event(&proxy, "us", "down");
        assert_eq!(down["cause"]["last"]["status"], 500, "{down}");
        load.until_more_from("eu", 50);
        us.set_healthy(true);
        proxy.until_state("us", "healthy");
        let up = event(&proxy, "us", "healthy");
        assert_eq!(up["cause"]["kind"], "checks_passed", "{up}");
        assert!(up["after_seconds"].as_f64().unwrap() >= 0.2, "not before the cooldown: {up}");
    }
    load.until_more_from("us", 50);
    load.stop().assert_nothing_failed();
}

#[test]
fn a_region_does_not_come_back_before_its_cooldown() {
    let us = Origin::named("us");
    let eu = Origin::named("eu");
    let proxy = two_regions(us.address, eu.address, CHECKED_FOR_GOOD);
    us.set_healthy(false);
    proxy.until_state("us", "down");
    us.set_healthy(true);
    let checks = us.checks();
    until("a few checks to pass", || us.checks() >= checks + 3);
    assert_eq!(proxy.state("us"), "down", "its cooldown is five minutes");
    assert_eq!(proxy.ask(&Request::get("/")).region(), "eu");
}

#[test]
fn a_process_that_hung_and_goes_on_is_taken_back() {
    let us = OriginProcess::named("us");
    let eu = Origin::named("eu");
    let deployment = format!("{CHECKED}timeouts: {{ first_byte_seconds: 1 }}");
    let proxy = two_regions(us.address, eu.address, &deployment);
    us.signal(Signal::STOP);
    proxy.until_state("us", "down");
    us.signal(Signal::CONT);
    proxy.until_state("us", "healthy");
    assert_eq!(proxy.ask(&Request::get("/")).region(), "us");
}

#[test]
fn a_post_that_an_origin_may_have_received_is_not_sent_again() {
    let us = Origin::with("us", |exchange| {
        exchange.read_body()?;
        exchange.reset()
    });
    let eu = Origin::named("eu");
    let proxy = two_regions(us.address, eu.address, "routing_strategy: failover");
    for (number, body) in ["", "hello"].into_iter().enumerate() {
        proxy.ask(&Request::post("/", body)).assert_problem(502, "upstream_reset");
        assert_eq!((us.count(), eu.count()), (number + 1, 0));
    }
    let patch = Request::new("PATCH", "/");
    proxy.ask(&patch).assert_problem(502, "upstream_reset");
    assert_eq!((us.count(), eu.count()), (3, 0));
}

#[test]
fn a_post_whose_answer_is_late_is_not_sent_again() {
    let us = Origin::with("us", |exchange| {
        exchange.read_body()?;
        exchange.closed_by_peer();
        Ok(())
    });
    let eu = Origin::named("eu");
    let deployment = "routing_strategy: failover\ntimeouts: { first_byte_seconds: 0.3 }";
    let proxy = two_regions(us.address, eu.address, deployment);
    for (number, body) in ["", "hello"].into_iter().enumerate() {
        proxy.ask(&Request::post("/", body)).assert_problem(504, "upstream_timeout");
        assert_eq!((us.count(), eu.count()), (number + 1, 0));
    }
    assert_eq!(proxy.ask(&Request::get("/")).region(), "eu", "a GET is");
}

#[test]
fn a_post_that_no_origin_can_have_received_goes_elsewhere_with_its_body() {
    let mut us = Origin::named("us");
    let eu = Origin::named("eu");
    let proxy = two_regions(us.address, eu.address, "routing_strategy: failover");
    us.stop();
    until_refused(us.address);
    for body in ["", "hello", &"x".repeat(1 << 20)] {
        let answer = proxy.ask(&Request::post("/", body));
        assert_eq!((answer.status(), answer.region()), (200, "eu"));
        assert_eq!(eu.last().body.unwrap().text(), body);
    }
    let mut client = proxy.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    );
    assert_eq!(client.read("POST").region(), "eu");
    assert_eq!(eu.last().body.unwrap().text(), "hi");
}

#[test]
fn posts_reach_an_origin_at_most_once_while_a_region_dies() {
    let mut us = OriginProcess::named("us");
    let eu = Origin::named("eu");
    let proxy = two_regions(us.address, eu.address, CHECKED_FOR_GOOD);
    let mut client = proxy.client();
    let mut failed = 0;
    for number in 0..400 {
        if number == 200 {
            us.kill();
        }
        let answer = client.ask(&Request::post(&format!("/{number}"), "x"));
        match answer.status() {
            200 => {}
            502 => failed += 1,
            _ => panic!("{answer:#?}"),
        }
    }
    // Only what was on its way when the region died, or met a connection of before, may fail.
    assert!(failed <= 1, "{failed} of 200 failed");
    let targets: Vec<_> = eu.requests().iter().map(|r| r.head.word(1).to_owned()).collect();
    let distinct: std::collections::BTreeSet<_> = targets.iter().collect();
    assert_eq!(distinct.len(), targets.len());
}

#[test]
fn idempotent_requests_are_sent_again_after_a_reset() {
    let us = Origin::with("us", Exchange::reset);
    let eu = Origin::named("eu");
    let proxy = two_regions(us.address, eu.address, "routing_strategy: failover");
    for (number, method) in ["GET", "HEAD", "OPTIONS", "DELETE", "PUT"].into_iter().enumerate() {
        let answer = proxy.ask(&Request::new(method, "/").with("X-Kept", "1"));
        assert_eq!((answer.status(), answer.region()), (200, "eu"), "{method}");
        assert_eq!(us.count(), number + 1);
        let (first, second) = (us.last().head, eu.last().head);
        assert_eq!(second.word(0), method);
        assert_eq!(second.get("x-kept"), Some("1"));
        assert_eq!(first.get("x-request-id"), second.get("x-request-id"), "it is one request");
        assert_eq!(second.all("via"), ["1.1 rhumb"], "the fields are added once");
        assert_eq!(second.get("x-forwarded-for"), Some("127.0.0.1"));
    }
}

#[test]
fn attempts_end_with_the_configured_number() {
    for (attempts, expected) in [(0, [1, 0, 0]), (1, [1, 1, 0]), (2, [1, 1, 1])] {
        let origins = ["us", "eu", "ap"].map(|name| Origin::with(name, Exchange::reset));
        let regions: Vec<_> = origins.iter().map(|o| (o.name.as_str(), o.address)).collect();
        let retries = format!("routing_strategy: failover\nretries: {{ attempts: {attempts} }}");
        let proxy = Setup::over(&regions).deployment(&retries).start();
        proxy.ask(&Request::get("/")).assert_problem(502, "upstream_reset");
        assert_eq!(origins.each_ref().map(Origin::count), expected, "{attempts} retries");
    }
}

#[test]
fn an_answer_with_an_error_status_is_an_answer() {
    let us = Origin::with("us", |exchange| exchange.answer("503 Busy", "Retry-After: 7\r\n", b"x"));
    let eu = Origin::named("eu");
    let proxy = two_regions(us.address, eu.address, "routing_strategy: failover");
    let answer = proxy.ask(&Request::get("/"));
    assert_eq!((answer.status(), answer.region()), (503, "us"));
    assert_eq!(answer.head.get("retry-after"), Some("7"));
    assert_eq!(eu.count(), 0);
}

/// A region that answers with server errors, and whose checks come so rarely that only requests can
/// tell of its end; beside another one.
fn failing() -> (Origin, Origin, Proxy) {
    let us = Origin::with("us", |exchange| exchange.answer("500 Oh", "", b"no"));
    let eu = Origin::named("eu");
    let deployment = "routing_strategy: failover\n\
         health_check: { path: /health, interval_seconds: 300, timeout_seconds: 1 }\n";
    let proxy = two_regions(us.address, eu.address, deployment);
    // The first check comes with the start: it must not meet what a test makes of the origin.
    until("the first check", || us.checks() > 0);
    (us, eu, proxy)
}

#[test]
fn a_region_that_answers_with_server_errors_is_checked_at_once() {
    let (us, _eu, proxy) = failing();
    us.set_healthy(false);
    // On one connection, so that one worker has them all.
    let mut client = proxy.client();
    for _ in 0..5 {
        assert_eq!(client.ask(&Request::get("/")).status(), 500);
    }
    proxy.until_state("us", "down");
    assert_eq!(client.ask(&Request::get("/")).region(), "eu");
    assert_eq!(event(&proxy, "us", "down")["cause"]["signal"], "server_error");
    let labels = ["region=\"us\"", "kind=\"server_error\""];
    assert_eq!(proxy.metric("rhumb_upstream_failures_total", &labels), 5.0);
}

#[test]
fn a_region_that_fails_requests_but_passes_its_checks_stays_in() {
    let (us, eu, proxy) = failing();
    let (before, mut client) = (us.checks(), proxy.client());
    for _ in 0..4 {
        client.ask(&Request::get("/"));
    }
    assert_eq!(us.checks(), before);
    client.ask(&Request::get("/"));
    until("a check of the region", || us.checks() > before);
    for _ in 0..20 {
        assert_eq!(client.ask(&Request::get("/")).region(), "us");
    }
    assert_eq!((proxy.state("us"), eu.count()), ("healthy".to_owned(), 0));
}

#[test]
fn connections_that_an_origin_closed_while_idle_are_noticed_by_nobody() {
    let origin = Origin::named("us");
    let proxy = Setup::over(&[("us", origin.address)]).workers(1).start();
    let mut client = proxy.client();
    for number in 0..200 {
        assert_eq!(client.ask(&Request::get("/")).status(), 200, "request {number}");
        // The next request meets the close before, while or after the proxy sees it.
        origin.close_connections();
    }
    assert_eq!(origin.count(), 200);
}

#[test]
fn an_origin_that_closes_each_connection_without_saying_so_fails_no_get() {
    let origin = Origin::with("us", |exchange| {
        exchange.keep = false;
        exchange.answer_own_name()
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let load = Load::of(proxy.address, 4, &Request::get("/"));
    load.until_more(1000);
    load.stop().assert_nothing_failed();
}

#[test]
fn a_kept_connection_that_turns_out_dead_does_not_blame_the_endpoint() {
    let origin = Origin::with("us", |exchange| {
        if exchange.before == 0 { exchange.answer_own_name() } else { exchange.reset() }
    });
    let proxy = Setup::over(&[("us", origin.address)]).workers(1).start();
    let mut client = proxy.client();
    for _ in 0..20 {
        assert_eq!(client.ask(&Request::get("/")).status(), 200);
    }
    assert_eq!(proxy.metric("rhumb_upstream_failures_total", &[]), 0.0);
}

#[test]
fn a_dead_endpoint_of_a_region_is_skipped() {
    let mut dead = Origin::named("us");
    let alive = Origin::named("us");
    let eu = Origin::named("eu");
    let proxy = Setup::empty()
        .region("us", &[dead.address, alive.address])
        .region("eu", &[eu.address])
        .deployment(CHECKED)
        .start();
    let load = Load::of(proxy.address, 4, &Request::get("/"));
    until("both endpoints to answer", || dead.count() > 20 && alive.count() > 20);
    dead.stop();
    let down = format!("endpoint=\"http://{}\"", dead.address);
    until("the endpoint to be down", || {
        proxy.metrics().contains(&down) && proxy.metric("rhumb_endpoint_up", &[&down]) == 0.0
    });
    load.until_more(200);
    let tally = load.stop();
    tally.assert_nothing_failed();
    assert_eq!(tally.answered.get("eu"), None, "the region as a whole is fine");
    assert_ne!(proxy.state("us"), "down");
}

#[test]
fn a_dead_endpoint_without_checks_costs_a_retry_in_its_own_region() {
    let mut dead = Origin::named("us");
    let alive = Origin::named("us");
    let eu = Origin::named("eu");
    let proxy = Setup::empty()
        .region("us", &[dead.address, alive.address])
        .region("eu", &[eu.address])
        .deployment("routing_strategy: failover")
        .start();
    dead.stop();
    let mut client = proxy.client();
    for _ in 0..50 {
        assert_eq!(client.ask(&Request::get("/")).region(), "us");
    }
}

/// Two regions, both down.
fn all_down(when_all_down: &str) -> (Origin, Origin, Proxy) {
    let (us, eu) = (Origin::named("us"), Origin::named("eu"));
    us.set_healthy(false);
    eu.set_healthy(false);
    let deployment = format!("{CHECKED_FOR_GOOD}when_all_down: {when_all_down}");
    let proxy = two_regions(us.address, eu.address, &deployment);
    proxy.until_state("us", "down");
    proxy.until_state("eu", "down");
    (us, eu, proxy)
}

#[test]
fn when_all_are_down_the_last_resort_is_to_try_all_the_same() {
    let (mut us, _eu, proxy) = all_down("last_resort");
    assert_eq!(proxy.ask(&Request::get("/")).region(), "us");
    us.stop();
    assert_eq!(proxy.ask(&Request::get("/")).region(), "eu");
    assert!(proxy.metric("rhumb_decisions_total", &["reason=\"last_resort\""]) >= 2.0);
}

#[test]
fn when_all_are_down_refuse_refuses() {
    let (us, eu, proxy) = all_down("refuse");
    let answer = proxy.ask(&Request::get("/"));
    answer.assert_problem(503, "no_healthy_region");
    assert!(answer.head.get("retry-after").is_some(), "{answer:#?}");
    assert_eq!(us.count() + eu.count(), 0);
}

#[test]
fn without_automatic_failover_a_region_stays_in() {
    let (us, eu) = (Origin::named("us"), Origin::named("eu"));
    us.set_healthy(false);
    let deployment = "routing_strategy: failover\n\
         health_check: { path: /health, interval_seconds: 0.05, timeout_seconds: 60 }\n\
         failover: { auto_failover_enabled: false }";
    let proxy = two_regions(us.address, eu.address, deployment);
    proxy.until_state("us", "degraded");
    let checks = us.checks();
    until("more checks to fail", || us.checks() >= checks + 10);
    assert_eq!(proxy.state("us"), "degraded");
    assert_eq!(proxy.ask(&Request::get("/")).region(), "us");
}

#[test]
fn deployments_that_check_the_same_share_the_check() {
    let us = Origin::named("us");
    let check = "health_check: { path: /health, interval_seconds: 0.2, timeout_seconds: 60 }";
    let proxy = Setup::over(&[("us", us.address)])
        .deployment(&format!("path_prefix: /a\n{check}"))
        .deployment(&format!("path_prefix: /b\n{check}"))
        .start();
    us.set_healthy(false);
    let both = || {
        let page = proxy.inspect("/api/v1/regions").body.text();
        page.matches("\"down\"").count()
    };
    eventually("both to be down", || (both() >= 2).then_some(()));
    // One connection at a time is enough for one check.
    assert_eq!(proxy.metric("rhumb_failovers_total", &[]), 2.0);
    let (made, seen) = (proxy.metric("rhumb_health_checks_total", &[]), us.checks());
    assert!(made <= seen as f64 + 1.0, "{made} counted, {seen} seen: each is made once");
}

#[test]
fn a_request_ends_in_time_when_nothing_answers() {
    let origins = ["us", "eu"].map(|name| {
        Origin::with(name, |exchange| {
            exchange.closed_by_peer();
            Ok(())
        })
    });
    let [us, eu] = &origins;
    let deployment = "routing_strategy: failover\n\
         timeouts: { first_byte_seconds: 20, request_seconds: 0.5 }";
    let proxy = two_regions(us.address, eu.address, deployment);
    let mut client = proxy.client();
    client.ask(&Request::get("/")).assert_problem(504, "upstream_timeout");
    assert_eq!((us.count(), eu.count()), (1, 0), "no time was left for another attempt");
}

#[test]
fn a_client_of_a_dying_region_keeps_its_connection() {
    let mut us = OriginProcess::named("us");
    let eu = Origin::named("eu");
    let proxy = two_regions(us.address, eu.address, CHECKED_FOR_GOOD);
    let mut client: Client = proxy.client();
    assert_eq!(client.ask(&Request::get("/")).region(), "us");
    us.kill();
    for _ in 0..50 {
        assert_eq!(client.ask(&Request::get("/")).region(), "eu");
    }
}
