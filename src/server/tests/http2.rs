//! HTTP/2 frame by frame: idle connections, floods, and what the client is told.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::fixture::{Client, PREFACE, World, run};
use crate::model::limits;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ENHANCE_YOUR_CALM: u8 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// GET / of `nobody.test` over http (RFC 7541, without the dynamic table).
fn request(stream: u32) -> Vec<u8> {
    let mut block = vec![0x82, 0x84, 0x86, 0x01, 11];
    block.extend(b"nobody.test");
    frame(HEADERS, 0x5, stream, &block)
}

/// A frame that came.
#[derive(Debug)]
struct Got {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Client {
    async fn greet(&mut self) {
        self.send(PREFACE).await;
        self.send(frame(SETTINGS, 0, 0, &[])).await;
    }

    async fn frame(&mut self) -> Option<Got> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Got { kind: head[3], stream, payload })
    }

    /// Reads until a frame of that kind.
    async fn until(&mut self, kind: u8) -> Option<Got> {
        loop {
            let got = self.frame().await?;
            if got.kind == kind {
                return Some(got);
            }
        }
    }
}

#[test]
fn a_connection_without_a_stream_is_told_to_go_after_a_minute() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.greet().await;
        let goaway = client.until(GOAWAY).await.unwrap();
        assert_eq!(goaway.payload[4..8], [0; 4], "no error");
        assert_eq!(client.seconds(), 60);
        // It does not go.
        while client.frame().await.is_some() {}
        assert_eq!(client.seconds(), 62);
        assert_eq!(world.metric("rhumb_floods_total"), 0.0);
    });
}

#[test]
fn a_head_that_does_not_come_to_its_end_is_not_waited_for() {
    let whole = request(1);
    let without_end = frame(HEADERS, 0x1, 1, &whole[9..]);
    for begun in [&whole[..12], &without_end] {
        run(async {
            let world = World::new("", "");
            let mut client = world.connect();
            client.greet().await;
            client.send(begun).await;
            while client.frame().await.is_some() {}
            assert_eq!(client.seconds(), 10);
            assert_eq!(world.metric("rhumb_requests_total"), 0.0);
        });
    }
}

#[test]
fn a_request_starts_the_minute_again() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.greet().await;
        client.send(request(1)).await;
        let answer = client.until(HEADERS).await.unwrap();
        assert_eq!(answer.stream, 1);
        assert!(client.until(GOAWAY).await.is_some());
        assert!((60..=70).contains(&client.seconds()));
    });
}

#[test]
fn a_flood_is_cut_and_the_client_is_told() {
    for (kind, flood) in [
        ("ping", frame(PING, 0, 0, &[0; 8])),
        ("settings", frame(SETTINGS, 0, 0, &[])),
        ("priority", frame(2, 0, 3, &[0, 0, 0, 0, 7])),
        ("window_update", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
    ] {
        run(async {
            let world = World::new("", "");
            let mut client = world.connect();
            client.greet().await;
            assert_eq!(client.frame().await.unwrap().kind, SETTINGS);
            client.send(flood.repeat(600)).await;
            let goaway = client.until(GOAWAY).await.expect(kind);
            assert_eq!(goaway.payload[7], ENHANCE_YOUR_CALM, "{kind}");
            assert!(client.frame().await.is_none(), "nothing comes behind it");
            drop(client.stream);
            client.task.await.unwrap();
            let metric = format!("rhumb_floods_total{{kind=\"{kind}\"}}");
            assert_eq!(world.metric(&metric), 1.0, "{kind}");
            assert_eq!(world.metric("rhumb_connections "), 0.0);
        });
    }
}

#[test]
fn requests_that_are_taken_back_are_cut() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.greet().await;
        let mut stream = 1;
        loop {
            let mut bytes = request(stream);
            bytes.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
            client.send(bytes).await;
            tokio::task::yield_now().await;
            if world.metric("rhumb_floods_total{kind=\"rapid_reset\"}") > 0.0 {
                break;
            }
            stream += 2;
            assert!(stream < 2_000, "it is not cut");
        }
        assert_eq!(world.metric("rhumb_floods_total"), 1.0);
    });
}

#[test]
fn of_many_requests_at_once_some_begin_and_what_is_taken_back_meanwhile_never_does() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.greet().await;
        let streams = || (0..100).map(|number| number * 2 + 1);
        client.send(streams().flat_map(request).collect::<Vec<_>>()).await;
        while world.metric("rhumb_requests_total") == 0.0 {
            tokio::task::yield_now().await;
        }
        let taken_back = streams().flat_map(|id| frame(RST_STREAM, 0, id, &[0, 0, 0, 8]));
        client.send(taken_back.collect::<Vec<_>>()).await;
        client.send(request(201)).await;
        while client.until(HEADERS).await.unwrap().stream != 201 {}
        let begun = world.metric("rhumb_requests_total");
        assert!((2.0..=60.0).contains(&begun), "{begun} of 100 and one");
        assert_eq!(world.metric("rhumb_floods_total"), 0.0);
        drop(client.stream);
        client.task.await.unwrap();
        assert_eq!(world.metric("rhumb_requests_total"), begun);
    });
}

