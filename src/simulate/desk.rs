//! Where requests are decided: one after the other, before and after, and counted.

use arrayvec::ArrayVec;

use super::case::Case;
use super::flow::Flow;
use super::run::Side;
use super::tally::{MoveKey, NO_COUNTRY, Place, SideTally, Tally, bump};
use crate::config::{AffinityMode, Strategy};
use crate::geo;
use crate::model::limits::RESIDENCY_POLICIES;
use crate::model::{Country, Location, RegionId};
use crate::routing::{
    self, Conditions, Decision, Draws, Facts, NoTrace, Plan, Refusal, RefusalReason, RegionLoad,
    RegionNumber,
};

/// The regions of both tables under common numbers.
#[derive(Debug)]
pub(super) struct Names {
    /// By [`Place`].
    pub(super) ids: Vec<RegionId>,
    /// By side and [`RegionNumber`].
    places: ArrayVec<Vec<Place>, 2>,
}

impl Names {
    pub(super) fn of(sides: &[Side<'_>]) -> Self {
        let mut ids: Vec<RegionId> = Vec::new();
        let mut places = ArrayVec::new();
        for side in sides.iter().take(2) {
            let place = |id: &RegionId| {
                let known = ids.iter().position(|known| known == id);
                known.unwrap_or_else(|| {
                    ids.push(id.clone());
                    ids.len() - 1
                }) as Place
            };
            places.push(side.table.plan.regions.iter().map(place).collect());
        }
        Self { ids, places }
    }

    /// What stands for no region.
    pub(super) fn nowhere(&self) -> Place {
        self.ids.len() as Place
    }

    fn place(&self, side: usize, number: RegionNumber) -> Place {
        let place = self.places.get(side).and_then(|places| places.get(number.index()));
        place.copied().unwrap_or(self.nowhere())
    }

    /// The region's number in the table of that side.
    fn number(&self, side: usize, place: Place) -> Option<RegionNumber> {
        let number = self.places.get(side)?.iter().position(|known| *known == place)?;
        u16::try_from(number).ok().map(RegionNumber)
    }

    /// By [`Place`]: something that the side's table knows of regions.
    pub(super) fn by_place<T: Copy>(&self, side: usize, known: &[T]) -> Vec<Option<T>> {
        let mut all = vec![None; self.ids.len()];
        for (place, value) in self.places.get(side).into_iter().flatten().zip(known) {
            if let Some(slot) = all.get_mut(usize::from(*place)) {
                *slot = Some(*value);
            }
        }
        all
    }
}

/// Whether what becomes of a request depends on those before it.
pub(super) fn remembers(plan: &Plan) -> bool {
    let looks_back = |strategy: Strategy| {
        matches!(strategy, Strategy::RoundRobin | Strategy::Capacity | Strategy::Score)
    };
    plan.deployments.iter().any(|deployment| {
        let settings = &deployment.settings;
        let mut rules = settings.rules.iter().filter_map(|rule| rule.strategy);
        looks_back(settings.strategy)
            || rules.any(looks_back)
            || settings.ranking.latency_tolerance_ms > 0.0
            || settings.affinity.mode == AffinityMode::Client
            || deployment.regions.iter().any(|region| region.max_in_flight.is_some())
    })
}

/// Decides and counts.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    names: &'a Names,
    seed: u64,
    sides: ArrayVec<DeskSide<'a>, 2>,
    tally: Tally,
}

