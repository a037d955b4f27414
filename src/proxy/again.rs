//! Deciding a request again that is under way: because the table has changed since, or because an
//! origin wants it replayed elsewhere.

use std::rc::Rc;
use std::time::Instant;

use super::decide::{Decided, decide};
use super::error::ErrorReason;
use super::forward::{Answer, Forward};
use super::host::screened_host;
use super::identify::Asked;
use super::replay::{Wish, may_go_to};
use super::retry::Tried;
use super::target::path;
use super::view::View;
use crate::routing::{self, DeploymentIndex, Facts, RefusalReason};

impl Forward {
    /// Calls `look` with the head as it was when it came, as far as decisions depend on it.
    pub(super) fn as_it_came<R>(&self, look: impl FnOnce(&Asked<'_>) -> R) -> R {
        let request = &self.request;
        let host = match self.routed.hostless {
            // It may have been given its endpoint's name meanwhile.
            true => Default::default(),
            false => screened_host(request.headers()),
        };
        let headers = self.routed.who.headers(request.headers());
        look(&Asked {
            method: request.method(),
            host: &host,
            path: path(request.uri()),
            query: request.uri().query().unwrap_or_default(),
            headers: &headers,
        })
    }

    /// What was known of the request when it came.
    pub(super) fn with_facts<R>(&self, look: impl FnOnce(&Facts<'_>) -> R) -> R {
        self.as_it_came(|asked| look(&self.routed.who.facts(asked)))
    }

    fn decided(&self, view: &View, index: DeploymentIndex, asked: &Asked<'_>) -> Decided {
        let worker = &self.ticket.connection().worker;
        let moment = (self.routed.draws, Instant::now());
        decide(view, worker, index, &self.routed.who, asked, moment)
    }

    /// A retry decides again when the table has changed: it sees the failover.
    ///
    /// # Errors
    ///
    /// When the request may go nowhere any more.
    pub(super) fn look_again(&mut self) -> Result<(), ErrorReason> {
        let decided = self.as_it_came(|asked| {
            let (view, index) = self.changed(asked)?;
            let decided = self.decided(&view, index, asked);
            Some((view, decided))
        });
        let Some((view, decided)) = decided else { return Ok(()) };
        match decided.outcome {
            Ok(decision) => {
                self.routed.decision = decision;
                self.routed.told = decided.told;
                self.routed.view = view;
                Ok(())
            }
            // The law has changed, and holds for what was decided before as well.
            Err(refusal) if is_law(refusal.why) => Err(refusal.why.into()),
            // Where the new table would refuse, the old decision's alternates are worth a try.
            Err(_) => Ok(()),
        }
    }

    /// The current view, if it is another than the last one and the same deployment answers in it:
    /// the facts were read on the terms of one deployment, and count nowhere else.
    fn changed(&self, asked: &Asked<'_>) -> Option<(Rc<View>, DeploymentIndex)> {
        let view = self.ticket.connection().worker.view();
        if Rc::ptr_eq(&view, &self.routed.view) {
            return None;
        }
        let (old, new) = (&self.routed.view.snapshot.table, &view.snapshot.table);
        let index = routing::deployment(new, asked.host, asked.path)?;
        let before = old.plan.deployment(self.routed.decision.deployment)?;
        let same = new.plan.deployment(index).is_some_and(|now| now.name == before.name);
        same.then_some((view, index))
    }

    /// Makes the request anew, decided for the region that the answer asks for.
    ///
    /// # Errors
    ///
    /// When it may not be replayed there, or cannot be replayed at all.
    pub(super) fn replay(&mut self, wish: Wish, answer: Answer) -> Result<(), ErrorReason> {
        let Wish::Region(region) = wish else { return Err(ErrorReason::ReplayRefused) };
        let settings = self.settings().ok_or(ErrorReason::ReplayRefused)?;
        if !may_go_to(settings, &region) {
            return Err(ErrorReason::ReplayRefused);
        }
        if !self.restart() {
            return Err(ErrorReason::ReplayTooLarge);
        }
        answer.abandon();
        self.routed.who.said.get_or_insert_default().replay = Some(region);
        self.decide_replay()?;
        self.tried = Tried::default();
        Ok(())
    }

    fn decide_replay(&mut self) -> Result<(), ErrorReason> {
        let last = || (Rc::clone(&self.routed.view), self.routed.decision.deployment);
        let (view, decided) = self.as_it_came(|asked| {
            let (view, index) = self.changed(asked).unwrap_or_else(last);
            let decided = self.decided(&view, index, asked);
            (view, decided)
        });
        self.routed.told = decided.told;
        match decided.outcome {
            Ok(decision) => {
                self.routed.decision = decision;
                self.routed.view = view;
                Ok(())
            }
            Err(refusal) if self.is_forbidden() => {
                tracing::debug!(%refusal, "an origin asked for a replay where none may be made");
                Err(ErrorReason::ReplayRefused)
            }
            Err(refusal) => Err(refusal.why.into()),
        }
    }

    /// Whether the region that an origin asked for may not see the request.
    fn is_forbidden(&self) -> bool {
        let plan = &self.routed.view.snapshot.table.plan;
        let replay = self.routed.who.said.as_ref().and_then(|said| said.replay);
        let deployment = plan.deployment(self.routed.decision.deployment);
        let wanted = deployment.zip(replay);
        let found = wanted
            .and_then(|(deployment, region)| Some((deployment, deployment.position(&region)?)));
        found.is_none_or(|(deployment, position)| {
            !self.with_facts(|facts| routing::permits(deployment, facts, position))
        })
    }
}

const fn is_law(why: RefusalReason) -> bool {
    matches!(
        why,
        RefusalReason::ResidencyUnavailable
            | RefusalReason::ResidencyRequired
            | RefusalReason::HomeUnavailable
    )
}
