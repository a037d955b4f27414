//! Watches the raw bytes of a request head for one thing that the parser does not tell: a body
//! framed by `Content-Length` and by `Transfer-Encoding` at once.
//!
//! hyper resolves that by the letter of RFC 9112 section 6.3 (the coding wins, the length is
//! removed, the connection ends). Rhumb refuses it, because an attacker sends it to be understood
//! differently by someone. Lines are found by `memchr`, names are compared only where a line
//! begins with the right letter, and scanning stops at the end of the head. A head that was
//! already in the parser's buffer behind an earlier body is not seen here and falls back to
//! hyper's resolution, which is safe as well.

use arrayvec::ArrayVec;

const LENGTH: &[u8] = b"content-length";
const CODING: &[u8] = b"transfer-encoding";

/// The scan of one head.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadScan {
    /// The start of a line that has not ended yet, as far as it decides anything.
    line: ArrayVec<u8, 18>,
    /// Bytes of the request line so far.
    target_bytes: usize,
    begun: bool,
    length: bool,
    coding: bool,
    ended: bool,
}

impl HeadScan {
    /// Takes in the next bytes; true when both framings were seen.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> bool {
        while !self.ended && !bytes.is_empty() {
            let (line, rest, complete) = match memchr::memchr(b'\n', bytes) {
                Some(end) => (&bytes[..end], &bytes[end + 1..], true),
                None => (bytes, &[][..], false),
            };
            bytes = rest;
            if !self.begun {
                self.target_bytes = self.target_bytes.saturating_add(line.len());
            }
            if complete && self.line.is_empty() {
                self.end_line_of(line);
            } else {
                let room = self.line.remaining_capacity().min(line.len());
                self.line.extend(line[..room].iter().copied());
                if complete {
                    let whole = std::mem::take(&mut self.line);
                    self.end_line_of(&whole);
                }
            }
        }
        self.length && self.coding
    }

    /// Bytes of the request line, or of what came of it.
    pub(super) fn request_line_bytes(&self) -> usize {
        self.target_bytes
    }

    fn end_line_of(&mut self, line: &[u8]) {
        match line.first() {
            None | Some(b'\r') => {
                // Empty lines before the request line are to be ignored (RFC 9112 section 2.2).
                self.ended = self.begun;
                if !self.begun {
                    self.target_bytes = 0;
                }
                return;
            }
            Some(b'c' | b'C') if is_field(line, LENGTH) => self.length = true,
            Some(b't' | b'T') if is_field(line, CODING) => self.coding = true,
            _ => {}
        }
        self.begun = true;
    }
}

fn is_field(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        && matches!(line.get(name.len()), Some(b':' | b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: &[u8] =
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: y\r\nTRANSFER-encoding: chunked\r\n\r\n";

    #[test]
    fn both_framings_are_seen() {
        assert!(HeadScan::default().push(BOTH));
    }

    #[test]
    fn one_framing_or_a_body_that_looks_like_a_head_is_fine() {
        for head in [
            &b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc"[..],
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ncontent-length: 1\r\n",
            b"POST / HTTP/1.1\r\nContent-Lengthy: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"\r\n\r\nGET / HTTP/1.1\r\n\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n",
            b"GET /\nHost: a\n\ncontent-length: 1\ntransfer-encoding: chunked\n",
        ] {
            assert!(!HeadScan::default().push(head), "{}", String::from_utf8_lossy(head));
        }
    }

    proptest! {
        #[test]
        fn how_the_bytes_arrive_changes_nothing(cuts in prop::collection::vec(0..BOTH.len(), 0..9)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut scan = HeadScan::default();
            let mut from = 0;
            let mut seen = false;
            for cut in cuts.into_iter().chain([BOTH.len()]) {
                seen |= scan.push(&BOTH[from..cut]);
                from = cut;
            }
            prop_assert!(seen);
            prop_assert_eq!(scan.request_line_bytes(), b"POST / HTTP/1.1\r".len());
        }
    }
}
