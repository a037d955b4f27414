//! The program is told to end: what is under way is finished, nothing new is begun.

use std::sync::mpsc::sync_channel;

use rustix::process::Signal;

use crate::support::client::{Client, Request, WITHIN, until_refused};
use crate::support::http::{Framing, Pattern};
use crate::support::load::Load;
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{PATIENCE, until};

#[test]
fn requests_in_flight_are_finished_and_the_exit_code_is_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let (origin, open) = Origin::gated("us");
        let mut proxy = Setup::over(&[("us", origin.address)]).start();
        let mut busy: Vec<_> = (0..20).map(|_| proxy.client()).collect();
        for client in &mut busy {
            client.send(Request::get("/").bytes());
        }
        until("all requests to arrive", || origin.count() == busy.len());
        proxy.signal(signal);
        until_refused(proxy.address);
        assert!(proxy.is_running(), "it waits for what is under way");
        drop(open);
        for client in &mut busy {
            let answer = client.read("GET");
            assert_eq!((answer.status(), answer.body.text()), (200, "us".to_owned()));
            assert!(answer.head.lists("connection", "close"), "{answer:#?}");
            assert!(client.is_closed());
        }
        let status = proxy.ended();
        assert_eq!(status.code(), Some(0), "{}", proxy.log());
    }
}

#[test]
fn a_transfer_under_way_is_finished() {
    const SIZE: usize = 32 << 20;
    let origin = Origin::with("us", |exchange| {
        exchange.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n"))?;
        exchange.send(Pattern::bytes(SIZE))
    });
    let mut proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    client.send(Request::get("/").bytes());
    assert_eq!(client.head().word(1), "200");
    proxy.signal(Signal::TERM);
    until_refused(proxy.address);
    let mut pattern = Pattern::new();
    client.stream(Framing::Length(SIZE as u64), |part| pattern.check(part)).unwrap();
    assert_eq!(pattern.position(), SIZE);
    assert!(client.is_closed());
    assert_eq!(proxy.ended().code(), Some(0));
}

#[test]
fn idle_connections_do_not_hold_it_up() {
    let origin = Origin::named("us");
    let mut proxy = Setup::over(&[("us", origin.address)]).start();
    let mut used = proxy.client();
    assert_eq!(used.ask(&Request::get("/")).status(), 200);
    let mut fresh = proxy.client();
    let mut half = proxy.client();
    half.send("GET / HTTP/1.1\r\n");
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended().code(), Some(0));
    assert!(used.is_closed());
    assert!(fresh.is_closed());
}

#[test]
fn under_load_no_request_that_was_answered_is_broken_off() {
    let origin = Origin::named("us");
    let mut proxy = Setup::over(&[("us", origin.address)]).start();
    let load = Load::of(proxy.address, 8, &Request::get("/"));
    load.until_more(500);
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended().code(), Some(0), "{}", proxy.log());
    let tally = load.stop();
    // Afterwards nobody listens; a connection that was idle at the moment ends without an answer,
    // which a client may repeat. What must not happen is half an answer, or an error in its place.
    let broken = |failure: &&String| {
        let before_an_answer = ["refused", "reset", "Broken pipe", "unexpected end of file"];
        failure.contains(WITHIN) || !before_an_answer.iter().any(|known| failure.contains(known))
    };
    let broken: Vec<_> = tally.failed.iter().filter(broken).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn what_takes_too_long_is_cut_and_the_last_line_and_the_exit_code_say_so() {
    let (origin, _open) = Origin::gated("us");
    let mut proxy =
        Setup::over(&[("us", origin.address)]).top("drain: { timeout_seconds: 0.3 }").start();
    let mut client = proxy.client();
    client.send(Request::get("/").bytes());
    until("the request to arrive", || origin.count() == 1);
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended().code(), Some(3), "{}", proxy.log());
    let log = proxy.log();
    let last = log.lines().last().unwrap();
    assert!(last.contains("stopped: finished nothing; cut 1 request"), "{log}");
}

#[test]
fn the_last_line_says_what_was_finished() {
    let (origin, open) = Origin::gated("us");
    let mut proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    client.send(Request::get("/").bytes());
    until("the request to arrive", || origin.count() == 1);
    proxy.signal(Signal::TERM);
    until_refused(proxy.address);
    drop(open);
    assert_eq!(client.read("GET").status(), 200);
    assert_eq!(proxy.ended().code(), Some(0), "{}", proxy.log());
    let log = proxy.log();
    assert!(log.lines().last().unwrap().contains("finished 1 request; cut nothing"), "{log}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (second, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let (origin, _open) = Origin::gated("us");
        let mut proxy = Setup::over(&[("us", origin.address)]).start();
        let mut client = proxy.client();
        client.send(Request::get("/").bytes());
        until("the request to arrive", || origin.count() == 1);
        proxy.signal(Signal::TERM);
        proxy.until_logged("finishing what is under way");
        proxy.signal(second);
        assert_eq!(proxy.ended().code(), Some(code), "{}", proxy.log());
        assert!(proxy.log().contains("second signal"), "{}", proxy.log());
    }
}

