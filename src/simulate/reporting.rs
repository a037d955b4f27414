//! From what was counted to a report: places become names, counts become shares, and what there is
//! most of comes first.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::desk::Names;
use super::flow::limits;
use super::report::{
    Change, Cost, CountryMoves, InFlight, Latency, Move, PolicyReport, Refused, RegionReport,
    Report, Residency, SideReport, TenantMoves,
};
use super::run::Simulation;
use super::spread::Spread;
use super::tally::{NO_COUNTRY, Place, SideTally, Tally};
use crate::config::Enforcement;
use crate::model::{Country, RegionId};
use crate::routing::{Plan, Reason, RefusalReason};

impl Report {
    /// What a tally of that simulation says; lists of countries and tenants have at most `top`
    /// elements.
    pub fn of(simulation: &Simulation<'_>, tally: &Tally, top: usize) -> Self {
        let Simulation { names, sides, .. } = simulation;
        let span_us = simulation.span_us(tally);
        let cx = |number: usize| {
            let plan = &sides.get(number)?.table.plan;
            Some(SideContext { names, number, plan, requests: tally.requests, span_us, top })
        };
        let before = cx(0).map(|cx| cx.report(&tally.before));
        let after = cx(1).zip(tally.after.as_ref()).map(|(cx, counts)| cx.report(counts));
        let before = before.unwrap_or_else(SideReport::empty);
        let change = after.as_ref().map(|after| change(names, tally, &before, after, top));
        Self {
            requests: tally.requests,
            seconds: span_us.map(|us| us as f64 / 1e6),
            bad_lines: tally.bad.clone(),
            before,
            after,
            change,
        }
    }
}

/// What a side's report is made with.
struct SideContext<'a> {
    names: &'a Names,
    number: usize,
    plan: &'a Plan,
    requests: u64,
    span_us: Option<u64>,
    top: usize,
}

impl SideContext<'_> {
    fn report(&self, counts: &SideTally) -> SideReport {
        let reasons = Reason::ALL.iter().zip(counts.reasons);
        let reasons = reasons.filter(|(_, count)| *count > 0);
        SideReport {
            regions: self.regions(counts),
            reasons: reasons.map(|(reason, count)| (reason.as_str(), count)).collect(),
            refused: self.refused(counts),
            latency: Latency::of(&counts.expected, counts.unexpected),
            mean_cost: self.mean_cost(counts),
            residency: self.residency(counts),
        }
    }

    fn regions(&self, counts: &SideTally) -> Vec<RegionReport> {
        let limits = self.names.by_place(self.number, &limits(self.plan));
        let region = |(place, id): (usize, &RegionId)| {
            let at = |counts: &[u64]| counts.get(place).copied().unwrap_or(0);
            let limit = limits.get(place).copied().flatten().flatten().map(NonZeroU32::get);
            let in_flight = self.span_us.map(|span| {
                let mean = counts.timeline.mean(place, span);
                let peak = counts.timeline.peak(place).max(mean);
                let exceeded = limit.is_some_and(|limit| peak > f64::from(limit));
                InFlight { mean, peak, limit, exceeded }
            });
            RegionReport {
                region: id.clone(),
                requests: at(&counts.regions),
                percent: percent(at(&counts.regions), self.requests),
                spilled: at(&counts.spilled),
                in_flight,
            }
        };
        self.names.ids.iter().enumerate().map(region).collect()
    }

    fn refused(&self, counts: &SideTally) -> Vec<Refused> {
        let refused = RefusalReason::ALL.into_iter().filter_map(|why| {
            let by_country = counts.refusals(why).iter().copied().enumerate();
            let mut countries: Vec<_> = by_country
                .filter(|(_, count)| *count > 0)
                .map(|(index, count)| (country(index), count))
                .collect();
            let requests = countries.iter().map(|(_, count)| count).sum();
            most_first(&mut countries, |(country, count)| (*count, *country));
            countries.truncate(self.top);
            (requests > 0).then(|| Refused { reason: why.as_str(), requests, countries })
        });
        refused.collect()
    }

    fn mean_cost(&self, counts: &SideTally) -> Option<f64> {
        let mut costs = vec![1.0; self.plan.regions.len()];
        for region in self.plan.deployments.iter().flat_map(|deployment| &deployment.regions) {
            if let Some(cost) = costs.get_mut(region.number.index()) {
                *cost = region.cost_multiplier;
            }
        }
        let served: u64 = counts.regions.iter().sum();
        let costs = self.names.by_place(self.number, &costs);
        let costs = costs.iter().zip(&counts.regions).filter(|(_, count)| **count > 0);
        let sum: f64 = costs.map(|(cost, count)| cost.unwrap_or(1.0) * *count as f64).sum();
        (served > 0).then(|| sum / served as f64).filter(|mean| mean.is_finite())
    }

    fn residency(&self, counts: &SideTally) -> Residency {
        let mut all =
            Residency { policies: Vec::new(), only_one_region: 0, reported: 0, violations: 0 };
        for (deployment, counts) in self.plan.deployments.iter().zip(&counts.residency) {
            all.only_one_region += counts.single;
            all.reported += counts.reported;
            all.violations += counts.violated;
            let numbers = counts.applying.iter().zip(&counts.refused);
            for (policy, (applying, refused)) in deployment.settings.residency.iter().zip(numbers) {
                all.policies.push(PolicyReport {
                    deployment: deployment.name.clone(),
                    policy: policy.name.to_string(),
                    strict: policy.enforcement == Enforcement::Strict,
                    requests: *applying,
                    refused: *refused,
                });
            }
        }
        all
    }
}

