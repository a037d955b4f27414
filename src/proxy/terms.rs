//! On what terms requests of one deployment are taken, worked out once per plan: so that what is
//! not asked for costs one look at a flag.

use std::sync::Arc;

use http::header::{
    COOKIE, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING,
    UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName};

use super::cookies;
use crate::config::{AffinityMode, ClientTrust, Deployment, TokenCarrier};

/// What a deployment asks of its requests.
#[derive(Debug)]
pub(super) struct Terms {
    /// Whether a request says anything of itself that counts: its tenant, a token, a hint, a class.
    pub(super) listens: bool,
    /// Whether clients are given tokens.
    pub(super) gives_tokens: bool,
    /// Whether residency policies have to be asked before every attempt.
    pub(super) guarded: bool,
    /// Whether origins may have requests replayed.
    pub(super) replays: bool,
    /// Cookies that are between Rhumb and the client.
    cookies: Vec<Arc<str>>,
    /// Fields that are between Rhumb and the client.
    fields: Vec<HeaderName>,
    /// Fields that rules and policies read.
    read: Box<[HeaderName]>,
    /// Whether one of those is changed before the request is sent on.
    fragile: bool,
}

impl Terms {
    pub(super) fn of(deployment: &Deployment, trust: &ClientTrust) -> Self {
        let affinity = match &deployment.affinity.mode {
            AffinityMode::Token(carrier) => Some(carrier),
            AffinityMode::None | AffinityMode::Client => None,
        };
        let written = deployment.writes.sticky.map(|_| &deployment.writes.carrier);
        let (mut cookies, mut fields) = (Vec::new(), Vec::new());
        for carrier in affinity.into_iter().chain(written) {
            match carrier {
                TokenCarrier::Cookie(name) => cookies.push(Arc::clone(name)),
                TokenCarrier::Header(name) => fields.push(name.clone()),
            }
        }
        let gives_tokens = affinity.is_some() || written.is_some();
        let hints = deployment.hints.prefer || deployment.hints.force;
        let read = read(deployment);
        let changed = |name: &HeaderName| {
            is_changed(name) || fields.contains(name) || trust.country_headers.contains(name)
        };
        Self {
            listens: gives_tokens
                || hints
                || deployment.tenant.is_some()
                || deployment.priorities.is_some(),
            gives_tokens,
            guarded: !deployment.residency.is_empty(),
            replays: !deployment.replay_regions.is_empty(),
            fragile: read
                .iter()
                .any(|name| changed(name) || *name == COOKIE && !cookies.is_empty()),
            cookies,
            fields,
            read,
        }
    }

    /// The fields that rules and policies read, as they came, if they will not all be sent on so.
    /// `loses` says that the request's `Connection` names fields.
    pub(super) fn keep(
        &self,
        headers: &HeaderMap,
        loses: impl FnOnce() -> bool,
    ) -> Option<Box<Kept>> {
        if self.read.is_empty() || !(self.fragile || loses()) {
            return None;
        }
        let mut fields = HeaderMap::with_capacity(self.read.len());
        for name in &self.read {
            for value in headers.get_all(name) {
                fields.append(name, value.clone());
            }
        }
        Some(Box::new(Kept { names: self.read.clone(), fields }))
    }

    /// Takes off a request what is only between Rhumb and the client.
    pub(super) fn withhold(&self, headers: &mut HeaderMap) {
        for name in &self.fields {
            headers.remove(name);
        }
        if !self.cookies.is_empty() {
            cookies::remove(headers, |name| self.is_own(name));
        }
    }

    /// Takes off a response what only Rhumb may tell the client.
    pub(super) fn withdraw(&self, headers: &mut HeaderMap) {
        for name in &self.fields {
            headers.remove(name);
        }
        if !self.cookies.is_empty() {
            cookies::remove_set(headers, |name| self.is_own(name));
        }
    }

    fn is_own(&self, name: &[u8]) -> bool {
        self.cookies.iter().any(|own| own.as_bytes() == name)
    }
}

/// Fields of a request as they came.
#[derive(Debug)]
pub(super) struct Kept {
    names: Box<[HeaderName]>,
    fields: HeaderMap,
}

impl Kept {
    /// These headers with those fields as they came.
    pub(super) fn over(&self, headers: &HeaderMap) -> HeaderMap {
        let mut headers = headers.clone();
        for name in &self.names {
            headers.remove(name);
            for value in self.fields.get_all(name) {
                headers.append(name, value.clone());
            }
        }
        headers
    }
}

fn read(deployment: &Deployment) -> Box<[HeaderName]> {
    let rules = || deployment.rules.iter().filter(|rule| rule.enabled);
    let of_rules = rules().flat_map(|rule| &rule.header_conditions);
    let of_policies = deployment.residency.iter().flat_map(|policy| &policy.applies_to.headers);
    let mut names: Vec<_> = of_rules.chain(of_policies).map(|field| field.name.clone()).collect();
    if rules().any(|rule| !rule.cookie_conditions.is_empty()) {
        names.push(COOKIE);
    }
    names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    names.into()
}

/// Whether Rhumb may take such a field off any request, or change it.
fn is_changed(name: &HeaderName) -> bool {
    const CHANGED: [HeaderName; 8] = [
        FORWARDED,
        HOST,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
        VIA,
    ];
    let text = name.as_str();
    CHANGED.contains(name)
        || text.starts_with("x-forwarded-")
        || text.starts_with("x-rhumb-")
        || matches!(
            text,
            "connection" | "keep-alive" | "proxy-connection" | "x-request-id" | "rhumb-hops"
        )
}
