//! The texts of one record, one after the other in one buffer that is used again.

use std::fmt::{self, Write as _};

use crate::model::limits::ACCESS_LOG_VALUE_BYTES;

/// Stands behind a value that was too long.
const AND_MORE: &[u8] = "…".as_bytes();

/// A part of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    from: u32,
    to: u32,
}

impl Span {
    /// The part of `text` from byte `from` to its end.
    pub(super) fn since(from: usize, text: &[u8]) -> Self {
        let place = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self { from: place(from), to: place(text.len()) }
    }

    pub(super) fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.from as usize..self.to as usize).unwrap_or_default()
    }
}

/// The buffer.
#[derive(Debug, Default)]
pub(super) struct Text(Vec<u8>);

impl Text {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes that it has room for.
    pub(super) fn room(&self) -> usize {
        self.0.capacity()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Keeps a value, or as much of it as counts.
    pub(super) fn keep(&mut self, value: &[u8]) -> Span {
        // Not more of it than counts, and what tells that there was more.
        let value = value.get(..=ACCESS_LOG_VALUE_BYTES).unwrap_or(value);
        self.keep_with(|out| out.extend_from_slice(value))
    }

    /// The same of one that is shown.
    pub(super) fn keep_display(&mut self, value: impl fmt::Display) -> Span {
        struct Bytes<'a>(&'a mut Vec<u8>);
        impl fmt::Write for Bytes<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
        // Writing to memory does not fail.
        self.keep_with(|out| {
            let _ = write!(Bytes(out), "{value}");
        })
    }

    /// The same of one that is written here.
    pub(super) fn keep_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let from = self.0.len();
        write(&mut self.0);
        if self.0.len() - from > ACCESS_LOG_VALUE_BYTES {
            let end = from + ACCESS_LOG_VALUE_BYTES;
            // A character is left out as a whole: what continues one is not its start.
            let is_start = |end: &usize| self.0.get(*end).is_some_and(|byte| byte & 0xc0 != 0x80);
            let end = (end - 3..=end).rev().find(is_start).unwrap_or(end);
            self.0.truncate(end);
            self.0.extend_from_slice(AND_MORE);
        }
        Span::since(from, &self.0)
    }
}
