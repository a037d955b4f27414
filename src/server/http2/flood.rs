//! Tells floods from traffic: a pure account of what a connection's frames are good for.
//!
//! Frames that bring no request any further cost a little; what they are there for brings it back:
//! answered requests, bytes of bodies in either direction, and time. A client that does its work
//! has credit left whatever its habits are (a ping a second, window updates, requests that it
//! takes back now and then); one that sends nothing but such frames is at its end after a few
//! hundred. h2 keeps watch over what only it can see: errors that make it take streams back, heads
//! in pieces, resets of streams that nobody has accepted yet.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use super::credit::Credit;
use super::frames::{
    CONTINUATION, DATA, END_STREAM, Frame, FrameScan, HEAD_BYTES, HEADERS, PADDED, PING, PRIORITY,
    Piece, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};
use super::heads::Heads;
use super::pace::Pace;
use super::windows::Windows;
use crate::model::Flood;

/// What an answer brings.
const ANSWERED: u32 = 4;
/// A frame of a body to the client: it is acknowledged in some way, and that costs.
const SENT: u32 = 1;
/// Bytes of bodies that bring 1.
const BYTES: u32 = 512;
/// A head that became no request.
const REFUSED: u32 = 2;
/// Bytes of it that cost 1 more: it was unpacked in vain.
const REFUSED_BYTES: u32 = 1 << 10;
/// Window updates that a new stream may bring with it: libraries of gRPC open the window of each call
/// right behind its head, long before anything of it is answered.
const UPDATES: u32 = 4;
/// Of those, how many are kept for later.
const UPDATES_KEPT: u32 = 1_000;
/// Padding that a DATA frame of this length may be made of alone.
const ALL_PADDING: u32 = 256;

/// The account of one connection.
#[derive(Clone, Debug)]
pub(super) struct Account {
    received: FrameScan,
    sent: FrameScan,
    /// Learn of what passes here.
    windows: Rc<RefCell<Windows>>,
    credit: Credit,
    /// Of settings, which only time brings back: one frame of them can have any number of pieces of
    /// answers sent, and these would bring it back.
    settings: Credit,
    pace: Pace,
    /// What was spent on each kind since the account was last full.
    spent: [u32; Flood::ALL.len()],
    /// Bytes of bodies that have not brought anything yet.
    bytes: u32,
    heads: Heads,
    /// The newest stream whose head has been looked at.
    settled: u32,
    /// Bodies of requests that may still come to their end.
    bodies: u32,
    /// Window updates that cost nothing.
    updates: u32,
    frames: bool,
}

impl Account {
    /// Of a connection that begins at `now`, with a preface of so many bytes still to come.
    pub(super) fn new(preface: usize, now: Instant, windows: Rc<RefCell<Windows>>) -> Self {
        Self {
            received: FrameScan::after(preface),
            sent: FrameScan::after(0),
            windows,
            credit: Credit::full(now),
            settings: Credit::full(now),
            pace: Pace::default(),
            spent: [0; Flood::ALL.len()],
            bytes: 0,
            heads: Heads::default(),
            settled: 0,
            bodies: 0,
            updates: 0,
            frames: false,
        }
    }

    /// Whether a frame has come, so that the preface is complete.
    pub(super) fn begun(&self) -> bool {
        self.frames
    }

    /// Whether the client is in the middle of a head.
    pub(super) fn mid_head(&self) -> bool {
        self.heads.under_way(self.received.at_boundary())
    }

    /// The newest stream of the client.
    pub(super) fn last_stream(&self) -> u32 {
        self.heads.newest_stream()
    }

    /// How many streams may begin at once.
    pub(super) fn pace(&self) -> u32 {
        self.pace.streams()
    }

    /// Whether a frame to the client may begin.
    pub(super) fn at_boundary(&self) -> bool {
        self.sent.at_boundary()
    }

    /// Takes in what the client sent, for as many frames as there is room for, and tells how many bytes
    /// of it. What it is found to be doing too much of is the end of the connection. `now` is asked
    /// only when the credit is used up.
    pub(super) fn received(
        &mut self,
        bytes: &[u8],
        room: &Cell<u32>,
        now: impl Fn() -> Instant,
    ) -> (usize, Option<Flood>) {
        let mut scan = std::mem::replace(&mut self.received, FrameScan::after(0));
        let mut flood = None;
        let count = scan.push_while(
            bytes,
            || room.get() > 0,
            |piece| match piece {
                Piece::Head(frame) if flood.is_none() => {
                    room.set(room.get().saturating_sub(effort(frame)));
                    flood = self.weigh(frame, &now);
                }
                Piece::Head(_) => {}
                Piece::Increment(..) | Piece::Setting(..) => {
                    self.windows.borrow_mut().received(piece);
                }
            },
        );
        self.received = scan;
        (count, flood)
    }

