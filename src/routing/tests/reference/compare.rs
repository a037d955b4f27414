//! Holds what the code decides, and what it explains, against what is expected.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::expected::{Answer, Ranked, Routed, before};
use super::world::{Asked, World};
use crate::model::RegionId;
use crate::model::limits::REGIONS_PER_DECISION;
use crate::routing::tests::ids;
use crate::routing::{
    Decision, DeploymentIndex, Explanation, NoTrace, Refusal, RegionPosition, Step, Table, decide,
    explain, permits,
};

/// Checks one request.
pub(super) fn agree(
    world: &World,
    table: &Table,
    asked: &Asked,
    answer: &Answer,
) -> Result<(), TestCaseError> {
    let outcome = decide(table, &asked.facts(), &asked.conditions(), asked.draws, &mut NoTrace);
    match (&answer.outcome, &outcome) {
        (Err(word), Err(refusal)) => {
            prop_assert_eq!(refusal.reason(), *word);
            let index = refusal.deployment.map(DeploymentIndex::index);
            prop_assert_eq!(index, answer.deployment);
        }
        (Ok(routed), Ok(decision)) => same_way(world, table, answer, routed, decision)?,
        (expected, Ok(decision)) => {
            let order = ids(table, decision);
            prop_assert!(false, "{:?}, but {:?} {:?}", expected, order, decision);
        }
        (expected, outcome) => prop_assert!(false, "{:?}, but {:?}", expected, outcome),
    }
    guarded(table, asked, answer)?;
    let told = explain(table, &asked.facts(), &asked.conditions(), asked.draws);
    explained(table, &told, &outcome)?;
    stepwise(&told, answer)
}

fn same_way(
    world: &World,
    table: &Table,
    answer: &Answer,
    routed: &Routed,
    decision: &Decision,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(Some(decision.deployment.index()), answer.deployment);
    prop_assert_eq!(decision.reason.as_str(), routed.reason, "{:?}", decision);
    prop_assert_eq!(decision.ignoring_health, routed.ignoring_health);
    let deployment = &world.config.deployments[decision.deployment.index()];
    let rule = decision.rule.map(|rule| deployment.rules[rule.index()].id.to_string());
    prop_assert_eq!(&rule, &answer.rule);
    let order = ids(table, decision);
    prop_assert_eq!(decision.reported, answer.reported.contains(&order[0]), "reported");
    if let Some(keeps) = routed.keeps_token {
        prop_assert_eq!(decision.keeps_token, keeps, "token");
    }
    in_order(&order, &routed.groups)
}

/// The regions of an order are those of the groups, one group after the other, and inside a group
/// no region comes before one that has to be before it.
fn in_order(order: &[String], groups: &[Vec<Ranked>]) -> Result<(), TestCaseError> {
    let total: usize = groups.iter().map(Vec::len).sum();
    prop_assert_eq!(order.len(), total.min(REGIONS_PER_DECISION), "{:?} of {:?}", order, groups);
    let mut rest = order;
    for group in groups {
        let (here, after) = rest.split_at(rest.len().min(group.len()));
        rest = after;
        let mut left: Vec<&Ranked> = group.iter().collect();
        for id in here {
            let Some(place) = left.iter().position(|region| region.id == *id) else {
                return Err(TestCaseError::fail(format!("{id} of {order:?} is not of {left:?}")));
            };
            let region = left.remove(place);
            for other in &left {
                let order_of_two = before(&region.key, &other.key);
                prop_assert!(
                    order_of_two != Some(Ordering::Greater),
                    "{:?}: {:?} is before {:?}",
                    order,
                    region,
                    other
                );
            }
        }
    }
    Ok(())
}

/// The guard of every attempt says of every region what residency said.
fn guarded(table: &Table, asked: &Asked, answer: &Answer) -> Result<(), TestCaseError> {
    let Some(index) = answer.deployment else { return Ok(()) };
    let deployment = &table.plan.deployments[index];
    for (position, region) in (0..).map(RegionPosition).zip(&deployment.regions) {
        let expected = answer.permitted.iter().any(|id| id == region.id.as_str());
        let permitted = permits(deployment, &asked.facts(), position);
        prop_assert_eq!(permitted, expected, "guard of {}", &region.id);
    }
    Ok(())
}

/// An explanation ends as the decision does.
fn explained(
    table: &Table,
    told: &Explanation,
    outcome: &Result<Decision, Refusal>,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(told.generation, table.generation);
    match (outcome, &told.decision, &told.refusal) {
        (Ok(decision), Some(told_decision), None) => {
            let mut order = vec![told_decision.region.to_string()];
            order.extend(told_decision.alternates.iter().map(ToString::to_string));
            prop_assert_eq!(&order, &ids(table, decision));
            prop_assert_eq!(told_decision.reason, decision.reason);
            let deployment = table.plan.deployment(decision.deployment).unwrap();
            let rule = decision.rule.and_then(|rule| deployment.rule(rule)).map(|rule| &rule.id);
            prop_assert_eq!(told_decision.rule.as_ref(), rule);
            let last = told.steps.last().unwrap();
            let shown = last.regions.iter().map(ToString::to_string).take(REGIONS_PER_DECISION);
            prop_assert_eq!(order, shown.collect::<Vec<_>>(), "the steps end in the decision");
        }
        (Err(refusal), None, Some(told)) => {
            prop_assert_eq!(told.reason, refusal.reason());
            prop_assert_eq!(told.status, refusal.status().as_u16());
        }
        other => prop_assert!(false, "{:?}", other),
    }
    Ok(())
}

/// The steps are told in order, each at most once, and leave the regions that they should.
fn stepwise(told: &Explanation, answer: &Answer) -> Result<(), TestCaseError> {
    let order = |step: Step| Step::ALL.iter().position(|other| *other == step);
    let always = [Step::Deployment, Step::Eligible, Step::Rule, Step::Strategy, Step::Health];
    for step in always {
        let there = told.steps.iter().any(|record| record.step == step);
        prop_assert!(there || told.refusal.is_some(), "{:?} is always there", step);
    }
    // The step that refuses a request has a note; what it does to the list is open.
    let refused = usize::from(told.refusal.is_some());
    let steps = &told.steps[..told.steps.len() - refused];
    for pair in steps.windows(2) {
        prop_assert!(order(pair[0].step) < order(pair[1].step), "{:?}", pair);
        let (before, after) = (&pair[0], &pair[1]);
        if before.step == Step::Deployment || after.step == Step::NothingLeft {
            continue;
        }
        let dropped = after.dropped.iter().map(|dropped| &dropped.region);
        let kept_or_dropped: BTreeSet<_> = after.regions.iter().chain(dropped).collect();
        let had: BTreeSet<_> = before.regions.iter().collect();
        prop_assert_eq!(kept_or_dropped, had, "{:?}", after.step);
    }
    // These have no list yet, and the one that the decision has.
    let ends = [Step::Deployment, Step::NothingLeft];
    for record in steps.iter().filter(|record| !ends.contains(&record.step)) {
        let word = record.step.as_str();
        // A step without an entry changed nothing.
        let place = Step::ALL.iter().take_while(|step| order(**step) <= order(record.step));
        let words: Vec<_> = place.map(|step| step.as_str()).collect();
        let last = answer.steps.iter().rev().find(|(step, _)| words.contains(step));
        let Some((_, ids)) = last else { continue };
        let expected: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        let shown: BTreeSet<&str> = record.regions.iter().map(RegionId::as_str).collect();
        prop_assert_eq!(shown, expected, "after {}", word);
    }
    Ok(())
}
