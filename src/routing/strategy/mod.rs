//! Strategies: how the regions that the other steps left unordered are put in order.
//!
//! A strategy gives each region a key; the regions with the lowest keys come first, and regions
//! with equal keys in listed order. Which regions are ordered, and what is done with the order,
//! is not known here.

mod distance;
mod expected;
mod note;
mod select;
mod shares;

use arrayvec::ArrayVec;

pub(super) use distance::{ClientPoint, Sites};
pub(super) use expected::Expected;
pub(super) use note::note;
use select::{select, select_above_floor};
pub(super) use shares::Shares;

use super::decide::{Facts, Reason};
use super::draws::{Draws, Purpose, Stream};
use super::plan::{DeploymentPlan, Plan, RegionPosition};
use super::regions::RegionSet;
use crate::config::Strategy;

/// Regions in order, at most `N`.
pub(super) type Order<const N: usize> = ArrayVec<RegionPosition, N>;

/// A strategy with all it needs to order the regions for one request.
#[expect(clippy::large_enum_variant, reason = "lives on the stack for one decision; never moved")]
#[derive(Debug)]
pub(super) enum Ranker<'a> {
    /// As listed: by choice, or because nothing better is known (then why).
    Listed { unknown: Option<Reason> },
    /// By distance.
    Nearest { sites: &'a Sites, client: ClientPoint },
    /// By expected round trip.
    Fastest { expected: Expected<'a> },
    /// By a draw.
    Weighted { shares: &'a Shares, draws: Stream },
    /// Each in turn.
    InTurn { turn: u64 },
}

impl<'a> Ranker<'a> {
    /// The deployment's strategy for one request; `among` are the regions it may have to order.
    pub(super) fn new(
        plan: &'a Plan,
        deployment: &'a DeploymentPlan,
        facts: &Facts<'_>,
        draws: Draws,
        among: RegionSet,
    ) -> Self {
        match deployment.settings.strategy {
            Strategy::Failover => Self::Listed { unknown: None },
            Strategy::Geolocation => match facts.location.coordinates {
                Some(at) => Self::Nearest { sites: &deployment.sites, client: ClientPoint::at(at) },
                None => Self::Listed { unknown: Some(Reason::LocationUnknown) },
            },
            Strategy::Latency => match Expected::new(plan, deployment, facts, among) {
                Some(expected) => Self::Fastest { expected },
                None => Self::Listed { unknown: Some(Reason::LatencyUnknown) },
            },
            Strategy::Weighted => Self::Weighted {
                shares: &deployment.shares,
                draws: Stream::new(draws.entropy, Purpose::Region),
            },
            Strategy::RoundRobin => Self::InTurn { turn: draws.turn },
        }
    }

    /// Why the strategy could not do its work.
    pub(super) fn unknown(&self) -> Option<Reason> {
        match self {
            Self::Listed { unknown } => *unknown,
            _ => None,
        }
    }

    /// Appends the regions of `members` in order, as many as fit. `up` are the members that take
    /// traffic; only `round_robin` looks at it, because it counts those.
    pub(super) fn order<const N: usize>(
        &self,
        members: RegionSet,
        up: RegionSet,
        out: &mut Order<N>,
    ) {
        match self {
            Self::Listed { .. } => fill(members, out),
            _ if members.len() <= 1 => fill(members, out),
            Self::Nearest { sites, client } if sites.biased() => {
                let floor = |position| {
                    sites.angle_squared_floor(position, client) * sites.factor_squared(position)
                };
                let key = |position| {
                    sites.angle_squared(position, client) * sites.factor_squared(position)
                };
                select_above_floor(members, out, sites.tolerance(), floor, key);
            }
            Self::Nearest { sites, client } => {
                let key = |position| sites.chord_squared(position, client);
                select(members, out, distance::CHORD_TOLERANCE, key);
            }
            Self::Fastest { expected } => {
                let floor = |position| expected.ms_squared_floor(position);
                let key = |position| expected.ms_squared(position);
                if expected.exact() {
                    select(members, out, expected::TOLERANCE, floor);
                } else {
                    select_above_floor(members, out, expected::TOLERANCE, floor, key);
                }
            }
            Self::Weighted { shares, draws } => shares.order(*draws, members, out),
            Self::InTurn { turn } => {
                let start = start_of_turn(*turn, up).unwrap_or(RegionPosition(0));
                let (before, from) = members.split_at(start);
                fill(from, out);
                fill(before, out);
            }
        }
    }
}

fn fill<const N: usize>(members: RegionSet, out: &mut Order<N>) {
    out.extend(members.iter().take(out.remaining_capacity()));
}

/// The region whose turn it is.
fn start_of_turn(turn: u64, up: RegionSet) -> Option<RegionPosition> {
    let place = turn.checked_rem(up.len() as u64)?;
    up.nth(place as usize)
}
