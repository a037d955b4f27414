//! Where frames begin in a stream of bytes, and what their heads say (RFC 9113 section 4.1).
//!
//! Payloads are passed over, nothing is copied but a head that comes in pieces. Whether frames are
//! right is h2's business.

use arrayvec::ArrayVec;

/// Bytes of a frame's head.
const HEAD_BYTES: usize = 9;

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
    /// The beginning of a head that is not all there.
    head: ArrayVec<u8, HEAD_BYTES>,
    /// Bytes until the next head.
    skip: usize,
}

impl FrameScan {
    /// The first head comes after so many bytes.
    pub(super) fn after(skip: usize) -> Self {
        Self { head: ArrayVec::new(), skip }
    }

    /// Whether the next byte is the first of a frame.
    pub(super) fn at_boundary(&self) -> bool {
        self.skip == 0 && self.head.is_empty()
    }

    /// Moves over the next bytes and tells the heads that end in them.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Frame)) {
        loop {
            let passed = self.skip.min(bytes.len());
            self.skip -= passed;
            bytes = bytes.get(passed..).unwrap_or_default();
            if bytes.is_empty() {
                return;
            }
            let head = match bytes.first_chunk::<HEAD_BYTES>() {
                Some(head) if self.head.is_empty() => {
                    bytes = bytes.get(HEAD_BYTES..).unwrap_or_default();
                    *head
                }
                _ => {
                    let missing = self.head.remaining_capacity().min(bytes.len());
                    self.head.extend(bytes.iter().take(missing).copied());
                    bytes = bytes.get(missing..).unwrap_or_default();
                    let Ok(head) = self.head.as_slice().try_into() else { return };
                    self.head.clear();
                    head
                }
            };
            let frame = Frame::read(head);
            self.skip = frame.length as usize;
            each(frame);
        }
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

    proptest! {
        #[test]
        fn frames_are_found_however_the_bytes_arrive(
            frames in prop::collection::vec((0u32..40, any::<u8>(), any::<u8>(), any::<u32>()), 1..8),
            cuts in prop::collection::vec(0usize..400, 0..12),
            preface in 0usize..30,
        ) {
            let mut all = vec![0xff; preface];
            for (length, kind, flags, stream) in &frames {
                all.extend(bytes(*length, *kind, *flags, *stream));
            }
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(all.len())).collect();
            cuts.sort_unstable();
            cuts.push(all.len());
            let (mut scan, mut from, mut found) = (FrameScan::after(preface), 0, Vec::new());
            for cut in cuts {
                scan.push(&all[from..cut], |frame| found.push(frame));
                from = cut;
            }
            let expected: Vec<_> = frames.into_iter().map(|(length, kind, flags, stream)| {
                Frame { length, kind, flags, stream: stream & 0x7fff_ffff }
            }).collect();
            prop_assert_eq!(found, expected);
            prop_assert!(scan.at_boundary());
            scan.push(&[0], |_| {});
            prop_assert!(!scan.at_boundary());
        }
    }
}
