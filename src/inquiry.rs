//! A request that is described instead of sent: what `rhumb explain` and `POST /api/v1/route`
//! take, and the way from it to an explanation.
//!
//! It passes the same screen, the same identification and the same decision as live traffic; only
//! forwarding is missing.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Method, Request, Uri, request::Parts};
use serde::Deserialize;

use crate::geo;
use crate::proxy::{ErrorReason, Present, screen};
use crate::routing::{Conditions, Draws, Explanation, Facts, Words, explain};
use crate::snapshot::Snapshot;

/// A described request, as JSON: `{"method","host","path","headers":{},"peer","entropy","turn"}`.
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
}

impl Inquiry {
    /// Explains what would become of the request.
    ///
    /// # Errors
    ///
    /// When it is no request, or one that would not be decided at all.
    pub fn explain(&self, snapshot: &Snapshot) -> Result<Explanation, InquiryError> {
        let parts = self.parts()?;
        let host = screen::screen(&parts, &Present::of(&parts.headers), false)
            .map_err(InquiryError::Refused)?;
        let peer = self.peer.unwrap_or(IpAddr::from([127, 0, 0, 1])).to_canonical();
        let trust = &snapshot.trust;
        let client = geo::client(peer, &parts.headers, trust);
        let trusted = trust.trusts(peer);
        let location = geo::locate(&snapshot.geo, &client, trusted, &parts.headers, trust);
        let facts = Facts {
            method: &parts.method,
            host: &host,
            path: screen::path(&parts.uri),
            headers: &parts.headers,
            query: parts.uri.query().unwrap_or_default(),
            client,
            location,
            geoip_built: None,
            tenant: None,
            now: 0,
            words: Words::default(),
        };
        let entropy = self.entropy.unwrap_or(0);
        let draws = Draws { entropy, turn: self.turn.unwrap_or(0) };
        Ok(explain(&snapshot.table, &facts, &Conditions::NONE, draws))
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
