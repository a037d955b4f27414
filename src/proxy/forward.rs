//! Sending a request to the endpoints of its decision, one after the other, until one answers.
//!
//! Which endpoint comes next is `retry`'s choice; what may be sent twice is its rule. What happens at
//! one endpoint is `attempt`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Request, Response};
use http_body::Body;
use hyper::body::Incoming;

use super::answer::Exchange;
use super::attempt::Target;
use super::body::{Progress, RequestBody};
use super::error::ErrorReason;
use super::expect::Gate;
use super::grpc;
use super::headers::RequestId;
use super::identify::Identity;
use super::kept::KeptUpload;
use super::patience::Patience;
use super::replay::Wish;
use super::retry::{Tried, is_idempotent, next_permitted, next_target};
use super::saved::SavedRequest;
use super::ticket::Ticket;
use super::upgrade;
use super::view::View;
use crate::compression;
use crate::config::Deployment;
use crate::model::{EndpointSignal, SignalKind, limits};
use crate::routing::{Decision, Draws, RegionPosition, permits};

/// A request that has been decided.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) view: Rc<View>,
    pub(super) decision: Decision,
    pub(super) draws: Draws,
    pub(super) who: Identity,
    pub(super) method: Method,
    /// The decision in words, where the client may see it.
    pub(super) told: Option<String>,
    /// An HTTP/1.0 request that names no host.
    pub(super) hostless: bool,
    /// What the request wants its connection to become.
    pub(super) upgrade: Option<upgrade::Wish>,
    /// The time that a call of gRPC is given.
    pub(super) given: Option<Duration>,
    /// What it says about compression, where the deployment compresses at all.
    pub(super) compression: Option<Box<compression::Asked>>,
}

/// What else there is of a request that has a body.
#[derive(Debug, Default)]
pub(super) struct Replies {
    /// How far it has been sent.
    pub(super) progress: Option<Rc<Progress>>,
    /// What holds it back until the origin asks for it.
    pub(super) gate: Option<Gate>,
    /// What makes it once more.
    pub(super) upload: Option<KeptUpload>,
    /// Whether nobody has seen yet if it begins as it should.
    pub(super) unseen: bool,
    /// Whether it is to be kept, because the request may have to be sent again.
    pub(super) keeps: bool,
}

/// A decided request on its way.
#[derive(Debug)]
pub(super) struct Forward {
    pub(super) ticket: Ticket,
    pub(super) routed: Routed,
    pub(super) id: RequestId,
    /// The request itself, but for what an attempt has taken of it. Kept here instead of handed
    /// from one future to the next, each of which would have room for it.
    pub(super) request: Request<RequestBody>,
    pub(super) replies: Replies,
    saved: Option<SavedRequest>,
    /// Whether it may be sent again although an origin may have received it.
    repeatable: bool,
    pub(super) patience: Patience,
    pub(super) tried: Tried,
    /// There was no descriptor for a connection.
    pub(super) short: bool,
    /// The region that answered.
    pub(super) answered: Option<RegionPosition>,
}

/// What an endpoint has answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) exchange: Exchange,
}

/// What came of all attempts.
pub(super) type Outcome = Result<Answer, ErrorReason>;

impl Answer {
    /// Nobody is given it. Its connection serves again if both messages have come to their end.
    pub(super) fn abandon(self) {
        self.exchange.abandon(&self.response);
    }
}

impl Forward {
    pub(super) fn new(
        ticket: Ticket,
        routed: Routed,
        id: RequestId,
        request: Request<RequestBody>,
        replies: Replies,
    ) -> Box<Self> {
        let plan = &routed.view.snapshot.table.plan;
        let settings = plan.deployment(routed.decision.deployment).map(|plan| &*plan.settings);
        let call = ticket.grpc().then_some(routed.given);
        let patience = Patience::of(settings, call, ticket.started());
        let tried = Tried::default();
        // Boxed, because it would be copied from one future to the next otherwise.
        Box::new(Self {
            ticket,
            routed,
            id,
            request,
            replies,
            saved: None,
            repeatable: false,
            patience,
            tried,
            short: false,
            answered: None,
        })
    }

