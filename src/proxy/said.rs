//! What a request says of its region, as far as it is believed: tokens that Rhumb has signed, hints,
//! its class.
//!
//! What is not believed is as if it had not been said; a token that is not is counted. What follows
//! from the words is `routing`'s business, and giving tokens is `given`'s.

use arrayvec::ArrayString;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::cookies;
use super::headers::{X_RHUMB_EXPLAIN, X_RHUMB_FORCE_REGION, X_RHUMB_PREFER_REGION};
use super::tenant::only;
use crate::config::{AffinityMode, Deployment, HintSource, TokenCarrier};
use crate::model::TokenRefusal;
use crate::model::limits::NAME_LENGTH;
use crate::routing::{Forced, Words};
use crate::tokens::{Keyring, Opened, Purpose};

/// Cookies of one name that are looked at. Rhumb sets one; further ones are somebody else's.
const CANDIDATES: usize = 4;

/// A region's id.
pub(super) type RegionName = ArrayString<NAME_LENGTH>;

/// What a request says, believed.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// The region that an origin asks for.
    pub(super) replay: Option<RegionName>,
    pub(super) force: Option<RegionName>,
    pub(super) prefer: Option<RegionName>,
    /// The region of the affinity token, and when that was made.
    pub(super) affinity: Option<(RegionName, u64)>,
    pub(super) written: Option<RegionName>,
    pub(super) class: Option<HeaderValue>,
    /// Whether the decision may be told.
    pub(super) explain: bool,
}

/// In what circumstances a request is listened to.
pub(super) struct Hearing<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) keys: &'a Keyring,
    /// Whether the peer is one whose word counts.
    pub(super) trusted: bool,
    pub(super) now: u64,
    /// Hears of every token that is not believed.
    pub(super) refused: &'a dyn Fn(TokenRefusal),
}

impl Said {
    /// Whether nothing was said.
    fn is_nothing(&self) -> bool {
        let Self { replay, force, prefer, affinity, written, class, explain } = self;
        replay.is_none()
            && force.is_none()
            && prefer.is_none()
            && affinity.is_none()
            && written.is_none()
            && class.is_none()
            && !explain
    }

    pub(super) fn words(&self) -> Words<'_> {
        let forced = |region, replay| Forced { region, replay };
        let replay = self.replay.as_ref().map(|region| forced(region.as_str(), true));
        Words {
            force: replay.or_else(|| Some(forced(self.force.as_ref()?.as_str(), false))),
            prefer: self.prefer.as_deref(),
            affinity: self.affinity.as_ref().map(|(region, _)| region.as_str()),
            written: self.written.as_deref(),
            class: self.class.as_ref().map(HeaderValue::as_bytes),
        }
    }
}

impl Hearing<'_> {
    /// What the request says; `None`: nothing that counts.
    pub(super) fn listen(&self, headers: &HeaderMap) -> Option<Box<Said>> {
        let Deployment { affinity, writes, hints, .. } = self.deployment;
        let mut said = Said::default();
        if let AffinityMode::Token(carrier) = &affinity.mode {
            let token = self.carried(headers, carrier, Purpose::Affinity);
            said.affinity = token.and_then(|token| Some((name(token.subject())?, token.issued)));
        }
        if writes.sticky.is_some() {
            let token = self.carried(headers, &writes.carrier, Purpose::Written);
            said.written = token.and_then(|token| name(token.subject()));
        }
        if hints.prefer {
            said.prefer = self.hint(headers, &X_RHUMB_PREFER_REGION, Purpose::Prefer);
        }
        if hints.force {
            said.force = self.hint(headers, &X_RHUMB_FORCE_REGION, Purpose::Force);
        }
        if let Some(priorities) = &self.deployment.priorities
            && (self.trusted || priorities.from_anyone)
        {
            said.class = only(headers, &priorities.header).cloned();
        }
        if let Some(token) = only(headers, &X_RHUMB_EXPLAIN) {
            said.explain = self.open(token.as_bytes(), Purpose::Explain).is_some();
        }
        (!said.is_nothing()).then(|| Box::new(said))
    }

    fn carried(
        &self,
        headers: &HeaderMap,
        carrier: &TokenCarrier,
        purpose: Purpose,
    ) -> Option<Opened> {
        match carrier {
            TokenCarrier::Cookie(cookie) => cookies::find(headers, cookie)
                .take(CANDIDATES)
                .find_map(|(_, _, token)| self.open(token, purpose)),
            TokenCarrier::Header(field) => self.open(only(headers, field)?.as_bytes(), purpose),
        }
    }

    /// A region's id is short, and no token is: the length tells which it is.
    fn hint(
        &self,
        headers: &HeaderMap,
        field: &HeaderName,
        purpose: Purpose,
    ) -> Option<RegionName> {
        let value = only(headers, field)?.as_bytes().trim_ascii();
        let (plain, signed) = match self.deployment.hints.from {
            HintSource::Trusted => (self.trusted, false),
            HintSource::Signed => (false, true),
            HintSource::TrustedOrSigned => (self.trusted, true),
        };
        if value.len() > NAME_LENGTH {
            return signed
                .then(|| self.open(value, purpose))
                .flatten()
                .and_then(|t| name(t.subject()));
        }
        plain.then(|| name(std::str::from_utf8(value).ok()?)).flatten()
    }

    fn open(&self, token: &[u8], purpose: Purpose) -> Option<Opened> {
        if token.is_empty() {
            // Taken back, or never there.
            return None;
        }
        let deployment = self.deployment.name.as_str();
        let opened = self.keys.open(token, purpose, deployment, self.now);
        opened.inspect_err(|why| (self.refused)(*why)).ok()
    }
}

