//! What one worker writes down of its own requests: how many are under way at each region, and
//! how long regions took.
//!
//! Everything belongs to one thread but the shard, which others read. What the others wrote is
//! added here after a look ([`Ledger::look`]); when to look is the observer's business.

use std::cell::{Cell, Ref, RefCell};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Network;
use super::networks::{Networks, Sample};
use super::peers::Peers;
use crate::config::MeasuredLatency;
use crate::metrics::{RegionShard, Registry};
use crate::model::limits::{LOAD_ROOM, NETWORK_SAMPLES, UNSPILL_PERCENT};
use crate::routing::{Plan, RegionLoad};

/// One worker's records.
#[derive(Debug)]
pub(super) struct Ledger {
    registry: Arc<Registry>,
    worker: usize,
    books: RefCell<Books>,
    settings: RefCell<MeasuredLatency>,
    samples: RefCell<Vec<Noted>>,
}

/// What is known of regions, by number.
#[derive(Debug, Default)]
struct Books {
    shard: Arc<RegionShard>,
    regions: Vec<Known>,
    /// What decisions read, kept up to date with `regions`.
    loads: Vec<RegionLoad>,
    /// Whether some region is so close to its limit that the others should be looked at soon.
    close: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    own: u32,
    /// What the others had at the last look.
    others: u32,
    limit: Option<NonZeroU32>,
    /// How many requests this worker may still send there before it should look again: its part
    /// of what was free.
    room: u32,
}

/// A measurement that waits to be handed on.
#[derive(Clone, Copy, Debug)]
struct Noted {
    network: Network,
    region: u16,
    ms: f64,
    at: u64,
}

/// One worker's records of one region. It is the same across changes of the configuration.
#[derive(Debug)]
pub struct Tally {
    ledger: Rc<Ledger>,
    /// The region's number; [`Tally::GONE`] when the configuration does not have it.
    number: Cell<usize>,
    own: Cell<u32>,
}

impl Ledger {
    pub(super) fn new(registry: Arc<Registry>, worker: usize) -> Self {
        Self {
            registry,
            worker,
            books: RefCell::default(),
            settings: RefCell::default(),
            samples: RefCell::default(),
        }
    }

    /// Turns to the regions of another plan. `own` says what is under way by their numbers there.
    pub(super) fn adopt(&self, plan: &Plan, own: impl Fn(usize) -> u32) {
        let mut books = self.books.borrow_mut();
        let before = std::mem::take(&mut *books);
        let mut limits = vec![None; plan.regions.len()];
        for region in plan.deployments.iter().flat_map(|deployment| &deployment.regions) {
            if let Some(limit) = limits.get_mut(region.number.index()) {
                *limit = region.max_in_flight;
            }
        }
        for ((number, id), limit) in plan.regions.iter().enumerate().zip(limits) {
            let known = before.shard.position(id);
            let others = known.and_then(|at| before.regions.get(at)).map_or(0, |it| it.others);
            let load = known.and_then(|at| before.loads.get(at)).copied();
            books.regions.push(Known { own: own(number), others, limit, room: 0 });
            books.loads.push(load.unwrap_or_default());
        }
        books.shard = Arc::new(RegionShard::new(plan.regions.iter().cloned(), Some(&before.shard)));
        for number in 0..books.regions.len() {
            books.settle(number);
        }
        self.settings.borrow_mut().clone_from(&plan.measured);
        self.registry.publish_regions(self.worker, Arc::clone(&books.shard));
    }

    /// Takes in what the others have under way.
    pub(super) fn look(&self, peers: &Peers) {
        let mut books = self.books.borrow_mut();
        let books = &mut *books;
        for known in &mut books.regions {
            known.others = 0;
        }
        peers.each_load(Some(self.worker), |number, cell| {
            if let Some(known) = books.regions.get_mut(number) {
                known.others = known.others.saturating_add(cell.get().0);
            }
        });
        let workers = u32::try_from(peers.workers().max(1)).unwrap_or(u32::MAX);
        books.close = false;
        for number in 0..books.regions.len() {
            books.settle(number);
            let Some(known) = books.regions.get_mut(number) else { continue };
            let Some(limit) = known.limit else { continue };
            let in_flight = known.own.saturating_add(known.others);
            known.room = limit.get().saturating_sub(in_flight) / workers;
            books.close |= known.room < LOAD_ROOM;
        }
    }

    /// Whether some region is so close to its limit that the others should be looked at soon.
    pub(super) fn close(&self) -> bool {
        self.books.borrow().close
    }