    /// Attempts until there is an answer that is meant for the client, or nothing is left to try.
    pub(super) async fn run(&mut self) -> Outcome {
        if self.replies.unseen {
            // Boxed, so that the many requests that need none have no room for it.
            Box::pin(self.receive()).await?;
        }
        let terms = self.routed.view.terms(self.routed.decision.deployment);
        let replays = terms.is_some_and(|terms| terms.replays);
        let has_no_body = self.replies.progress.is_none();
        let sends_again = has_no_body && self.retries() > 0;
        self.repeatable = sends_again && is_idempotent(self.request.method());
        if sends_again || self.replies.upload.is_some() || replays {
            self.saved = Some(SavedRequest::of(&self.request));
        }
        let answer = self.attempts().await?;
        if !replays {
            return Ok(answer);
        }
        let wish = Wish::of(answer.response.headers());
        if wish == Wish::None {
            return Ok(answer);
        }
        self.replay(wish, answer)?;
        let answer = Box::pin(self.attempts()).await?;
        match Wish::of(answer.response.headers()) {
            Wish::None => Ok(answer),
            _ => Err(ErrorReason::ReplayLoop),
        }
    }

    /// Attempts until there is a response, or nothing is left to try.
    async fn attempts(&mut self) -> Outcome {
        self.count_decision();
        let mut last = ErrorReason::Unreachable;
        // What an endpoint has declined with, in case there is no other one. Boxed, so that the many
        // requests that have none have no room for it.
        let mut declined: Option<Box<Answer>> = None;
        while let Some(target) = self.target(&mut last) {
            if let Some(answer) = declined.take() {
                answer.abandon();
            }
            self.ticket.count_in(&target.series);
            self.note_attempt(&target);
            match self.attempt(&target).await {
                Ok(answer) => {
                    self.answered = Some(target.region);
                    if !self.is_declined(&answer.response) || !self.may_go_on() || !self.restart() {
                        return Ok(answer);
                    }
                    declined = Some(Box::new(answer));
                    self.ticket.note(|entry| entry.attempt_ended("declined", None));
                }
                Err(failed) => {
                    self.note_failure(&failed);
                    last = failed.reason;
                    self.ticket.trace.failed(last.as_str());
                    if let Some(kind) = failed.signal {
                        self.blame(&target, kind);
                    }
                    let again =
                        self.may_go_on() && (failed.unsent || self.repeat(failed.untouched));
                    if !again {
                        break;
                    }
                }
            }
            self.look_again()?;
        }
        declined.map(|answer| *answer).ok_or_else(|| match self.is_over(Instant::now()) {
            true => ErrorReason::UpstreamTimeout,
            false => last,
        })
    }

    /// Whether the response to a call says in its head that nobody has worked on it, by a code that
    /// the deployment takes for that.
    fn is_declined(&self, response: &Response<Incoming>) -> bool {
        self.ticket.grpc()
            && response.body().is_end_stream()
            && grpc::status(response.headers()).is_some_and(|code| {
                let settings = self.settings();
                settings.is_some_and(|settings| settings.retries.grpc_statuses.contains(code))
            })
    }

    /// Whether there may be another attempt.
    fn may_go_on(&self) -> bool {
        self.tried.count() <= self.retries() && self.in_time()
    }

    /// Makes the request anew if it may be sent twice; one that no origin has worked on may in any
    /// case.
    pub(super) fn repeat(&mut self, untouched: bool) -> bool {
        (untouched || self.repeatable) && self.restart()
    }

    /// Makes the request anew from what was kept of it. False if not all of it is still there.
    pub(super) fn restart(&mut self) -> bool {
        let Some(saved) = &self.saved else { return false };
        let body = match &self.replies {
            Replies { upload: Some(upload), .. } => upload.send(Instant::now()),
            Replies { progress: Some(_), .. } => None,
            Replies { progress: None, .. } => Some(RequestBody::Empty),
        };
        let Some(body) = body else { return false };
        self.request = saved.restore(body);
        true
    }

    fn retries(&self) -> u32 {
        self.settings().map_or(0, |settings| settings.retries.attempts)
    }

