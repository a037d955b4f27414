//! The access log: a line for each request that ended, written without a request waiting for it.
//!
//! ```text
//! worker: Entry (what is known so far) ─ Record ─ json | template ─ batch ─┐ try_send
//! worker: …                                                               ─┼─> rhumb-log: Sink
//! ```
//!
//! Each worker notes what it learns of a request in an [`Entry`] and, when the request has ended,
//! formats a line into its own batch. Batches go to one thread over a bounded channel; when that
//! thread cannot keep up, because a disk is full or a pipe is not read, batches are dropped and
//! their lines counted. What is worth noting, and when, is `proxy`'s business.

mod digits;
mod entry;
mod escape;
mod json;
mod line;
mod logger;
mod moment;
mod name;
mod queue;
mod record;
mod redact;
mod sink;
mod syslog;
mod template;
#[cfg(test)]
mod tests;
mod text;
mod thread;
mod writer;

pub use entry::{Entry, Head, Secured};
pub use logger::{Ending, Logger, Sheet};
pub use name::Name;
pub use queue::Lines;
pub use sink::OpenError;
pub use thread::{AccessLogThread, StartError, Wanted, verify};
