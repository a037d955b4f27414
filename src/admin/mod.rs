//! What operators, probes and Prometheus see: the admin address.
//!
//! It reads the current snapshot and asks the controller and the workers; it changes nothing by itself
//! but what the log tells, and when it is down requests keep flowing.

mod answer;
mod api;
mod certificates;
mod doors;
mod freshness;
mod log;
mod memory;
mod metrics_page;
mod profile;
mod readiness;
mod serve;
mod source;
mod taken;
mod workers;

pub use doors::Doors;
pub use readiness::Readiness;
pub use serve::AdminServer;
pub use source::Admin;
