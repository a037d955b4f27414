//! Strategies: how the regions that the other steps left unordered are put in order.
//!
//! A strategy gives each region a key; the regions with the lowest keys come first, and regions
//! with equal keys in listed order. Which regions are ordered, and what is done with the order,
//! is not known here.

mod distance;
mod estimate;
mod expected;
mod note;
mod select;
mod shares;

use arrayvec::ArrayVec;

pub(super) use distance::{ClientPoint, Sites};
pub use estimate::expected_ms;
pub(super) use expected::Expected;
pub(super) use note::note;
use select::{select, select_above_floor};
pub(super) use shares::Shares;

use super::draws::{Draws, Purpose, Stream};
use super::facts::{Conditions, Facts};
use super::outcome::Reason;
use super::plan::{DeploymentPlan, Plan, RegionPosition};
use super::regions::RegionSet;
use super::table::DeploymentHealth;
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

/// The strategies that one decision may need: the deployment's, and a rule's own.
#[derive(Debug)]
pub(super) struct Rankers<'a> {
    main: (Strategy, Ranker<'a>),
    own: Option<(Strategy, Ranker<'a>)>,
}

impl<'a> Rankers<'a> {
    /// The deployment's strategy, and `own` if it is another one.
    pub(super) fn new(request: &Request<'a>, own: Option<Strategy>) -> Self {
        let strategy = request.deployment.settings.strategy;
        let own = own.filter(|own| *own != strategy);
        Self {
            main: (strategy, Ranker::new(request, strategy)),
            own: own.map(|own| (own, Ranker::new(request, own))),
        }
    }

    /// For a list that needs no strategy.
    pub(super) fn unneeded(strategy: Strategy) -> Self {
        Self { main: (strategy, Ranker::Listed { unknown: None }), own: None }
    }

    /// The one that orders by that strategy.
    pub(super) fn of(&self, strategy: Strategy) -> &Ranker<'a> {
        match &self.own {
            Some((own, ranker)) if *own == strategy => ranker,
            _ => &self.main.1,
        }
    }
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
    /// A strategy for one request.
    fn new(request: &Request<'a>, strategy: Strategy) -> Self {
        let Request { plan, deployment, facts, draws, among, .. } = *request;
        match strategy {
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
            _ => Self::Listed { unknown: None },
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