    /// How busy regions are, by number.
    pub(super) fn loads(&self) -> Ref<'_, [RegionLoad]> {
        Ref::map(self.books.borrow(), |books| &*books.loads)
    }

    /// The shard of this worker.
    pub(super) fn shard(&self) -> Arc<RegionShard> {
        Arc::clone(&self.books.borrow().shard)
    }

    pub(super) fn half_life(&self) -> Duration {
        self.settings.borrow().half_life
    }

    /// Hands on what was measured of client networks.
    pub(super) fn hand_on(&self, networks: &Networks) {
        let (settings, shard) = (self.settings.borrow(), self.shard());
        if !settings.by_client_network && !networks.is_empty() {
            networks.clear();
        }
        let mut samples = self.samples.borrow_mut();
        let known = samples.drain(..).filter_map(|noted| {
            let Noted { network, region, ms, at } = noted;
            let region = shard.regions().get(usize::from(region))?;
            Some(Sample { network, region, ms, at })
        });
        networks.take(known, settings.max_networks, settings.half_life);
    }

    fn changed(&self, number: usize, own: u32) {
        let mut books = self.books.borrow_mut();
        let Some(known) = books.regions.get_mut(number) else { return };
        let more = own > known.own;
        known.own = own;
        if more && known.limit.is_some() {
            known.room = known.room.saturating_sub(1);
            let close = known.room < LOAD_ROOM;
            books.close |= close;
        }
        books.settle(number);
    }
}

impl Books {
    /// Brings what decisions and other workers read up to what is known.
    fn settle(&mut self, number: usize) {
        let known = self.regions.get(number).zip(self.loads.get_mut(number));
        let (Some((known, load)), Some(cell)) = (known, self.shard.load(number)) else { return };
        load.in_flight = known.own.saturating_add(known.others);
        load.spilling = spills(*load, known.limit);
        cell.set(known.own, load.spilling);
    }
}

/// Whether a region is taken to be full from now on: at its limit, or not yet clearly below.
pub(super) fn spills(load: RegionLoad, limit: Option<NonZeroU32>) -> bool {
    let Some(limit) = limit.map(NonZeroU32::get) else { return false };
    let (percent, most) = (u64::from(load.in_flight) * 100, u64::from(limit));
    load.in_flight >= limit || load.spilling && percent >= most * u64::from(UNSPILL_PERCENT)
}

impl Tally {
    /// Stands for no number.
    const GONE: usize = usize::MAX;

    pub(super) fn new(ledger: Rc<Ledger>) -> Self {
        Self { ledger, number: Cell::new(Self::GONE), own: Cell::new(0) }
    }

    /// The configuration has the region under that number now, or not at all.
    pub(super) fn renumber(&self, number: Option<usize>) {
        self.number.set(number.unwrap_or(Self::GONE));
    }

    /// Whether requests are still under way there.
    pub(super) fn in_use(&self) -> bool {
        self.own.get() > 0
    }

    pub(super) fn own(&self) -> u32 {
        self.own.get()
    }

    /// A request goes there.
    #[inline]
    pub fn enter(&self) {
        self.own.set(self.own.get().saturating_add(1));
        self.ledger.changed(self.number.get(), self.own.get());
    }

    /// A request that had gone there has ended.
    #[inline]
    pub fn leave(&self) {
        self.own.set(self.own.get().saturating_sub(1));
        self.ledger.changed(self.number.get(), self.own.get());
    }

    /// A new connection to the region took so long to make.
    pub fn connected(&self, took: Duration, now: Instant) {
        let at = self.ledger.registry.millis(now);
        let half_life = self.ledger.settings.borrow().half_life;
        let books = self.ledger.books.borrow();
        if let Some(times) = books.shard.times(self.number.get()) {
            times.connect.record(took, at, half_life);
        }
    }

    /// The head of a response came so long after the request of `client` was sent.
    pub fn answered(&self, client: IpAddr, took: Duration, now: Instant) {
        let at = self.ledger.registry.millis(now);
        let settings = self.ledger.settings.borrow();
        let books = self.ledger.books.borrow();
        let Some(times) = books.shard.times(self.number.get()) else { return };
        times.first_byte.record(took, at, settings.half_life);
        if settings.by_client_network
            && let Ok(region) = u16::try_from(self.number.get())
        {
            let mut samples = self.ledger.samples.borrow_mut();
            // What does not fit is left out: the rest says as much.
            if samples.len() < NETWORK_SAMPLES {
                let (network, ms) = (Network::of(client), took.as_secs_f64() * 1e3);
                samples.push(Noted { network, region, ms, at });
            }
        }
    }
}
