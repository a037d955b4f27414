//! Bodies through encoders and back, by the decoders of others: whole, in pieces, with pauses, cut.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use proptest::prelude::*;

use super::{CodecError, Stock, Stream};
use crate::config::CompressionLevel;
use crate::model::{Coding, limits};

#[derive(Debug, PartialEq, thiserror::Error)]
enum Fault {
    #[error("the origin broke off")]
    Origin,
    #[error("the encoder failed")]
    Codec,
}

impl From<CodecError> for Fault {
    fn from(_: CodecError) -> Self {
        Self::Codec
    }
}

/// What an origin does next.
#[derive(Clone, Debug)]
enum Event {
    Data(Bytes),
    /// Nothing, for so many looks.
    Pause(usize),
    Fault,
    Trailers(HeaderMap),
}

/// Wakes, counted.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// A body that is driven as a connection drives it.
struct Driven {
    stream: Stream,
    events: VecDeque<Event>,
    wakes: Arc<Wakes>,
    /// Bytes of the origin's in one turn of the task, at most.
    most: usize,
    output: Vec<u8>,
    trailers: Option<HeaderMap>,
}

#[derive(Debug, PartialEq)]
enum Rest {
    /// The origin has nothing for now, and all that can be said has been.
    Waiting,
    Ended,
    Failed(Fault),
}

impl Driven {
    fn new(coding: Coding, events: impl IntoIterator<Item = Event>) -> Self {
        let stock = Stock::new(usize::MAX);
        let loan = stock.lend(coding, CompressionLevel::Fast).unwrap().unwrap();
        Self {
            stream: Stream::new(loan),
            events: events.into_iter().collect(),
            wakes: Arc::default(),
            most: 0,
            output: Vec::new(),
            trailers: None,
        }
    }

    /// Until nothing more happens without the origin.
    fn run(&mut self) -> Rest {
        let waker = Waker::from(Arc::clone(&self.wakes));
        let mut cx = Context::from_waker(&waker);
        let mut turn = 0;
        loop {
            let events = &mut self.events;
            let polled = self.stream.poll_frame(&mut cx, |_| match events.front_mut() {
                Some(Event::Pause(0)) => {
                    events.pop_front();
                    Poll::Pending
                }
                Some(Event::Pause(left)) => {
                    *left -= 1;
                    Poll::Pending
                }
                _ => match events.pop_front() {
                    Some(Event::Data(bytes)) => {
                        turn += bytes.len();
                        Poll::Ready(Some(Ok(Frame::data(bytes))))
                    }
                    Some(Event::Trailers(fields)) => Poll::Ready(Some(Ok(Frame::trailers(fields)))),
                    Some(Event::Fault) => Poll::Ready(Some(Err(Fault::Origin))),
                    _ => Poll::Ready(None),
                },
            });
            match polled {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => {
                        assert!(bytes.len() <= limits::COMPRESSED_FRAME_BYTES);
                        assert!(!bytes.is_empty(), "a frame of nothing");
                        self.output.extend_from_slice(&bytes);
                    }
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                Poll::Ready(Some(Err(fault))) => return Rest::Failed(fault),
                Poll::Ready(None) => {
                    assert!(self.stream.is_over());
                    return Rest::Ended;
                }
                Poll::Pending => {
                    self.most = self.most.max(std::mem::take(&mut turn));
                    if self.wakes.take() == 0 {
                        return Rest::Waiting;
                    }
                }
            }
        }
    }
}

/// What a decoder makes of it, as far as it comes, and whether it found an end.
fn decode(coding: Coding, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let result = match coding {
        Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
        Coding::Brotli => brotli::Decompressor::new(bytes, 4_096).read_to_end(&mut out),
        Coding::Zstd => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut out),
    };
    (out, result.is_ok())
}

fn pattern(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(length as u64);
    (0..length).map(|i| if i % 7 == 0 { random.u8(..) } else { b"compress"[i % 8] }).collect()
}

fn data(bytes: &[u8]) -> Event {
    Event::Data(Bytes::copy_from_slice(bytes))
}

