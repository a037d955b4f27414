//! Who asks, from where, on whose behalf and with which words: the facts of a request, for live
//! traffic and for requests that are only described.
//!
//! They are found once, and outlive the head they were read from: a retry or a replay is decided on
//! the same facts, whatever was taken off the request since.

use std::borrow::Cow;
use std::rc::Rc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};

use super::clock::since_epoch;
use super::connection::Connection;
use super::present::Present;
use super::said::{Hearing, Said, name};
use super::target::path;
use super::tenant::Tenant;
use super::terms::{Kept, Terms};
use super::view::View;
use crate::config::JwtSource;
use crate::geo;
use crate::model::{Client, Location, TokenRefusal};
use crate::routing::{DeploymentPlan, Facts, Words};
use crate::snapshot::Snapshot;

/// The parts of a request that a decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The host it is for, in lower case and without a port.
    pub host: &'a str,
    /// Its path.
    pub path: &'a str,
    /// Its query, without the `?`.
    pub query: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
}

impl<'a> Asked<'a> {
    /// Of a head whose host is known.
    pub fn of(parts: &'a Parts, host: &'a str) -> Self {
        Self {
            method: &parts.method,
            host,
            path: path(&parts.uri),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
        }
    }
}

/// Who asks, and what it says.
#[derive(Debug)]
pub struct Identity {
    client: Client,
    location: Location,
    /// When the database that knew was built, in Unix seconds.
    geoip_built: Option<u64>,
    now: u64,
    tenant: Tenant,
    pub(super) said: Option<Box<Said>>,
    kept: Option<Box<Kept>>,
}

/// Who asks, and from where.
pub(super) fn identify(
    headers: &HeaderMap,
    present: &Present,
    view: &View,
    connection: &Connection,
    trusted: bool,
    unix: u64,
) -> Identity {
    let trust = &view.snapshot.trust;
    let client = geo::client(connection.peer.address(), headers, trust);
    let vouched = trusted && trust.country_headers.iter().any(|name| present.may_have(name));
    let found = view.place(client.address);
    let location = geo::vouched(found.location, vouched, headers, trust);
    Identity::new(client, location, found.built, unix)
}

/// Words that are believed because an operator describes a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// The tenant.
    pub tenant: Option<&'a str>,
    /// Only this region.
    pub force: Option<&'a str>,
    /// Only this region, because an origin asked for it.
    pub replay: Option<&'a str>,
    /// Rather this region.
    pub prefer: Option<&'a str>,
    /// The region of the affinity token.
    pub affinity: Option<&'a str>,
    /// The region of the last write.
    pub written: Option<&'a str>,
}

impl Identity {
    /// A client of which nothing else is known yet; `now` in Unix seconds.
    pub fn new(client: Client, location: Location, geoip_built: Option<u64>, now: u64) -> Self {
        let tenant = Tenant::Unknown;
        Self { client, location, geoip_built, now, tenant, said: None, kept: None }
    }

    /// The moment, where nobody has looked at a clock.
    pub fn now() -> u64 {
        since_epoch().as_secs()
    }

    /// The client.
    pub(super) fn client(&self) -> Client {
        self.client
    }

    /// In Unix seconds.
    pub(super) fn moment(&self) -> u64 {
        self.now
    }

    /// The priority class that it says, believed.
    pub(super) fn class(&self) -> Option<&[u8]> {
        self.said.as_ref()?.class.as_ref().map(HeaderValue::as_bytes)
    }

    /// Whether it may see the decision.
    pub(super) fn may_see(&self) -> bool {
        self.said.as_ref().is_some_and(|said| said.explain)
    }

    /// Listens to a live request. `verify` tells what a JSON Web Token says.
    pub(super) fn hear(
        &mut self,
        hearing: &Hearing<'_>,
        asked: &Asked<'_>,
        verify: impl FnOnce(&[u8], &JwtSource) -> Option<Rc<str>>,
    ) {
        if let Some(source) = &hearing.deployment.tenant {
            self.tenant = Tenant::read(source, asked, verify);
        }
        self.said = hearing.listen(asked.headers);
    }

    /// Keeps what rules and policies read, if it will not be sent on.
    pub(super) fn keep(
        &mut self,
        terms: &Terms,
        headers: &HeaderMap,
        loses: impl FnOnce() -> bool,
    ) {
        self.kept = terms.keep(headers, loses);
    }

    /// Everything that a request says of itself in its deployment, for a request that is described:
    /// tokens are opened anew each time, and what is not believed is not counted.
    pub fn listen(
        &mut self,
        snapshot: &Snapshot,
        deployment: &DeploymentPlan,
        asked: &Asked<'_>,
        trusted: bool,
    ) {
        let now = self.now;
        let refused = |_: TokenRefusal| {};
        let hearing = Hearing {
            deployment: &deployment.settings,
            keys: &snapshot.keys.signing,
            trusted,
            now,
            refused: &refused,
        };
        self.hear(&hearing, asked, |token, source| {
            let claim = snapshot.keys.set(source)?.verify(token, source, now).ok()?;
            Some(claim.value.into())
        });
    }

    /// Takes an operator's word; an id that is longer than any region's is no word.
    pub fn believe(&mut self, given: &Given<'_>) {
        let Given { tenant, force, replay, prefer, affinity, written } = *given;
        if let Some(tenant) = tenant {
            self.tenant = Tenant::Given(tenant.into());
        }
        if force.or(replay).or(prefer).or(affinity).or(written).is_none() {
            return;
        }
        let said = self.said.get_or_insert_default();
        let now = self.now;
        said.force = force.and_then(name).or(said.force);
        said.replay = replay.and_then(name).or(said.replay);
        said.prefer = prefer.and_then(name).or(said.prefer);
        said.affinity = affinity.and_then(|id| Some((name(id)?, now))).or(said.affinity);
        said.written = written.and_then(name).or(said.written);
    }

    /// The headers that rules and policies read, as they came.
    pub(super) fn headers<'a>(&self, headers: &'a HeaderMap) -> Cow<'a, HeaderMap> {
        match &self.kept {
            None => Cow::Borrowed(headers),
            Some(kept) => Cow::Owned(kept.over(headers)),
        }
    }

    /// What is known of the request.
    pub fn facts<'a>(&'a self, asked: &Asked<'a>) -> Facts<'a> {
        let Asked { method, host, path, query, headers } = *asked;
        Facts {
            method,
            host,
            path,
            query,
            headers,
            client: self.client,
            location: self.location,
            geoip_built: self.geoip_built,
            tenant: self.tenant.text(host, path),
            now: self.now,
            words: self.said.as_ref().map_or(Words::default(), |said| said.words()),
        }
    }
}
