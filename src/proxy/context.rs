//! What one worker keeps between requests, and its own view of the current snapshot.
//!
//! The view is the snapshot together with this worker's pools and series, so that a request goes
//! from a decision to a connection without hashing a name. It is made anew when the snapshot has
//! changed, by the first request that notices; requests under way keep the one they hold.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use ipnet::IpNet;
use tokio::sync::mpsc;

use super::body::RequestBody;
use super::claims::Claims;
use super::clock::Clock;
use super::peer::Peer;
use super::places::Places;
use super::terms::Terms;
use super::trace::Traced;
use super::tunnel::Tunnel;
use super::under_way::{UnderWay, Work, WorkCounts};
use super::watch::Watch;
use crate::access_log::{Ending, Entry, Lines, Logger, Sheet};
use crate::compression::Stock;
use crate::dump::{EncoderDump, EndpointDump, UnderWayDump};
use crate::geo::Found;
use crate::measure::{Asked, Needs, Networks, Observer, Tally};
use crate::metrics::{PairKey, PairSeries, Registry, WorkerSeries};
use crate::model::{DeploymentName, EndpointId, EndpointSignal, limits};
use crate::overload::{Gauge, Level, Pressure, give_back};
use crate::routing::{Conditions, Decision, DeploymentIndex, RegionPosition};
use crate::shadow::{Desk, Trial};
use crate::snapshot::{Live, Snapshot};
use crate::traces::Outlet;
use crate::upstream::{Endpoint, Route};

pub(super) type Upstream = Endpoint<RequestBody>;
/// A series that requests hold while they run: counted by this worker alone, so that holding it
/// costs no atomic operation.
pub(super) type Series = Rc<Counted>;

/// What this worker counts about a region of a deployment, and of the region over all of them.
#[derive(Debug)]
pub(super) struct Counted {
    /// The registry has it too.
    pair: Arc<PairSeries>,
    tally: Option<Rc<Tally>>,
}

impl Counted {
    /// The records of the region, if it is about one.
    pub(super) fn tally(&self) -> Option<&Tally> {
        self.tally.as_deref()
    }

    /// A new connection took so long to make.
    pub(super) fn connected(&self, took: Duration, now: Instant) {
        if let Some(tally) = &self.tally {
            tally.connected(took, now);
        }
    }

    /// The head of a response came so long after the request was sent. For requests without a
    /// body, because an upload takes as long as the client does.
    pub(super) fn answered(&self, client: IpAddr, took: Duration, now: Instant) {
        if let Some(tally) = &self.tally {
            tally.answered(client, took, now);
        }
    }
}

impl Deref for Counted {
    type Target = PairSeries;

    fn deref(&self) -> &PairSeries {
        &self.pair
    }
}

/// What one worker keeps between requests.
#[derive(Debug)]
pub struct WorkerContext {
    live: Arc<Live>,
    registry: Arc<Registry>,
    signals: mpsc::Sender<EndpointSignal>,
    gauge: Arc<Gauge>,
    number: usize,
    view: RefCell<Rc<View>>,
    observer: Observer,
    entropy: RefCell<fastrand::Rng>,
    clock: Clock,
    /// Where what is noted of requests becomes lines.
    pub(super) log: Logger,
    /// What its responses are compressed with.
    pub(super) encoders: Rc<Stock>,
    /// What this worker counts about itself.
    pub series: Arc<WorkerSeries>,
    /// Where spans go.
    pub(super) traces: Outlet,
    /// What it has under way.
    pub under_way: UnderWay,
    /// The series of requests that no region answered.
    pub(super) unrouted: Series,
}

/// What a worker is given of the process.
#[derive(Debug)]
pub struct WorkerParts {
    /// Which worker it is.
    pub number: usize,
    /// Where the current snapshot is.
    pub live: Arc<Live>,
    /// Where things are counted.
    pub registry: Arc<Registry>,
    /// Times of client networks.
    pub networks: Arc<Networks>,
    /// Where failures are reported.
    pub signals: mpsc::Sender<EndpointSignal>,
    /// What the process is short of.
    pub gauge: Arc<Gauge>,
    /// Where spans go.
    pub traces: Outlet,
    /// Where lines of the access log go.
    pub lines: Lines,
}