#[test]
fn bodies_of_all_lengths_come_back() {
    for coding in Coding::ALL {
        for length in [0, 1, 100, 16_383, 16_384, 16_385, 65_536, 131_073, 1 << 20] {
            let body = pattern(length);
            for chunk in [1_000, 16_384, 1 << 20] {
                let mut driven = Driven::new(coding, body.chunks(chunk).map(data));
                assert_eq!(driven.run(), Rest::Ended);
                assert!(decode(coding, &driven.output) == (body.clone(), true), "{coding:?}");
                assert!(driven.stream.is_over() && driven.trailers.is_none());
            }
        }
    }
}

#[test]
fn what_cannot_be_compressed_grows_little() {
    let mut random = fastrand::Rng::with_seed(1);
    let body: Vec<_> = std::iter::repeat_with(|| random.u8(..)).take(300_000).collect();
    for coding in Coding::ALL {
        let mut driven = Driven::new(coding, body.chunks(20_000).map(data));
        assert_eq!(driven.run(), Rest::Ended);
        assert!(driven.output.len() < body.len() + body.len() / 100);
        assert_eq!(decode(coding, &driven.output), (body.clone(), true));
    }
}

/// An event stream: whatever has been sent is there as soon as the origin pauses.
#[test]
fn a_pause_lets_out_all_that_came_before() {
    for coding in Coding::ALL {
        let mut sent = Vec::new();
        let mut driven = Driven::new(coding, []);
        for turn in 0..50 {
            let event = format!("data: {{\"turn\":{turn}}}\n\n").into_bytes();
            sent.extend_from_slice(&event);
            driven.events.clear();
            driven.events.extend([data(&event), Event::Pause(5)]);
            assert_eq!(driven.run(), Rest::Waiting);
            assert_eq!(decode(coding, &driven.output).0, sent, "{coding:?} {turn}");
            let before = driven.output.len();
            driven.events.clear();
            driven.events.push_back(Event::Pause(3));
            assert_eq!(driven.run(), Rest::Waiting);
            assert_eq!(driven.output.len(), before, "nothing is flushed twice");
        }
        driven.events.clear();
        assert_eq!(driven.run(), Rest::Ended);
        assert_eq!(decode(coding, &driven.output), (sent, true));
    }
}

/// What another task is about to bring is no pause.
#[test]
fn one_empty_look_is_no_pause() {
    for coding in Coding::ALL {
        let body = pattern(200_000);
        let run = |pause: Option<usize>| {
            let events = body.chunks(2_000).map(data);
            let events = events.flat_map(|event| [Some(event), pause.map(Event::Pause)]).flatten();
            let mut driven = Driven::new(coding, events);
            while driven.run() == Rest::Waiting {}
            assert_eq!(decode(coding, &driven.output), (body.clone(), true));
            driven.output.len()
        };
        let (never, once, often) = (run(None), run(Some(0)), run(Some(1)));
        assert_eq!(once, never, "{coding:?}");
        assert!(often > never, "{coding:?}: a pause is flushed");
    }
}

/// The one thing that must never be: a part that looks whole.
#[test]
fn a_body_that_is_cut_never_looks_whole() {
    for coding in Coding::ALL {
        for length in [0, 1, 5_000, 100_000] {
            for pause in [false, true] {
                let body = pattern(length);
                let mut driven = Driven::new(coding, body.chunks(3_000).map(data));
                driven.events.extend(pause.then_some(Event::Pause(2)));
                driven.events.push_back(Event::Fault);
                while pause && !driven.events.is_empty() && driven.events.len() > 1 {
                    assert_eq!(driven.run(), Rest::Waiting);
                }
                assert_eq!(driven.run(), Rest::Failed(Fault::Origin));
                let (read, ended) = decode(coding, &driven.output);
                assert!(body.starts_with(&read));
                assert!(!ended || driven.output.is_empty(), "{coding:?} {length} {pause}");
                assert!(driven.stream.is_over(), "nothing comes behind an error");
            }
        }
    }
}

