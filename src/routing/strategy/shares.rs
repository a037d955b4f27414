//! Regions in an order drawn by weight: the first by weight among all, the next by weight among the
//! rest, and so on.
//!
//! Two ways with that same outcome. Both have a property that drawing again from those left would not:
//! whether a region takes part makes no difference to the order of the others.

use super::super::draws::Stream;
use super::super::plan::RegionPosition;
use super::super::regions::RegionSet;
use super::Order;
use super::select::{FLOOR_MARGIN, select_above_floor};

/// Up to so many regions, clocks are cheaper than repeated draws.
const CLOCKS_ONLY: usize = 16;
/// Repeated draws before clocks order the rest, so that a share close to all costs no more.
const DRAWS: u64 = 32;
/// Where the numbers of repeated draws start in the stream; before it are those of the clocks.
const FIRST_DRAW: u64 = 256;

/// Weights by position.
#[derive(Debug)]
pub(in crate::routing) struct Shares {
    weights: Box<[u32]>,
    /// Sums of the weights up to and with each position; empty for clocks only.
    sums: Box<[u64]>,
}

impl Shares {
    pub(in crate::routing) fn new(weights: impl IntoIterator<Item = u32>) -> Self {
        let weights: Box<[u32]> = weights.into_iter().collect();
        let mut sums = Box::default();
        if weights.iter().filter(|weight| **weight > 0).count() > CLOCKS_ONLY {
            let add = |sum: &mut u64, weight: &u32| {
                *sum += u64::from(*weight);
                Some(*sum)
            };
            sums = weights.iter().scan(0, add).collect();
        }
        Self { weights, sums }
    }

    /// Appends the regions of `members` as drawn, as many as fit; those of weight 0 last, as listed.
    pub(in crate::routing) fn order<const N: usize>(
        &self,
        draws: Stream,
        members: RegionSet,
        out: &mut Order<N>,
    ) {
        let mut left = members;
        if !self.sums.is_empty() {
            for position in (0..DRAWS).map(|n| self.draw(draws, n)) {
                if out.is_full() || left.is_empty() {
                    return;
                }
                // Drawn before, or not taking part: drawn again.
                if left.contains(position) {
                    left.remove(position);
                    out.push(position);
                }
            }
        }
        let floor = |position| self.clock_floor(draws, position);
        select_above_floor(left, out, 0.0, floor, |position| self.clock(draws, position));
    }

    /// What put a region where it is, for people.
    pub(super) fn told(&self, draws: Stream, position: RegionPosition) -> String {
        let weight = self.weight(position);
        let drawn = (0..DRAWS).find(|n| !self.sums.is_empty() && self.draw(draws, *n) == position);
        match drawn {
            _ if weight == 0 => "weight 0, not drawn".to_owned(),
            Some(n) => format!("weight {weight}, draw {}", n + 1),
            None => format!("weight {weight}, drew {:.6}", self.clock(draws, position)),
        }
    }

    /// A region by weight among all.
    fn draw(&self, draws: Stream, n: u64) -> RegionPosition {
        let total = self.sums.last().copied().unwrap_or(0);
        let point = draws.below(FIRST_DRAW + n, total);
        RegionPosition(self.sums.partition_point(|sum| *sum <= point) as u8)
    }

    /// When an exponential clock rings that runs at the region's weight. The first one to ring is a
    /// draw by weight, the next one a draw among the rest (P. S. Efraimidis, P. G. Spirakis,
    /// "Weighted random sampling with a reservoir", 2006). At weight 0 it never rings.
    fn clock(&self, draws: Stream, position: RegionPosition) -> f64 {
        match self.weight(position) {
            0 => f64::INFINITY,
            weight => -draws.unit(position.0.into()).ln() / f64::from(weight),
        }
    }

    /// At most [`clock`](Self::clock), without the logarithm: -ln u >= 1 - u.
    fn clock_floor(&self, draws: Stream, position: RegionPosition) -> f64 {
        match self.weight(position) {
            0 => f64::INFINITY,
            weight => (1.0 - draws.unit(position.0.into())) / f64::from(weight) * FLOOR_MARGIN,
        }
    }

    fn weight(&self, position: RegionPosition) -> u32 {
        self.weights.get(position.index()).copied().unwrap_or(0)
    }
}
