//! Bodies of every size and framing arrive as they were sent, at the pace of the slower side, and
//! without being kept.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use crate::support::client::{Client, Request};
use crate::support::http::{Framing, Pattern};
use crate::support::origin::{Exchange, Origin};
use crate::support::proxy::{Proxy, Setup};
use crate::support::until;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const SIZES: [usize; 8] = [0, 1, 1023, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB, 64 * MIB];

/// The size that a test asks for in the path: `/fixed/1023`.
fn size(exchange: &Exchange) -> usize {
    exchange.head.word(1).rsplit('/').next().unwrap().parse().unwrap()
}

/// Answers `/fixed/N` and `/chunked/N` with N bytes of the pattern, and any body with its length.
fn origin() -> Origin {
    Origin::with("us", |exchange| {
        let received = exchange.check_body()?;
        let target = exchange.head.word(1).to_owned();
        if target.starts_with("/fixed/") {
            let size = size(exchange);
            exchange.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n"))?;
            let mut pattern = Pattern::new();
            while pattern.position() < size {
                let left = size - pattern.position();
                exchange.send(pattern.next(left))?;
            }
            Ok(())
        } else if target.starts_with("/chunked/") {
            let size = size(exchange);
            exchange.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            send_chunks(size, |bytes| exchange.send(bytes))?;
            exchange.send("0\r\n\r\n")
        } else {
            let framing = match exchange.framing() {
                Framing::Chunked => "chunked",
                _ => "fixed",
            };
            exchange.answer(
                "200 OK",
                &format!("x-framing: {framing}\r\n"),
                received.to_string().as_bytes(),
            )
        }
    })
}

/// The pattern in chunks of uneven sizes, without the last one.
fn send_chunks(
    size: usize,
    mut send: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut pattern = Pattern::new();
    let mut rng = fastrand::Rng::with_seed(size as u64);
    let mut extensions = 0;
    while pattern.position() < size {
        let most = rng.usize(1..=100_000).min(size - pattern.position());
        let part = pattern.next(most);
        // Extensions mean nothing and are dropped; a body may have 16 KiB of them in all.
        extensions += 1;
        let extension = if extensions < 100 { ";name=\"value\"" } else { "" };
        let mut bytes = format!("{:x}{extension}\r\n", part.len()).into_bytes();
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
        send(&bytes)?;
    }
    Ok(())
}

fn download(client: &mut Client, target: &str, framing: Framing, size: usize) {
    client.send(Request::get(target).bytes());
    let head = client.head();
    assert_eq!(head.word(1), "200", "{head:#?}");
    assert_eq!(head.framing().unwrap(), framing);
    let mut pattern = Pattern::new();
    client.stream(framing, |part| pattern.check(part)).unwrap();
    assert_eq!(pattern.position(), size);
}

#[test]
fn downloads_of_every_size_and_framing_are_byte_identical() {
    let origin = origin();
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    for size in SIZES {
        download(&mut client, &format!("/fixed/{size}"), Framing::Length(size as u64), size);
        download(&mut client, &format!("/chunked/{size}"), Framing::Chunked, size);
    }
}

#[test]
fn uploads_of_every_size_and_framing_are_byte_identical() {
    let origin = origin();
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    for size in SIZES {
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"));
        let mut pattern = Pattern::new();
        while pattern.position() < size {
            let left = size - pattern.position();
            client.send(pattern.next(left));
        }
        let answer = client.read("POST");
        assert_eq!(answer.head.get("x-framing"), Some("fixed"), "{answer:#?}");
        assert_eq!(answer.body.text(), size.to_string());

        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        send_chunks(size, |bytes| client.try_send(bytes)).unwrap();
        client.send("0\r\n\r\n");
        let answer = client.read("POST");
        assert_eq!(answer.body.text(), size.to_string(), "{answer:#?}");
        if size > 0 {
            assert_eq!(answer.head.get("x-framing"), Some("chunked"));
        }
    }
    assert_eq!(origin.count(), 2 * SIZES.len());
}

