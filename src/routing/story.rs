//! What each step of the decision says of itself, in words and numbers for people.
//!
//! Only called when somebody listens. Decides nothing: it is shown what was decided.

use super::decide::Scene;
use super::draws::Stream;
use super::facts::{Facts, Forced};
use super::plan::{DeploymentPlan, RegionPosition};
use super::ranking::{Group, Ranking};
use super::regions::RegionSet;
use super::residency::Verdict;
use super::rules::{self, CompiledRule};
use super::strategy::{self, Ranker};
use super::table::DeploymentOverrides;
use super::tenants::Pin;
use super::trace::{Dropped, Step, StepRecord};
use crate::model::{RegionId, RegionState};

pub(super) fn no_deployment(facts: &Facts<'_>) -> StepRecord {
    let note = format!("no deployment answers host `{}` and path `{}`", facts.host, facts.path);
    record(Step::Deployment, Vec::new(), Vec::new(), Some(note))
}

pub(super) fn deployment(deployment: &DeploymentPlan, facts: &Facts<'_>) -> StepRecord {
    let note =
        format!("`{}` answers host `{}` and path `{}`", deployment.name, facts.host, facts.path);
    record(Step::Deployment, Vec::new(), Vec::new(), Some(note))
}

pub(super) fn eligible(deployment: &DeploymentPlan) -> StepRecord {
    let excluded = deployment.settings.excluded_regions.iter().cloned();
    let dropped = excluded.map(|region| Dropped { region, why: "excluded".to_owned() });
    let ids = deployment.regions.iter().map(|region| region.id.clone());
    record(Step::Eligible, ids.collect(), dropped.collect(), None)
}

pub(super) fn residency(
    scene: &Scene<'_>,
    before: RegionSet,
    left: RegionSet,
    verdict: &Verdict,
) -> StepRecord {
    let policies = &scene.deployment.settings.residency;
    let applying: Vec<&str> = (0..)
        .zip(policies)
        .filter(|(place, _)| verdict.applying.checked_shr(*place).unwrap_or(0) & 1 == 1)
        .map(|(_, policy)| &*policy.name)
        .collect();
    let mut note = match applying.as_slice() {
        [] => format!("none of {} policies applies", policies.len()),
        names => format!("applying: {}", names.join(", ")),
    };
    let reported: Vec<&str> =
        scene.deployment.ids(verdict.reported).map(RegionId::as_str).collect();
    if !reported.is_empty() {
        note += "; a policy that only reports would also drop ";
        note += &reported.join(", ");
    }
    let gone = scene.deployment.ids(before.without(left));
    let dropped = gone.map(|id| drop(id, "a residency policy does not allow it"));
    let regions = scene.deployment.ids(left).cloned().collect();
    record(Step::Residency, regions, dropped.collect(), Some(note))
}

pub(super) fn overrides(
    scene: &Scene<'_>,
    before: RegionSet,
    ranking: &Ranking<'_>,
    overrides: &DeploymentOverrides,
) -> StepRecord {
    let gone = scene.deployment.ids(before.and(overrides.drained));
    let dropped = gone.map(|id| drop(id, "an operator drained it")).collect();
    let note = (!overrides.shift.is_empty()).then(|| "an operator shifted the order".to_owned());
    record(Step::Override, listed(scene, ranking), dropped, note)
}

pub(super) fn hint(
    scene: &Scene<'_>,
    before: RegionSet,
    ranking: &Ranking<'_>,
    forced: Forced<'_>,
) -> StepRecord {
    let who =
        if forced.replay { "an origin asks for a replay in" } else { "the request insists on" };
    let mut note = format!("{who} `{}`", forced.region);
    if ranking.regions().is_empty() {
        note += ", which is not in the list: refused";
    }
    let dropped = lost(scene, before, ranking, "only one region will do");
    record(Step::Hint, listed(scene, ranking), dropped, Some(note))
}

pub(super) fn pin(
    scene: &Scene<'_>,
    before: RegionSet,
    ranking: &Ranking<'_>,
    pin: Pin,
    found: bool,
) -> StepRecord {
    let table = scene.plan.tenants.as_ref();
    let home = table.and_then(|table| table.regions().get(usize::from(pin.region)));
    let home = home.map_or("?", RegionId::as_str);
    let tenant = scene.facts.tenant.unwrap_or_default();
    let only = if pin.strict { ", and nowhere else" } else { "" };
    let mut note = format!("tenant `{tenant}` is at home in {home}{only}");
    if !found {
        note += if pin.strict { "; that is not in the list: refused" } else { "; not in the list" };
    }
    let dropped = lost(scene, before, ranking, "the tenant may go nowhere but to its home");
    record(Step::Pin, listed(scene, ranking), dropped, Some(note))
}

