//! Strategies: how the regions that the other steps left unordered are put in order.
//!
//! A strategy gives each region a key; the regions with the lowest keys come first, and regions
//! with equal keys in listed order. Which regions are ordered, and what is done with the order,
//! is not known here.
//!
//! | strategy | ascending |
//! |---|---|
//! | `failover` | position |
//! | `geolocation`, `compliance` | distance, scaled by the bias (`distance`) |
//! | `latency` | expected round trip (`known`, `expected`), with what keeps it calm (`steady`) |
//! | `weighted` | a draw (`shares`) |
//! | `round_robin` | turn |
//! | `capacity` | `in_flight / max_in_flight`; `in_flight / 10^9` without a limit (`figures`) |
//! | `cost` | `cost_multiplier`, then expected round trip |
//! | `health` | 100 - health score, then expected round trip |
//! | `score` | weighted sum of normalised objectives (`score`) |
//!
//! An order is the same whichever of its regions are asked for: what depends on the others (turns,
//! scales, the best of all) depends on those of the group that are up, asked for or not.

mod distance;
mod estimate;
mod expected;
mod figures;
mod known;
mod note;
mod score;
mod select;
mod shares;
mod steady;
mod told;

use arrayvec::ArrayVec;

pub(super) use distance::{ClientPoint, Sites};
pub use estimate::expected_ms;
use expected::Expected;
pub(super) use figures::Figures;
use figures::Loads;
pub(super) use note::note;
use score::Score;
use select::{select, select_above_floor, select_then};
pub(super) use shares::Shares;
use steady::Steady;
pub(super) use told::time;

use super::draws::{Draws, Purpose, Stream};
use super::facts::{Conditions, Facts};
use super::outcome::Reason;
use super::plan::{DeploymentPlan, Plan, RegionPosition};
use super::regions::RegionSet;
use super::table::DeploymentHealth;
use crate::config::Strategy;

/// Regions in order, at most `N`.
pub(super) type Order<const N: usize> = ArrayVec<RegionPosition, N>;

/// A strategy with all it needs to order the regions for one request. Large, and never moved: it
/// lives on the stack for one decision.
#[derive(Debug)]
pub(super) enum Ranker<'a> {
    /// As listed: by choice, or because nothing better is known (then why).
    Listed { unknown: Option<Reason> },
    /// By distance.
    Nearest { sites: &'a Sites, client: ClientPoint },
    /// By expected round trip.
    Fastest { expected: Expected<'a>, steady: Option<Steady<'a>> },
    /// By a draw.
    Weighted { shares: &'a Shares, draws: Stream },
    /// Each in turn.
    InTurn { turn: u64 },
    /// By utilisation.
    LeastBusy { loads: Loads<'a> },
    /// By cost.
    Cheapest { figures: &'a Figures, expected: Option<Expected<'a>> },
    /// By health score.
    Healthiest { health: &'a DeploymentHealth, expected: Option<Expected<'a>> },
    /// By several objectives.
    Scored { score: Score<'a> },
}

/// What a strategy looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) plan: &'a Plan,
    pub(super) deployment: &'a DeploymentPlan,
    pub(super) health: &'a DeploymentHealth,
    pub(super) facts: &'a Facts<'a>,
    pub(super) conditions: &'a Conditions<'a>,
    pub(super) draws: Draws,
    /// The regions that may have to be ordered.
    pub(super) among: RegionSet,
}

impl<'a> Ranker<'a> {
    /// For a list that needs no strategy.
    pub(super) const UNNEEDED: Self = Self::Listed { unknown: None };

    /// A strategy for one request.
    pub(super) fn new(request: &Request<'a>, strategy: Strategy) -> Self {
        let Request { deployment, health, facts, conditions, draws, .. } = *request;
        match strategy {
            Strategy::Failover => Self::Listed { unknown: None },
            Strategy::Geolocation | Strategy::Compliance => match facts.location.coordinates {
                Some(at) => Self::Nearest { sites: &deployment.sites, client: ClientPoint::at(at) },
                None => Self::Listed { unknown: Some(Reason::LocationUnknown) },
            },
            Strategy::Latency => {
                let steady = Steady::new(request);
                match Expected::new(request) {
                    Ok(expected) => Self::Fastest { expected, steady },
                    Err(why) => Self::Listed { unknown: Some(why) },
                }
            }
            Strategy::Weighted => Self::Weighted {
                shares: &deployment.shares,
                draws: Stream::new(draws.entropy, Purpose::Region),
            },
            Strategy::RoundRobin => Self::InTurn { turn: draws.turn },
            Strategy::Capacity => {
                Self::LeastBusy { loads: Loads::new(&deployment.figures, conditions) }
            }
            Strategy::Cost => {
                let expected = Expected::new(request).ok();
                Self::Cheapest { figures: &deployment.figures, expected }
            }
            Strategy::Health => Self::Healthiest { health, expected: Expected::new(request).ok() },
            Strategy::Score => Self::Scored { score: Score::new(request) },
        }
    }

    /// Why the strategy could not do its work.
    pub(super) fn unknown(&self) -> Option<Reason> {
        match self {
            Self::Listed { unknown } => *unknown,
            _ => None,
        }
    }

    /// The round trips it orders by, if it does.
    fn expected(&self) -> Option<&Expected<'a>> {
        match self {
            Self::Fastest { expected, .. } => Some(expected),
            Self::Cheapest { expected, .. } | Self::Healthiest { expected, .. } => {
                expected.as_ref()
            }
            Self::Scored { score } => score.expected(),
            _ => None,
        }
    }

    /// Appends the regions of `members` in order, as many as fit. `up` are the members that take
    /// traffic, whether or not they are to be appended.
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
            Self::Fastest { expected, steady: None } => expected.order(members, out),
            Self::Fastest { expected, steady: Some(steady) } => {
                steady.order(expected, members, up, out);
            }
            Self::Weighted { shares, draws } => shares.order(*draws, members, out),
            Self::InTurn { turn } => {
                let start = start_of_turn(*turn, up).unwrap_or(RegionPosition(0));
                let (before, from) = members.split_at(start);
                fill(from, out);
                fill(before, out);
            }
            Self::LeastBusy { loads } => {
                select(members, out, 0.0, |position| loads.fullness(position));
            }
            Self::Cheapest { figures, expected } => {
                let cost = |position| figures.cost(position);
                select_then(members, out, cost, |ties, out| fastest(expected, ties, out));
            }
            Self::Healthiest { health, expected } => {
                let lack = |position| f64::from(100 - health.region(position).score.min(100));
                select_then(members, out, lack, |ties, out| fastest(expected, ties, out));
            }
            Self::Scored { score } => score.order(members, up, out),
        }
    }
}

/// By expected round trip where it is known, else as listed.
fn fastest<const N: usize>(
    expected: &Option<Expected<'_>>,
    members: RegionSet,
    out: &mut Order<N>,
) {
    match expected {
        Some(expected) => expected.order(members, out),
        None => fill(members, out),
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