/// One client connection, as its requests see it.
#[derive(Debug)]
pub struct Connection {
    /// Its worker.
    pub worker: Rc<WorkerContext>,
    /// Its waits.
    pub watch: Rc<Watch>,
    /// The other end.
    pub peer: Rc<Peer>,
    /// What it becomes when its client and an origin agree on another protocol.
    tunnel: RefCell<Option<Tunnel>>,
    /// What a request on it is.
    pub(super) work: Work,
}

impl Connection {
    /// A connection of `peer` that was accepted at `now`.
    pub fn new(worker: Rc<WorkerContext>, peer: Rc<Peer>, watch: Rc<Watch>) -> Self {
        Self { worker, watch, peer, tunnel: RefCell::default(), work: Work::Request }
    }

    /// One stream of an HTTP/2 connection, with waits of its own.
    pub fn stream(&self) -> Self {
        let watch = Watch::stream(&self.watch);
        if self.watch.draining() {
            watch.drain();
        }
        let stream = Self::new(Rc::clone(&self.worker), Rc::clone(&self.peer), Rc::new(watch));
        Self { work: Work::Stream, ..stream }
    }

    /// Whether the client came over TLS.
    pub(super) fn secure(&self) -> bool {
        self.peer.secure.is_some()
    }

    /// Lets the connection become a tunnel once its response head has been written.
    pub(super) fn become_tunnel(&self, tunnel: Tunnel) {
        *self.tunnel.borrow_mut() = Some(tunnel);
    }

    /// What the connection has become, for its driver; asks once.
    pub fn take_tunnel(&self) -> Option<Tunnel> {
        self.tunnel.borrow_mut().take()
    }

    /// Logs a request of it that has ended with this status after so long.
    pub(super) fn log(&self, entry: Box<RefCell<Entry>>, status: u16, duration: Duration) {
        let (peer, secured) = (self.peer.text.as_bytes(), self.peer.secured());
        let entropy = self.worker.entropy();
        self.worker.log.end(entry, &Ending { status, duration, peer, secured, entropy });
    }

    /// The client's verified certificate, as origins are told of it.
    pub(super) fn certificate(&self) -> Option<&HeaderValue> {
        self.peer.secure.as_ref()?.certificate.as_ref()
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
    /// What its decisions have to be told of regions.
    needs: Needs,
    turn: Cell<u64>,
    /// Series by region position, and one more for requests that reached none.
    series: Vec<OnceCell<Series>>,
}

impl WorkerContext {
    /// The context of a worker.
    pub fn new(parts: WorkerParts) -> Self {
        let WorkerParts { number, live, registry, networks, signals, gauge, traces, lines } = parts;
        let version = live.version();
        let view = View::new(&live.load(), version, number, None);
        let plan = &view.snapshot.table.plan;
        let series = registry.worker();
        Self {
            log: Logger::new(lines, Arc::clone(&series)),
            series,
            under_way: UnderWay::default(),
            unrouted: Rc::new(Counted { pair: registry.pair(number, &PairKey::NONE), tally: None }),
            observer: Observer::new(number, Arc::clone(&registry), networks, plan),
            view: RefCell::new(Rc::new(view)),
            entropy: RefCell::new(fastrand::Rng::new()),
            clock: Clock::new(),
            encoders: Stock::new(limits::COMPRESSION_MEMORY),
            live,
            registry,
            signals,
            gauge,
            traces,
            number,
        }
    }

    /// Hands lines of the access log on in time, for as long as the worker lives.
    pub async fn tend_log(&self) {
        self.log.tend().await;
    }

    /// The view of the current snapshot.
    pub(super) fn view(&self) -> Rc<View> {
        let mut view = self.view.borrow_mut();
        let version = self.live.version();
        if version != view.version {
            *view = Rc::new(View::new(&self.live.load(), version, self.number, Some(&view)));
            self.observer.adopt(&view.snapshot.table.plan);
            self.traces.look();
        }
        Rc::clone(&view)
    }

