//! One worker's eyes: what it tells its decisions of regions, and when it looks at others for it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::incumbents::Incumbents;
use super::ledger::{Ledger, Tally};
use super::peers::Peers;
use super::recent::Recent;
use super::{Needs, Network, Networks};
use crate::metrics::{Average, Registry};
use crate::model::RegionId;
use crate::model::limits::{LOAD_LOOK, LOAD_LOOK_CLOSE, MEASURED_LOOK};
use crate::routing::{Conditions, Measured, Plan, RegionLoad, RegionNumber};

/// What a decision is to be told about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The plan that it reads.
    pub plan: &'a Arc<Plan>,
    /// The deployment's name.
    pub deployment: &'a str,
    /// What it can depend on.
    pub needs: Needs,
    /// Who asks.
    pub client: IpAddr,
    /// The moment.
    pub now: Instant,
    /// The same in Unix seconds.
    pub unix: u64,
}

/// One worker's view of regions.
#[derive(Debug)]
pub struct Observer {
    registry: Arc<Registry>,
    networks: Arc<Networks>,
    plan: RefCell<Arc<Plan>>,
    ledger: Rc<Ledger>,
    tallies: RefCell<HashMap<RegionId, Rc<Tally>>>,
    peers: RefCell<Peers>,
    loads_seen: Cell<Option<Instant>>,
    times_seen: Cell<Option<Instant>>,
    measured: RefCell<Vec<Measured>>,
    recent: RefCell<Recent>,
    incumbents: RefCell<Incumbents>,
}

/// One moment, by two clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// In milliseconds of the registry.
    pub(super) millis: u64,
    /// In Unix seconds.
    pub(super) unix: u64,
}

impl Clock {
    /// What a decision is told of an average.
    pub(super) fn measured(self, average: &Average) -> Measured {
        let age = self.millis.saturating_sub(average.at) / 1_000;
        Measured {
            ms: average.ms as f32,
            samples: average.samples,
            at: self.unix.saturating_sub(age),
        }
    }
}

impl Observer {
    /// The observer of worker `number`.
    pub fn new(
        number: usize,
        registry: Arc<Registry>,
        networks: Arc<Networks>,
        plan: &Arc<Plan>,
    ) -> Self {
        let observer = Self {
            ledger: Rc::new(Ledger::new(Arc::clone(&registry), number)),
            registry,
            networks,
            plan: RefCell::new(Arc::clone(plan)),
            tallies: RefCell::default(),
            peers: RefCell::default(),
            loads_seen: Cell::default(),
            times_seen: Cell::default(),
            measured: RefCell::default(),
            recent: RefCell::default(),
            incumbents: RefCell::default(),
        };
        observer.turn_to(plan);
        observer
    }

    /// Turns to another plan, unless it is the same. What is known of regions that stay is kept.
    pub fn adopt(&self, plan: &Arc<Plan>) {
        if Arc::ptr_eq(&self.plan.borrow(), plan) {
            return;
        }
        // They have the old numbers.
        self.ledger.hand_on(&self.networks);
        let before = self.plan.replace(Arc::clone(plan));
        self.turn_to(plan);
        let shard = self.ledger.shard();
        self.incumbents.borrow_mut().renumber(|number| {
            let place = shard.position(before.regions.get(number.index())?)?;
            u16::try_from(place).ok().map(RegionNumber)
        });
    }

    fn turn_to(&self, plan: &Plan) {
        let mut tallies = self.tallies.borrow_mut();
        tallies.retain(|_, tally| {
            tally.renumber(None);
            tally.in_use()
        });
        for (number, id) in plan.regions.iter().enumerate() {
            let new = || Rc::new(Tally::new(Rc::clone(&self.ledger)));
            tallies.entry(id.clone()).or_insert_with(new).renumber(Some(number));
        }
        let own = |number: usize| {
            let tally = plan.regions.get(number).and_then(|id| tallies.get(id));
            tally.map_or(0, |tally| tally.own())
        };
        self.ledger.adopt(plan, own);
        self.peers.borrow_mut().forget();
        self.loads_seen.set(None);
        self.times_seen.set(None);
        self.recent.borrow_mut().reset(plan.regions.len());
    }

