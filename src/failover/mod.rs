//! Who changes the table: one pure policy, and the one task that runs it.
//!
//! ```text
//! files ─────┐
//! probes ────┼─> Input ─> policy (pure) ─> Effect ─┬─> table store
//! requests ──┤                                     ├─> probes to make
//! timers ────┘                                     └─> events: log, metrics, API
//! ```
//!
//! Nothing else in the program stores a table. What makes an endpoint healthy is `health`; how a
//! table decides is `routing`.

mod command;
mod controller;
mod event;
mod members;
mod naming;
mod policy;
#[cfg(test)]
mod simulation;
mod status;

pub use command::{Command, Handle};
pub use controller::{Controller, ControllerParts};
pub use event::{Cause, Event, EventLog};
pub use policy::{CheckedEndpoint, Effect, Input, Policy};
pub use status::Status;