    /// What this worker has with up to `most` endpoints. Those that it has nothing with are left out.
    pub fn dump_endpoints(&self, most: usize) -> Vec<EndpointDump> {
        let view = self.view.borrow();
        let busy = view.endpoints.iter().flatten().filter(|endpoint| {
            endpoint.outstanding() > 0 || endpoint.idle() > 0 || endpoint.http2_connections() > 0
        });
        let told = |endpoint: &Rc<Upstream>| EndpointDump {
            url: endpoint.url().to_string(),
            outstanding: endpoint.outstanding(),
            idle_connections: endpoint.idle(),
            http2_connections: endpoint.http2_connections(),
            failures_in_a_row: endpoint.failures(),
        };
        busy.take(most).map(told).collect()
    }

    /// What this worker has under way.
    pub fn dump_under_way(&self) -> UnderWayDump {
        let WorkCounts { requests, streams, tunnels } = self.under_way.now();
        UnderWayDump { requests, streams, tunnels }
    }

    /// What it compresses with.
    pub fn dump_encoders(&self) -> EncoderDump {
        EncoderDump { responses: self.encoders.lent(), bytes: self.encoders.bytes() }
    }

    /// A fresh random number.
    pub(super) fn entropy(&self) -> u64 {
        self.entropy.borrow_mut().u64(..)
    }

    /// An instant in Unix seconds.
    pub(super) fn unix(&self, at: Instant) -> u64 {
        self.clock.unix(at)
    }

    /// The same in milliseconds.
    pub(super) fn unix_millis(&self, at: Instant) -> u64 {
        self.clock.unix_millis(at)
    }

    /// Tells the controller of a failure, unless it is too busy to hear of more.
    pub(super) fn signal(&self, signal: EndpointSignal) {
        if self.signals.try_send(signal).is_err() {
            self.series.observations_dropped.increment();
        }
    }

    /// A request has ended: what was recorded of it goes to the exporter, if there is room.
    pub(super) fn end_trace(&self, trace: &mut Traced, now: Instant) {
        if let Err(lost) = trace.end(now, &self.traces) {
            self.series.spans_dropped.add(lost);
        }
    }

    /// What the process is short of now.
    #[inline]
    pub fn pressure(&self) -> Pressure {
        self.gauge.pressure()
    }

    /// Where it is told that something ran out.
    pub fn gauge(&self) -> &Gauge {
        &self.gauge
    }

    /// No descriptor was free: gives those back that wait for a request.
    pub fn relieve(&self) {
        self.gauge.note_exhausted();
        self.let_go(Duration::ZERO);
    }

    /// Closes upstream connections that have been waiting for a request so long.
    fn let_go(&self, waited: Duration) {
        let now = Instant::now();
        for endpoint in self.view().endpoints.iter().flatten() {
            endpoint.let_go(now, waited);
        }
    }

    /// Hands on what was measured of client networks, gives memory back, and keeps nothing that is
    /// short.
    pub fn tend(&self) {
        self.observer.tend();
        give_back();
        let pressure = self.pressure();
        if pressure.descriptors || pressure.memory >= Level::High {
            self.let_go(limits::POOL_IDLE_TIMEOUT_SHORT);
        }
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
        let allowed: Arc<[IpNet]> = snapshot.config.origin_networks.as_slice().into();
        let mut endpoints: Vec<Option<Rc<Upstream>>> = Vec::new();
        for endpoint in plan.endpoints() {
            let index = endpoint.id.index();
            if endpoints.len() <= index {
                endpoints.resize(index + 1, None);
            }
            if let Some(slot @ None) = endpoints.get_mut(index) {
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
                    // A number may have been given to another address, and what was trusted when
                    // the connections were made may be trusted no longer.
                    .filter(|known| known.route().is_same(&route));
                *slot = Some(match known {
                    Some(known) => {
                        known.set_twin(route.twin);
                        Rc::clone(known)
                    }
                    None => Rc::new(Upstream::new(endpoint.id, route)),
                });
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
            needs: Needs::of(deployment, &plan.measured),
            turn: Cell::new(turns.get(&deployment.name).copied().unwrap_or(0)),
            series: vec![OnceCell::new(); deployment.regions.len() + 1],
        });
        Self {
            deployments: deployments.collect(),
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
            Rc::new(Counted { pair: worker.registry.pair(worker.number, &key), tally })
        })
    }
}

/// The candidate that is to be tried.
fn trial(snapshot: &Snapshot) -> Option<&Trial> {
    snapshot.shadow.as_ref()?.trial.as_ref()
}
