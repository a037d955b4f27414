//! The program is told to end: what is under way is finished, nothing new is begun.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use rustix::process::Signal;

use crate::support::client::{Request, until_refused};
use crate::support::http::{Framing, Pattern};
use crate::support::load::Load;
use crate::support::origin::Origin;
use crate::support::proxy::Setup;
use crate::support::until;

#[test]
fn requests_in_flight_are_finished_and_the_exit_code_is_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let (open, gate) = sync_channel::<()>(1);
        let gate = Arc::new(Mutex::new(gate));
        let origin = Origin::with("us", move |exchange| {
            // Ends when the test lets go of the other end.
            let _ = gate.lock().unwrap().recv();
            exchange.answer_own_name()
        });
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
        !before_an_answer.iter().any(|known| failure.contains(known))
    };
    let broken: Vec<_> = tally.failed.iter().filter(broken).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}
