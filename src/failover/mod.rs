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

mod controller;
mod event;
mod members;
mod naming;
mod policy;
#[cfg(test)]
mod simulation;

pub use controller::{Command, Controller, ControllerParts, Handle, Status};
pub use event::{Cause, Event, EventLog};
pub use policy::{CheckedEndpoint, Effect, Input, Policy};
