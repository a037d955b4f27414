//! What one worker keeps between requests, and its own view of the current snapshot.
//!
//! The view is the snapshot together with this worker's pools and series, so that a request goes
//! from a decision to a connection without hashing a name. It is made anew when the snapshot has
//! changed, by the first request that notices; requests under way keep the one they hold.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;
use tokio::sync::mpsc;

use super::body::RequestBody;
use super::headers::address_text;
use super::places::Places;
use super::watch::Watch;
use crate::metrics::{PairKey, PairSeries, Registry, WorkerSeries};
use crate::model::{DeploymentName, EndpointId, EndpointSignal, Location};
use crate::routing::{DeploymentIndex, RegionPosition};
use crate::shadow::{Desk, Trial};
use crate::snapshot::{Live, Snapshot};
use crate::upstream::Endpoint;

pub(super) type Upstream = Endpoint<RequestBody>;
/// A series that requests hold while they run: counted by this worker alone, so that holding it
/// costs no atomic operation. The registry keeps the inner one.
pub(super) type Series = Rc<Arc<PairSeries>>;

/// What one worker keeps between requests.
#[derive(Debug)]
pub struct WorkerContext {
    live: Arc<Live>,
    registry: Arc<Registry>,
    signals: mpsc::Sender<EndpointSignal>,
    number: usize,
    view: RefCell<Rc<View>>,
    entropy: RefCell<fastrand::Rng>,
    /// What this worker counts about itself.
    pub series: Arc<WorkerSeries>,
    /// The series of requests that no region answered.
    pub(super) unrouted: Series,
}

/// One client connection, as its requests see it.
#[derive(Debug)]
pub struct Connection {
    /// Its worker.
    pub worker: Rc<WorkerContext>,
    /// Its waits.
    pub watch: Rc<Watch>,
    /// The other end, IPv4-mapped addresses unmapped.
    pub(super) peer: IpAddr,
    /// The same as a header value, made once.
    pub(super) peer_text: HeaderValue,
}

impl Connection {
    /// A connection of `peer` that was accepted at `now`.
    pub fn new(worker: Rc<WorkerContext>, peer: IpAddr, now: Instant) -> Self {
        let peer = peer.to_canonical();
        Self { worker, watch: Rc::new(Watch::new(now)), peer, peer_text: address_text(peer) }
    }
}

/// A snapshot with this worker's own things beside it.
#[derive(Debug)]
pub(super) struct View {
    pub(super) snapshot: Arc<Snapshot>,
    version: u64,
    endpoints: Vec<Option<Rc<Upstream>>>,
    deployments: Vec<DeploymentView>,
    places: RefCell<Places>,
    /// Where a candidate is tried.
    pub(super) shadow: Option<Desk>,
}

#[derive(Debug)]
struct DeploymentView {
    name: DeploymentName,
    turn: Cell<u64>,
    /// Series by region position, and one more for requests that reached none.
    series: Vec<OnceCell<Series>>,
}

impl WorkerContext {
    /// The context of worker `number`.
    pub fn new(
        number: usize,
        live: Arc<Live>,
        registry: Arc<Registry>,
        signals: mpsc::Sender<EndpointSignal>,
    ) -> Self {
        let version = live.version();
        let view = View::new(&live.load(), version, number, None);
        Self {
            series: registry.worker(),
            unrouted: Rc::new(registry.pair(number, &PairKey::NONE)),
            view: RefCell::new(Rc::new(view)),
            entropy: RefCell::new(fastrand::Rng::new()),
            live,
            registry,
            signals,
            number,
        }
    }

    /// The view of the current snapshot.
    pub(super) fn view(&self) -> Rc<View> {
        let mut view = self.view.borrow_mut();
        let version = self.live.version();
        if version != view.version {
            *view = Rc::new(View::new(&self.live.load(), version, self.number, Some(&view)));
        }
        Rc::clone(&view)
    }

    /// A fresh random number.
    pub(super) fn entropy(&self) -> u64 {
        self.entropy.borrow_mut().u64(..)
    }

    /// Tells the controller of a failure, unless it is too busy to hear of more.
    pub(super) fn signal(&self, signal: EndpointSignal) {
        if self.signals.try_send(signal).is_err() {
            self.series.observations_dropped.increment();
        }
    }

    /// Counts a request that was refused before it could be read.
    pub fn refused_unread(&self, status: u16) {
        self.unrouted.requests.increment(status);
    }

    /// Closes upstream connections that were idle for too long.
    pub fn reap(&self, now: Instant) {
        // Also lets go of an outdated view when no request comes to do it.
        for endpoint in self.view().endpoints.iter().flatten() {
            endpoint.reap(now);
        }
    }
}

impl View {
    fn new(snapshot: &Arc<Snapshot>, version: u64, worker: usize, before: Option<&Self>) -> Self {
        let plan = &snapshot.table.plan;
        let mut endpoints: Vec<Option<Rc<Upstream>>> = Vec::new();
        for endpoint in plan.endpoints() {
            let index = endpoint.id.index();
            if endpoints.len() <= index {
                endpoints.resize(index + 1, None);
            }
            if let Some(slot @ None) = endpoints.get_mut(index) {
                let known = before
                    .and_then(|before| before.endpoints.get(index)?.as_ref())
                    // A number may have been given to another address.
                    .filter(|known| *known.url() == endpoint.url);
                *slot = Some(known.map_or_else(
                    || Rc::new(Upstream::new(endpoint.id, endpoint.url.clone())),
                    Rc::clone,
                ));
            }
        }
        let turns: HashMap<_, _> = before
            .into_iter()
            .flat_map(|before| &before.deployments)
            .map(|deployment| (deployment.name.clone(), deployment.turn.get()))
            .collect();
        // What was remembered is still true if the databases are the same.
        let places = before
            .filter(|before| Arc::ptr_eq(&before.snapshot.geo, &snapshot.geo))
            .map_or_else(Places::new, |before| before.places.replace(Places::new()));
        let deployments = plan.deployments.iter().map(|deployment| DeploymentView {
            name: deployment.name.clone(),
            turn: Cell::new(turns.get(&deployment.name).copied().unwrap_or(0)),
            series: vec![OnceCell::new(); deployment.regions.len() + 1],
        });
        Self {
            deployments: deployments.collect(),
            endpoints,
            version,
            places: RefCell::new(places),
            shadow: trial(snapshot).map(|trial| Desk::new(trial, worker)),
            snapshot: Arc::clone(snapshot),
        }
    }

    /// Where an address is, as the databases say.
    pub(super) fn place(&self, address: IpAddr) -> Location {
        self.places.borrow_mut().find(address, &self.snapshot.geo)
    }

    /// This worker's side of an endpoint.
    pub(super) fn endpoint(&self, id: EndpointId) -> Option<&Rc<Upstream>> {
        self.endpoints.get(id.index())?.as_ref()
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
            let key = PairKey { deployment: Some(deployment.name.clone()), region };
            Rc::new(worker.registry.pair(worker.number, &key))
        })
    }
}

/// The candidate that is to be tried.
fn trial(snapshot: &Snapshot) -> Option<&Trial> {
    snapshot.shadow.as_ref()?.trial.as_ref()
}