    /// Takes in what was sent to the client.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        let mut scan = std::mem::replace(&mut self.sent, FrameScan::after(0));
        scan.push(bytes, |piece| {
            if let Piece::Head(frame) = piece {
                self.credit(frame);
            }
        });
        self.sent = scan;
    }

    fn credit(&mut self, frame: Frame) {
        if frame.kind == DATA {
            self.windows.borrow_mut().sent(frame.length);
        }
        match frame.kind {
            // What is answered before anybody has seen its head is a head that h2 has refused.
            HEADERS if frame.has(END_STREAM) && frame.stream > self.settled => {}
            DATA | HEADERS if frame.has(END_STREAM) => {
                self.earn(ANSWERED);
                self.pace.answered();
                self.moved(frame.length);
            }
            DATA => {
                self.earn(SENT);
                self.moved(frame.length);
            }
            _ => {}
        }
    }

    /// A head has become a request.
    pub(super) fn accepted(&mut self) {
        self.heads.accepted();
    }

    /// All that has been received has been looked at: complete heads that have become no request by
    /// now never will. Bytes are those of all that came with them.
    pub(super) fn settle(&mut self, now: impl Fn() -> Instant) -> Option<Flood> {
        let mid_head = self.mid_head();
        self.settled = self.last_stream().saturating_sub(mid_head.into());
        let (refused, bytes) = self.heads.settle(mid_head);
        if refused == 0 {
            return None;
        }
        let cost = refused.saturating_mul(REFUSED).saturating_add(bytes / REFUSED_BYTES);
        self.spend(Flood::HeaderList, cost, &now)
    }

    fn weigh(&mut self, frame: Frame, now: &impl Fn() -> Instant) -> Option<Flood> {
        self.frames = true;
        let opens = self.heads.note(frame);
        let (kind, cost) = match frame.kind {
            HEADERS if opens => {
                self.bodies = self.bodies.saturating_add((!frame.has(END_STREAM)).into());
                self.updates = (self.updates + UPDATES).min(UPDATES_KEPT);
                return None;
            }
            HEADERS | DATA if frame.has(END_STREAM) && self.bodies > 0 => {
                self.bodies -= 1;
                return None;
            }
            // Of a stream that is over: it is unpacked all the same.
            HEADERS => (Flood::HeaderList, REFUSED + frame.length / REFUSED_BYTES),
            DATA if frame.has(END_STREAM) => (Flood::EmptyData, 2),
            DATA if frame.length == 0 => (Flood::EmptyData, 2),
            DATA if frame.has(PADDED) && frame.length <= ALL_PADDING => (Flood::EmptyData, 2),
            DATA => {
                self.moved(frame.length);
                return None;
            }
            PING => (Flood::Ping, 1),
            SETTINGS => {
                let paid = self.settings.spend(4, now);
                return (!paid).then_some(Flood::Settings);
            }
            WINDOW_UPDATE if self.updates > 0 => {
                self.updates -= 1;
                return None;
            }
            WINDOW_UPDATE => (Flood::WindowUpdate, 2),
            RST_STREAM => {
                self.pace.taken_back();
                (Flood::RapidReset, 2)
            }
            CONTINUATION => (Flood::Continuation, 4),
            PRIORITY => (Flood::Priority, 1),
            // Unknown kinds are passed over by everybody (section 4.1), but not for nothing.
            _ => (Flood::Priority, 1),
        };
        self.spend(kind, cost, now)
    }

    fn spend(&mut self, kind: Flood, cost: u32, now: &impl Fn() -> Instant) -> Option<Flood> {
        if let Some(spent) = self.spent.get_mut(kind as usize) {
            *spent = spent.saturating_add(cost);
        }
        let paid = self.credit.spend(cost, now);
        (!paid).then(|| self.worst())
    }

    /// What the credit went to, for the most part.
    fn worst(&self) -> Flood {
        let spent = |kind: &Flood| self.spent.get(*kind as usize).copied().unwrap_or(0);
        Flood::ALL.into_iter().max_by_key(spent).unwrap_or(Flood::Ping)
    }

    fn earn(&mut self, credit: u32) {
        if self.credit.earn(credit) {
            self.spent = [0; Flood::ALL.len()];
        }
    }

    fn moved(&mut self, bytes: u32) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= BYTES {
            self.earn(self.bytes / BYTES);
            self.bytes %= BYTES;
        }
    }
}

