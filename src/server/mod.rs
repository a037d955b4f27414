//! Workers: threads that accept connections and drive them. What a request meets on the way is
//! `proxy`; nothing here looks into one.
//!
//! ```text
//! worker ─ accept ─ client ┬ introduction ─ handshake ─ protocol ┬ http1 ┬ goodbye
//!      door, crowd, refusals └ keeper: deadlines of every phase    └ http2 ┘
//! ```

mod accept;
mod client;
mod crowd;
mod door;
mod goodbye;
mod handshake;
mod http1;
mod http2;
mod introduction;
mod keeper;
mod listener;
mod open;
mod protocol;
mod refusals;
mod seats;
mod transport;
mod worker;

pub use listener::{BindError, Listeners};
pub use worker::{StartError, Workers, WorkersParts};

#[cfg(test)]
mod tests;
