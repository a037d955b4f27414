//! Looks at the process's memory and descriptors again and again, and puts what follows where workers
//! read it. The judgement itself is `overload`'s.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::{MissedTickBehavior, interval};

use crate::model::limits;
use crate::overload::{
    Descriptors, Figures, Gauge, Judge, Level, Pressure, Reading, Resident, Shares,
    cgroup_memory_limit, raise,
};
use crate::snapshot::Live;

/// What is looked at, and what was seen last.
#[derive(Debug)]
pub(super) struct Watch {
    live: Arc<Live>,
    gauge: Arc<Gauge>,
    resident: Option<Resident>,
    descriptors: Descriptors,
    shares: Shares,
    /// What the control group allows, less what is spared.
    outer: Option<u64>,
    judge: Judge,
    pressure: Pressure,
    /// The version of the snapshot that was seen last, and the memory limit that it has.
    known: Option<(u64, Option<u64>)>,
}

impl Watch {
    /// Takes as many descriptors as there may be, and looks for the first time: nothing is accepted
    /// by a process that has no room from the start.
    pub(super) fn new(live: &Arc<Live>, gauge: &Arc<Gauge>, workers: usize) -> Self {
        let resident = Resident::open();
        if let Err(error) = &resident {
            tracing::warn!(%error, "memory cannot be watched: `memory_limit` has no effect");
        }
        let limit = raise();
        let mut watch = Self {
            live: Arc::clone(live),
            gauge: Arc::clone(gauge),
            resident: resident.ok(),
            descriptors: Descriptors::against(limit),
            shares: Shares::of(limit, workers),
            outer: cgroup_memory_limit().map(|limit| limit - limit / limits::MEMORY_SPARE),
            judge: Judge::default(),
            pressure: Pressure::default(),
            known: None,
        };
        watch.look();
        watch
    }

    /// What each worker may have.
    pub(super) fn shares(&self) -> Shares {
        self.shares
    }

    /// Looks for ever.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(limits::PRESSURE_LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look();
        }
    }

    fn look(&mut self) {
        let memory_limit = self.memory_limit();
        let memory = self.resident.as_ref().and_then(|resident| resident.look().ok());
        let memory = memory.unwrap_or_default();
        let reading = Reading {
            used: memory.used(),
            resident: memory.resident,
            memory_limit,
            descriptors: self.descriptors.open(),
            descriptor_limit: self.descriptors.limit,
            exhausted: self.gauge.take_exhausted(),
        };
        let figures = Figures {
            resident: memory.resident,
            used: memory.used(),
            memory_limit,
            descriptors: reading.descriptors,
            descriptor_limit: reading.descriptor_limit,
        };
        let pressure = self.judge.judge(&reading);
        self.gauge.set(pressure, &figures);
        self.tell(pressure, &reading);
        self.pressure = pressure;
    }

    /// The limit that the current configuration has, or else the system.
    fn memory_limit(&mut self) -> Option<u64> {
        let version = self.live.version();
        if let Some((known, limit)) = self.known
            && known == version
        {
            return limit;
        }
        let config = Arc::clone(&self.live.load().config);
        let limit = config.overload.memory_limit.map(u64::from).or(self.outer);
        let first = self.known.is_none();
        self.known = Some((version, limit));
        let (wanted, most) = (config.limits.connections_per_worker, self.shares.connections);
        if first && most < wanted {
            tracing::warn!(
                descriptors = self.descriptors.limit,
                "each worker takes {most} connections instead of {wanted}, because there are \
                 descriptors for no more; raise the limit of open files (`LimitNOFILE=`, `ulimit -n`)"
            );
        }
        limit
    }

    fn tell(&self, now: Pressure, reading: &Reading) {
        let before = self.pressure;
        let mib = |bytes: u64| bytes >> 20;
        let (used, limit) = (mib(reading.used), mib(reading.memory_limit.unwrap_or(0)));
        match now.memory {
            level if level == before.memory => {}
            Level::Calm => tracing::info!("memory: {used} of {limit} MiB; nothing is refused"),
            Level::High => tracing::warn!(
                "memory: {used} of {limit} MiB; new connections and low priorities are refused"
            ),
            Level::Critical => {
                tracing::error!("memory: {used} of {limit} MiB; all that is new is refused");
            }
        }
        let descriptors = reading.descriptors.unwrap_or(0);
        let limit = reading.descriptor_limit;
        if now.descriptors && self.gauge.may_complain(Instant::now()) {
            tracing::warn!(
                exhausted = reading.exhausted,
                "descriptors: {descriptors} of {limit} in use; idle connections are closed"
            );
        } else if before.descriptors && !now.descriptors {
            tracing::info!("descriptors: {descriptors} of {limit} in use; there are enough");
        }
    }
}
