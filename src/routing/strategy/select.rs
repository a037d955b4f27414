//! The regions with the lowest keys, without sorting the others.

use arrayvec::ArrayVec;

use super::super::plan::RegionPosition;
use super::super::regions::RegionSet;
use super::Order;

/// Keeps a floor below its key in spite of rounding.
pub(super) const FLOOR_MARGIN: f64 = 1.0 - 1e-9;

/// Appends the regions of `members` in ascending order of `key`, as many as fit; equal keys keep
/// listed order. `floor` must be at most `key` and cheaper: a region whose floor is already too
/// high costs no key.
#[inline]
pub(super) fn select<const N: usize>(
    members: RegionSet,
    out: &mut Order<N>,
    floor: impl Fn(RegionPosition) -> f64,
    key: impl Fn(RegionPosition) -> f64,
) {
    let base = out.len();
    let mut keys: ArrayVec<f64, N> = ArrayVec::new();
    for position in members {
        if out.is_full() {
            let Some(worst) = keys.last().copied() else {
                return;
            };
            if floor(position) >= worst || key(position) >= worst {
                continue;
            }
            keys.pop();
            out.pop();
        }
        let key = key(position);
        let mut place = keys.len();
        while place > 0 && keys[place - 1] > key {
            place -= 1;
        }
        keys.insert(place, key);
        out.insert(base + place, position);
    }
}
