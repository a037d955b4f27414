//! What the access log is told of a request, where the request is: from the words of this module to
//! notes. Each of these costs one comparison where nothing is logged.
//!
//! What a line looks like is `access_log`'s business.

use std::rc::Rc;
use std::time::Duration;

use http::request::Parts;

use super::attempt::{Failed, Target};
use super::context::WorkerContext;
use super::error::ErrorReason;
use super::forward::Forward;
use super::headers::RequestId;
use super::identify::{Asked, Identity};
use super::peer::Peer;
use super::target::path;
use super::ticket::Ticket;
use super::view::View;
use crate::access_log::{Ending, Head};
use crate::routing::{self, Decision, Refusal};

impl Ticket {
    /// A head; its host is empty where it is not known.
    pub(super) fn note_head(&self, parts: &Parts, host: &str) {
        self.note(|entry| {
            entry.head(&Head {
                method: parts.method.as_str(),
                host,
                path: path(&parts.uri),
                query: parts.uri.query().unwrap_or_default(),
                version: parts.version,
                headers: &parts.headers,
            });
        });
    }

    /// Who asks, and which deployment answers.
    pub(super) fn note_identity(
        &self,
        view: &View,
        who: &Identity,
        asked: &Asked<'_>,
        outcome: &Result<Decision, Refusal>,
    ) {
        self.note(|entry| {
            let facts = who.facts(asked);
            if facts.client.address != self.connection().peer.address() {
                entry.client(facts.client.address);
            }
            entry.country(facts.location.country);
            if let Some(tenant) = facts.tenant {
                entry.tenant(tenant);
            }
            let table = &view.snapshot.table;
            let index = match outcome {
                Ok(decision) => Some(decision.deployment),
                Err(_) => routing::deployment(table, asked.host, asked.path),
            };
            if let Some(name) = index.and_then(|index| view.deployment_name(index)) {
                entry.deployment(Rc::clone(name));
            }
        });
    }

    /// Under which id all logs know it.
    pub(super) fn note_id(&self, id: &RequestId) {
        self.note(|entry| entry.id(id.as_bytes()));
    }
}

impl Forward {
    /// What was decided.
    pub(super) fn note_decision(&self) {
        self.ticket.note(|entry| {
            let (view, decision) = (&self.routed.view, &self.routed.decision);
            let table = &view.snapshot.table;
            let rule = decision
                .rule
                .and_then(|rule| table.plan.deployment(decision.deployment)?.rule(rule));
            let rule = rule.map(|rule| rule.id.as_str());
            entry.decided(decision.reason.as_str(), rule, table.generation);
        });
    }

    /// An attempt begins.
    pub(super) fn note_attempt(&self, target: &Target) {
        self.ticket.note(|entry| {
            let region = Rc::clone(target.series.region_name());
            entry.attempt(region, self.routed.view.endpoint_name(&target.endpoint));
        });
    }

    /// The head of its response has come, so long after its start.
    pub(super) fn note_answer(&self, took: Duration) {
        self.ticket.note(|entry| entry.attempt_ended("ok", Some(took)));
    }

    /// It brought no response, or none that counts.
    pub(super) fn note_failure(&self, failed: &Failed) {
        self.ticket.note(|entry| {
            let what = failed.signal.map_or(failed.reason.as_str(), |signal| signal.as_str());
            entry.attempt_ended(what, None);
        });
    }
}

impl WorkerContext {
    /// Counts and logs a request that was refused before it could be read.
    pub fn refused_unread(&self, reason: ErrorReason, peer: &Peer) {
        self.unrouted.requests.increment(reason.status());
        let view = self.view();
        let Some(sheet) = &view.log else { return };
        let mut entry = self.log.begin(sheet, self.unix_millis(std::time::Instant::now()));
        entry.get_mut().refused(reason.as_str());
        self.log.end(
            entry,
            &Ending {
                status: reason.status(),
                duration: Duration::ZERO,
                peer: peer.text.as_bytes(),
                secured: peer.secured(),
                entropy: 0,
            },
        );
    }
}
