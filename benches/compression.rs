//! What compression costs: JSON and text of 1 MiB, and JSON of 4 KiB, through the stream that responses
//! go through, for each coding and level. What it saves is printed beside it.
//!
//! Run: `cargo bench --bench compression`

#![allow(clippy::expect_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http_body::Frame;
use rhumb::compression::{CodecError, Stock, Stream};
use rhumb::config::CompressionLevel;
use rhumb::model::Coding;

/// Bytes of one frame of an origin.
const FRAME: usize = 16 << 10;

fn json(length: usize) -> Bytes {
    const NAMES: [&str; 8] =
        ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel"];
    let mut random = fastrand::Rng::with_seed(7);
    let mut text = String::with_capacity(length + 512);
    while text.len() < length {
        let mut name = || NAMES[random.usize(..NAMES.len())];
        let names = [name(), name(), name()];
        text.push_str(&format!(
            "{{\"id\":{},\"uuid\":\"{:032x}\",\"name\":\"{} {}\",\"email\":\"{}@example.com\",\
             \"score\":{:.4},\"active\":{},\"created_at\":\"2026-{:02}-{:02}T{:02}:{:02}:00Z\"}},",
            random.u32(..100_000),
            random.u128(..),
            names[0],
            names[1],
            names[2],
            random.f64() * 100.0,
            random.bool(),
            random.u8(1..13),
            random.u8(1..29),
            random.u8(..24),
            random.u8(..60),
        ));
    }
    text.truncate(length);
    text.into()
}

/// The guide, with other letters from the second time on.
fn prose(length: usize) -> Bytes {
    let guide = concat!(
        include_str!("../docs/configuration.md"),
        include_str!("../docs/operations.md"),
        include_str!("../docs/requests.md"),
        include_str!("../docs/routing.md"),
    );
    let rounds = 0_u8..;
    let bytes = rounds.flat_map(|round| {
        guide.bytes().map(move |byte| match byte {
            b'a'..=b'z' => (byte - b'a' + 5 * round) % 26 + b'a',
            other => other,
        })
    });
    bytes.take(length).collect()
}

/// Bytes that come out.
fn compress(stock: &Rc<Stock>, coding: Coding, level: CompressionLevel, body: &Bytes) -> usize {
    let loan = stock.lend(coding, level).ok().flatten().expect("an encoder");
    let (mut stream, mut rest, mut out) = (Stream::new(loan), body.clone(), 0);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        let polled = stream.poll_frame(&mut cx, |_| {
            let frame = rest.split_to(rest.len().min(FRAME));
            let more = !frame.is_empty();
            Poll::Ready(more.then_some(Ok::<_, CodecError>(Frame::data(frame))))
        });
        match polled {
            Poll::Ready(Some(frame)) => {
                let frame = frame.expect("no error");
                out += frame.data_ref().map_or(0, Bytes::len);
                black_box(&frame);
            }
            Poll::Ready(None) => return out,
            Poll::Pending => {}
        }
    }
}

fn all(c: &mut Criterion) {
    let stock = Stock::new(usize::MAX);
    let bodies =
        [("json-1MiB", json(1 << 20)), ("text-1MiB", prose(1 << 20)), ("json-4KiB", json(4 << 10))];
    for (name, body) in &bodies {
        let mut group = c.benchmark_group(format!("compression/{name}"));
        group.throughput(Throughput::Bytes(body.len() as u64)).sample_size(20);
        for coding in Coding::ALL {
            for level in CompressionLevel::ALL {
                let id = format!("{}-{}", coding.as_str(), level.as_str());
                let out = compress(&stock, coding, level, body);
                println!(
                    "{name} {id}: {:.1} % of the bytes",
                    out as f64 * 100.0 / body.len() as f64
                );
                group.bench_function(id, |b| b.iter(|| compress(&stock, coding, level, body)));
            }
        }
        group.finish();
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