/// One table with what came of the requests so far.
#[derive(Debug)]
struct DeskSide<'a> {
    number: usize,
    side: Side<'a>,
    /// `None`: nothing looks at it.
    flow: Option<Flow>,
    /// By deployment.
    turns: Vec<u64>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(sides: &[Side<'a>], names: &'a Names, seed: u64) -> Self {
        let places = names.ids.len();
        let mut tallies =
            sides.iter().map(|side| SideTally::new(places, side.table.plan.deployments.len()));
        let before = tallies.next().unwrap_or_else(|| SideTally::new(places, 0));
        let tally = Tally::new(before, tallies.next());
        let sides = sides.iter().take(2).enumerate().map(|(number, side)| DeskSide {
            number,
            side: *side,
            flow: remembers(&side.table.plan).then(|| Flow::new(&side.table.plan)),
            turns: vec![0; side.table.plan.deployments.len()],
        });
        Self { names, seed, sides: sides.collect(), tally }
    }

    pub(super) fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    pub(super) fn into_tally(self) -> Tally {
        self.tally
    }

    /// Decides a request on each side, and counts what is the same and what is not.
    pub(super) fn take(&mut self, case: &Case<'_>) {
        let Self { names, seed, sides, tally } = self;
        let draws = case.draws(*seed);
        tally.requests += 1;
        if let Some(at) = case.at_us {
            tally.at(at, at);
        }
        let Some((before, after)) = sides.split_first_mut() else { return };
        let location = before.locate(case);
        let country = location.country.map_or(NO_COUNTRY, Country::index);
        bump(&mut tally.countries, country);
        let mut sitting = Sitting { names, case, draws, location, country, incumbent: None };
        let first = before.take(&sitting, &mut tally.before);
        let (Some(after), Some(counts)) = (after.first_mut(), &mut tally.after) else { return };
        if !std::ptr::eq(after.side.geo, before.side.geo) {
            sitting.location = after.locate(case);
        }
        sitting.incumbent = Some(first);
        let second = after.take(&sitting, counts);
        if first != second {
            let key = MoveKey { country: country as u16, from: first, to: second };
            let tenant = before.tenant(case).or_else(|| after.tenant(case));
            tally.moves(key, tenant);
        }
    }
}

/// A request in front of a desk.
#[derive(Clone, Copy, Debug)]
struct Sitting<'a> {
    names: &'a Names,
    case: &'a Case<'a>,
    draws: Draws,
    location: Location,
    country: usize,
    /// Where the request goes in the other table.
    incumbent: Option<Place>,
}

