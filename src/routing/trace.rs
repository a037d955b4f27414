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
    /// Which of them may see the request.
    Residency,
    /// What operators did.
    Override,
    /// The one region that will do.
    Hint,
    /// The tenant's home.
    Pin,
    /// The rule that holds.
    Rule,
    /// Where writes go, and reads after them.
    Writes,
    /// Where the client belongs or was before.
    Affinity,
    /// Where the request would rather go.
    Prefer,
    /// The order of what is left unordered.
    Strategy,
    /// Without the regions that are down.
    Health,
    /// Without the regions that are full.
    Capacity,
    /// What is done when no region is left.
    NothingLeft,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 14] = [
        Self::Deployment,
        Self::Eligible,
        Self::Residency,
        Self::Override,
        Self::Hint,
        Self::Pin,
        Self::Rule,
        Self::Writes,
        Self::Affinity,
        Self::Prefer,
        Self::Strategy,
        Self::Health,
        Self::Capacity,
        Self::NothingLeft,
    ];

    /// The word used in explanations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Eligible => "eligible",
            Self::Residency => "residency",
            Self::Override => "override",
            Self::Hint => "hint",
            Self::Pin => "pin",
            Self::Rule => "rule",
            Self::Writes => "writes",
            Self::Affinity => "affinity",
            Self::Prefer => "prefer",
            Self::Strategy => "strategy",
            Self::Health => "health",
            Self::Capacity => "capacity",
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