#[test]
fn who_waits_begins_before_who_comes_later() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.greet().await;
        let first = (0..100).flat_map(|number| request(number * 2 + 1));
        client.send(first.collect::<Vec<_>>()).await;
        let mut answered = Vec::new();
        while answered.len() < 300 {
            let got = client.frame().await.unwrap();
            if got.kind == HEADERS {
                answered.push(got.stream);
                client.send(request(answered.len() as u32 * 2 + 199)).await;
            }
        }
        assert!(answered.is_sorted(), "{answered:?}");
        assert_eq!(world.metric("rhumb_floods_total"), 0.0);
    });
}

/// Each of them takes less than the time that there is for one, all of them together more.
#[test]
fn every_head_has_a_time_of_its_own() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.greet().await;
        let all: Vec<_> = (0..4).flat_map(|number| request(number * 2 + 1)).collect();
        for piece in all.chunks(request(1).len() - 3) {
            client.send(piece).await;
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
        for stream in [1, 3, 5, 7] {
            assert_eq!(client.until(HEADERS).await.unwrap().stream, stream);
        }
        assert!(client.seconds() >= 16);
    });
}

/// Nobody but the connection itself calls for what it has left for its next turn.
#[test]
fn what_is_more_than_a_worker_takes_at_once_is_taken_without_anything_else_happening() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect_widely();
        client.greet().await;
        // Heads that become no request, for a field of HTTP/1.1 (RFC 9113 section 8.2.2).
        let mut block = vec![0x82, 0x84, 0x86, 0x00, 10];
        block.extend(b"connection");
        block.extend([0x7f, 0x80 | ((8_000 - 127) & 0x7f) as u8, ((8_000 - 127) >> 7) as u8]);
        block.extend([b'a'; 8_000]);
        let heads = (0..12).flat_map(|number| frame(HEADERS, 0x5, number * 2 + 1, &block));
        let bytes = heads.chain(frame(PING, 0, 0, b"the last")).collect::<Vec<_>>();
        assert!(bytes.len() > limits::HEAD_BYTES_PER_PORTION as usize);
        client.send(bytes).await;
        let (mut resets, mut answered) = (0, false);
        while resets < 12 || !answered {
            let got = client.frame().await.unwrap();
            resets += usize::from(got.kind == RST_STREAM);
            answered |= got.kind == PING && got.payload == b"the last";
        }
        assert_eq!(client.seconds(), 0);
        assert_eq!(world.metric("rhumb_floods_total"), 0.0);
    });
}

/// Who floods on is held up by its own window, instead of being read or coming back at once.
#[test]
fn of_a_flood_that_goes_on_hardly_anything_is_taken() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.greet().await;
        let flood = frame(PING, 0, 0, &[0; 8]).repeat(600);
        client.send(&flood).await;
        let goaway = client.until(GOAWAY).await.unwrap();
        assert_eq!(goaway.payload[7], ENHANCE_YOUR_CALM);
        let (told, mut sent) = (Instant::now(), 0);
        while client.stream.write_all(&flood).await.is_ok() {
            sent += flood.len();
            assert!(sent < 128 << 10, "128 KiB were taken, of which 64 are on the way");
        }
        client.task.await.unwrap();
        assert_eq!(
            told.elapsed().as_millis() / 100,
            10,
            "it was let go {:?} after",
            told.elapsed()
        );
    });
}

#[test]
fn many_requests_are_no_flood() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.greet().await;
        for round in 0..50 {
            let streams = (0..20).map(|i| (round * 20 + i) * 2 + 1);
            client.send(streams.flat_map(request).collect::<Vec<_>>()).await;
            for _ in 0..20 {
                client.until(HEADERS).await.unwrap();
            }
            client.send(frame(PING, 0, 0, &[0; 8])).await;
            client.send(frame(WINDOW_UPDATE, 0, 0, &[0, 0, 16, 0])).await;
        }
        assert_eq!(world.metric("rhumb_floods_total"), 0.0);
        assert_eq!(world.metric("rhumb_requests_total"), 1_000.0);
    });
}

