//! What one worker keeps between requests: its [`View`] of the current snapshot, its clock, its
//! entropy, and where it reports to.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::clock::Clock;
use super::counted::{Counted, Series};
use super::trace::Traced;
use super::under_way::{UnderWay, WorkCounts};
use super::view::{Upstream, View};
use crate::access_log::{Lines, Logger};
use crate::compression::Stock;
use crate::dump::{EncoderDump, EndpointDump, UnderWayDump};
use crate::measure::{Networks, Observer};
use crate::metrics::{PairKey, Registry, WorkerSeries};
use crate::model::{EndpointSignal, limits};
use crate::overload::{Gauge, Level, Pressure, give_back};
use crate::snapshot::Live;
use crate::traces::Outlet;

/// What one worker keeps between requests.
#[derive(Debug)]
pub struct WorkerContext {
    live: Arc<Live>,
    pub(super) registry: Arc<Registry>,
    signals: mpsc::Sender<EndpointSignal>,
    gauge: Arc<Gauge>,
    pub(super) number: usize,
    view: RefCell<Rc<View>>,
    pub(super) observer: Observer,
    entropy: RefCell<fastrand::Rng>,
    clock: Clock,
    /// When [`Self::relieve`] found nothing to give back.
    in_vain: Cell<Option<Instant>>,
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
            unrouted: Rc::new(Counted::new(registry.pair(number, &PairKey::NONE), None, "")),
            observer: Observer::new(number, Arc::clone(&registry), networks, plan),
            view: RefCell::new(Rc::new(view)),
            entropy: RefCell::new(fastrand::Rng::new()),
            clock: Clock::new(),
            in_vain: Cell::new(None),
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
        if version != view.version() {
            *view = Rc::new(View::new(&self.live.load(), version, self.number, Some(&view)));
            self.observer.adopt(&view.snapshot.table.plan);
            self.traces.look();
        }
        Rc::clone(&view)
    }

    /// What this worker has with up to `most` endpoints. Those that it has nothing with are left out.
    pub fn dump_endpoints(&self, most: usize) -> Vec<EndpointDump> {
        let view = self.view.borrow();
        let busy = view.endpoints().filter(|endpoint| {
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

    /// No descriptor was free: gives those back that wait for a request. Where there was none a moment
    /// ago, not every request looks through all endpoints.
    pub fn relieve(&self) {
        self.gauge.note_exhausted();
        let now = Instant::now();
        let is_recent = |then| now.saturating_duration_since(then) < limits::SHORTAGE_PAUSE;
        if !self.in_vain.get().is_some_and(is_recent) {
            self.in_vain.set((!self.let_go(Duration::ZERO)).then_some(now));
        }
    }

    /// Closes upstream connections that have been waiting for a request so long. Whether there was one.
    fn let_go(&self, waited: Duration) -> bool {
        let now = Instant::now();
        let mut any = false;
        for endpoint in self.view().endpoints() {
            any |= endpoint.let_go(now, waited);
        }
        any
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
        for endpoint in self.view().endpoints() {
            endpoint.reap(now);
        }
    }
}