    /// The records of a region of the plan.
    pub fn tally(&self, id: &RegionId) -> Option<Rc<Tally>> {
        self.tallies.borrow().get(id).map(Rc::clone)
    }

    /// Calls `then` with the conditions that the decision can depend on. A plan other than the one
    /// last adopted has other regions; nothing is known of those.
    #[inline]
    pub fn with<R>(&self, asked: &Asked<'_>, then: impl FnOnce(&Conditions<'_>) -> R) -> R {
        if asked.needs.is_none() || !Arc::ptr_eq(&self.plan.borrow(), asked.plan) {
            return then(&Conditions::NONE);
        }
        self.gathered(asked, then)
    }

    fn gathered<R>(&self, asked: &Asked<'_>, then: impl FnOnce(&Conditions<'_>) -> R) -> R {
        let Asked { needs, client, now, .. } = *asked;
        if needs.load {
            self.look_at_loads(now);
        }
        if needs.measured {
            self.look_at_times(asked);
        }
        let network = (needs.network || needs.incumbent).then(|| Network::of(client));
        if let Some(network) = network.filter(|_| needs.network) {
            let clock = Clock { millis: self.registry.millis(now), unix: asked.unix };
            let number = |id: &RegionId| self.ledger.shard().position(id);
            self.recent.borrow_mut().look(network, &self.networks, clock, number);
        }
        let incumbent = network
            .filter(|_| needs.incumbent)
            .and_then(|network| self.incumbents.borrow().find(asked.deployment, network));
        let (loads, measured) = (self.ledger.loads(), self.measured.borrow());
        let recent = self.recent.borrow();
        let none: &[RegionLoad] = &[];
        then(&Conditions {
            load: if needs.load { &loads } else { none },
            measured: if needs.measured { &measured } else { &[] },
            network: if needs.network { recent.row() } else { &[] },
            incumbent,
        })
    }

    /// The client's network went there. Only worth a call where [`Needs::incumbent`] is set.
    pub fn went_to(&self, deployment: &str, client: IpAddr, region: RegionNumber) {
        self.incumbents.borrow_mut().set(deployment, Network::of(client), region);
    }

    /// Hands on what was measured of client networks; to be called now and then, not by a request.
    pub fn tend(&self) {
        self.ledger.hand_on(&self.networks);
    }

    /// A worker's own requests are known at once; those of the others are looked at after a pause,
    /// a shorter one while some region is close to its limit. Far from the limit no worker can use
    /// up its part of what is free before it looks again; close to it, the others go beyond the
    /// limit by what they send in the short pause at most.
    fn look_at_loads(&self, now: Instant) {
        let pause = if self.ledger.close() { LOAD_LOOK_CLOSE } else { LOAD_LOOK };
        if !due(&self.loads_seen, now, pause) {
            return;
        }
        let mut peers = self.peers.borrow_mut();
        peers.update(&self.registry, &self.plan.borrow().regions);
        self.ledger.look(&peers);
    }

    fn look_at_times(&self, asked: &Asked<'_>) {
        if !due(&self.times_seen, asked.now, MEASURED_LOOK) {
            return;
        }
        let clock = Clock { millis: self.registry.millis(asked.now), unix: asked.unix };
        let mut peers = self.peers.borrow_mut();
        peers.update(&self.registry, &asked.plan.regions);
        let half_life = self.ledger.half_life();
        let mut measured = self.measured.borrow_mut();
        measured.clear();
        measured.extend(
            (0..asked.plan.regions.len()).map(|place| {
                clock.measured(&peers.average(place, |times| &times.connect, half_life))
            }),
        );
    }
}

/// Whether it is time for something; then it is done now.
fn due(last: &Cell<Option<Instant>>, now: Instant, pause: Duration) -> bool {
    let due = last.get().is_none_or(|last| now.saturating_duration_since(last) >= pause);
    if due {
        last.set(Some(now));
    }
    due
}
