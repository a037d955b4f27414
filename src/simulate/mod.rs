//! Requests that are decided but never sent: an access log, or a population that never was, on its
//! way through one table or two.
//!
//! ```text
//! access log ── log ────────┐
//!                           ├─> Case ── desk ──> decide, before and after ──> tally ──> report
//! databases ── population ──┘             └ flow: what would be in flight
//! ```
//!
//! The decision is the very one of live traffic. Not here: reading configurations, and how a
//! report looks on a screen.

mod case;
mod desk;
mod flow;
mod log;
mod pieces;
mod population;
mod report;
mod reporting;
mod run;
mod spread;
mod tally;
mod tenants;
#[cfg(test)]
mod tests;
mod timeline;

pub use case::{Case, Pace};
pub use log::{BadLine, BadLines};
pub use population::{Population, PopulationError, Target};
pub use report::{
    Change, Cost, CountryMoves, InFlight, Latency, Move, PolicyReport, Refused, RegionReport,
    Report, Residency, SideReport, TenantMoves,
};
pub use run::{Side, Simulation};
pub use tally::Tally;
pub use tenants::{TenantNames, sample_tenants};