pub(super) fn rule(
    scene: &Scene<'_>,
    rule: Option<&CompiledRule>,
    before: RegionSet,
    ranking: &Ranking<'_>,
) -> StepRecord {
    let deployment = scene.deployment;
    let regions = listed(scene, ranking);
    let settings = rule.and_then(|rule| deployment.rule(rule.index));
    let Some(settings) = settings else {
        let note = match deployment.rules.len() {
            0 => "the deployment has no enabled rule".to_owned(),
            count => format!("none of {count} enabled rules holds"),
        };
        return record(Step::Rule, regions, Vec::new(), Some(note));
    };
    let left = before.without(ranking.regions());
    let why = format!("rule `{}` names neither it as a target nor as a fallback", settings.id);
    let dropped = deployment.ids(left).map(|id| drop(id, &why));
    let note = rules::told::note(deployment, scene.facts, settings);
    record(Step::Rule, regions, dropped.collect(), Some(note))
}

pub(super) fn read(
    scene: &Scene<'_>,
    ranking: &Ranking<'_>,
    written: RegionPosition,
    placed: bool,
) -> StepRecord {
    let id = name(scene, Some(written));
    let note = match placed {
        true => format!("the client wrote in {id} a moment ago and reads there"),
        false => format!("the client wrote in {id} a moment ago, which is not in the list"),
    };
    record(Step::Writes, listed(scene, ranking), Vec::new(), Some(note))
}

pub(super) fn write(
    scene: &Scene<'_>,
    before: RegionSet,
    ranking: &Ranking<'_>,
    writer: Option<RegionPosition>,
    placed: Option<RegionPosition>,
    refused: bool,
) -> StepRecord {
    let (method, id) = (scene.facts.method, name(scene, writer));
    let mut note = format!("{method} is a write, and {id} takes them");
    if placed.is_none() {
        note += ", but it is not in the list";
    }
    if refused {
        note += "; it cannot be used, and nobody else may: refused";
    }
    let dropped = lost(scene, before, ranking, "it does not take writes");
    record(Step::Writes, listed(scene, ranking), dropped, Some(note))
}

pub(super) fn affinity(
    scene: &Scene<'_>,
    before: RegionSet,
    ranking: &Ranking<'_>,
    region: Option<RegionPosition>,
    settled: bool,
) -> StepRecord {
    let note = match region {
        Some(_) if settled => {
            format!("{} is not asked: the step before has settled it", name(scene, region))
        }
        Some(position) if !scene.health.up().contains(position) => {
            format!("the client belongs to {}, which is down", name(scene, region))
        }
        Some(_) => format!("the client belongs to {}", name(scene, region)),
        None => "the client belongs nowhere yet".to_owned(),
    };
    let dropped = lost(scene, before, ranking, "the client may go nowhere else");
    record(Step::Affinity, listed(scene, ranking), dropped, Some(note))
}

pub(super) fn prefer(
    scene: &Scene<'_>,
    ranking: &Ranking<'_>,
    preferred: &str,
    placed: bool,
) -> StepRecord {
    let not = if placed { "" } else { ", which cannot be had" };
    let note = format!("the request would rather go to `{preferred}`{not}");
    record(Step::Prefer, listed(scene, ranking), Vec::new(), Some(note))
}

/// The list in as much order as it has yet.
fn listed(scene: &Scene<'_>, ranking: &Ranking<'_>) -> Vec<RegionId> {
    let listed = ranking.groups().iter().flat_map(Group::positions);
    scene.deployment.ids(listed).cloned().collect()
}

fn name<'a>(scene: &Scene<'a>, position: Option<RegionPosition>) -> &'a str {
    let region = position.and_then(|position| scene.deployment.region(position));
    region.map_or("a region that is excluded", |region| region.id.as_str())
}

/// What was in the list and is no longer.
fn lost(scene: &Scene<'_>, before: RegionSet, ranking: &Ranking<'_>, why: &str) -> Vec<Dropped> {
    let gone = scene.deployment.ids(before.without(ranking.regions()));
    gone.map(|id| drop(id, why)).collect()
}

