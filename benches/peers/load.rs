//! The load: a number of connections that send one request after another, as fast as answers come
//! or at a fixed rate, and what was measured meanwhile.
//!
//! At a fixed rate, a request has a time at which it is due, and its latency counts from there: a
//! proxy that stalls cannot hide behind a client that waits for it. Not here: which proxy runs, and
//! what the numbers mean (`report`).

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

use crate::client::{Client, Fault, Request};
use crate::countries;
use crate::regions::Region;
use crate::scenario::{Documents, Scenario};
use crate::usage::{Snapshot, Watch};
use crate::way::Way;

/// How long the last answers may take after the window's end.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// Requests that may be due and not yet sent; beyond it the proxy has long lost the rate.
const OVERDUE: usize = 1_000_000;

/// The requests of a scenario, ready to send, and their right answers.
pub(crate) struct Workload {
    scenario: Scenario,
    requests: Vec<(Region, Request)>,
    expected: [Vec<u8>; Region::ALL.len()],
}

impl Workload {
    pub(crate) fn new(scenario: Scenario, clients: &[countries::Client]) -> Self {
        let request = |c: &countries::Client| Some((c.region, Request::of(scenario.request(c))?));
        let requests = clients.iter().filter_map(request).collect();
        let expected = Region::ALL.map(|r| Documents::of(r).expected(scenario).to_vec());
        Self { scenario, requests, expected }
    }

    /// Sends one request and checks its answer.
    pub(crate) async fn ask(
        &self,
        client: &mut Client,
        routed: bool,
        number: usize,
    ) -> Result<(), Fault> {
        let index = number % self.requests.len().max(1);
        let Some((region, request)) = self.requests.get(index) else { return Ok(()) };
        let response = client.exchange(request).await?;
        response.verify(routed.then_some(*region), self.expected(*region))
    }

    /// The body that `region` answers with.
    pub(crate) fn expected(&self, region: Region) -> &[u8] {
        let [us, eu, ap] = &self.expected;
        match region {
            Region::Us => us,
            Region::Eu => eu,
            Region::Ap => ap,
        }
    }
}

/// One measurement to make.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) way: Way,
    pub(crate) connections: usize,
    /// Requests under way at once on each connection of HTTP/2.
    pub(crate) streams: usize,
    pub(crate) warmup: Duration,
    pub(crate) window: Duration,
    /// Requests per second; `None`: as many as are answered.
    pub(crate) rate: Option<f64>,
    /// Whether the answer must come from the client's region.
    pub(crate) routed: bool,
}

/// What was measured in the window.
pub(crate) struct Outcome {
    /// From the request (or the time it was due) to the last byte of its answer, ns, ascending.
    pub(crate) latencies: Vec<u64>,
    /// From the time due to sending, ns, ascending; empty without a rate.
    pub(crate) lags: Vec<u64>,
    /// Wrong answers, warm-up included.
    pub(crate) faults: BTreeMap<Fault, u64>,
    pub(crate) before: Snapshot,
    pub(crate) after: Snapshot,
}

/// What all connections share.
struct Shared {
    workload: Rc<Workload>,
    plan: Plan,
    recording: Cell<bool>,
    stopping: Cell<bool>,
    next_request: Cell<usize>,
    latencies: RefCell<Vec<u64>>,
    lags: RefCell<Vec<u64>>,
    faults: RefCell<BTreeMap<Fault, u64>>,
    due: RefCell<VecDeque<Instant>>,
    /// One permit for each entry of `due`.
    ready: Semaphore,
}

