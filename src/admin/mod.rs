//! What operators, probes and Prometheus see: the admin address.
//!
//! It reads the current snapshot and asks the controller; it changes nothing by itself, and when
//! it is down requests keep flowing.

mod answer;
mod api;
mod certificates;
mod doors;
mod freshness;
mod metrics_page;
mod readiness;
mod serve;
mod source;

pub use doors::Doors;
pub use readiness::Readiness;
pub use serve::AdminServer;
pub use source::Admin;
