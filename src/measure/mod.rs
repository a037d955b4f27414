//! What a decision is told of regions beside the table, live: how busy they are, how long they
//! take, and where a client's network went last.
//!
//! ```text
//! a request at a region ── Tally ──> Ledger ──> RegionShard ┐ one writer each
//!                                                           ├─ Peers ── Observer ──> Conditions
//! the other workers, the checks ─────────────> RegionShard ┘ looked at now and then
//! ```
//!
//! A worker writes its own shard and reads the others' after a pause, never for each request. Its
//! own part of a count is always exact. What is done with it all is decided in `routing`.

mod incumbents;
mod ledger;
mod needs;
mod network;
mod networks;
mod observed;
mod observer;
mod peers;
mod recent;

#[cfg(test)]
mod tests;

pub use ledger::Tally;
pub use needs::Needs;
pub use network::Network;
pub use networks::Networks;
pub use observed::{Observed, RegionReport, Timing};
pub use observer::{Asked, Observer};
