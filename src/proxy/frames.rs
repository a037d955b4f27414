//! Where one frame of a WebSocket ends and the next one begins (RFC 6455 section 5.2), without a
//! look at what is in them.

/// Longest head of a frame: two bytes, a length of eight, a key of four.
const HEAD_BYTES: usize = 14;

/// What a server sends when it goes away: a frame that closes, with the code 1001 and no words.
pub(super) const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xe9];

/// One direction of a WebSocket.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD_BYTES],
    /// Bytes of the head that have come.
    known: u8,
    /// Bytes of the frame that are still to come, once its head is complete.
    rest: u64,
    /// One that closes has come.
    closed: bool,
}

impl Frames {
    /// Whether nothing has begun that has not ended.
    pub(super) fn between(&self) -> bool {
        self.known == 0 && self.rest == 0
    }

    /// Whether this side has said that it closes.
    pub(super) fn closed(&self) -> bool {
        self.closed
    }

    /// Goes past these bytes.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.rest > 0 {
                let skipped =
                    usize::try_from(self.rest).map_or(bytes.len(), |r| r.min(bytes.len()));
                self.rest -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let Some((first, others)) = bytes.split_first() else { return };
            if let Some(place) = self.head.get_mut(usize::from(self.known)) {
                *place = *first;
            }
            self.known += 1;
            bytes = others;
            if usize::from(self.known) == self.head_bytes() {
                self.rest = self.payload_bytes();
                self.closed |= self.head.first().is_some_and(|first| first & 0x0f == 8);
                self.known = 0;
            }
        }
    }

    /// Like [`pass`](Self::pass), but no further than to the end of the frame that has begun; how
    /// far that is.
    pub(super) fn pass_one(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while let Some(rest @ [_, ..]) = bytes.get(passed..)
            && !self.between()
        {
            let step = match self.rest {
                0 => 1,
                rest_of_frame => {
                    usize::try_from(rest_of_frame).map_or(rest.len(), |r| r.min(rest.len()))
                }
            };
            self.pass(rest.get(..step).unwrap_or_default());
            passed += step;
        }
        passed
    }

    /// How long the head is, as far as is known.
    fn head_bytes(&self) -> usize {
        let second = match self.known {
            0 | 1 => return 2,
            _ => self.head.get(1).copied().unwrap_or_default(),
        };
        let length = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let key = if second & 0x80 == 0 { 0 } else { 4 };
        2 + length + key
    }

    fn payload_bytes(&self) -> u64 {
        let [_, second, a, b, c, d, e, f, g, h, ..] = self.head;
        match second & 0x7f {
            126 => u64::from(u16::from_be_bytes([a, b])),
            127 => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            short => u64::from(short),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame with so much in it.
    fn frame(opcode: u8, payload: usize, masked: bool) -> Vec<u8> {
        let mut bytes = vec![0x80 | opcode];
        let mask = if masked { 0x80 } else { 0 };
        match payload {
            0..=125 => bytes.push(mask | payload as u8),
            126..=0xffff => {
                bytes.push(mask | 126);
                bytes.extend((payload as u16).to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        if masked {
            bytes.extend([1, 2, 3, 4]);
        }
        // What looks like a frame that closes.
        bytes.extend(std::iter::repeat_n(0x88, payload));
        bytes
    }

    proptest! {
        #[test]
        fn ends_are_found_however_the_bytes_come(
            sizes in prop::collection::vec((0_usize..70_000, any::<bool>()), 1..6),
            cut in 1_usize..5_000,
        ) {
            let mut frames = Frames::default();
            for (size, masked) in sizes {
                let bytes = frame(2, size, masked);
                let mut seen = 0;
                for part in bytes.chunks(cut) {
                    prop_assert!(seen == 0 || !frames.between());
                    frames.pass(part);
                    seen += part.len();
                }
                prop_assert!(frames.between() && !frames.closed());
            }
            frames.pass(&frame(8, 2, false));
            prop_assert!(frames.between() && frames.closed());
        }

        #[test]
        fn one_frame_is_passed_and_no_more(size in 0_usize..70_000, before in 1_usize..70_000) {
            let mut bytes = frame(1, size, true);
            let before = before.min(bytes.len() - 1);
            let mut frames = Frames::default();
            frames.pass(&bytes[..before]);
            let rest = bytes.len() - before;
            bytes.extend(frame(1, 10, true));
            prop_assert_eq!(frames.pass_one(&bytes[before..]), rest);
            prop_assert_eq!(frames.pass_one(&bytes[before + rest..]), 0);
        }
    }

    #[test]
    fn any_bytes_do() {
        let mut frames = Frames::default();
        let longest = [0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0];
        frames.pass(&longest);
        assert!(!frames.between());
        frames.pass(&[0; 100_000]);
        assert!(!frames.between());
    }
}
