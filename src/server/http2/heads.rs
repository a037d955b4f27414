//! The heads of requests on one connection, from their first frame to what becomes of them.
//!
//! Where they end is read from frames alone; whether one becomes a request is h2's to say.

use super::frames::{CONTINUATION, END_HEADERS, Frame, HEADERS};

/// The heads that one client sends.
#[derive(Clone, Debug, Default)]
pub(super) struct Heads {
    newest_stream: u32,
    /// Those of new streams that have not become requests yet.
    waiting: u32,
    /// Bytes of the one that came last, or is still coming.
    bytes: u32,
    /// The same of all that came before it since somebody settled.
    bytes_before: u32,
    /// The frame that came last is part of one.
    last: bool,
    /// One is not complete, or at least its last frame is still to come.
    goes_on: bool,
}

impl Heads {
    /// A frame of whatever kind begins; tells whether it opens a stream.
    pub(super) fn note(&mut self, frame: Frame) -> bool {
        self.last = matches!(frame.kind, HEADERS | CONTINUATION);
        if !self.last {
            return false;
        }
        self.goes_on = !frame.has(END_HEADERS);
        if frame.kind == HEADERS {
            let before = std::mem::take(&mut self.bytes);
            self.bytes_before = self.bytes_before.saturating_add(before);
        }
        self.bytes = self.bytes.saturating_add(frame.length);
        let opens = frame.kind == HEADERS && frame.stream > self.newest_stream;
        if opens {
            self.newest_stream = frame.stream;
            self.waiting = self.waiting.saturating_add(1);
        }
        opens
    }

    /// The newest stream of the client.
    pub(super) fn newest_stream(&self) -> u32 {
        self.newest_stream
    }

    /// Whether the client is in the middle of one, when it is `at_boundary`, between two frames, or
    /// not.
    pub(super) fn under_way(&self, at_boundary: bool) -> bool {
        self.goes_on || self.last && !at_boundary
    }

    /// One has become a request.
    pub(super) fn accepted(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// All that has come has been looked at: complete ones that have become no request by now never
    /// will. How many those are, and the bytes of all that came with them.
    pub(super) fn settle(&mut self, under_way: bool) -> (u32, u32) {
        let mut bytes = std::mem::take(&mut self.bytes_before);
        if !under_way {
            bytes = bytes.saturating_add(std::mem::take(&mut self.bytes));
        }
        let kept = u32::from(under_way).min(self.waiting);
        let refused = std::mem::replace(&mut self.waiting, kept) - kept;
        (refused, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::frames::DATA;
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, length: u32) -> Frame {
        Frame { length, kind, flags, stream }
    }

    #[test]
    fn one_is_under_way_until_its_last_byte() {
        let mut heads = Heads::default();
        assert!(!heads.under_way(true));
        assert!(heads.note(frame(HEADERS, 0, 1, 10)));
        assert!(heads.under_way(false));
        assert!(heads.under_way(true), "more of it has to follow");
        assert!(!heads.note(frame(CONTINUATION, END_HEADERS, 1, 10)));
        assert!(heads.under_way(false));
        assert!(!heads.under_way(true));
        assert!(!heads.note(frame(DATA, 0, 1, 10)));
        assert!(!heads.under_way(false), "of something else");
    }

    #[test]
    fn trailers_open_nothing() {
        let mut heads = Heads::default();
        for (stream, opens) in [(1, true), (1, false), (5, true), (3, false), (5, false)] {
            assert_eq!(heads.note(frame(HEADERS, END_HEADERS, stream, 10)), opens);
        }
        assert_eq!(heads.newest_stream(), 5);
        assert_eq!(heads.settle(false), (2, 50));
    }

    #[test]
    fn what_is_neither_a_request_nor_under_way_is_refused() {
        let mut heads = Heads::default();
        for (stream, length) in [(1, 10), (3, 20), (5, 400)] {
            heads.note(frame(HEADERS, END_HEADERS, stream, length));
        }
        heads.accepted();
        assert_eq!(heads.settle(true), (1, 30), "the last of them is still coming");
        assert_eq!(heads.settle(true), (0, 0));
        heads.accepted();
        assert_eq!(heads.settle(false), (0, 400));
        heads.accepted();
        assert_eq!(heads.settle(false), (0, 0), "an acceptance too many counts for nothing");
    }
}
