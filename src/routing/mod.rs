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

mod affinity;
mod compile;
mod continents;
mod decide;
mod draws;
mod endpoint;
mod explain;
mod facts;
mod hosts;
mod latency;
mod line_error;
mod networks;
mod outcome;
mod path;
mod plan;
mod ranking;
mod regions;
mod residency;
mod rules;
mod scenario;
mod story;
mod strategy;
mod table;
mod tenants;
mod trace;
mod walk;

#[cfg(test)]
pub(crate) mod tests;

pub use compile::{Sources, Tables};
pub use continents::ContinentOf;
pub use decide::{Decision, decide, decide_in, deployment};
pub use draws::Draws;
pub use endpoint::{EndpointIds, choose_endpoint};
pub use explain::{Explanation, explain};
pub use facts::{Conditions, Facts, Forced, Measured, RegionLoad, Words};
pub use latency::{LatencyTable, RowAges};
pub use line_error::LineError;
pub use outcome::{Reason, Refusal, RefusalReason};
pub use path::{PathError, is_path, normal_path};
pub use plan::{
    DeploymentIndex, DeploymentPlan, EndpointPlan, Plan, RegionNumber, RegionPlan, RegionPosition,
    RuleIndex,
};
pub use regions::RegionSet;
pub use residency::{ResidencyView, permits, residency_view};
pub use scenario::{Scenario, ScenarioError, Shift};
pub use strategy::expected_ms;
pub use table::{DeploymentHealth, DeploymentOverrides, RegionHealth, Table};
pub use tenants::{Pin, TenantTable};
pub use trace::{Dropped, NoTrace, Recorder, Step, StepRecord, Trace};
