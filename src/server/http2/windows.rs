//! How much of its answers an HTTP/2 client lets be sent (RFC 9113 section 5.2): pure.
//!
//! h2 keeps these windows. They are kept here once more, and roughly, for one question that it does
//! not answer: whether what it is handed will leave without the client doing anything for it. Where
//! this is not certain the answer is no, and that costs a few bytes on the wire.

use super::frames::Piece;

/// Of a stream and of a connection, unless the client says otherwise.
const INITIAL: u32 = 65_535;
/// SETTINGS_INITIAL_WINDOW_SIZE.
const INITIAL_WINDOW_SIZE: u16 = 4;

/// The windows of one connection.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    /// What a stream may send before its window is opened further.
    initial: u32,
    /// What all streams together still may send.
    left: i64,
    /// Of that, what h2 has been handed and has not sent yet.
    owed: u64,
}

impl Windows {
    pub(super) fn new() -> Self {
        Self { initial: INITIAL, left: i64::from(INITIAL), owed: 0 }
    }

    /// Takes in what came from the client.
    pub(super) fn received(&mut self, piece: Piece) {
        match piece {
            Piece::Increment(0, by) => self.left = self.left.saturating_add(i64::from(by)),
            Piece::Setting(INITIAL_WINDOW_SIZE, value) => self.initial = value,
            _ => {}
        }
    }

    /// A piece of an answer has been sent.
    pub(super) fn sent(&mut self, bytes: u32) {
        self.left = self.left.saturating_sub(i64::from(bytes));
        self.owed = self.owed.saturating_sub(u64::from(bytes));
    }

    /// h2 is handed a piece of an answer.
    pub(super) fn hand(&mut self, bytes: usize) {
        self.owed = self.owed.saturating_add(bytes as u64);
    }

    /// It will not send a piece that it has been handed.
    pub(super) fn drop(&mut self, bytes: usize) {
        self.owed = self.owed.saturating_sub(bytes as u64);
    }

    /// No answer is under way any more.
    pub(super) fn rest(&mut self) {
        self.owed = 0;
    }

    /// Whether more bytes of an answer, `before` bytes of which h2 has been handed already, leave by
    /// themselves.
    pub(super) fn fits(&self, before: u64, more: usize) -> bool {
        let more = more as u64;
        let left = u64::try_from(self.left).unwrap_or(0);
        before.saturating_add(more) <= u64::from(self.initial)
            && self.owed.saturating_add(more) <= left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_both_windows_leaves_by_itself() {
        let mut windows = Windows::new();
        assert!(windows.fits(0, 65_535) && windows.fits(65_000, 535));
        assert!(!windows.fits(0, 65_536) && !windows.fits(65_000, 536));
        windows.hand(60_000);
        assert!(windows.fits(0, 5_535) && !windows.fits(0, 5_536), "others wait as well");
        windows.sent(60_000);
        assert!(
            windows.fits(0, 5_535) && !windows.fits(0, 5_536),
            "the window is that much smaller"
        );
        windows.received(Piece::Increment(3, 1_000));
        assert!(!windows.fits(0, 5_536), "that was for one stream");
        windows.received(Piece::Increment(0, 1_000));
        assert!(windows.fits(0, 6_535) && !windows.fits(0, 6_536));
        windows.received(Piece::Setting(4, 1));
        assert!(windows.fits(0, 1) && !windows.fits(1, 1));
        windows.hand(6_535);
        assert!(!windows.fits(0, 1));
        windows.drop(6_000);
        assert!(windows.fits(0, 1));
    }

    #[test]
    fn numbers_of_any_size_do_no_harm() {
        let mut windows = Windows::new();
        for _ in 0..5 {
            windows.sent(u32::MAX);
            windows.hand(usize::MAX);
        }
        assert!(!windows.fits(u64::MAX, usize::MAX) && !windows.fits(0, 0));
        windows.rest();
        for _ in 0..50 {
            windows.received(Piece::Increment(0, u32::MAX));
        }
        assert!(windows.fits(0, 1));
    }
}