/// A text that may be a region's id.
pub(super) fn name(text: &str) -> Option<RegionName> {
    RegionName::from(text).ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Priorities;

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

    fn listen(deployment: &Deployment, trusted: bool, fields: &[(&'static str, &str)]) -> Said {
        let fields = fields.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        let keys = Keyring::default();
        let refused = |_: TokenRefusal| {};
        let hearing = Hearing { deployment, keys: &keys, trusted, now: 0, refused: &refused };
        hearing.listen(&fields.collect()).map(|said| *said).unwrap_or_default()
    }

    #[test]
    fn a_class_counts_from_trusted_peers_or_from_anyone() {
        let mut deployment = deployment();
        let batch = [("x-class", "batch")];
        assert_eq!(listen(&deployment, true, &batch).words().class, None);
        deployment.priorities = Some(Priorities {
            header: HeaderName::from_static("x-class"),
            from_anyone: false,
            classes: vec![("batch".into(), 50)],
            default_percent: 100,
        });
        assert_eq!(listen(&deployment, true, &batch).words().class, Some(&b"batch"[..]));
        assert_eq!(listen(&deployment, false, &batch).words().class, None);
        let twice = [("x-class", "batch"), ("x-class", "batch")];
        assert_eq!(listen(&deployment, true, &twice).words().class, None);
        if let Some(priorities) = &mut deployment.priorities {
            priorities.from_anyone = true;
        }
        assert_eq!(listen(&deployment, false, &batch).words().class, Some(&b"batch"[..]));
    }

    #[test]
    fn a_hint_is_an_id_or_a_token_by_its_length() {
        let mut deployment = deployment();
        deployment.hints.force = true;
        let force = |value: &str| {
            let said = listen(&deployment, true, &[("x-rhumb-force-region", value)]);
            said.words().force.map(|forced| forced.region.to_owned())
        };
        assert_eq!(force("eu").as_deref(), Some("eu"));
        assert_eq!(force(" eu ").as_deref(), Some("eu"));
        assert_eq!(force(""), None);
        let longest = "x".repeat(NAME_LENGTH);
        assert_eq!(force(&longest), Some(longest.clone()));
        assert_eq!(force(&format!("{longest}x")), None);
        // No token is as short as a name.
        let shortest = Keyring::new(&[crate::config::SigningKey {
            id: "k".into(),
            secret: [0; 32].as_slice().into(),
        }])
        .sign(&crate::tokens::Claim {
            purpose: Purpose::Force,
            deployment: "d",
            subject: "r",
            issued: 0,
            expires: None,
        });
        assert!(shortest.unwrap().len() > NAME_LENGTH);
    }

    #[test]
    fn a_replay_goes_before_a_hint() {
        let mut said = Said { force: name("eu"), ..Said::default() };
        assert_eq!(said.words().force, Some(Forced { region: "eu", replay: false }));
        said.replay = name("us");
        assert_eq!(said.words().force, Some(Forced { region: "us", replay: true }));
    }
}
