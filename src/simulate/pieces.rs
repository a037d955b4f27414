//! An access log in pieces of whole lines, so that a file of any size takes the same memory.
//!
//! What the lines say is not looked at.

use std::io::{self, Read};

use crate::model::limits::SIMULATED_LINE_BYTES;

/// Whole lines of a log.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// The number of the first one, from 1.
    pub(super) first: u64,
    pub(super) bytes: Vec<u8>,
    /// Instead of lines: one that is too long to be read.
    pub(super) too_long: bool,
    /// Bytes of the file that it stands for.
    pub(super) read: u64,
}

/// Cuts a log into pieces.
#[derive(Debug)]
pub(super) struct Pieces<R> {
    input: R,
    rest: Vec<u8>,
    line: u64,
}

impl<R: Read> Pieces<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, rest: Vec::new(), line: 1 }
    }

    /// The next piece.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        let mut bytes = std::mem::take(&mut self.rest);
        let had = bytes.len();
        let room = SIMULATED_LINE_BYTES.saturating_sub(had);
        let read = (&mut self.input).take(room as u64).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let (first, ended) = (self.line, read < room);
        let mut piece = Piece { first, bytes, too_long: false, read: read as u64 };
        match memchr::memrchr(b'\n', &piece.bytes) {
            Some(end) if !ended => self.rest = piece.bytes.split_off(end + 1),
            None if !ended => {
                piece.read += self.skip_line()?;
                piece.too_long = true;
            }
            _ => {}
        }
        let lines = memchr::memchr_iter(b'\n', &piece.bytes).count() as u64;
        self.line += lines + u64::from(piece.too_long);
        Ok(Some(piece))
    }

    /// Reads on behind the end of a line.
    fn skip_line(&mut self) -> io::Result<u64> {
        let (mut skipped, mut block) = (0, vec![0; 64 << 10]);
        loop {
            let count = match self.input.read(&mut block) {
                Ok(0) => return Ok(skipped),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            skipped += count as u64;
            let block = block.get(..count).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', block) {
                self.rest = block.get(end + 1..).unwrap_or_default().to_vec();
                return Ok(skipped);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(input: &[u8]) -> Vec<Piece> {
        let mut pieces = Pieces::new(input);
        std::iter::from_fn(|| pieces.next().unwrap()).collect()
    }

    #[test]
    fn a_line_without_end_is_passed_over_by_its_number() {
        let long = "x".repeat(SIMULATED_LINE_BYTES * 2 + 5);
        let input = format!("one\n{long}\nthree\n");
        let pieces = all(input.as_bytes());
        let long: Vec<_> = pieces.iter().filter(|piece| piece.too_long).collect();
        assert_eq!((long.len(), long[0].first), (1, 2));
        let last = pieces.last().unwrap();
        assert_eq!((last.first, &last.bytes[..]), (3, &b"three\n"[..]));
        assert_eq!(pieces.iter().map(|piece| piece.read).sum::<u64>(), input.len() as u64);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn pieces_are_the_file_in_whole_lines(lengths in prop::collection::vec(0_usize..400_000, 0..20), ended: bool) {
            let mut input: Vec<u8> =
                lengths.iter().flat_map(|length| [vec![b'x'; *length], vec![b'\n']].concat()).collect();
            if !ended {
                input.pop();
            }
            let pieces = all(&input);
            let mut line = 1;
            for piece in &pieces {
                prop_assert_eq!(piece.first, line);
                prop_assert!(piece.bytes.len() <= SIMULATED_LINE_BYTES && !piece.too_long);
                line += piece.bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            }
            let joined: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.bytes).collect();
            prop_assert_eq!(joined, input);
        }
    }
}