#[test]
fn trailers_come_behind_the_body_without_what_is_no_longer_true() {
    for coding in Coding::ALL {
        let fields = [("server-timing", "a"), ("content-digest", "b"), ("etag", "\"c\"")];
        let fields: HeaderMap = fields
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect();
        let mut driven = Driven::new(coding, [data(b"body"), Event::Trailers(fields)]);
        assert_eq!(driven.run(), Rest::Ended);
        assert_eq!(decode(coding, &driven.output), (b"body".to_vec(), true));
        let trailers = driven.trailers.unwrap();
        assert_eq!((trailers.len(), &trailers["server-timing"]), (2, &"a".parse().unwrap()));
        assert_eq!(trailers["etag"], "W/\"c\"");
    }
}

/// However much there is at once, others have their turn in between.
#[test]
fn no_turn_of_the_task_is_long() {
    for coding in Coding::ALL {
        let body = pattern(1 << 20);
        let mut driven = Driven::new(coding, body.chunks(4_096).map(data));
        assert_eq!(driven.run(), Rest::Ended);
        assert!(driven.most <= limits::COMPRESSION_STEP_BYTES + 4_096, "{}", driven.most);
        // One frame with all of it, and a million that have nothing in them.
        let mut driven = Driven::new(coding, [data(&body)]);
        let mut turns = 0;
        let waker = Waker::from(Arc::clone(&driven.wakes));
        let mut cx = Context::from_waker(&waker);
        loop {
            let events = &mut driven.events;
            let polled = driven.stream.poll_frame(&mut cx, |_| match events.pop_front() {
                Some(Event::Data(bytes)) => Poll::Ready(Some(Ok::<_, Fault>(Frame::data(bytes)))),
                _ => Poll::Ready(None),
            });
            match polled {
                Poll::Ready(None) => break,
                Poll::Ready(Some(_)) => {}
                Poll::Pending => turns += 1,
            }
        }
        assert!(turns >= body.len() / limits::COMPRESSION_STEP_BYTES - 1, "{coding:?} {turns}");
        let mut driven = Driven::new(coding, []);
        let mut frames = 0;
        let polled = driven.stream.poll_frame(&mut cx, |_| {
            frames += 1;
            Poll::Ready(Some(Ok::<_, Fault>(Frame::data(Bytes::new()))))
        });
        assert!(polled.is_pending() && frames < 1_000, "{frames}");
    }
}

#[test]
fn the_encoder_is_free_before_its_client_has_taken_the_end() {
    let stock = Stock::new(usize::MAX);
    let loan = stock.lend(Coding::Zstd, CompressionLevel::Fast).unwrap().unwrap();
    let mut stream = Stream::new(loan);
    let mut cx = Context::from_waker(Waker::noop());
    let frame = stream.poll_frame(&mut cx, |_| Poll::Ready(None::<Result<_, Fault>>));
    assert!(matches!(frame, Poll::Ready(Some(Ok(_)))) && stream.is_over());
    assert_eq!(std::rc::Rc::strong_count(&stock), 1);
}

fn event() -> impl Strategy<Value = Event> {
    let length = prop_oneof![0_usize..50, 0_usize..5_000, Just(70_000)];
    prop_oneof![
        4 => length.prop_map(|length| data(&pattern(length))),
        1 => (0_usize..4).prop_map(Event::Pause),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_origin_does_its_bytes_come_back(
        events in prop::collection::vec(event(), 0..20),
        coding in prop::sample::select(Coding::ALL.to_vec()),
        fails in any::<bool>(),
    ) {
        let body: Vec<u8> = events
            .iter()
            .filter_map(|event| match event {
                Event::Data(bytes) => Some(bytes.to_vec()),
                _ => None,
            })
            .flatten()
            .collect();
        let mut driven = Driven::new(coding, events.into_iter().chain(fails.then_some(Event::Fault)));
        let end = loop {
            match driven.run() {
                Rest::Waiting => {}
                end => break end,
            }
        };
        let (read, whole) = decode(coding, &driven.output);
        if fails {
            prop_assert_eq!(end, Rest::Failed(Fault::Origin));
            prop_assert!(body.starts_with(&read));
            prop_assert!(!whole || driven.output.is_empty());
        } else {
            prop_assert_eq!(end, Rest::Ended);
            prop_assert!(whole && read == body);
        }
    }
}
