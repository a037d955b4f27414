//! Connections in memory, on a clock that stands still until everybody waits.

pub(super) mod fixture;
mod goodbye;
mod http2;
mod limits;
mod phases;
mod slow_readers;