    pub(super) fn settings(&self) -> Option<&Arc<Deployment>> {
        let plan = &self.routed.view.snapshot.table.plan;
        Some(&plan.deployment(self.routed.decision.deployment)?.settings)
    }

    fn count_decision(&self) {
        let Routed { view, decision, .. } = &self.routed;
        let worker = &self.ticket.connection().worker;
        let series = view.series(worker, decision.deployment, decision.order.first().copied());
        if let Some(counter) = series.decisions.get(decision.reason as usize) {
            counter.increment();
        }
        self.ticket.trace.note_decision(&view.snapshot.table, Ok(decision));
        if decision.reported {
            series.residency_reported.increment();
        }
        self.note_decision();
    }

    /// The next endpoint, marked as tried. `last` is what there is to say if there is none.
    fn target(&mut self, last: &mut ErrorReason) -> Option<Target> {
        let terms = self.routed.view.terms(self.routed.decision.deployment);
        let (position, index) = match terms.is_some_and(|terms| terms.guarded) {
            true => self.guarded(last)?,
            false => self.unguarded()?,
        };
        let Routed { view, decision, .. } = &self.routed;
        let table = &view.snapshot.table;
        let region = table.plan.deployment(decision.deployment)?.region(position)?;
        let endpoint = Rc::clone(view.endpoint(region.endpoints.get(index)?.id)?);
        let worker = &self.ticket.connection().worker;
        let series = Rc::clone(view.series(worker, decision.deployment, Some(position)));
        if self.tried.count() > 0 {
            series.retries.increment();
        }
        self.tried.push(endpoint.id());
        Some(Target { region: position, endpoint, series })
    }

    fn unguarded(&self) -> Option<(RegionPosition, usize)> {
        let Routed { view, decision, draws, .. } = &self.routed;
        let load = |id| view.outstanding(id);
        next_target(&view.snapshot.table, decision, &self.tried, draws.entropy, load)
    }

    /// The same, with the law asked once more.
    fn guarded(&mut self, last: &mut ErrorReason) -> Option<(RegionPosition, usize)> {
        let Routed { view, decision, draws, .. } = &self.routed;
        let table = &view.snapshot.table;
        let deployment = table.plan.deployment(decision.deployment)?;
        let worker = &self.ticket.connection().worker;
        let mut decision = decision.clone();
        let target = self.with_facts(|facts| {
            let load = |id| view.outstanding(id);
            next_permitted(table, &mut decision, &self.tried, draws.entropy, load, |position| {
                let permitted = permits(deployment, facts, position);
                if !permitted {
                    worker.series.residency_violations.increment();
                    *last = ErrorReason::ResidencyUnavailable;
                }
                permitted
            })
        });
        self.routed.decision = decision;
        target
    }

    fn in_time(&self) -> bool {
        let most = self.settings().map_or(limits::REQUEST_TIMEOUT, |s| s.timeouts.request);
        let now = Instant::now();
        now.saturating_duration_since(self.ticket.started()) < most && !self.is_over(now)
    }

    /// Whether the time that a call was given is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.patience.deadline().is_some_and(|deadline| deadline <= now)
    }

    fn blame(&self, target: &Target, kind: SignalKind) {
        target.count(kind);
        self.signal(target, kind, target.endpoint.failed());
    }

    /// Looks whether a response says that its server has failed. One does not mean much: a request may
    /// be the only one that makes it fail.
    pub(super) fn judge(&self, target: &Target, response: &Response<Incoming>) {
        let failed = response.status().is_server_error()
            || self.ticket.grpc()
                && response.body().is_end_stream()
                && grpc::status(response.headers()).is_some_and(grpc::is_server_error);
        let errors = target.endpoint.answered(failed);
        if failed {
            target.count(SignalKind::ServerError);
            if errors.is_multiple_of(limits::ERROR_SIGNALS) {
                self.signal(target, SignalKind::ServerError, errors);
            }
        }
    }

    fn signal(&self, target: &Target, kind: SignalKind, consecutive: u32) {
        let endpoint = target.endpoint.id();
        self.ticket.connection().worker.signal(EndpointSignal { endpoint, kind, consecutive });
    }
}