/// What working on a frame takes of [a portion](crate::model::limits::HEAD_BYTES_PER_PORTION).
fn effort(frame: Frame) -> u32 {
    let bytes = frame.length + HEAD_BYTES as u32;
    match frame.kind {
        HEADERS | CONTINUATION => bytes,
        _ => bytes / 4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::frames::END_HEADERS;
    use super::super::frames::tests::bytes;
    use super::*;
    use crate::model::limits;

    struct Client {
        account: Account,
        now: Instant,
        stream: u32,
    }

    impl Client {
        fn new() -> Self {
            let now = Instant::now();
            let windows = Rc::new(RefCell::new(Windows::new()));
            Self { account: Account::new(0, now, windows), now, stream: 1 }
        }

        fn send(&mut self, frame: &[u8]) -> Option<Flood> {
            let now = self.now;
            self.account.received(frame, &Cell::new(u32::MAX), || now).1
        }

        fn settle(&mut self) -> Option<Flood> {
            let now = self.now;
            self.account.settle(|| now)
        }

        /// A new request.
        fn ask(&mut self) -> Option<Flood> {
            self.stream += 2;
            let flood = self.send(&bytes(30, HEADERS, 0x5, self.stream));
            self.account.accepted();
            flood.or_else(|| self.settle())
        }

        fn answer(&mut self, length: u32) {
            self.account.sent(&bytes(20, HEADERS, 0x4, self.stream));
            self.account.sent(&bytes(length, DATA, END_STREAM, self.stream));
        }
    }

    /// What comes of sending this again and again, and after how many frames.
    fn flood(mut frame: impl FnMut(u32) -> Vec<u8>) -> (Option<Flood>, u32) {
        let mut client = Client::new();
        for count in 0..10_000 {
            if let Some(flood) = client.send(&frame(count)) {
                return (Some(flood), count);
            }
        }
        (None, 10_000)
    }

    #[test]
    fn a_head_is_under_way_until_its_last_byte() {
        let mut client = Client::new();
        let begun = bytes(30, HEADERS, 0x1, 3);
        assert!(!client.account.mid_head());
        assert_eq!(client.send(&begun[..20]), None);
        assert!(client.account.mid_head());
        assert_eq!(client.send(&begun[20..]), None);
        assert!(client.account.mid_head(), "more of it has to follow");
        let rest = bytes(30, CONTINUATION, END_HEADERS, 3);
        assert_eq!(client.send(&rest[..10]), None);
        assert!(client.account.mid_head());
        assert_eq!(client.send(&rest[10..]), None);
        assert!(!client.account.mid_head());
        assert_eq!(client.send(&bytes(1_000, DATA, 0, 3)[..500]), None);
        assert!(!client.account.mid_head());
    }

    #[test]
    fn calls_that_open_their_windows_before_they_are_answered_are_no_flood() {
        let mut client = Client::new();
        for _ in 0..300 {
            assert_eq!(client.ask(), None);
            for stream in [client.stream, client.stream, 0] {
                assert_eq!(client.send(&bytes(4, WINDOW_UPDATE, 0, stream)), None);
            }
        }
    }

    #[test]
    fn a_flood_is_cut_within_a_few_hundred_frames_and_called_by_its_name() {
        for (kind, frame) in [
            (Flood::Ping, bytes(8, PING, 0, 0)),
            (Flood::Ping, bytes(8, PING, 1, 0)),
            (Flood::Settings, bytes(0, SETTINGS, 0, 0)),
            (Flood::Settings, bytes(36, SETTINGS, 0, 0)),
            (Flood::Priority, bytes(5, PRIORITY, 0, 3)),
            (Flood::Priority, bytes(5, 0x10, 0, 0)),
            (Flood::WindowUpdate, bytes(4, WINDOW_UPDATE, 0, 0)),
            (Flood::EmptyData, bytes(0, DATA, 0, 1)),
            (Flood::EmptyData, bytes(256, DATA, PADDED, 1)),
            (Flood::EmptyData, bytes(0, DATA, END_STREAM, 1)),
            (Flood::HeaderList, bytes(10, HEADERS, 0x5, 1)),
            (Flood::Continuation, bytes(1, CONTINUATION, 0, 1)),
            (Flood::RapidReset, bytes(4, RST_STREAM, 0, 1)),
        ] {
            let (found, after) = flood(|_| frame.clone());
            assert_eq!(found, Some(kind));
            assert!((90..=400).contains(&after), "{kind:?} after {after}");
        }
    }

    #[test]
    fn requests_that_are_taken_back_are_cut_even_though_each_was_accepted() {
        let mut client = Client::new();
        let mut count = 0;
        let found = loop {
            client.ask();
            if let Some(found) = client.send(&bytes(4, RST_STREAM, 0, client.stream)) {
                break found;
            }
            count += 1;
        };
        assert_eq!(found, Flood::RapidReset);
        assert!((100..=400).contains(&count), "{count}");
    }

    #[test]
    fn heads_that_become_no_request_are_cut() {
        let mut client = Client::new();
        let cut = (0..1_000).find_map(|_| {
            client.stream += 2;
            client.send(&bytes(900, HEADERS, 0x5, client.stream));
            client.settle()
        });
        assert_eq!(cut, Some(Flood::HeaderList));
    }

    #[test]
    fn heads_that_were_unpacked_in_vain_cost_by_their_length() {
        let refused = |length: u32| {
            let mut client = Client::new();
            (0..1_000).position(|_| {
                client.stream += 2;
                client.send(&bytes(length, HEADERS, 0x4, client.stream));
                client.settle().is_some()
            })
        };
        assert_eq!(refused(100), Some(200));
        assert_eq!(refused(10_000), Some(36), "2 and 9 each");
    }

    #[test]
    fn a_body_comes_to_its_end_once() {
        let mut client = Client::new();
        for number in 0..1_000 {
            client.stream += 2;
            assert_eq!(client.send(&bytes(30, HEADERS, END_HEADERS, client.stream)), None);
            client.account.accepted();
            assert_eq!(client.settle(), None);
            // By its last piece, or by trailers.
            let kind = [DATA, HEADERS][number % 2];
            assert_eq!(client.send(&bytes(0, kind, END_STREAM | END_HEADERS, client.stream)), None);
            assert_eq!(client.account.credit.left(), limits::FLOOD_CREDIT);
        }
        assert_eq!(client.send(&bytes(0, DATA, END_STREAM, client.stream)), None);
        assert_eq!(client.account.credit.left(), limits::FLOOD_CREDIT - 2);
    }

    #[test]
    fn what_h2_answers_by_itself_brings_nothing() {
        let mut client = Client::new();
        let cut = (0..1_000).position(|_| {
            client.stream += 2;
            assert_eq!(client.send(&bytes(30, HEADERS, 0x5, client.stream)), None);
            client.account.sent(&bytes(9, HEADERS, 0x5, client.stream));
            client.settle().is_some()
        });
        assert_eq!(cut, Some(200));
        assert_eq!(client.account.pace(), limits::STREAMS_AT_FIRST);
    }

    #[test]
    fn settings_are_not_paid_for_by_the_pieces_of_answers_that_they_bring() {
        let mut client = Client::new();
        let cut = (0..1_000).position(|_| {
            let cut = client.send(&bytes(6, SETTINGS, 0, 0));
            (0..100).for_each(|_| client.account.sent(&bytes(1, DATA, 0, 3)));
            cut == Some(Flood::Settings)
        });
        assert_eq!(cut, Some(100));
        client.now += Duration::from_secs(4);
        assert_eq!(client.send(&bytes(6, SETTINGS, 0, 0)), None);
    }

    #[test]
    fn a_long_head_that_comes_in_pieces_is_not_taken_for_one_that_was_refused() {
        let mut client = Client::new();
        for _ in 0..1_000 {
            client.stream += 2;
            let head = bytes(30_000, HEADERS, 0x4, client.stream);
            for piece in head.chunks(8_192) {
                assert_eq!(client.send(piece), None);
                if piece.len() < 8_192 {
                    client.account.accepted();
                }
                assert_eq!(client.settle(), None);
            }
        }
        assert_eq!(client.account.credit.left(), limits::FLOOD_CREDIT);
    }

    #[test]
    fn no_more_is_taken_than_there_is_room_for_to_the_end_of_a_frame() {
        let mut client = Client::new();
        let room = Cell::new(100);
        let head = bytes(60, HEADERS, 0x5, 3);
        let (three, now) = (head.repeat(3), client.now);
        assert_eq!(client.account.received(&three, &room, || now), (2 * head.len(), None));
        assert_eq!(client.account.received(&head, &room, || now), (0, None), "until there is room");
        room.set(1);
        let (begun, rest) = head.split_at(40);
        assert_eq!(client.account.received(begun, &room, || now), (40, None));
        assert_eq!(
            client.account.received(rest, &room, || now),
            (rest.len(), None),
            "what has begun"
        );
        assert_eq!(client.account.received(&head, &room, || now), (0, None));
    }

    #[test]
    fn answers_quicken_the_pace_and_what_is_taken_back_slows_it_down() {
        let mut client = Client::new();
        assert_eq!(client.account.pace(), limits::STREAMS_AT_FIRST);
        for _ in 0..100 {
            client.ask();
            client.answer(10);
        }
        assert_eq!(client.account.pace(), limits::STREAMS_PER_PORTION);
        for _ in 0..100 {
            client.send(&bytes(4, RST_STREAM, 0, 1));
        }
        assert_eq!(client.account.pace(), limits::STREAMS_AT_LEAST);
    }

    #[test]
    fn clients_that_do_their_work_are_never_cut() {
        // Unary calls, each with a ping, window updates for the stream and the connection, and a
        // reset after the answer.
        let mut client = Client::new();
        for _ in 0..10_000 {
            assert_eq!(client.ask(), None);
            client.answer(100);
            for frame in [bytes(8, PING, 0, 0), bytes(4, WINDOW_UPDATE, 0, 0)] {
                assert_eq!(client.send(&frame), None);
            }
        }
        // A large download with two window updates for every frame of it.
        let mut client = Client::new();
        client.ask();
        for _ in 0..10_000 {
            client.account.sent(&bytes(16_384, DATA, 0, 3));
            for stream in [0, 3] {
                assert_eq!(client.send(&bytes(4, WINDOW_UPDATE, 0, stream)), None);
            }
        }
        // An upload in small pieces, and one in large ones.
        for length in [1, 5, 16_384] {
            let mut client = Client::new();
            client.ask();
            for _ in 0..10_000 {
                assert_eq!(client.send(&bytes(length, DATA, 0, 3)), None);
            }
        }
        // Keep-alive pings for days, and a stream of small messages with a ping for each.
        let mut client = Client::new();
        for _ in 0..10_000 {
            client.now += Duration::from_secs(10);
            assert_eq!(client.send(&bytes(8, PING, 0, 0)), None);
        }
        for _ in 0..10_000 {
            client.account.sent(&bytes(20, DATA, 0, 3));
            assert_eq!(client.send(&bytes(8, PING, 0, 0)), None);
        }
        // A page that is left: a hundred requests at once, all taken back.
        let mut client = Client::new();
        for _ in 0..100 {
            assert_eq!(client.ask(), None);
        }
        for stream in 0..100 {
            assert_eq!(client.send(&bytes(4, RST_STREAM, 0, stream * 2 + 1)), None);
        }
    }

    #[test]
    fn a_flood_beside_traffic_is_called_by_its_own_name() {
        let mut client = Client::new();
        for _ in 0..1_000 {
            client.ask();
            client.answer(10);
            assert_eq!(client.send(&bytes(4, WINDOW_UPDATE, 0, 0)), None);
        }
        let found = (0..1_000).find_map(|_| client.send(&bytes(8, PING, 0, 0)));
        assert_eq!(found, Some(Flood::Ping));
    }

    proptest! {
        /// Whatever is sent, no more is let through than credit, time and answers account for.
        #[test]
        fn the_account_is_never_overdrawn(
            steps in prop::collection::vec((0u8..12, 0u32..600, 0u8..16, 0u64..200), 1..2_000),
        ) {
            let mut client = Client::new();
            let start = client.now;
            let (mut spent, mut earned) = (0u64, 0u64);
            for (kind, length, flags, wait) in steps {
                client.now += Duration::from_millis(wait);
                if kind == 11 {
                    client.answer(length);
                    earned += u64::from(ANSWERED + SENT) + u64::from(length + 20);
                    continue;
                }
                let cut = client.send(&bytes(length, kind, flags, 1));
                earned += u64::from(length);
                if cut.is_some() {
                    return Ok(());
                }
                if ![DATA, HEADERS].contains(&kind) {
                    spent += 1;
                }
            }
            let time = (client.now - start).as_millis() as u64 * u64::from(limits::FLOOD_CREDIT_PER_SECOND) / 1000;
            prop_assert!(spent <= u64::from(limits::FLOOD_CREDIT) + time + earned + 1);
        }
    }
}
