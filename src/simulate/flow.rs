//! What would be in flight at each region, request by request: the load that decisions see.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;

use crate::model::limits::{SIMULATED_IN_FLIGHT, UNSPILL_PERCENT};
use crate::routing::{Plan, RegionLoad, RegionNumber};

/// Requests under way.
#[derive(Debug)]
pub(super) struct Flow {
    /// By [`RegionNumber`].
    load: Vec<RegionLoad>,
    limits: Vec<Option<NonZeroU32>>,
    /// As `load`, but for full regions, which have room for one more.
    relieved: Vec<RegionLoad>,
    ends: BinaryHeap<Reverse<(u64, u16)>>,
    now: u64,
}

impl Flow {
    pub(super) fn new(plan: &Plan) -> Self {
        let limits = limits(plan);
        let load = vec![RegionLoad::default(); limits.len()];
        Self { relieved: load.clone(), load, limits, ends: BinaryHeap::new(), now: 0 }
    }

    /// Lets everything end that ends by then. Time does not go back.
    pub(super) fn advance(&mut self, at_us: u64) {
        self.now = self.now.max(at_us);
        while let Some(Reverse((end, region))) = self.ends.peek().copied() {
            if end > self.now {
                return;
            }
            self.ends.pop();
            self.change(region, |in_flight| in_flight.saturating_sub(1));
        }
    }

    /// A request begins at a region.
    pub(super) fn start(&mut self, region: RegionNumber, duration_us: u64) {
        if duration_us == 0 {
            return;
        }
        if self.ends.len() >= SIMULATED_IN_FLIGHT
            && let Some(Reverse((_, first))) = self.ends.pop()
        {
            self.change(first, |in_flight| in_flight.saturating_sub(1));
        }
        self.ends.push(Reverse((self.now.saturating_add(duration_us), region.0)));
        self.change(region.0, |in_flight| in_flight.saturating_add(1));
    }

    fn change(&mut self, region: u16, to: impl Fn(u32) -> u32) {
        let place = usize::from(region);
        let Some(load) = self.load.get_mut(place) else { return };
        load.in_flight = to(load.in_flight);
        if let Some(limit) = self.limits.get(place).copied().flatten() {
            let in_flight = u64::from(load.in_flight);
            let open = u64::from(limit.get()) * u64::from(UNSPILL_PERCENT);
            load.spilling =
                in_flight >= u64::from(limit.get()) || load.spilling && in_flight * 100 >= open;
        }
    }

    /// How busy the regions are.
    pub(super) fn load(&self) -> &[RegionLoad] {
        &self.load
    }

    /// The same, had every full region room for one more; `None`: none is full.
    pub(super) fn relieved(&mut self) -> Option<&[RegionLoad]> {
        if !self.load.iter().any(|load| load.spilling) {
            return None;
        }
        self.relieved.copy_from_slice(&self.load);
        for (load, limit) in self.relieved.iter_mut().zip(&self.limits) {
            if let Some(limit) = limit.filter(|_| load.spilling) {
                *load = RegionLoad {
                    in_flight: load.in_flight.min(limit.get().saturating_sub(1)),
                    spilling: false,
                };
            }
        }
        Some(&self.relieved)
    }
}

/// By [`RegionNumber`]: requests that a region may answer at once.
pub(super) fn limits(plan: &Plan) -> Vec<Option<NonZeroU32>> {
    let mut limits = vec![None; plan.regions.len()];
    for region in plan.deployments.iter().flat_map(|deployment| &deployment.regions) {
        if let Some(slot) = limits.get_mut(region.number.index()) {
            *slot = region.max_in_flight;
        }
    }
    limits
}
