//! The regions with the lowest keys, without sorting the others.

use arrayvec::ArrayVec;

use super::super::plan::RegionPosition;
use super::super::regions::RegionSet;
use super::Order;

/// Keeps a floor below its key in spite of rounding.
pub(super) const FLOOR_MARGIN: f64 = 1.0 - 1e-9;

/// Appends the regions of `members` in ascending order of `key`, as many as fit; equal keys keep
/// listed order, and so do those that differ by less than `tolerance`, which is for keys that come
/// with rounding. `floor` must be at most `key` and cheaper: a region whose floor is already too high
/// costs no key.
#[inline]
pub(super) fn select<const N: usize>(
    members: RegionSet,
    out: &mut Order<N>,
    tolerance: f64,
    floor: impl Fn(RegionPosition) -> f64,
    key: impl Fn(RegionPosition) -> f64,
) {
    let base = out.len();
    let mut keys: ArrayVec<f64, N> = ArrayVec::new();
    for position in members {
        let worst = if !out.is_full() {
            f64::INFINITY
        } else if let Some(worst) = keys.last() {
            *worst
        } else {
            return;
        };
        if out.is_full() && floor(position) >= worst {
            continue;
        }
        let key = key(position);
        if out.is_full() {
            if key + tolerance >= worst {
                continue;
            }
            keys.pop();
            out.pop();
        }
        // A step at a time: most go a short way, if any.
        keys.push(key);
        out.push(position);
        let mut place = keys.len() - 1;
        while place > 0 && keys[place - 1] > key + tolerance {
            keys.swap(place - 1, place);
            out.swap(base + place - 1, base + place);
            place -= 1;
        }
    }
}
