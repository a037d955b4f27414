//! The routing core: which region answers a request, and why.
//!
//! ```text
//! Config ── Plan::compile ──> Plan ─┐
//!                                   ├─> Table ── decide(facts, draws) ──> Decision | Refusal
//! health ── DeploymentHealth ───────┘            └ the same code, traced ──> Explanation
//! ```
//!
//! Pure: the result depends on the arguments alone. No clock, no randomness (draws are an
//! argument), no I/O, no async runtime, no process-wide state. Whoever changes the table, sends the
//! request or learns where a client is lives elsewhere.
//!
//! A request walks down one list of steps ([`decide`]). Each narrows or orders a `ranking` and
//! leaves its trace; a new kind of step edits the same ranking.

mod compile;
mod decide;
mod draws;
mod endpoint;
mod explain;
mod hosts;
mod latency;
mod plan;
mod ranking;
mod regions;
mod rules;
mod story;
mod strategy;
mod table;
mod trace;

#[cfg(test)]
mod tests;

pub use compile::ContinentOf;
pub use decide::{Decision, Facts, Reason, Refusal, decide, decide_in, deployment};
pub use draws::Draws;
pub use endpoint::{EndpointIds, choose_endpoint};
pub use explain::{Explanation, explain};
pub use latency::{LatencyError, LatencyTable};
pub use plan::{
    DeploymentIndex, DeploymentPlan, EndpointPlan, Plan, RegionPlan, RegionPosition, RuleIndex,
};
pub use regions::RegionSet;
pub use table::{DeploymentHealth, RegionHealth, Table};
pub use trace::{Dropped, NoTrace, Recorder, Step, StepRecord, Trace};
