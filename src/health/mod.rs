//! Is an endpoint healthy, and since when: the state machines, and the probes that feed them.
//!
//! `state` is pure: it is told what happened and when, and says what to do next. `probe` makes one
//! check over the network, `monitor` runs many. Which regions a table loses because of it is
//! decided in `failover`.

mod monitor;
pub mod probe;
mod state;

pub use monitor::{Monitor, ProbeOrder, ProbeReport};
pub use state::{
    CheckId, CheckState, EndpointHealth, Evidence, Failure, ProbePlan, RegionMachine, Transition,
};
