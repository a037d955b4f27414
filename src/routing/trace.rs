//! What the steps of a decision leave behind, for whoever asks.
//!
//! A step hands over a closure that tells its story; nobody listening, it is never called.

use serde::Serialize;

use crate::model::RegionId;

/// Listens to the steps of a decision.
pub trait Trace {
    /// Whether anything is kept; when not, the decision does no work for the trace.
    const RECORDS: bool;

    /// Takes what one step has to say.
    fn record(&mut self, step: impl FnOnce() -> StepRecord);
}

/// Keeps nothing and costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrace;

impl Trace for NoTrace {
    const RECORDS: bool = false;

    #[inline]
    fn record(&mut self, _: impl FnOnce() -> StepRecord) {}
}

/// Keeps every step.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// The steps so far.
    pub steps: Vec<StepRecord>,
}

impl Trace for Recorder {
    const RECORDS: bool = true;

    fn record(&mut self, step: impl FnOnce() -> StepRecord) {
        self.steps.push(step());
    }
}

/// A step of the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Which deployment answers.
    Deployment,
    /// Its regions, less the excluded ones.
    Eligible,
    /// The rule that holds.
    Rule,
    /// The order of what is left unordered.
    Strategy,
    /// Without the regions that are down.
    Health,
    /// What is done when no region is left.
    NothingLeft,
}

impl Step {
    /// The word used in explanations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Eligible => "eligible",
            Self::Rule => "rule",
            Self::Strategy => "strategy",
            Self::Health => "health",
            Self::NothingLeft => "nothing_left",
        }
    }
}

/// What one step did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepRecord {
    /// Which step.
    pub step: Step,
    /// The list after it.
    pub regions: Vec<RegionId>,
    /// What it took from the list.
    pub dropped: Vec<Dropped>,
    /// What else there is to know: which rule, which numbers.
    pub note: Option<String>,
}

/// A region that a step took from the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dropped {
    /// Which one.
    pub region: RegionId,
    /// Why.
    pub why: String,
}
