//! A worker's decisions: what it knows is put together, and `routing` is asked.
//!
//! The same way for a new request, a retry and a replay; all that differs is what is known.

use super::context::View;
use super::identify::{Asked, Identity};
use super::told;
use crate::routing::{
    Conditions, Decision, DeploymentIndex, Draws, NoTrace, Recorder, Refusal, decide_in,
};

/// What came of a decision.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) outcome: Result<Decision, Refusal>,
    /// The decision in words, where somebody may see it.
    pub(super) told: Option<String>,
}

impl Decided {
    /// No deployment answers.
    pub(super) const NOWHERE: Self = Self { outcome: Err(Refusal::NO_DEPLOYMENT), told: None };
}

/// Decides where a request goes.
pub(super) fn decide(
    view: &View,
    deployment: DeploymentIndex,
    who: &Identity,
    asked: &Asked<'_>,
    draws: Draws,
) -> Decided {
    let table = &view.snapshot.table;
    let facts = who.facts(asked);
    let conditions = Conditions::NONE;
    if !who.may_see() {
        let outcome = decide_in(table, deployment, &facts, &conditions, draws, &mut NoTrace);
        return Decided { outcome, told: None };
    }
    let mut recorder = Recorder::default();
    let outcome = decide_in(table, deployment, &facts, &conditions, draws, &mut recorder);
    let told = Some(told::line(table, &outcome, &recorder.steps));
    Decided { outcome, told }
}
