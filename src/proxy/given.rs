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
    /// Whether the client came over TLS.
    pub(super) secure: bool,
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
            // A part of a second counts whole: what a token says is in seconds.
            let seconds = sticky.as_secs() + u64::from(sticky.subsec_nanos() > 0);
            self.remember_write(headers, seconds);
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
                take_back(headers, &writes.carrier, self.secure);
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
            TokenCarrier::Cookie(name) => {
                cookies::set(headers, name, &token, lifetime, self.secure);
            }
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
fn take_back(headers: &mut HeaderMap, carrier: &TokenCarrier, secure: bool) {
    match carrier {
        TokenCarrier::Cookie(name) => cookies::set(headers, name, "", Some(0), secure),
        TokenCarrier::Header(name) => {
            headers.insert(name, HeaderValue::from_static(""));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::said::name;
    use super::*;
    use crate::config::SigningKey;
    use crate::routing::DeploymentIndex;

    const NOW: u64 = 10_000;

    struct Case {
        reason: Reason,
        keeps_token: bool,
        on_failure: OnFailure,
        token: Option<(&'static str, u64)>,
        lifetime: Option<u64>,
    }

    const SITS: Case = Case {
        reason: Reason::Affinity,
        keeps_token: true,
        on_failure: OnFailure::Temporary,
        token: Some(("eu", NOW)),
        lifetime: None,
    };

    fn keys() -> Keyring {
        Keyring::new(&[SigningKey { id: "k".into(), secret: [7; 32].as_slice().into() }])
    }

    fn deployment() -> Deployment {
        let text = r#"
            listeners: [{ address: "127.0.0.1:0" }]
            regions:
              - { id: eu, latitude: 0, longitude: 0, country: US, endpoints: ["http://1.1.1.1:1"] }
            deployments: [{ name: api, primary_region: eu }]
        "#;
        let loaded = crate::config::parse(text, "test.yaml", "".as_ref(), &|_| None).unwrap();
        Deployment::clone(&loaded.config.deployments[0])
    }

    fn give(
        deployment: &Deployment,
        said: Option<&Said>,
        decision: &Decision,
        (method, status): (&Method, u16),
        headers: &mut HeaderMap,
    ) {
        let (keys, region) = (keys(), "eu");
        let status = StatusCode::from_u16(status).unwrap();
        let (keys, secure, now) = (&keys, true, NOW);
        Answered { deployment, keys, said, decision, region, method, status, secure, now }
            .give(headers);
    }

    fn decision(reason: Reason, keeps_token: bool) -> Decision {
        Decision {
            deployment: DeploymentIndex(0),
            order: arrayvec::ArrayVec::new(),
            reason,
            rule: None,
            ignoring_health: false,
            keeps_token,
            reported: false,
        }
    }

    /// Whether `eu`, which answers, becomes the client's region.
    fn moves(case: &Case) -> bool {
        let header = HeaderName::from_static("x-stay");
        let mut deployment = deployment();
        deployment.affinity.mode = AffinityMode::Token(TokenCarrier::Header(header.clone()));
        deployment.affinity.on_failure = case.on_failure;
        deployment.affinity.lifetime = case.lifetime.map(Duration::from_secs);
        let affinity = case.token.map(|(region, issued)| (name(region).unwrap(), issued));
        let said = Said { affinity, ..Said::default() };
        let decision = decision(case.reason, case.keeps_token);
        let mut headers = HeaderMap::new();
        give(&deployment, Some(&said), &decision, (&Method::GET, 500), &mut headers);
        let given = headers
            .get(header)
            .map(|token| keys().open(token.as_bytes(), Purpose::Affinity, "api", NOW).unwrap());
        given.inspect(|token| assert_eq!((token.subject(), token.issued), ("eu", NOW))).is_some()
    }

    #[test]
    fn a_client_is_given_a_token_when_it_has_none_or_the_wrong_one() {
        use OnFailure::{None as Refuse, Sticky, Temporary};
        let first = Case { keeps_token: false, token: None, ..SITS };
        assert!(moves(&Case { reason: Reason::RoundRobin, ..first }));
        for reason in Reason::ALL.into_iter().filter(|reason| !is_at_home(*reason)) {
            assert!(!moves(&Case { reason, ..first }), "{reason:?}");
        }
        assert!(!moves(&SITS));
        // Decided elsewhere: the region is gone, or is down and the deployment says to move.
        assert!(moves(&Case { keeps_token: false, token: Some(("us", NOW)), ..SITS }));
        // Answered elsewhere, because the region failed while it was tried.
        for (on_failure, expected) in [(Refuse, false), (Temporary, false), (Sticky, true)] {
            let case = Case { token: Some(("us", NOW)), on_failure, ..SITS };
            assert_eq!(moves(&case), expected, "{on_failure:?}");
        }
    }

    #[test]
    fn a_token_is_renewed_after_half_of_its_life() {
        for (lifetime, age, expected) in [
            (None, 9_999, false),
            (Some(100), 49, false),
            (Some(100), 50, true),
            (Some(101), 50, false),
            (Some(101), 51, true),
        ] {
            let token = Some(("eu", NOW - age));
            assert_eq!(moves(&Case { token, lifetime, ..SITS }), expected, "{lifetime:?} {age}");
        }
    }

    #[test]
    fn a_write_that_went_well_is_remembered_for_as_long_as_reads_are_to_follow() {
        let (carrier, caught_up) = (HeaderName::from_static("x-wrote"), "x-caught-up");
        let mut deployment = deployment();
        deployment.writes.sticky = Some(Duration::from_millis(1_500));
        deployment.writes.carrier = TokenCarrier::Header(carrier.clone());
        deployment.writes.caught_up_header = Some(HeaderName::from_static(caught_up));
        let wrote = Said { written: name("eu"), ..Said::default() };
        let decision = decision(Reason::Write, false);
        for (method, status, says, said, expected) in [
            ("POST", 200, None, None, Some("eu")),
            ("DELETE", 204, None, None, Some("eu")),
            ("LOCK", 303, None, None, Some("eu")),
            ("POST", 400, None, None, None),
            ("POST", 500, None, None, None),
            ("GET", 200, None, None, None),
            ("OPTIONS", 200, None, Some(&wrote), None),
            ("POST", 200, Some("0"), Some(&wrote), Some("eu")),
            ("POST", 200, Some("1"), None, None),
            ("POST", 200, Some("TRUE"), Some(&wrote), Some("")),
            ("GET", 500, Some("1"), Some(&wrote), Some("")),
            ("GET", 200, Some("yes"), Some(&wrote), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(says) = says {
                headers.insert(caught_up, says.parse().unwrap());
            }
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            give(&deployment, said, &decision, (&method, status), &mut headers);
            let given = headers.get(&carrier).map(|token| match token.is_empty() {
                true => String::new(),
                false => {
                    let token =
                        keys().open(token.as_bytes(), Purpose::Written, "api", NOW).unwrap();
                    assert_eq!(token.expires, Some(NOW + 2));
                    token.subject().to_owned()
                }
            });
            assert_eq!(given.as_deref(), expected, "{method} {status} {says:?}");
        }
    }
}