fn drop(region: &RegionId, why: &str) -> Dropped {
    Dropped { region: region.clone(), why: why.to_owned() }
}

pub(super) fn strategy(
    scene: &Scene<'_>,
    ranking: &Ranking<'_>,
    ranker: &Ranker<'_>,
    draws: Stream,
    order: &[RegionPosition],
    up: RegionSet,
) -> StepRecord {
    let regions = scene.deployment.ids(order.iter().copied()).cloned().collect();
    let note = strategy::note(scene, ranking, ranker, draws, order, up);
    record(Step::Strategy, regions, Vec::new(), Some(note))
}

pub(super) fn health(scene: &Scene<'_>, order: &[RegionPosition], taking: RegionSet) -> StepRecord {
    let (left, gone) = parted(order, taking);
    let dropped = gone.iter().filter_map(|position| {
        let region = scene.deployment.region(*position)?;
        let health = scene.health.region(*position);
        let why = match health.state.takes_traffic() {
            true => format!("takes {} % of its clients, and not this one", percent(health.share)),
            false => in_state(scene, *position),
        };
        Some(drop(&region.id, &why))
    });
    let degraded: Vec<String> = left
        .iter()
        .filter(|position| !matches!(scene.health.region(**position).state, RegionState::Healthy))
        .filter_map(|position| {
            let id = &scene.deployment.region(*position)?.id;
            Some(format!("{id} is {}", in_state(scene, *position)))
        })
        .collect();
    let note = (!degraded.is_empty()).then(|| degraded.join(", "));
    let regions = scene.deployment.ids(left).cloned().collect();
    record(Step::Health, regions, dropped.collect(), note)
}

/// The state of a region, and how old that is.
fn in_state(scene: &Scene<'_>, position: RegionPosition) -> String {
    let health = scene.health.region(position);
    let state = health.state.as_str();
    match health.since {
        Some(since) => {
            format!("{state} for {}", strategy::time(scene.facts.now.saturating_sub(since)))
        }
        None => state.to_owned(),
    }
}

pub(super) fn capacity(
    scene: &Scene<'_>,
    order: &[RegionPosition],
    taking: RegionSet,
    full: RegionSet,
    class_percent: u8,
) -> StepRecord {
    let (up, _) = parted(order, taking);
    let (gone, left) = parted(&up, full);
    let busy = |position: RegionPosition| {
        let region = scene.deployment.region(position)?;
        let limit = region.max_in_flight?;
        let in_flight = scene.conditions.load(region.number).in_flight;
        Some((region, format!("{in_flight} of {limit} requests in flight")))
    };
    let dropped = gone.iter().filter_map(|position| {
        let (region, busy) = busy(*position)?;
        Some(drop(&region.id, &format!("full: {busy}")))
    });
    let mut note: Vec<String> = left
        .iter()
        .filter_map(|position| {
            busy(*position).map(|(region, busy)| format!("{} {busy}", region.id))
        })
        .collect();
    if class_percent < 100 {
        note.push(format!("requests of this class may fill {class_percent} %"));
    }
    let regions = scene.deployment.ids(left).cloned().collect();
    let note = (!note.is_empty()).then(|| note.join(", "));
    record(Step::Capacity, regions, dropped.collect(), note)
}

/// Those in the set and those that are not, in their order.
fn parted(order: &[RegionPosition], set: RegionSet) -> (Vec<RegionPosition>, Vec<RegionPosition>) {
    order.iter().copied().partition(|position| set.contains(*position))
}

fn percent(hundredths: u16) -> f64 {
    f64::from(hundredths) / 100.0
}

pub(super) fn nothing_left(deployment: &DeploymentPlan, order: &[RegionPosition]) -> StepRecord {
    let regions: Vec<RegionId> = deployment.ids(order.iter().copied()).cloned().collect();
    let note = if regions.is_empty() {
        "no region is left: refused"
    } else {
        "no region is left: the eligible ones as listed, whatever their health"
    };
    record(Step::NothingLeft, regions, Vec::new(), Some(note.to_owned()))
}

fn record(
    step: Step,
    regions: Vec<RegionId>,
    dropped: Vec<Dropped>,
    note: Option<String>,
) -> StepRecord {
    StepRecord { step, regions, dropped, note }
}
