//! Workers: threads that accept connections and drive them. What a request meets on the way is
//! `proxy`; nothing here looks into one.
//!
//! ```text
//! workers ─ worker ─ accept ─ client ┬ introduction ─ handshake ─ protocol ┬ http1 ┬ goodbye
//!              door, crowd, refusals └ keeper: deadlines of every phase    └ http2 ┘
//!                                                                       intake
//! ```

mod accept;
mod client;
mod crowd;
mod door;
mod goodbye;
mod handshake;
mod http1;
mod http2;
mod intake;
mod introduction;
mod keeper;
mod listener;
mod open;
mod orders;
mod protocol;
mod refusals;
mod seats;
mod transport;
mod worker;
mod workers;

pub use listener::{BindError, Bound};
pub use open::Left;
pub use orders::Drain;
pub use workers::{Orders, StartError, Workers, WorkersParts};

#[cfg(test)]
mod tests;
