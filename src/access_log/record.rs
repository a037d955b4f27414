//! What is known of a request when its line is written: the notes that were taken of it, and how it
//! ended.
//!
//! Bytes of clients are as they came: making them harmless is up to whoever writes them. What is
//! not known is empty, `None` or 0.

use std::rc::Rc;
use std::time::Duration;

use super::entry::Entry;
use super::logger::Ending;
use super::moment;
use super::name::Name;
use super::text::Span;

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) notes: &'a Entry,
    pub(super) ending: &'a Ending<'a>,
    /// When its head was complete.
    pub(super) time: moment::Text,
}

impl<'a> Record<'a> {
    /// A value that was kept.
    pub(super) fn text(&self, span: Span) -> &'a [u8] {
        span.of(self.notes.text.bytes())
    }

    /// Who asks.
    pub(super) fn client(&self) -> &'a [u8] {
        match self.text(self.notes.client) {
            [] => self.ending.peer,
            client => client,
        }
    }

    /// From where.
    pub(super) fn country(&self) -> &'a [u8] {
        self.notes.country.as_ref().map_or(&[], |country| country.as_str().as_bytes())
    }
}

/// One attempt at an endpoint.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) region: Rc<Name>,
    pub(super) endpoint: Rc<Name>,
    /// How long a new connection took to make, where one was needed.
    pub(super) connect: Option<Duration>,
    /// From the attempt's start to the head of the response, if there was one.
    pub(super) first_byte: Option<Duration>,
    pub(super) outcome: &'static str,
}
