//! A request that is described instead of sent: what `rhumb explain` and `POST /api/v1/route`
//! take, and the way from it to an explanation.
//!
//! It passes the same screen, the same identification and the same decision as live traffic; only
//! forwarding is missing. Beside its headers, which are believed as far as live traffic would believe
//! them, it may say outright whose it is and where it should go, and what is to be supposed of regions.

mod suppose;

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Method, Request, Uri, request::Parts};
use serde::Deserialize;

use crate::geo;
use crate::measure::Observed;
use crate::proxy::{Asked, ErrorReason, Given, Identity, Present, screen};
use crate::routing::{self, Draws, Explanation, Plan, ScenarioError, explain};
use crate::snapshot::Snapshot;

pub use suppose::Suppose;

/// A described request, as JSON: `{"method","host","path","headers":{},"peer","entropy","turn",
/// "now","tenant","prefer","force","replay","affinity","written","suppose":{}}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inquiry {
    /// Method; GET unless given.
    pub method: Option<String>,
    /// Host; a `host` among the headers does as well.
    pub host: Option<String>,
    /// Path and query; `/` unless given.
    pub path: Option<String>,
    /// Headers; a value, or a list of values for a header with several lines.
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderValues>,
    /// The other end of the connection; 127.0.0.1 unless given.
    pub peer: Option<IpAddr>,
    /// Makes random draws repeatable; 0 unless given.
    pub entropy: Option<u64>,
    /// Turn of the round robin; 0 unless given.
    pub turn: Option<u64>,
    /// The moment, in Unix seconds; now unless given.
    pub now: Option<u64>,
    /// Whose customer it is, whatever the request itself says.
    pub tenant: Option<String>,
    /// The region that it should rather go to, as a hint that is believed.
    pub prefer: Option<String>,
    /// The only region that will do, as a hint that is believed.
    pub force: Option<String>,
    /// The region that an origin asked for the request to be replayed in.
    pub replay: Option<String>,
    /// The region of a valid affinity token.
    pub affinity: Option<String>,
    /// The region of the client's last write, as a valid token names it.
    pub written: Option<String>,
    /// What is supposed of regions.
    #[serde(default)]
    pub suppose: Suppose,
}

/// One line of a header, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum HeaderValues {
    /// One.
    One(String),
    /// Several, in order.
    Several(Vec<String>),
}

/// A description that describes no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InquiryError {
    /// Not a method.
    #[error("{0:?} is no HTTP method")]
    Method(String),
    /// Not a path.
    #[error("{0:?} is no path; it starts with `/` and has no spaces")]
    Path(String),
    /// Not a header name.
    #[error("{0:?} is no header name")]
    HeaderName(String),
    /// Not a header value.
    #[error("the value of header {0} has characters that no header may have")]
    HeaderValue(String),
    /// Live traffic would refuse it before it was decided.
    #[error("live traffic would refuse this request: {} ({})", .0.title(), .0.as_str())]
    Refused(ErrorReason),
    /// Something is supposed of what does not exist.
    #[error(transparent)]
    Suppose(#[from] ScenarioError),
}

impl Inquiry {
    /// Explains what would become of the request. `observe` says what is known of regions when a
    /// client asks at a moment, in Unix seconds.
    ///
    /// # Errors
    ///
    /// When it is no request, or one that would not be decided at all.
    pub fn explain(
        &self,
        snapshot: &Snapshot,
        observe: impl FnOnce(&Plan, IpAddr, u64) -> Observed,
    ) -> Result<Explanation, InquiryError> {
        let mut parts = self.parts()?;
        let mut present = Present::of(&parts.headers);
        let host = screen::screen(&mut parts, &mut present, &snapshot.config, false)
            .map_err(InquiryError::Refused)?;
        let peer = self.peer.unwrap_or(IpAddr::from([127, 0, 0, 1])).to_canonical();
        let trust = &snapshot.trust;
        let client = geo::client(peer, &parts.headers, trust);
        let trusted = trust.trusts(peer);
        let found = snapshot.geo.find(client.address);
        let location = geo::vouched(found.location, trusted, &parts.headers, trust);
        let asked = Asked::of(&parts, &host);
        let now = self.now.unwrap_or_else(Identity::now);
        let mut who = Identity::new(client, location, found.built, now);
        let plan = &snapshot.table.plan;
        let index = routing::deployment(&snapshot.table, asked.host, asked.path);
        if let Some(deployment) = index.and_then(|index| plan.deployment(index)) {
            who.listen(snapshot, deployment, &asked, trusted);
        }
        who.believe(&self.given());
        let facts = who.facts(&asked);
        let entropy = self.entropy.unwrap_or(0);
        let draws = Draws { entropy, turn: self.turn.unwrap_or(0) };
        let mut observed = observe(plan, client.address, now);
        self.suppose.load(plan, &mut observed)?;
        let scenario = self.suppose.scenario();
        scenario.check(&[&snapshot.table])?;
        let supposed = (!scenario.is_empty()).then(|| scenario.applied(&snapshot.table));
        let table = supposed.as_ref().unwrap_or(&snapshot.table);
        Ok(explain(table, &facts, &observed.conditions(), draws))
    }

    fn given(&self) -> Given<'_> {
        Given {
            tenant: self.tenant.as_deref(),
            force: self.force.as_deref(),
            replay: self.replay.as_deref(),
            prefer: self.prefer.as_deref(),
            affinity: self.affinity.as_deref(),
            written: self.written.as_deref(),
        }
    }

    fn parts(&self) -> Result<Parts, InquiryError> {
        let mut parts = Request::new(()).into_parts().0;
        if let Some(method) = &self.method {
            parts.method = Method::from_bytes(method.as_bytes())
                .map_err(|_| InquiryError::Method(method.clone()))?;
        }
        if let Some(path) = &self.path {
            let wrong = || InquiryError::Path(path.clone());
            if !path.starts_with('/') && path != "*" {
                return Err(wrong());
            }
            parts.uri = path.parse::<Uri>().map_err(|_| wrong())?;
        }
        for (name, values) in &self.headers {
            let key = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| InquiryError::HeaderName(name.clone()))?;
            for value in values.lines() {
                parts.headers.append(key.clone(), header_value(name, value)?);
            }
        }
        let host = self.host.as_deref();
        if let Some(host) =
            host.or_else(|| (!parts.headers.contains_key("host")).then_some("localhost"))
        {
            parts.headers.insert(http::header::HOST, header_value("host", host)?);
        }
        Ok(parts)
    }
}

impl HeaderValues {
    /// Adds a line to what is known of a header.
    pub fn joined(known: Option<Self>, value: String) -> Self {
        match known {
            None => Self::One(value),
            Some(Self::One(first)) => Self::Several(vec![first, value]),
            Some(Self::Several(mut values)) => {
                values.push(value);
                Self::Several(values)
            }
        }
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, InquiryError> {
    HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| InquiryError::HeaderValue(name.to_owned()))
}
