//! What each step of the decision says of itself, in words and numbers for people.
//!
//! Only called when somebody listens. Decides nothing: it is shown what was decided.

use super::decide::Facts;
use super::draws::Stream;
use super::plan::{DeploymentPlan, Plan, RegionPosition};
use super::ranking::{Group, Ranking};
use super::rules::CompiledRule;
use super::strategy::{self, Ranker};
use super::table::DeploymentHealth;
use super::trace::{Dropped, Step, StepRecord};
use crate::config::Rule;
use crate::model::{RegionId, RegionState};

/// What the later steps look at.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) plan: &'a Plan,
    pub(super) deployment: &'a DeploymentPlan,
    pub(super) health: &'a DeploymentHealth,
    pub(super) facts: &'a Facts<'a>,
}

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

pub(super) fn rule(
    deployment: &DeploymentPlan,
    facts: &Facts<'_>,
    rule: Option<&CompiledRule>,
    ranking: &Ranking<'_>,
) -> StepRecord {
    let listed = ranking.groups().iter().flat_map(Group::positions);
    let regions = deployment.ids(listed).cloned().collect();
    let settings = rule.and_then(|rule| deployment.rule(rule.index));
    let Some(settings) = settings else {
        let note = match deployment.rules.len() {
            0 => "the deployment has no enabled rule".to_owned(),
            count => format!("none of {count} enabled rules holds"),
        };
        return record(Step::Rule, regions, Vec::new(), Some(note));
    };
    let left = deployment.eligible().without(ranking.regions());
    let why = format!("rule `{}` names neither it as a target nor as a fallback", settings.id);
    let dropped = deployment.ids(left).map(|id| Dropped { region: id.clone(), why: why.clone() });
    let note = rule_note(deployment, facts, settings);
    record(Step::Rule, regions, dropped.collect(), Some(note))
}

fn rule_note(deployment: &DeploymentPlan, facts: &Facts<'_>, rule: &Rule) -> String {
    let mut because = Vec::new();
    if let Some(country) = facts.location.country.filter(|_| !rule.source_countries.is_empty()) {
        because.push(format!("country {country}"));
    }
    for condition in &rule.header_conditions {
        let value = String::from_utf8_lossy(condition.value.as_bytes());
        because.push(format!("{}: {value}", condition.name));
    }
    let because = if because.is_empty() { "no conditions".to_owned() } else { because.join(", ") };
    let mut note = format!("rule `{}` (priority {}) holds: {because}", rule.id, rule.priority);
    let named = || rule.target_regions.iter().chain(&rule.fallback_regions);
    let missing: Vec<&str> =
        named().filter(|id| deployment.position(id).is_none()).map(RegionId::as_str).collect();
    if missing.len() == named().count() {
        note += "; none of its regions is eligible, so the strategy decides as if no rule held";
    } else if !missing.is_empty() {
        note += "; not eligible: ";
        note += &missing.join(", ");
    }
    note
}

pub(super) fn strategy(
    scene: &Scene<'_>,
    ranking: &Ranking<'_>,
    ranker: &Ranker<'_>,
    draws: Stream,
    order: &[RegionPosition],
) -> StepRecord {
    let regions = scene.deployment.ids(order.iter().copied()).cloned().collect();
    let note = strategy::note(scene, ranking, ranker, draws, order);
    record(Step::Strategy, regions, Vec::new(), Some(note))
}

pub(super) fn health(scene: &Scene<'_>, order: &[RegionPosition]) -> StepRecord {
    let up = |position: &RegionPosition| scene.health.up().contains(*position);
    let left = order.iter().copied().filter(up);
    let gone = order.iter().copied().filter(|position| !up(position));
    let dropped = gone.filter_map(|position| {
        let region = scene.deployment.region(position)?.id.clone();
        Some(Dropped { region, why: scene.health.region(position).state.as_str().to_owned() })
    });
    let degraded = left
        .clone()
        .filter(|position| !matches!(scene.health.region(*position).state, RegionState::Healthy));
    let degraded: Vec<String> = degraded
        .filter_map(|position| {
            let id = &scene.deployment.region(position)?.id;
            Some(format!("{id} is {}", scene.health.region(position).state.as_str()))
        })
        .collect();
    let note = (!degraded.is_empty()).then(|| degraded.join(", "));
    let regions = scene.deployment.ids(left).cloned().collect();
    record(Step::Health, regions, dropped.collect(), note)
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