impl DeskSide<'_> {
    fn locate(&self, case: &Case<'_>) -> Location {
        let known = self.side.geo.lookup(case.address);
        case.country.map_or(known, |country| geo::placed(known, country))
    }

    /// The tenant, if the deployment that answers the request asks for one.
    fn tenant<'c>(&self, case: &Case<'c>) -> Option<&'c str> {
        let tenant = case.tenant?;
        let table = self.side.table;
        let index = routing::deployment(table, case.host, case.path)?;
        let settings = &table.plan.deployment(index)?.settings;
        settings.tenant.is_some().then_some(tenant)
    }

    /// Where the request goes.
    fn take(&mut self, sitting: &Sitting<'_>, counts: &mut SideTally) -> Place {
        let Sitting { names, case, country, .. } = *sitting;
        let mut facts = case.facts(sitting.location);
        facts.tenant = self.tenant(case);
        if let (Some(flow), Some(at)) = (&mut self.flow, case.at_us) {
            flow.advance(at);
        }
        let (outcome, wanted) = self.decide(sitting, &facts);
        let place = |decision: &Decision| self.place(names, decision);
        let wanted = wanted.map(|decision| place(&decision));
        let found = outcome.as_ref().map_or(names.nowhere(), place);
        match &outcome {
            Ok(decision) => {
                bump(&mut counts.regions, usize::from(found));
                bump(&mut counts.reasons, decision.reason as usize);
                self.expect(decision, &facts, counts);
                self.arrive(decision, case);
            }
            Err(refusal) => counts.refuse(refusal.why, country),
        }
        let meant = wanted.unwrap_or(found);
        if meant != found {
            bump(&mut counts.spilled, usize::from(meant));
        }
        if let Some(at) = case.at_us {
            counts.timeline.add(usize::from(meant), at, case.duration_us);
        }
        self.residency(&outcome, &facts, counts);
        found
    }

    /// The decision; and if some region is full, that had it not been.
    fn decide(
        &mut self,
        sitting: &Sitting<'_>,
        facts: &Facts<'_>,
    ) -> (Result<Decision, Refusal>, Option<Decision>) {
        let table = self.side.table;
        let Some(index) = routing::deployment(table, facts.host, facts.path) else {
            return (Err(Refusal::NO_DEPLOYMENT), None);
        };
        let mut draws = sitting.draws;
        if let Some(turn) = self.turns.get_mut(index.index()) {
            draws.turn = *turn;
            *turn = turn.wrapping_add(1);
        }
        let incumbent = self.incumbent(sitting, index);
        let decide = |load: &[RegionLoad]| {
            let conditions = Conditions { load, incumbent, ..Conditions::NONE };
            routing::decide_in(table, index, facts, &conditions, draws, &mut NoTrace)
        };
        let outcome = decide(self.flow.as_ref().map_or(&[], Flow::load));
        let relieved = self.flow.as_mut().and_then(Flow::relieved);
        let wanted = relieved.and_then(|load| decide(load).ok());
        (outcome, wanted)
    }

    /// Where the client's network went before the change: what the client is used to.
    fn incumbent(
        &self,
        sitting: &Sitting<'_>,
        index: routing::DeploymentIndex,
    ) -> Option<RegionNumber> {
        let deployment = self.side.table.plan.deployment(index)?;
        if deployment.settings.ranking.latency_switch_ms <= 0.0 {
            return None;
        }
        sitting.names.number(self.number, sitting.incumbent?)
    }

    fn place(&self, names: &Names, decision: &Decision) -> Place {
        self.number_of(decision).map_or(names.nowhere(), |number| names.place(self.number, number))
    }

    fn number_of(&self, decision: &Decision) -> Option<RegionNumber> {
        let deployment = self.side.table.plan.deployment(decision.deployment)?;
        Some(deployment.region(*decision.order.first()?)?.number)
    }

    fn expect(&self, decision: &Decision, facts: &Facts<'_>, counts: &mut SideTally) {
        let (table, index) = (self.side.table, decision.deployment);
        let expected = decision.order.first().and_then(|position| {
            routing::expected_ms(table, index, facts, &Conditions::NONE, *position)
        });
        match expected {
            Some(ms) => counts.expected.add(ms),
            None => counts.unexpected += 1,
        }
    }

    fn arrive(&mut self, decision: &Decision, case: &Case<'_>) {
        let number = self.number_of(decision);
        if let (Some(flow), Some(number), Some(_)) = (&mut self.flow, number, case.at_us) {
            flow.start(number, case.duration_us);
        }
    }

    fn residency(
        &self,
        outcome: &Result<Decision, Refusal>,
        facts: &Facts<'_>,
        counts: &mut SideTally,
    ) {
        let index = match outcome {
            Ok(decision) => Some(decision.deployment),
            Err(refusal) => refusal.deployment,
        };
        let Some(index) = index else { return };
        let Some(view) = routing::residency_view(self.side.table, index, facts) else { return };
        let Some(counts) = counts.residency.get_mut(index.index()) else { return };
        let refused = outcome.as_ref().is_err_and(|r| r.why == RefusalReason::ResidencyUnavailable);
        for policy in (0..RESIDENCY_POLICIES).filter(|policy| view.applying >> policy & 1 == 1) {
            bump(&mut counts.applying, policy);
            if refused {
                bump(&mut counts.refused, policy);
            }
        }
        counts.single += u64::from(view.allowed.len() == 1);
        let deployment = self.side.table.plan.deployment(index);
        let first = outcome.as_ref().ok().and_then(|decision| decision.order.first().copied());
        if let (Some(first), Some(deployment)) = (first, deployment) {
            counts.reported += u64::from(view.reported.contains(first));
            counts.violated += u64::from(!routing::permits(deployment, facts, first));
        }
    }
}