#[test]
fn a_client_that_opens_no_window_loses_the_stream_and_not_the_connection() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.send(PREFACE).await;
        // SETTINGS_INITIAL_WINDOW_SIZE 0
        client.send(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await;
        client.send(request(1)).await;
        let reset = client.until(RST_STREAM).await.unwrap();
        assert_eq!(reset.stream, 1);
        assert!((30..=40).contains(&client.seconds()), "{}", client.seconds());
        assert_eq!(world.metric("rhumb_floods_total{kind=\"stalled\"}"), 1.0);
        client.send(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])).await;
        client.send(request(3)).await;
        assert_eq!(client.until(0).await.unwrap().stream, 3);
    });
}

/// A stream whose window is opened by so much every so many seconds, from nothing on.
async fn drip(client: &mut Client, stream: u32, by: u8, every: u64) -> (Option<u8>, u64) {
    let began = client.seconds();
    let mut body = Vec::new();
    loop {
        let next = tokio::time::timeout(Duration::from_secs(every), client.frame()).await;
        let Ok(got) = next else {
            client.send(frame(WINDOW_UPDATE, 0, stream, &[0, 0, 0, by])).await;
            continue;
        };
        let kind = got.as_ref().map(|got| got.kind);
        match got {
            Some(got) if got.kind == 0 && got.stream == stream => body.extend(got.payload),
            Some(got) if got.kind == RST_STREAM && got.stream == stream => {}
            Some(_) => continue,
            None => {}
        }
        if kind != Some(0) || body.ends_with(b"}") {
            return (kind, client.seconds() - began);
        }
    }
}

#[test]
fn a_stream_that_is_taken_drop_by_drop_is_reset_and_one_that_is_slow_is_not() {
    for (first, by, every, enough) in [
        (0, 10, 5, false),
        (1, 10, 5, false),
        (100, 10, 5, false),
        (0, 20, 1, true),
        (1, 99, 9, true),
    ] {
        run(async {
            let world = World::new("", "");
            let mut client = world.connect();
            client.send(PREFACE).await;
            // SETTINGS_INITIAL_WINDOW_SIZE
            client.send(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, first])).await;
            client.send(request(1)).await;
            let (last, seconds) = drip(&mut client, 1, by, every).await;
            let case = format!("{first}, {by} bytes every {every} s: {seconds} s");
            if enough {
                assert_eq!(last, Some(0), "{case}");
            } else {
                assert_eq!(last, Some(RST_STREAM), "{case}");
                assert!((30..=35).contains(&seconds), "{case}");
            }
            let stalled = world.metric("rhumb_floods_total{kind=\"stalled\"}");
            assert_eq!(stalled, if enough { 0.0 } else { 1.0 }, "{case}");
            // The connection is as good as before.
            client.send(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])).await;
            client.send(request(3)).await;
            while client.until(0).await.unwrap().stream != 3 {}
        });
    }
}

#[test]
fn the_window_of_the_connection_counts_as_well() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.greet().await;
        // So many answers that the last ones find it shut.
        for stream in (1..).step_by(2) {
            client.send(request(stream)).await;
            let answer = tokio::time::timeout(Duration::from_secs(1), client.until(0)).await;
            if answer.is_err() {
                break;
            }
        }
        let reset = client.until(RST_STREAM).await.unwrap();
        assert!(reset.stream > 100);
        assert!((30..=40).contains(&client.seconds()), "{}", client.seconds());
    });
}

#[test]
fn an_answer_that_fits_the_window_is_one_piece() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.greet().await;
        for stream in [1, 3, 5] {
            client.send(request(stream)).await;
            let piece = client.until(0).await.unwrap();
            assert!(piece.payload.ends_with(b"}"), "{piece:?}");
        }
    });
}

#[test]
fn a_client_that_takes_nothing_at_all_is_let_go() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.greet().await;
        // It opens the window, but does not read: the answers fill the pipe.
        let answered = || world.metric("rhumb_requests_total");
        for stream in (1..).step_by(2) {
            let before = answered();
            client.send(frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0])).await;
            client.send(request(stream)).await;
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            if answered() == before {
                break;
            }
        }
        client.task.await.unwrap();
        assert!(client.since.elapsed() < Duration::from_secs(60));
        assert_eq!(world.metric("rhumb_floods_total{kind=\"stalled\"}"), 1.0);
    });
}

#[test]
fn drained_it_says_so_and_ends() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.greet().await;
        client.send(request(1)).await;
        client.until(HEADERS).await.unwrap();
        let going = async {
            let goaway = client.until(GOAWAY).await.unwrap();
            assert_eq!(goaway.payload[4..8], [0; 4]);
            // The ping tells when the client has seen it (RFC 9113 section 6.8).
            let ping = client.until(PING).await.unwrap();
            client.send(frame(PING, 1, 0, &ping.payload)).await;
            while client.frame().await.is_some() {}
        };
        tokio::join!(world.drain(), going);
        assert!(client.seconds() < 5);
    });
}
