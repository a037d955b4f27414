//! Where frames begin in a stream of bytes, and what their heads say (RFC 9113 section 4.1).
//!
//! Payloads are passed over but for windows, nothing is copied but what comes in pieces. Whether
//! frames are right is h2's business.

use arrayvec::ArrayVec;

/// Bytes of a frame's head.
pub(super) const HEAD_BYTES: usize = 9;
/// Bytes of a window's increment.
const INCREMENT_BYTES: usize = 4;
/// Bytes of one setting.
const SETTING_BYTES: usize = 6;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// Flag of DATA and HEADERS: nothing more comes on the stream.
pub(super) const END_STREAM: u8 = 0x1;
/// Flag of HEADERS and CONTINUATION: the head ends here.
pub(super) const END_HEADERS: u8 = 0x4;
/// Flag of DATA and HEADERS: part of the payload means nothing.
pub(super) const PADDED: u8 = 0x8;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Bytes of its payload.
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Frame {
    fn read(head: [u8; HEAD_BYTES]) -> Self {
        let [a, b, c, kind, flags, s0, s1, s2, s3] = head;
        Self {
            length: u32::from_be_bytes([0, a, b, c]),
            kind,
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & (u32::MAX >> 1),
        }
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// What is read of a stream of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A frame begins.
    Head(Frame),
    /// A window of this stream, or of the connection (0), is opened by so much (section 6.9).
    Increment(u32, u32),
    /// A setting and its value (section 6.5.1).
    Setting(u16, u32),
}

/// The GOAWAY frame that ends a connection whose client does too much (section 6.8).
pub(super) fn enhance_your_calm(last_stream: u32) -> [u8; HEAD_BYTES + 8] {
    let mut frame = [0; HEAD_BYTES + 8];
    let [s0, s1, s2, s3] = last_stream.to_be_bytes();
    let head = [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, s0, s1, s2, s3, 0, 0, 0];
    for (place, byte) in frame.iter_mut().zip(head.into_iter().chain([0x0b])) {
        *place = byte;
    }
    frame
}

/// A position in a stream of frames.
#[derive(Clone, Debug)]
pub(super) struct FrameScan {
    /// The beginning of a piece that is not all there.
    begun: ArrayVec<u8, HEAD_BYTES>,
    /// Bytes that are passed over before the next piece.
    skip: usize,
    /// The frame whose payload is read, and how much of that is left.
    within: Option<(Frame, usize)>,
}

impl FrameScan {
    /// The first head comes after so many bytes.
    pub(super) fn after(skip: usize) -> Self {
        Self { begun: ArrayVec::new(), skip, within: None }
    }

    /// Whether the next byte is the first of a frame.
    pub(super) fn at_boundary(&self) -> bool {
        self.skip == 0 && self.begun.is_empty() && self.within.is_none()
    }

    /// Moves over the next bytes and tells what ends in them.
    pub(super) fn push(&mut self, bytes: &[u8], each: impl FnMut(Piece)) {
        self.push_while(bytes, || true, each);
    }

    /// The same, but no further than to the end of a frame once it is not to go on. How many bytes
    /// that was.
    pub(super) fn push_while(
        &mut self,
        all: &[u8],
        go_on: impl Fn() -> bool,
        mut each: impl FnMut(Piece),
    ) -> usize {
        let mut bytes = all;
        loop {
            let passed = self.skip.min(bytes.len());
            self.skip -= passed;
            bytes = bytes.get(passed..).unwrap_or_default();
            if bytes.is_empty() || self.at_boundary() && !go_on() {
                return all.len() - bytes.len();
            }
            let size = match self.within {
                None => HEAD_BYTES,
                Some((frame, _)) if frame.kind == SETTINGS => SETTING_BYTES,
                Some(_) => INCREMENT_BYTES,
            };
            if self.begun.is_empty()
                && let Some((piece, rest)) = bytes.split_at_checked(size)
            {
                self.read(piece, &mut each);
                bytes = rest;
                continue;
            }
            let missing = size.saturating_sub(self.begun.len()).min(bytes.len());
            self.begun.extend(bytes.iter().take(missing).copied());
            bytes = bytes.get(missing..).unwrap_or_default();
            if self.begun.len() == size {
                let piece = std::mem::take(&mut self.begun);
                self.read(&piece, &mut each);
            }
        }
    }

    /// A piece is complete.
    fn read(&mut self, piece: &[u8], each: &mut impl FnMut(Piece)) {
        let read = match (self.within.take(), piece) {
            (None, &[a, b, c, kind, flags, s0, s1, s2, s3]) => {
                let frame = Frame::read([a, b, c, kind, flags, s0, s1, s2, s3]);
                let length = frame.length as usize;
                match frame.kind {
                    SETTINGS if length >= SETTING_BYTES => self.within = Some((frame, length)),
                    WINDOW_UPDATE if length >= INCREMENT_BYTES => {
                        self.within = Some((frame, length));
                    }
                    _ => self.skip = length,
                }
                Piece::Head(frame)
            }
            (Some((frame, left)), &[i0, i1, v0, v1, v2, v3]) => {
                match left.saturating_sub(SETTING_BYTES) {
                    left @ SETTING_BYTES.. => self.within = Some((frame, left)),
                    left => self.skip = left,
                }
                Piece::Setting(u16::from_be_bytes([i0, i1]), u32::from_be_bytes([v0, v1, v2, v3]))
            }
            (Some((frame, left)), &[v0, v1, v2, v3]) => {
                self.skip = left.saturating_sub(INCREMENT_BYTES);
                let by = u32::from_be_bytes([v0, v1, v2, v3]) & (u32::MAX >> 1);
                Piece::Increment(frame.stream, by)
            }
            // No piece has another size.
            _ => return,
        };
        each(read);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bytes of a frame with an empty payload of that length.
    pub(in super::super) fn bytes(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.resize(HEAD_BYTES + length as usize, 0);
        bytes
    }

    #[test]
    fn the_end_in_bytes() {
        let frame = enhance_your_calm(0x0102_0304);
        assert_eq!(frame[..9], [0, 0, 8, 7, 0, 0, 0, 0, 0]);
        assert_eq!(frame[9..], [1, 2, 3, 4, 0, 0, 0, 11]);
    }

    #[test]
    fn windows_are_read_byte_by_byte_too() {
        let settings = [0, 0, 12, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100, 0, 4, 0, 1, 0, 2];
        let update = [0, 0, 4, 8, 0, 0x80, 0, 0, 7, 0x80, 0, 1, 0];
        let all = [&settings[..], &update, &[0, 0, 0, 0, 1]].concat();
        for at_once in [1, 5, 13, all.len()] {
            let (mut scan, mut found) = (FrameScan::after(0), Vec::new());
            for bytes in all.chunks(at_once) {
                scan.push(bytes, |piece| {
                    if !matches!(piece, Piece::Head(_)) {
                        found.push(piece);
                    }
                });
            }
            let settings = [Piece::Setting(3, 100), Piece::Setting(4, 0x1_0002)];
            assert_eq!(found, [&settings[..], &[Piece::Increment(7, 256)]].concat());
            assert!(!scan.at_boundary());
        }
    }

    proptest! {
        #[test]
        fn who_stops_stops_behind_the_frame_and_misses_nothing(
            frames in prop::collection::vec((0u32..40, any::<u8>()), 1..8),
            stop in 1usize..8,
            from in 0usize..60,
        ) {
            let each: Vec<_> = frames.iter().map(|(length, kind)| bytes(*length, *kind, 0, 1)).collect();
            let (all, ends) = each.iter().fold((Vec::new(), vec![0]), |(mut all, mut ends), frame| {
                all.extend(frame);
                ends.push(all.len());
                (all, ends)
            });
            let (mut scan, seen) = (FrameScan::after(0), std::cell::Cell::new(0));
            let count = |piece| {
                if matches!(piece, Piece::Head(_)) {
                    seen.set(seen.get() + 1);
                }
            };
            // Some of it has come before, and perhaps more than it would have gone on for.
            let from = from.min(all.len());
            scan.push(&all[..from], count);
            let under_way = ends.iter().position(|end| *end >= from).unwrap_or(0);
            let went = scan.push_while(&all[from..], || seen.get() < stop, count);
            prop_assert_eq!(from + went, ends[under_way.max(stop.min(each.len()))]);
            scan.push(&all[from + went..], count);
            prop_assert_eq!(seen.get(), each.len());
            prop_assert!(scan.at_boundary());
        }

        #[test]
        fn frames_are_found_however_the_bytes_arrive(
            frames in prop::collection::vec((0u32..40, any::<u8>(), any::<u8>(), any::<u32>()), 1..8),
            cuts in prop::collection::vec(0usize..400, 0..12),
            preface in 0usize..30,
            windows: bool,
        ) {
            let mut frames = frames;
            if windows {
                for (place, frame) in frames.iter_mut().enumerate() {
                    frame.1 = if place % 2 == 0 { SETTINGS } else { WINDOW_UPDATE };
                }
            }
            let mut all = vec![0xff; preface];
            for (length, kind, flags, stream) in &frames {
                all.extend(bytes(*length, *kind, *flags, *stream));
            }
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(all.len())).collect();
            cuts.sort_unstable();
            cuts.push(all.len());
            let (mut scan, mut from, mut found) = (FrameScan::after(preface), 0, Vec::new());
            for cut in cuts {
                scan.push(&all[from..cut], |piece| found.push(piece));
                from = cut;
            }
            let mut expected = Vec::new();
            for (length, kind, flags, stream) in frames {
                let stream = stream & 0x7fff_ffff;
                expected.push(Piece::Head(Frame { length, kind, flags, stream }));
                match kind {
                    SETTINGS => expected.extend((0..length / 6).map(|_| Piece::Setting(0, 0))),
                    WINDOW_UPDATE if length >= 4 => expected.push(Piece::Increment(stream, 0)),
                    _ => {}
                }
            }
            prop_assert_eq!(found, expected);
            prop_assert!(scan.at_boundary());
            scan.push(&[0], |_| {});
            prop_assert!(!scan.at_boundary());
        }
    }
}
