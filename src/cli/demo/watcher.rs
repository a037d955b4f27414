//! Looks at the table in use and at Rhumb's counters many times a second, and notes when things
//! happened: for times that are measured and not assumed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::places::{COUNT, Each, PLACES};
use super::traffic::Shared;
use super::world::{Open, Presence, open};
use crate::metrics::Registry;
use crate::snapshot::Snapshot;

/// What was seen of one region.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sight {
    /// When a table without it was first seen, the latest time that it was taken out.
    pub(super) closed: Option<Instant>,
    /// When a table with it was first seen, the latest time that it was let in.
    pub(super) opened: Option<Instant>,
    /// Attempts to send it a request that failed, since the start.
    pub(super) failed_attempts: u64,
    /// When the count of those was last seen to grow.
    pub(super) last_attempt: Option<Instant>,
}

/// What was seen of everything.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) regions: Each<Sight>,
    /// When a table of another configuration was first seen, and its generation.
    pub(super) reloaded: Option<(Instant, u64)>,
}

/// What was seen, for those who want to know.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Mutex<Seen>>);

impl Notes {
    pub(super) fn read(&self) -> Seen {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one who looks.
#[derive(Debug)]
pub(super) struct Watcher {
    registry: Arc<Registry>,
    notes: Notes,
    held: Option<Arc<Snapshot>>,
    was_open: Open,
}

impl Watcher {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        let notes = Notes::default();
        Self { registry, notes, held: None, was_open: [true; COUNT] }
    }

    pub(super) fn notes(&self) -> Notes {
        self.notes.clone()
    }

    /// Looks once.
    pub(super) fn look(&mut self, shared: &Shared) {
        let now = Instant::now();
        let mut world = shared.world();
        let snapshot = shared.live.load();
        world.observe(&snapshot, now);
        let mut seen = self.notes.lock();
        let away = (0..COUNT).any(|region| world.presence(region) != Some(Presence::Serving));
        drop(world);
        if self.held.as_ref().is_none_or(|held| !Arc::ptr_eq(held, &snapshot)) {
            let plan = |snapshot: &Arc<Snapshot>| Arc::clone(&snapshot.table.plan);
            let before = self.held.as_ref().map(plan);
            if before.is_some_and(|before| !Arc::ptr_eq(&before, &snapshot.table.plan)) {
                seen.reloaded = Some((now, snapshot.table.generation));
            }
            let open = open(&snapshot);
            for ((sight, was), is) in seen.regions.iter_mut().zip(self.was_open).zip(open) {
                match (was, is) {
                    (true, false) => sight.closed = Some(now),
                    (false, true) => sight.opened = Some(now),
                    _ => {}
                }
            }
            self.was_open = open;
            self.held = Some(snapshot);
        }
        if away {
            count_attempts(&self.registry, &mut seen, now);
        }
    }
}

fn count_attempts(registry: &Registry, seen: &mut Seen, now: Instant) {
    let mut failed = [0; COUNT];
    registry.visit_pairs(|key, shards| {
        let region = key.region.as_ref().map_or("", crate::model::RegionId::as_str);
        let count = failed.iter_mut().zip(&PLACES).find(|(_, place)| place.id == region);
        if let Some((count, _)) = count {
            let signals = shards.iter().flat_map(|(_, series)| &series.signals);
            *count += signals.map(crate::metrics::Counter::get).sum::<u64>();
        }
    });
    for (sight, failed) in seen.regions.iter_mut().zip(failed) {
        if failed > sight.failed_attempts {
            sight.failed_attempts = failed;
            sight.last_attempt = Some(now);
        }
    }
}