#[test]
fn in_the_grace_it_is_not_ready_and_serves() {
    let origin = Origin::named("us");
    let mut proxy = Setup::over(&[("us", origin.address)])
        .top("drain: { grace_seconds: 3600, timeout_seconds: 30 }")
        .start();
    assert_eq!(proxy.inspect("/readyz").status(), 200);
    proxy.signal(Signal::TERM);
    until("readiness to end", || proxy.inspect("/readyz").status() == 503);
    let answer = proxy.ask(&Request::get("/"));
    assert_eq!(answer.status(), 200);
    assert!(!answer.head.lists("connection", "close"), "nothing has begun to end");
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended().code(), Some(143));
}

#[test]
fn who_has_just_connected_is_served() {
    let origin = Origin::named("us");
    let mut proxy = Setup::over(&[("us", origin.address)]).start();
    let mut used = proxy.client();
    assert_eq!(used.ask(&Request::get("/")).status(), 200);
    let (mut fresh, mut half) = (proxy.client(), proxy.client());
    half.send("GET / HTTP/1.1\r\n");
    until("all to be accepted", || proxy.metric("rhumb_connections", &[]) >= 3.0);
    proxy.signal(Signal::TERM);
    proxy.until_logged("finishing what is under way");
    half.send("Host: api.test\r\n\r\n");
    for client in [&mut used, &mut fresh] {
        client.send(Request::get("/").bytes());
    }
    for client in [&mut used, &mut fresh, &mut half] {
        let answer = client.read("GET");
        assert_eq!(answer.status(), 200);
        assert!(answer.head.lists("connection", "close"), "{answer:#?}");
        assert!(client.is_closed());
    }
    assert_eq!(proxy.ended().code(), Some(0), "{}", proxy.log());
}

/// A WebSocket through the proxy to an origin that says this, and what the origin hears then.
fn websocket(said: &'static [u8]) -> (Proxy, Client, std::sync::mpsc::Receiver<Vec<u8>>, Origin) {
    let (tell, told) = sync_channel(1);
    let origin = Origin::with("us", move |exchange| {
        exchange.keep = false;
        exchange.send(concat!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        ))?;
        exchange.send(said)?;
        let (mut heard, mut buffer) = (Vec::new(), [0; 64]);
        while let Ok(count @ 1..) = exchange.read_some(&mut buffer) {
            heard.extend_from_slice(&buffer[..count]);
        }
        // The test may be over.
        let _ = tell.send(heard);
        Ok(())
    });
    // They are told at half time.
    let top = "drain: { timeout_seconds: 4 }";
    let proxy = Setup::over(&[("us", origin.address)]).top(top).start();
    let mut client = proxy.client();
    let ask = Request::get("/chat").with("Connection", "Upgrade").with("Upgrade", "websocket");
    let ask = ask.with("Sec-WebSocket-Version", "13");
    client.send(ask.with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==").bytes());
    assert_eq!(client.head().word(1), "101");
    (proxy, client, told, origin)
}

#[test]
fn websockets_are_told_shortly_before_the_end() {
    let (mut proxy, mut client, told, _origin) = websocket(b"\x82\x01a");
    proxy.signal(Signal::TERM);
    assert_eq!(&client.exactly(), b"\x82\x01a\x88\x02\x03\xe9");
    let answer = b"\x88\x82\0\0\0\0\x03\xe9";
    client.send(answer);
    assert!(client.is_closed());
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), answer);
    assert_eq!(proxy.ended().code(), Some(0), "{}", proxy.log());
    assert!(proxy.log().contains("finished 1 tunnel; cut nothing"), "{}", proxy.log());
}

#[test]
fn a_websocket_in_the_middle_of_a_frame_cannot_be_told() {
    let (mut proxy, mut client, _told, _origin) = websocket(b"\x82\x04ab");
    proxy.signal(Signal::TERM);
    assert_eq!(client.rest(), b"\x82\x04ab");
    assert_eq!(proxy.ended().code(), Some(3), "{}", proxy.log());
    assert!(proxy.log().contains("cut 1 tunnel"), "{}", proxy.log());
}
