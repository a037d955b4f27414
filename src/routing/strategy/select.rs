//! The regions with the lowest keys, without sorting the others.
//!
//! Which of a hundred regions come first is as good as random to a branch predictor, so the
//! innermost loop has no branch to predict: key and position are packed into one number, and each
//! step keeps the lower of two and carries the higher on.

use super::super::plan::RegionPosition;
use super::super::regions::RegionSet;
use super::Order;
use crate::model::limits::REGIONS_PER_DEPLOYMENT;

/// Keeps a floor below its key in spite of rounding.
pub(super) const FLOOR_MARGIN: f64 = 1.0 - 1e-9;

/// The low bits of a packed number: the position. The key above them keeps 45 bits of its mantissa.
const POSITION: u64 = 0x7f;
/// What one step of a packed key is at most, as a part of the key: two keys on either side of such a
/// step may have differed by next to nothing.
const STEP: f64 = 1.0 / (1u64 << 45) as f64;

/// Appends the regions of `members` in ascending order of `key`, as many as fit. Equal keys keep
/// listed order, and so do those that differ by no more than `tolerance`, which is for keys that
/// come with rounding. Keys are not negative and not NaN.
#[inline]
pub(super) fn select<const N: usize>(
    members: RegionSet,
    out: &mut Order<N>,
    tolerance: f64,
    key: impl Fn(RegionPosition) -> f64,
) {
    let room = out.remaining_capacity();
    let mut best = [u64::MAX; N];
    let mut count = 0;
    let mut left_out = u64::MAX;
    let Some(last) = room.checked_sub(1) else {
        return;
    };
    for position in members {
        let mut carried = key(position).to_bits() & !POSITION | u64::from(position.0) & POSITION;
        // Nothing is above what is there while there is room.
        if carried >= best[last] {
            left_out = left_out.min(carried);
            continue;
        }
        count = (count + 1).min(room);
        for slot in &mut best[..count] {
            let lower = carried.min(*slot);
            carried = carried.max(*slot);
            *slot = lower;
        }
        left_out = left_out.min(carried);
    }
    if left_out != u64::MAX && is_tie(best[last], left_out, tolerance) {
        // Which of them is left out is for listed order to say: with room for all of them, it does.
        let mut all = Order::<REGIONS_PER_DEPLOYMENT>::new();
        select(members, &mut all, tolerance, key);
        out.extend(all.into_iter().take(room));
        return;
    }
    settle_ties(&mut best[..count], tolerance);
    out.extend(best[..count].iter().map(|packed| RegionPosition((packed & POSITION) as u8)));
}

/// [`select`] for a `key` that is dear. `floor` is at most `key` and cheap: those with the lowest
/// floors show how low a key must be, and only regions whose floor is as low cost one.
#[inline]
pub(super) fn select_above_floor<const N: usize>(
    members: RegionSet,
    out: &mut Order<N>,
    tolerance: f64,
    floor: impl Fn(RegionPosition) -> f64,
    key: impl Fn(RegionPosition) -> f64,
) {
    let mut contenders = members;
    if out.is_full() {
        return;
    }
    if members.len() > N {
        let mut likely = Order::<N>::new();
        select(members, &mut likely, 0.0, &floor);
        let limit = likely.iter().map(|position| key(*position)).fold(0.0, f64::max) + tolerance;
        contenders = members.iter().filter(|position| floor(*position) <= limit).collect();
    }
    select(contenders, out, tolerance, key);
}

/// Appends the regions of `members` in ascending order of `key`, as many as fit; `then` appends those
/// whose keys are equal in an order of their own.
#[inline]
pub(super) fn select_then<const N: usize>(
    members: RegionSet,
    out: &mut Order<N>,
    key: impl Fn(RegionPosition) -> f64,
    then: impl Fn(RegionSet, &mut Order<N>),
) {
    let keys = Keys::of(members, key);
    let mut left = members;
    let mut narrowed = members.len() <= N;
    while !left.is_empty() && !out.is_full() {
        let lowest = left.iter().map(|position| keys.get(position)).fold(f64::INFINITY, f64::min);
        let ties: RegionSet = left.iter().filter(|at| keys.get(*at) <= lowest).collect();
        then(ties, out);
        left = left.without(ties);
        // Mostly the first keys are those of many, and nothing more is to be done.
        if !narrowed && !out.is_full() {
            left = likely::<N>(left, |position| keys.get(position));
            narrowed = true;
        }
    }
}

/// Those of `members` that may be among the first `N`.
fn likely<const N: usize>(members: RegionSet, key: impl Fn(RegionPosition) -> f64) -> RegionSet {
    let mut first = Order::<N>::new();
    select(members, &mut first, 0.0, &key);
    let limit = first.iter().map(|position| key(*position)).fold(0.0, f64::max);
    members.iter().filter(|position| key(*position) <= limit).collect()
}

/// Keys that are needed more than once, by position.
#[derive(Debug)]
pub(super) struct Keys([f64; REGIONS_PER_DEPLOYMENT]);

impl Keys {
    #[inline]
    pub(super) fn of(members: RegionSet, mut key: impl FnMut(RegionPosition) -> f64) -> Self {
        let mut keys = Self([f64::INFINITY; REGIONS_PER_DEPLOYMENT]);
        for position in members {
            keys.set(position, key(position));
        }
        keys
    }

    #[inline]
    pub(super) fn set(&mut self, position: RegionPosition, key: f64) {
        if let Some(slot) = self.0.get_mut(position.index()) {
            *slot = key;
        }
    }

    #[inline]
    pub(super) fn get(&self, position: RegionPosition) -> f64 {
        self.0.get(position.index()).copied().unwrap_or(f64::INFINITY)
    }
}

/// Puts neighbours into listed order whose keys differ by no more than `tolerance`.
fn settle_ties(sorted: &mut [u64], tolerance: f64) {
    for end in 1..sorted.len() {
        for place in (1..=end).rev() {
            let (before, here) = (sorted[place - 1], sorted[place]);
            if !is_tie(before, here, tolerance) || before & POSITION < here & POSITION {
                break;
            }
            sorted.swap(place - 1, place);
        }
    }
}

fn is_tie(lower: u64, higher: u64, tolerance: f64) -> bool {
    key_of(higher) - key_of(lower) <= tolerance + key_of(lower) * STEP
}

fn key_of(packed: u64) -> f64 {
    f64::from_bits(packed & !POSITION)
}
