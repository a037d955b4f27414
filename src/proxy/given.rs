//! What a client is given to keep: the token of the region that it stays at, and of the region that
//! it wrote to.
//!
//! Decided after the answer, because it is the region that answered that counts. How a token is
//! read again is `said`.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::cookies;
use super::said::Said;
use super::tenant::only;
use crate::config::{AffinityMode, Deployment, OnFailure, TokenCarrier};
use crate::routing::{Decision, Reason};
use crate::tokens::{Claim, Keyring, Purpose};

/// What there is to know of an exchange that has an answer.
pub(super) struct Answered<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) keys: &'a Keyring,
    pub(super) said: Option<&'a Said>,
    pub(super) decision: &'a Decision,
    /// The region that answered.
    pub(super) region: &'a str,
    pub(super) method: &'a Method,
    pub(super) status: StatusCode,
    pub(super) now: u64,
}

impl Answered<'_> {
    /// Adds the tokens that the client does not have yet.
    pub(super) fn give(&self, headers: &mut HeaderMap) {
        if let AffinityMode::Token(carrier) = &self.deployment.affinity.mode
            && self.moves_client()
        {
            let lifetime = self.deployment.affinity.lifetime.map(|lifetime| lifetime.as_secs());
            self.hand(headers, carrier, Purpose::Affinity, lifetime);
        }
        if let Some(sticky) = self.deployment.writes.sticky {
            self.remember_write(headers, sticky.as_secs().max(1));
        }
    }

    /// Whether the client is to stay at the region that answered from now on.
    fn moves_client(&self) -> bool {
        if !is_at_home(self.decision.reason) {
            return false;
        }
        let Some((region, issued)) = self.said.and_then(|said| said.affinity.as_ref()) else {
            return true;
        };
        let affinity = &self.deployment.affinity;
        if !self.decision.keeps_token {
            return true;
        }
        if region.as_str() != self.region {
            // It failed while it was tried; the next decision will know.
            return affinity.on_failure == OnFailure::Sticky;
        }
        let age = self.now.saturating_sub(*issued);
        affinity.lifetime.is_some_and(|lifetime| age >= lifetime.as_secs().div_ceil(2))
    }

    /// A write ties the client's reads to its region, until the origin says that it has caught up.
    fn remember_write(&self, headers: &mut HeaderMap, seconds: u64) {
        let writes = &self.deployment.writes;
        let caught_up =
            writes.caught_up_header.as_ref().is_some_and(|name| says_yes(headers, name));
        let wrote = self.status.is_success() || self.status.is_redirection();
        if caught_up {
            if self.said.is_some_and(|said| said.written.is_some()) {
                take_back(headers, &writes.carrier);
            }
        } else if wrote && !self.method.is_safe() {
            self.hand(headers, &writes.carrier, Purpose::Written, Some(seconds));
        }
    }

    fn hand(
        &self,
        headers: &mut HeaderMap,
        carrier: &TokenCarrier,
        purpose: Purpose,
        lifetime: Option<u64>,
    ) {
        let claim = Claim {
            purpose,
            deployment: self.deployment.name.as_str(),
            subject: self.region,
            issued: self.now,
            expires: lifetime.map(|seconds| self.now.saturating_add(seconds)),
        };
        let Some(token) = self.keys.sign(&claim) else { return };
        match carrier {
            TokenCarrier::Cookie(name) => cookies::set(headers, name, &token, lifetime),
            TokenCarrier::Header(name) => {
                if let Ok(value) = HeaderValue::try_from(token) {
                    headers.insert(name, value);
                }
            }
        }
    }
}

/// Whether a region that came first for that reason is one to stay at. One that takes the client's
/// writes, or was asked for just this once, is not.
fn is_at_home(reason: Reason) -> bool {
    !matches!(
        reason,
        Reason::Write
            | Reason::ReadYourWrites
            | Reason::Forced
            | Reason::Replay
            | Reason::Preferred
            | Reason::LastResort
    )
}

fn says_yes(headers: &HeaderMap, name: &HeaderName) -> bool {
    let value = only(headers, name).map(|value| value.as_bytes().trim_ascii());
    value.is_some_and(|value| value == b"1" || value.eq_ignore_ascii_case(b"true"))
}

/// An empty token is none.
fn take_back(headers: &mut HeaderMap, carrier: &TokenCarrier) {
    match carrier {
        TokenCarrier::Cookie(name) => cookies::set(headers, name, "", Some(0)),
        TokenCarrier::Header(name) => {
            headers.insert(name, HeaderValue::from_static(""));
        }
    }
}
