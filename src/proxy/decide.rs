//! A worker's decisions: what it knows is put together, and `routing` is asked.
//!
//! The same way for a new request, a retry and a replay; all that differs is what is known.

use std::time::Instant;

use super::connection::Connection;
use super::context::WorkerContext;
use super::headers::names_nothing;
use super::identify::{Asked, Identity};
use super::present::Present;
use super::said::Hearing;
use super::told;
use super::view::View;
use crate::routing::{
    self, Conditions, Decision, DeploymentIndex, Draws, NoTrace, Recorder, Refusal, decide_in,
};

/// What came of a decision.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) outcome: Result<Decision, Refusal>,
    /// The decision in words, where somebody may see it.
    pub(super) told: Option<String>,
}

/// What is said when no deployment answers.
fn nowhere(view: &View, who: &Identity, asked: &Asked<'_>, draws: Draws) -> Decided {
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

/// How a request came in.
pub(super) struct Heard<'a> {
    pub(super) present: &'a Present,
    pub(super) trusted: bool,
    pub(super) now: Instant,
}

/// Finds the deployment, listens to what the request says on its terms, and decides with the
/// worker's next turn there.
pub(super) fn decide_first(
    connection: &Connection,
    view: &View,
    who: &mut Identity,
    asked: &Asked<'_>,
    heard: &Heard<'_>,
) -> (Decided, Draws) {
    let draws = Draws { entropy: connection.worker.entropy(), turn: 0 };
    let Heard { present, trusted, now } = *heard;
    let table = &view.snapshot.table;
    let Some(index) = routing::deployment(table, asked.host, asked.path) else {
        return (nowhere(view, who, asked, draws), draws);
    };
    if let (Some(terms), Some(deployment)) = (view.terms(index), table.plan.deployment(index)) {
        who.keep(terms, asked.headers, || present.connection && !names_nothing(asked.headers));
        if terms.listens || present.word {
            let settings = &deployment.settings;
            let refused = |why| connection.worker.series.token_refused(why);
            let (keys, unix) = (&view.snapshot.keys.signing, who.moment());
            let hearing =
                Hearing { deployment: settings, keys, trusted, now: unix, refused: &refused };
            who.hear(&hearing, asked, |token, source| {
                let set = view.snapshot.keys.set(source)?;
                let verify = || set.verify(token, source, unix);
                let known = view.claims.borrow_mut().find(index, token, unix, verify);
                known.inspect_err(|why| refused(*why)).ok()
            });
        }
    }
    let draws = Draws { turn: view.turn(index), ..draws };
    (decide(view, &connection.worker, index, who, asked, (draws, now)), draws)
}