#[test]
fn a_body_that_trickles_in_is_passed_on_as_it_comes() {
    let origin = Origin::with("us", |exchange| {
        // Each byte has to arrive before the client sends the next one.
        exchange.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        let mut wire = Vec::new();
        while !wire.ends_with(b"0\r\n\r\n") {
            let mut buffer = [0; 64];
            let count = exchange.read_some(&mut buffer)?;
            wire.extend_from_slice(&buffer[..count]);
            for byte in &buffer[..count] {
                exchange.send(format!("1\r\n{}\r\n", char::from(*byte)))?;
            }
        }
        exchange.send("0\r\n\r\n")
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("1\r\na\r\n");
    let head = client.head();
    assert_eq!(head.framing().unwrap(), Framing::Chunked, "{head:#?}");
    let mut echoed = 0;
    let mut left = "bcdefgh".chars();
    let mut sender = client.sender();
    client
        .stream(Framing::Chunked, |part| {
            echoed += part.len();
            // `1\r\na\r\n` are six bytes for each one of content.
            while echoed >= 6 {
                echoed -= 6;
                match left.next() {
                    Some(next) => sender.send(&format!("1\r\n{next}\r\n"))?,
                    None if echoed == 0 => sender.send("0\r\n\r\n")?,
                    None => {}
                }
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn trailers_pass_in_both_directions() {
    let origin = Origin::with("us", |exchange| {
        let body = exchange.read_body()?;
        let echo = format!("{:?}", body.trailers).replace(['\r', '\n'], "");
        exchange.send(format!(
            "HTTP/1.1 200 OK\r\nx-saw: {echo}\r\ntrailer: X-Sum\r\ntransfer-encoding: chunked\r\n\r\n\
             5\r\nhello\r\n0\r\nX-Sum: 99\r\n\r\n"
        ))
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTrailer: X-Check\r\n\
         Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Check: 42\r\n\r\n",
    );
    let answer = client.read("POST");
    assert_eq!(answer.body.text(), "hello");
    let lower = |(name, value): &(String, String)| (name.to_lowercase(), value.clone());
    let trailers: Vec<_> = answer.body.trailers.iter().map(lower).collect();
    assert_eq!(trailers, [("x-sum".to_owned(), "99".to_owned())]);
    let sent = origin.only().body.unwrap().trailers;
    let sent: Vec<_> = sent.iter().map(lower).collect();
    assert_eq!(sent, [("x-check".to_owned(), "42".to_owned())]);
    assert_eq!(client.ask(&Request::get("/")).status(), 200, "the connection is in step");
}

#[test]
fn head_is_answered_without_a_body_and_with_the_length_it_would_have() {
    let origin = Origin::with("us", |exchange| match exchange.head.word(0) {
        "HEAD" => exchange.send("HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n"),
        _ => exchange.answer("200 OK", "", b"x"),
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    for _ in 0..3 {
        let answer = client.ask(&Request::new("HEAD", "/"));
        assert_eq!(answer.head.get("content-length"), Some("1234"));
        assert_eq!(client.ask(&Request::get("/")).body.text(), "x", "nothing follows the head");
    }
    assert_eq!(origin.connections(), 1, "the upstream connection is in step as well");
}

#[test]
fn a_head_refused_by_the_proxy_has_no_body_either() {
    let origin = Origin::named("us");
    let proxy = Setup::over(&[("us", origin.address)]).deployment("hosts: [api.test]").start();
    let mut client = proxy.client();
    let answer = client.ask(&Request::new("HEAD", "/").with("Host", "b.test"));
    assert_eq!(answer.status(), 404);
    assert_eq!(client.ask(&Request::get("/")).status(), 200);
}

#[test]
fn statuses_without_a_body_leave_the_connection_in_step() {
    let origin = Origin::with("us", |exchange| match exchange.head.word(1) {
        "/204" => exchange.send("HTTP/1.1 204 No Content\r\n\r\n"),
        "/304" => exchange.send("HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n"),
        "/304-length" => exchange.send("HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n"),
        "/205" => exchange.send("HTTP/1.1 205 Reset\r\ncontent-length: 0\r\n\r\n"),
        _ => exchange.answer("200 OK", "", b"x"),
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = proxy.client();
    for status in ["204", "304", "304-length", "205"] {
        let answer = client.ask(&Request::get(&format!("/{status}")));
        assert_eq!(answer.status().to_string(), status[..3]);
        assert_eq!(client.ask(&Request::get("/")).body.text(), "x", "after {status}");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_response_cut_off_by_the_origin_does_not_look_whole() {
    let origin = Origin::with("us", |exchange| {
        exchange.keep = false;
        match exchange.head.word(1) {
            "/fixed" => exchange.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"),
            _ => {
                exchange.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")
            }
        }
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    for target in ["/fixed", "/chunked"] {
        let mut client = proxy.client();
        client.send(Request::get(target).bytes());
        let answer = client.try_read("GET");
        assert!(answer.is_err(), "{target}: {answer:?}");
    }
    assert_eq!(origin.count(), 2, "what has begun to be answered is not asked again");
}

#[test]
fn a_request_cut_off_by_the_client_does_not_look_whole() {
    let (ended, end) = sync_channel(16);
    let ended = Mutex::new(ended);
    let origin = Origin::with("us", move |exchange| {
        let read = exchange.read_body().map(|body| body.text());
        ended.lock().unwrap().send(read.map_err(|error| error.to_string())).unwrap();
        exchange.keep = false;
        Ok(())
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    for head in
        ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
    {
        let mut client = proxy.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}"));
        until("the head to arrive", || origin.open() > 0);
        drop(client);
        let body: Result<String, String> = end.recv_timeout(crate::support::PATIENCE).unwrap();
        assert!(body.is_err(), "{body:?}");
        until("the connection to be closed", || origin.open() == 0);
    }
}

/// Lets the origin go on when the test says so.
fn gate() -> (SyncSender<()>, Arc<Mutex<Receiver<()>>>) {
    let (open, gate) = sync_channel(16);
    (open, Arc::new(Mutex::new(gate)))
}

const HUGE: usize = 256 * MIB;
/// What a transfer may add to the memory of the idle program.
const ROOM_KIB: usize = 64 * KIB;

fn warmed_up(proxy: &Proxy) -> usize {
    let mut client = proxy.client();
    download(&mut client, "/fixed/1048576", Framing::Length(MIB as u64), MIB);
    proxy.memory_kib()
}

#[test]
fn memory_stays_flat_while_a_slow_client_downloads_a_lot() {
    let origin = origin();
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let idle = warmed_up(&proxy);
    let mut client = Client::connect_slow_reader(proxy.address);
    client.send(Request::get(&format!("/chunked/{HUGE}")).bytes());
    assert_eq!(client.head().word(1), "200");
    let mut pattern = Pattern::new();
    let mut next_look = 0;
    client
        .stream(Framing::Chunked, |part| {
            pattern.check(part)?;
            if pattern.position() >= next_look {
                next_look += 8 * MIB;
                let used = proxy.memory_kib();
                assert!(used < idle + ROOM_KIB, "{used} KiB after {}", pattern.position());
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(pattern.position(), HUGE);
}

#[test]
fn memory_stays_flat_while_a_client_uploads_a_lot() {
    let origin = origin();
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let idle = warmed_up(&proxy);
    let mut client = proxy.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {HUGE}\r\n\r\n"));
    let mut pattern = Pattern::new();
    let mut next_look = 0;
    while pattern.position() < HUGE {
        let left = HUGE - pattern.position();
        client.send(pattern.next(left));
        if pattern.position() >= next_look {
            next_look += 8 * MIB;
            let used = proxy.memory_kib();
            assert!(used < idle + ROOM_KIB, "{used} KiB after {}", pattern.position());
        }
    }
    assert_eq!(client.read("POST").body.text(), HUGE.to_string());
}

#[test]
fn a_client_that_does_not_read_holds_the_origin_back() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let origin = Origin::with("us", move |exchange| {
        exchange.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {HUGE}\r\n\r\n"))?;
        let mut pattern = Pattern::new();
        while pattern.position() < HUGE {
            let part = pattern.next(HUGE);
            exchange.send(part)?;
            counted.fetch_add(part.len(), SeqCst);
        }
        Ok(())
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let mut client = Client::connect_slow_reader(proxy.address);
    client.send(Request::get("/").bytes());
    assert_eq!(client.head().word(1), "200");
    // The origin has filled every buffer on the way when it makes no more progress.
    let stuck_at = settled(&sent);
    assert!(stuck_at < HUGE / 2, "{stuck_at} bytes were taken off the origin");
    let mut pattern = Pattern::new();
    client.stream(Framing::Length(HUGE as u64), |part| pattern.check(part)).unwrap();
    assert_eq!(pattern.position(), HUGE, "and nothing was lost");
}

/// Waits until a number no longer grows from one look to the twentieth after it.
fn settled(number: &AtomicUsize) -> usize {
    let mut last = (number.load(SeqCst), 0);
    crate::support::eventually("the transfer to stop", || {
        let now = number.load(SeqCst);
        last = if now == last.0 && now > 0 { (now, last.1 + 1) } else { (now, 0) };
        (last.1 == 20).then_some(now)
    })
}

#[test]
fn an_origin_that_does_not_read_holds_the_client_back() {
    let (open, gate) = gate();
    let origin = Origin::with("us", move |exchange| {
        gate.lock().unwrap().recv().unwrap();
        let length = exchange.check_body()?;
        exchange.answer("200 OK", "", length.to_string().as_bytes())
    });
    let proxy = Setup::over(&[("us", origin.address)]).start();
    let idle = proxy.memory_kib();
    let mut client = proxy.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {HUGE}\r\n\r\n"));
    let sent = Arc::new(AtomicUsize::new(0));
    let done = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut pattern = Pattern::new();
            while pattern.position() < HUGE {
                let part = pattern.next(HUGE);
                client.send(part);
                sent.fetch_add(part.len(), SeqCst);
            }
            assert_eq!(client.read("POST").body.text(), HUGE.to_string());
            done.store(true, SeqCst);
        });
        let stuck_at = settled(&sent);
        assert!(stuck_at < HUGE / 2, "{stuck_at} bytes were taken off the client");
        let used = proxy.memory_kib();
        assert!(used < idle + ROOM_KIB, "{used} KiB");
        open.send(()).unwrap();
    });
    assert!(done.load(SeqCst));
}