/// Runs one window. Runs in a `LocalSet`.
pub(crate) async fn run(workload: &Rc<Workload>, plan: Plan, watch: &Watch) -> Outcome {
    let (warmup, window) = (plan.warmup, plan.window);
    let shared = Rc::new(Shared {
        workload: Rc::clone(workload),
        plan: plan.clone(),
        recording: Cell::new(false),
        stopping: Cell::new(false),
        next_request: Cell::new(0),
        latencies: RefCell::new(Vec::with_capacity(1 << 20)),
        lags: RefCell::default(),
        faults: RefCell::default(),
        due: RefCell::default(),
        ready: Semaphore::new(0),
    });
    let senders: Vec<JoinHandle<()>> = (0..plan.connections)
        .flat_map(|slot| Client::group(&plan.way, slot, plan.streams))
        .map(|client| spawn_local(send(Rc::clone(&shared), client)))
        .collect();
    let pacer = plan.rate.map(|rate| spawn_local(pace(Rc::clone(&shared), rate)));

    sleep(warmup).await;
    let before = watch.snapshot();
    shared.recording.set(true);
    sleep(window).await;
    shared.recording.set(false);
    let after = watch.snapshot();

    shared.stopping.set(true);
    if let Some(pacer) = pacer {
        pacer.abort();
    }
    shared.ready.close();
    finish(&shared, senders).await;
    let sorted = |values: &RefCell<Vec<u64>>| {
        let mut values = values.take();
        values.sort_unstable();
        values
    };
    Outcome {
        latencies: sorted(&shared.latencies),
        lags: sorted(&shared.lags),
        faults: shared.faults.take(),
        before,
        after,
    }
}

/// Waits for the answers that are still on their way.
async fn finish(shared: &Shared, senders: Vec<JoinHandle<()>>) {
    let deadline = Instant::now() + LAST_ANSWERS;
    for mut sender in senders {
        let left = deadline.saturating_duration_since(Instant::now());
        if timeout(left, &mut sender).await.is_err() {
            sender.abort();
            shared.fault(Fault::Unanswered);
        }
    }
}

/// Says when requests are due. Spins, since timers are too coarse; it yields to every other task.
async fn pace(shared: Rc<Shared>, rate: f64) {
    let start = Instant::now();
    let mut sent = 0_u64;
    loop {
        let at = start + Duration::from_secs_f64(sent as f64 / rate);
        if Instant::now() < at {
            tokio::task::yield_now().await;
        } else if shared.due.borrow().len() < OVERDUE {
            shared.due.borrow_mut().push_back(at);
            shared.ready.add_permits(1);
            sent += 1;
        } else {
            return;
        }
    }
}

/// One client's life.
async fn send(shared: Rc<Shared>, mut client: Client) {
    while let Some(due) = shared.turn().await {
        let sending = Instant::now();
        let outcome = shared.request(&mut client).await;
        if shared.workload.scenario.connects_each_time() {
            client.disconnect().await;
        }
        match outcome {
            Ok(()) => shared.record(due, sending),
            Err(fault) => {
                client.disconnect().await;
                shared.fault(fault);
                // A proxy that refuses everything must not keep this core from the others.
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

impl Shared {
    /// Waits until a request is to be sent; the time it is due, or `None` at the end.
    async fn turn(&self) -> Option<Instant> {
        if self.stopping.get() {
            return None;
        }
        if self.plan.rate.is_none() {
            return Some(Instant::now());
        }
        self.ready.acquire().await.ok()?.forget();
        self.due.borrow_mut().pop_front()
    }

    /// Sends the next client's request and checks the answer.
    async fn request(&self, client: &mut Client) -> Result<(), Fault> {
        let count = self.workload.requests.len().max(1);
        let index = self.next_request.get() % count;
        self.next_request.set(index + 1);
        self.workload.ask(client, self.plan.routed, index).await
    }

    fn record(&self, due: Instant, sending: Instant) {
        if self.recording.get() {
            self.latencies.borrow_mut().push(nanos(due.elapsed()));
            if self.plan.rate.is_some() {
                self.lags.borrow_mut().push(nanos(sending.saturating_duration_since(due)));
            }
        }
    }

    fn fault(&self, fault: Fault) {
        *self.faults.borrow_mut().entry(fault).or_default() += 1;
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
