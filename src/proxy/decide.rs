//! A worker's decisions: what it knows is put together, and `routing` is asked.
//!
//! The same way for a new request, a retry and a replay; all that differs is what is known.

use std::time::Instant;

use super::context::{View, WorkerContext};
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

/// What is said when no deployment answers.
pub(super) fn nowhere(view: &View, who: &Identity, asked: &Asked<'_>, draws: Draws) -> Decided {
    let refusal = Refusal::NO_DEPLOYMENT;
    view.try_candidate(&who.facts(asked), &Conditions::NONE, draws, Err(&refusal));
    Decided { outcome: Err(refusal), told: None }
}

/// Decides where a request goes.
pub(super) fn decide(
    view: &View,
    worker: &WorkerContext,
    deployment: DeploymentIndex,
    who: &Identity,
    asked: &Asked<'_>,
    (draws, now): (Draws, Instant),
) -> Decided {
    let table = &view.snapshot.table;
    let facts = who.facts(asked);
    let client = facts.client.address;
    let decided = view.conditions(worker, deployment, client, (now, facts.now), |conditions| {
        let mut told = None;
        let outcome = if who.may_see() {
            let mut recorder = Recorder::default();
            let outcome = decide_in(table, deployment, &facts, conditions, draws, &mut recorder);
            told = Some(told::line(table, &outcome, &recorder.steps));
            outcome
        } else {
            decide_in(table, deployment, &facts, conditions, draws, &mut NoTrace)
        };
        view.try_candidate(&facts, conditions, draws, outcome.as_ref());
        Decided { outcome, told }
    });
    if let Ok(decision) = &decided.outcome {
        view.remember(worker, client, decision);
    }
    decided
}
