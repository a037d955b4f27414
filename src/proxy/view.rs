//! A worker's own view of a snapshot: the snapshot together with this worker's pools and series, so
//! that a request goes from a decision to a connection without hashing a name.
//!
//! It is made anew when the snapshot has changed, by the first request that notices ([`super::context`]);
//! requests under way keep the one they hold.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;

use super::body::RequestBody;
use super::claims::Claims;
use super::context::WorkerContext;
use super::counted::{Counted, Series};
use super::places::Places;
use super::terms::Terms;
use crate::access_log::{Name, Sheet};
use crate::geo::Found;
use crate::measure::{Asked, Needs};
use crate::metrics::PairKey;
use crate::model::{DeploymentName, EndpointId};
use crate::routing::{Conditions, Decision, DeploymentIndex, RegionPosition};
use crate::shadow::{Desk, Trial};
use crate::snapshot::Snapshot;
use crate::upstream::{Endpoint, Route};

pub(super) type Upstream = Endpoint<RequestBody>;

/// A snapshot with this worker's own things beside it.
#[derive(Debug)]
pub(super) struct View {
    pub(super) snapshot: Arc<Snapshot>,
    version: u64,
    endpoints: Vec<Option<Rc<Upstream>>>,
    /// What the access log calls them.
    endpoint_names: Box<[OnceCell<Rc<Name>>]>,
    deployments: Vec<DeploymentView>,
    places: RefCell<Places>,
    /// On what terms requests are taken, by [`DeploymentIndex`].
    terms: Rc<[Terms]>,
    /// Tokens of others that were verified a moment ago.
    pub(super) claims: RefCell<Claims>,
    /// How requests are logged; `None`: they are not.
    pub(super) log: Option<Rc<Sheet>>,
    /// Where a candidate is tried.
    pub(super) shadow: Option<Desk>,
}

#[derive(Debug)]
struct DeploymentView {
    name: DeploymentName,
    /// The same for the access log.
    logged: OnceCell<Rc<Name>>,
    /// What its decisions have to be told of regions.
    needs: Needs,
    turn: Cell<u64>,
    /// Series by region position, and one more for requests that reached none.
    series: Vec<OnceCell<Series>>,
}

impl View {
    /// The view of a snapshot of this version; what is still true of the view before is kept.
    pub(super) fn new(
        snapshot: &Arc<Snapshot>,
        version: u64,
        worker: usize,
        before: Option<&Self>,
    ) -> Self {
        let plan = &snapshot.table.plan;
        let turns: HashMap<_, _> = before
            .into_iter()
            .flat_map(|before| &before.deployments)
            .map(|deployment| (deployment.name.clone(), deployment.turn.get()))
            .collect();
        // What was remembered is still true if the databases are the same.
        let places = before
            .filter(|before| Arc::ptr_eq(&before.snapshot.geo, &snapshot.geo))
            .map_or_else(Places::new, |before| before.places.replace(Places::new()));
        let same_plan = before.filter(|before| before.snapshot.table.plan.decides_like(plan));
        let terms = same_plan.map_or_else(
            || {
                let deployments = plan.deployments.iter();
                deployments.map(|d| Terms::of(&d.settings, &snapshot.trust)).collect()
            },
            |before| Rc::clone(&before.terms),
        );
        let claims = same_plan
            .filter(|before| Arc::ptr_eq(&before.snapshot.keys, &snapshot.keys))
            .map_or_else(Claims::new, |before| before.claims.replace(Claims::new()));
        let deployments = plan.deployments.iter().map(|deployment| DeploymentView {
            name: deployment.name.clone(),
            logged: OnceCell::new(),
            needs: Needs::of(deployment, &plan.measured),
            turn: Cell::new(turns.get(&deployment.name).copied().unwrap_or(0)),
            series: vec![OnceCell::new(); deployment.regions.len() + 1],
        });
        let endpoints = endpoints(snapshot, before);
        Self {
            deployments: deployments.collect(),
            endpoint_names: vec![OnceCell::new(); endpoints.len()].into(),
            endpoints,
            version,
            places: RefCell::new(places),
            terms,
            claims: RefCell::new(claims),
            log: Sheet::of(
                snapshot.config.access_log.as_ref(),
                before.and_then(|before| before.log.as_ref()),
            ),
            shadow: trial(snapshot).map(|trial| Desk::new(trial, worker)),
            snapshot: Arc::clone(snapshot),
        }
    }

    /// Of which version its snapshot is.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Where an address is, as the databases say, and when the one that knew was built.
    pub(super) fn place(&self, address: IpAddr) -> Found {
        self.places.borrow_mut().find(address, &self.snapshot.geo)
    }