impl SideReport {
    fn empty() -> Self {
        let latency = Latency { known: 0, unknown: 0, mean_ms: None, p50_ms: None, p95_ms: None };
        let residency =
            Residency { policies: Vec::new(), only_one_region: 0, reported: 0, violations: 0 };
        let (regions, reasons, refused) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { regions, reasons, refused, latency, mean_cost: None, residency }
    }
}

impl Latency {
    fn of(spread: &Spread, unknown: u64) -> Self {
        Self {
            known: spread.count(),
            unknown,
            mean_ms: spread.mean(),
            p50_ms: spread.percentile(50),
            p95_ms: spread.percentile(95),
        }
    }
}

fn change(
    names: &Names,
    tally: &Tally,
    before: &SideReport,
    after: &SideReport,
    top: usize,
) -> Change {
    let less =
        |read: fn(&Latency) -> Option<f64>| Some(read(&after.latency)? - read(&before.latency)?);
    let cost = before.mean_cost.zip(after.mean_cost).map(|(before, after)| {
        let percent = (before > 0.0).then(|| (after / before - 1.0) * 100.0);
        Cost { before, after, percent }
    });
    let mut all = BTreeMap::<(Place, Place), u64>::new();
    for (key, count) in &tally.moves {
        *all.entry((key.from, key.to)).or_default() += count;
    }
    let mut tenants: Vec<_> = tally.tenants.iter().collect();
    most_first(&mut tenants, |(tenant, count)| (**count, *tenant));
    let tenants = tenants.into_iter().take(top);
    Change {
        moved: tally.moved,
        moved_percent: percent(tally.moved, tally.requests),
        moves: moves(names, all),
        countries: country_moves(names, tally, top),
        tenants: tenants
            .map(|(tenant, moved)| TenantMoves { tenant: tenant.to_string(), moved: *moved })
            .collect(),
        tenants_not_counted: tally.tenants_missed,
        latency_mean_ms: less(|latency| latency.mean_ms),
        latency_p50_ms: less(|latency| latency.p50_ms),
        latency_p95_ms: less(|latency| latency.p95_ms),
        mean_cost: cost,
    }
}

fn country_moves(names: &Names, tally: &Tally, top: usize) -> Vec<CountryMoves> {
    let mut by_country = BTreeMap::<u16, BTreeMap<(Place, Place), u64>>::new();
    for (key, count) in &tally.moves {
        by_country.entry(key.country).or_default().insert((key.from, key.to), *count);
    }
    let mut countries: Vec<_> = by_country
        .into_iter()
        .map(|(index, own)| {
            let index = usize::from(index);
            CountryMoves {
                country: country(index),
                requests: tally.countries.get(index).copied().unwrap_or(0),
                moved: own.values().sum(),
                moves: moves(names, own),
            }
        })
        .collect();
    most_first(&mut countries, |moves| (moves.moved, moves.country));
    countries.truncate(top);
    countries
}

fn moves(names: &Names, counts: BTreeMap<(Place, Place), u64>) -> Vec<Move> {
    let id = |place: Place| names.ids.get(usize::from(place)).cloned();
    let mut moves: Vec<_> = counts
        .into_iter()
        .map(|((from, to), requests)| Move { from: id(from), to: id(to), requests })
        .collect();
    most_first(&mut moves, |moved| (moved.requests, (moved.from.clone(), moved.to.clone())));
    moves
}

/// Highest count first; equal ones in the order of their names.
fn most_first<T, N: Ord>(all: &mut [T], of: impl Fn(&T) -> (u64, N)) {
    all.sort_by(|a, b| {
        let ((a, a_name), (b, b_name)) = (of(a), of(b));
        b.cmp(&a).then_with(|| a_name.cmp(&b_name))
    });
}

fn country(index: usize) -> Option<Country> {
    let letter = |number: usize| b'A' + (number % 26) as u8;
    if index == NO_COUNTRY { None } else { Country::new(&[letter(index / 26), letter(index)]) }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}
