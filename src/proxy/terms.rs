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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{HeaderMatch, NamedMatch, TextMatch};

    fn trust() -> ClientTrust {
        let country_headers = vec![HeaderName::from_static("cf-ipcountry")];
        ClientTrust { trusted_proxies: Vec::new(), country_headers }
    }

    fn plain() -> Deployment {
        let text = r#"
            listeners: [{ address: "127.0.0.1:0" }]
            regions:
              - { id: eu, latitude: 0, longitude: 0, country: US, endpoints: ["http://1.1.1.1:1"] }
            deployments:
              - { name: api, primary_region: eu, routing_rules: [{ id: r, target_regions: [eu] }] }
        "#;
        let loaded = crate::config::parse(text, "test.yaml", "".as_ref(), &|_| None).unwrap();
        Deployment::clone(&loaded.config.deployments[0])
    }

    fn reading(names: &[&'static str]) -> Deployment {
        let mut deployment = plain();
        let names = names.iter().map(|name| HeaderName::from_static(name));
        let fields = names.map(|name| HeaderMatch { name, value: TextMatch::Present });
        deployment.rules[0].header_conditions = fields.collect();
        deployment
    }

    fn keep(deployment: &Deployment, headers: &HeaderMap, loses: bool) -> Option<Box<Kept>> {
        Terms::of(deployment, &trust()).keep(headers, || loses)
    }

    #[test]
    fn a_plain_deployment_asks_for_nothing() {
        let terms = Terms::of(&plain(), &trust());
        let asks = [terms.listens, terms.gives_tokens, terms.guarded, terms.replays];
        assert_eq!(asks, [false; 4]);
        assert!(terms.keep(&HeaderMap::new(), || panic!("nothing is read")).is_none());
    }

    #[test]
    fn only_what_is_read_and_will_not_be_sent_on_is_kept() {
        let headers = HeaderMap::new();
        for (names, loses, expected) in [
            (&["x-a"][..], false, false),
            (&["x-a"], true, true),
            (&["x-a", "via"], false, true),
            (&["x-forwarded-for"], false, true),
            (&["x-request-id"], false, true),
            (&["cf-ipcountry"], false, true),
            (&["te"], false, true),
            (&["cookie"], false, false),
        ] {
            let kept = keep(&reading(names), &headers, loses);
            assert_eq!(kept.is_some(), expected, "{names:?} {loses}");
        }
        let mut cookies = plain();
        let condition = NamedMatch { name: "a".into(), value: TextMatch::Present };
        cookies.rules[0].cookie_conditions = vec![condition];
        assert!(keep(&cookies, &headers, false).is_none());
        cookies.affinity.mode = AffinityMode::Token(TokenCarrier::Cookie("stay".into()));
        assert!(keep(&cookies, &headers, false).is_some());
        cookies.rules[0].enabled = false;
        assert!(keep(&cookies, &headers, false).is_none());
    }

    #[test]
    fn what_was_kept_is_as_it_came_whatever_was_done_since() {
        let field = |name: &'static str, value: &'static str| {
            (HeaderName::from_static(name), http::HeaderValue::from_static(value))
        };
        let came: HeaderMap =
            [field("x-a", "1"), field("x-a", "2"), field("x-other", "1")].into_iter().collect();
        let kept = keep(&reading(&["x-a", "via"]), &came, true).unwrap();
        let sent: HeaderMap =
            [field("via", "1.1 rhumb"), field("x-other", "2")].into_iter().collect();
        let seen = kept.over(&sent);
        assert_eq!(seen.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert!(!seen.contains_key("via"), "it had none");
        assert_eq!(seen["x-other"], "2");
    }

    #[test]
    fn tokens_are_between_the_proxy_and_the_client() {
        let mut deployment = plain();
        deployment.affinity.mode = AffinityMode::Token(TokenCarrier::Cookie("stay".into()));
        deployment.writes.sticky = Some(Duration::from_secs(1));
        deployment.writes.carrier = TokenCarrier::Header(HeaderName::from_static("x-wrote"));
        let terms = Terms::of(&deployment, &trust());
        assert!(terms.listens && terms.gives_tokens);
        let fields = [("cookie", "stay=1; a=2"), ("x-wrote", "1"), ("x-other", "1")];
        let fields = fields.map(|(name, value)| {
            (HeaderName::from_static(name), http::HeaderValue::from_static(value))
        });
        let mut headers: HeaderMap = fields.into_iter().collect();
        terms.withhold(&mut headers);
        assert_eq!(headers[COOKIE], "a=2");
        assert_eq!(headers.len(), 2);
        headers.insert("x-wrote", http::HeaderValue::from_static("forged"));
        terms.withdraw(&mut headers);
        assert!(!headers.contains_key("x-wrote"));
    }
}