    /// Calls `decide` with what is known of regions at this moment, as far as decisions of the
    /// deployment can depend on it. `now` and `unix`, in seconds, are the moment by two clocks.
    #[inline]
    pub(super) fn conditions<R>(
        &self,
        worker: &WorkerContext,
        deployment: DeploymentIndex,
        client: IpAddr,
        (now, unix): (Instant, u64),
        decide: impl FnOnce(&Conditions<'_>) -> R,
    ) -> R {
        match self.deployments.get(deployment.index()) {
            Some(DeploymentView { needs, name, .. }) if !needs.is_none() => {
                let (plan, deployment, needs) = (&self.snapshot.table.plan, name.as_str(), *needs);
                worker.observer.with(&Asked { plan, deployment, needs, client, now, unix }, decide)
            }
            _ => decide(&Conditions::NONE),
        }
    }

    /// Remembers where a client's network goes, for deployments that ask for it.
    #[inline]
    pub(super) fn remember(&self, worker: &WorkerContext, client: IpAddr, decision: &Decision) {
        let deployment = self.deployments.get(decision.deployment.index());
        let Some(deployment) = deployment.filter(|deployment| deployment.needs.incumbent) else {
            return;
        };
        let plan = self.snapshot.table.plan.deployment(decision.deployment);
        let first = decision.order.first();
        if let Some(region) = plan.zip(first).and_then(|(plan, first)| plan.region(*first)) {
            worker.observer.went_to(deployment.name.as_str(), client, region.number);
        }
    }

    /// On what terms a deployment takes requests.
    pub(super) fn terms(&self, deployment: DeploymentIndex) -> Option<&Terms> {
        self.terms.get(deployment.index())
    }

    /// This worker's side of an endpoint.
    pub(super) fn endpoint(&self, id: EndpointId) -> Option<&Rc<Upstream>> {
        self.endpoints.get(id.index())?.as_ref()
    }

    /// A deployment, as the access log says it.
    pub(super) fn deployment_name(&self, index: DeploymentIndex) -> Option<&Rc<Name>> {
        let deployment = self.deployments.get(index.index())?;
        let name = || Rc::new(Name::new(deployment.name.as_str()));
        Some(deployment.logged.get_or_init(name))
    }

    /// An endpoint, as the access log says it.
    pub(super) fn endpoint_name(&self, endpoint: &Upstream) -> Rc<Name> {
        let name = || Rc::new(Name::new(&endpoint.url().to_string()));
        match self.endpoint_names.get(endpoint.id().index()) {
            Some(known) => Rc::clone(known.get_or_init(name)),
            None => name(),
        }
    }

    /// This worker's side of all endpoints.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &Rc<Upstream>> {
        self.endpoints.iter().flatten()
    }

    /// Requests that this worker has under way at an endpoint.
    pub(super) fn outstanding(&self, id: EndpointId) -> u32 {
        self.endpoint(id).map_or(0, |endpoint| endpoint.outstanding())
    }

    /// The next turn of a deployment's round robin.
    pub(super) fn turn(&self, deployment: DeploymentIndex) -> u64 {
        self.deployments.get(deployment.index()).map_or(0, |deployment| {
            let turn = deployment.turn.get();
            deployment.turn.set(turn.wrapping_add(1));
            turn
        })
    }

    /// What this worker counts about a region of a deployment; without a region, about requests
    /// of the deployment that reached none.
    pub(super) fn series<'a>(
        &'a self,
        worker: &'a WorkerContext,
        index: DeploymentIndex,
        region: Option<RegionPosition>,
    ) -> &'a Series {
        let Some(deployment) = self.deployments.get(index.index()) else {
            return &worker.unrouted;
        };
        let last = deployment.series.len().saturating_sub(1);
        let place = region.map_or(last, RegionPosition::index);
        let Some(cell) = deployment.series.get(place) else { return &worker.unrouted };
        cell.get_or_init(|| {
            let plan = self.snapshot.table.plan.deployment(index);
            let region = region.and_then(|region| Some(plan?.region(region)?.id.clone()));
            let tally = region.as_ref().and_then(|id| worker.observer.tally(id));
            let key = PairKey { deployment: Some(deployment.name.clone()), region };
            let name = key.region.as_ref().map_or("", |id| id.as_str());
            Rc::new(Counted::new(worker.registry.pair(worker.number, &key), tally, name))
        })
    }
}

/// This worker's side of every endpoint, by number. What was known of one stays if it still is the same.
fn endpoints(snapshot: &Snapshot, before: Option<&View>) -> Vec<Option<Rc<Upstream>>> {
    let allowed: Arc<[IpNet]> = snapshot.config.origin_networks.as_slice().into();
    let mut endpoints: Vec<Option<Rc<Upstream>>> = Vec::new();
    for endpoint in snapshot.table.plan.endpoints() {
        let index = endpoint.id.index();
        if endpoints.len() <= index {
            endpoints.resize(index + 1, None);
        }
        let Some(slot @ None) = endpoints.get_mut(index) else { continue };
        let route = Route {
            url: endpoint.url.clone(),
            address: endpoint.address,
            twin: endpoint.twin,
            transport: Arc::clone(&endpoint.transport),
            tls: snapshot.tls.client(&endpoint.transport.tls).cloned(),
            allowed: Arc::clone(&allowed),
        };
        let known = before
            .and_then(|before| before.endpoints.get(index)?.as_ref())
            // A number may have been given to another address, and what was trusted when the
            // connections were made may be trusted no longer.
            .filter(|known| known.route().is_same(&route));
        *slot = Some(match known {
            Some(known) => {
                known.set_twin(route.twin);
                Rc::clone(known)
            }
            None => Rc::new(Upstream::new(endpoint.id, route)),
        });
    }
    endpoints
}

/// The candidate that is to be tried.
fn trial(snapshot: &Snapshot) -> Option<&Trial> {
    snapshot.shadow.as_ref()?.trial.as_ref()
}
