//! A candidate configuration beside the live one: what it would have done with the same requests.
//!
//! ```text
//! files ── Candidate ──> Seat ── live table ──> Shadow ── snapshot ──> workers: Trial::compare
//!                                                                        └ Shard ─> Ledger ─> report
//! ```
//!
//! Nothing it finds changes where a request goes. Reading the candidate's files is not known here.

mod candidate;
mod compare;
mod example;
mod ledger;
mod report;
mod seat;
#[cfg(test)]
mod tests;

pub use candidate::{Candidate, Shadow, Trial};
pub use compare::{Desk, Outcome};
pub use example::{Example, Fate};
pub use ledger::{Ledger, Shard};
pub use report::{CountryCount, DeploymentCount, RuleCount, ShadowReport};
pub use seat::Seat;
