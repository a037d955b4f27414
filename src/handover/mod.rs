//! A new process takes the place of an old one without a connection lost: it gets the listening
//! sockets themselves, queues and all, and the old one accepts until the new one does.
//!
//! ```text
//! old                                   new
//!  │  sockets (SCM_RIGHTS) ───────────>  │  reads its files, binds what is missing, checks origins
//!  │  <─────────────────────────  ready  │  has done everything that can fail
//!  │  go ─────────────────────────────>  │  accepts
//!  │  <───────────────────────  serving  │
//!  stops accepting, drains, ends         serves
//! ```
//!
//! Until `serving` is heard nothing has changed for the old one, so it goes on whatever becomes of
//! the new one. Before `go` the new one has accepted nothing, so nothing is lost with it. The
//! socket between them is the new one's standard input where the old one started it
//! (`successor`), and a Unix socket with a name where somebody else did (`desk`).
//!
//! Not here: what sockets are for, when a process is ready, and how it drains.

mod desk;
mod elder;
mod heir;
mod message;
mod program;
mod successor;
#[cfg(test)]
mod tests;
mod wire;

pub use desk::{AskError, Asked, Asker, Desk, DeskError, ask};
pub use elder::{GiveError, Given, Offer};
pub use heir::{Heir, HeirError, Inherited, Passed};
pub use message::Role;
pub use program::Program;
pub use successor::{Successor, UpgradeError};
pub use wire::WireError;
