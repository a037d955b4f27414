//! Whatever deployments and requests there are: the guard agrees with the policies, and no decision
//! goes beyond either, whatever else there is to it.

use std::collections::BTreeMap;

use super::super::ids;
use super::cases::{
    Dice, Files, Known, any_deployment, any_draws, any_policy, any_request, in_any_state,
};
use super::{only, permitted, verdict};
use crate::config::{Deployment, Enforcement};
use crate::model::RegionState;
use crate::routing::{
    Decision, DeploymentHealth, DeploymentIndex, NoTrace, RefusalReason, RegionHealth,
    RegionPosition, RegionSet, Table, decide,
};

/// Cases in every run; the long run has a hundred times as many.
const CASES: usize = 100_000;
/// Requests for each random deployment.
const REQUESTS: usize = 20;

/// Calls `check` with random deployments that have policies, and `REQUESTS` seeds for each.
fn for_deployments(cases: usize, mut check: impl FnMut(u64, Deployment, &mut Dice)) {
    for seed in 0..(cases / REQUESTS) as u64 {
        let mut dice = Dice::new(seed << 20);
        let mut deployment = any_deployment(&mut dice);
        if deployment.residency.is_empty() {
            deployment.residency.push(any_policy(&mut dice));
        }
        check(seed, deployment, &mut dice);
    }
}

fn the_guard_agrees(cases: usize) {
    let mut narrowed = 0;
    for_deployments(cases, |seed, settings, dice| {
        let table = Files::any(dice).table(settings);
        for _ in 0..REQUESTS {
            let request = any_request(dice);
            let verdict = verdict(only(&table), &request);
            let permitted = permitted(only(&table), &request);
            assert_eq!(verdict.allowed, permitted, "seed {seed}: {request:?}");
            narrowed += usize::from(permitted != only(&table).eligible());
        }
    });
    assert!(narrowed > cases / 4 && narrowed < cases / 4 * 3, "{narrowed} of {cases} narrowed");
}

#[test]
fn the_guard_agrees_with_the_compiled_policies() {
    the_guard_agrees(CASES);
}

#[test]
#[ignore = "the long run"]
fn the_guard_agrees_with_the_compiled_policies_10_million_times() {
    the_guard_agrees(CASES * 100);
}

#[test]
fn more_policies_never_allow_more_and_their_order_does_not_matter() {
    for_deployments(CASES / 10, |seed, settings, dice| {
        let files = Files::any(dice);
        let mut turned = settings.clone();
        turned.residency.reverse();
        let mut fewer = settings.clone();
        fewer.residency.pop();
        let [all, turned, fewer] = [settings, turned, fewer].map(|settings| files.table(settings));
        for _ in 0..REQUESTS {
            let request = any_request(dice);
            let [all, turned, fewer] =
                [&all, &turned, &fewer].map(|table| verdict(only(table), &request));
            assert!(all.allowed.without(fewer.allowed).is_empty(), "seed {seed}: {request:?}");
            assert_eq!(
                (all.allowed, all.reported),
                (turned.allowed, turned.reported),
                "seed {seed}"
            );
        }
    });
}

#[test]
fn policies_that_only_report_change_no_decision() {
    for_deployments(CASES / 10, |seed, settings, dice| {
        let files = Files::any(dice);
        let mut silent = settings.clone();
        silent.residency.retain(|policy| policy.enforcement == Enforcement::Strict);
        let [loud, silent] = [settings, silent].map(|settings| files.table(settings));
        for _ in 0..REQUESTS {
            let request = any_request(dice);
            let (facts, draws) = (request.facts(), any_draws(dice));
            let known = Known::any(dice, only(&loud).regions.len());
            let decided = [&loud, &silent]
                .map(|table| decide(table, &facts, &known.conditions(), draws, &mut NoTrace));
            // But that it is said.
            let [loud, silent] = decided
                .map(|outcome| outcome.map(|decision| Decision { reported: false, ..decision }));
            assert_eq!(loud, silent, "seed {seed}: {request:?}");
        }
    });
}

/// The same table with one more region down, as an attempt that failed leaves it.
fn after_failure(table: &Table, failed: RegionPosition) -> Table {
    let (_, health) = table.deployment(DeploymentIndex(0)).unwrap();
    let regions = (0..).map(RegionPosition).zip(health.regions());
    let health = DeploymentHealth::new(regions.map(|(position, health)| {
        let state = if position == failed { RegionState::Down } else { health.state };
        RegionHealth { state, ..*health }
    }));
    table.with_health(table.generation + 1, DeploymentIndex(0), health)
}

/// What became of the attempts, by reason, to see that the cases cover what they are for.
type Met = BTreeMap<&'static str, usize>;

/// One request with its attempts, each on a table in which the regions before have failed.
fn attempts(dice: &mut Dice, table: &Table, met: &mut Met) -> Result<(), String> {
    let request = any_request(dice);
    let (facts, draws) = (request.facts(), any_draws(dice));
    let mut table = in_any_state(dice, table);
    let known = Known::any(dice, only(&table).regions.len());
    let permitted = permitted(only(&table), &request);
    let told = |what: &str| Err(format!("{what}: {request:?} {known:?}"));
    for _ in 0..3 {
        let decided = decide(&table, &facts, &known.conditions(), draws, &mut NoTrace);
        let decision = match decided {
            Ok(decision) => decision,
            Err(refusal) => {
                *met.entry(refusal.reason()).or_default() += 1;
                let by_law = refusal.why == RefusalReason::ResidencyUnavailable;
                return if by_law == permitted.is_empty() {
                    Ok(())
                } else {
                    told("wrongly refused")
                };
            }
        };
        *met.entry(decision.reason.as_str()).or_default() += 1;
        let order: RegionSet = decision.order.iter().copied().collect();
        if !order.without(permitted).is_empty() {
            return told(&format!("{:?} is not permitted", ids(&table, &decision)));
        }
        if order.len() != decision.order.len() {
            return told("a region comes twice");
        }
        let Some(first) = decision.order.first() else { return told("no region") };
        if request.said.force.is_some() && order.len() > 1 {
            return told("forced, but with alternates");
        }
        table = after_failure(&table, *first);
    }
    Ok(())
}

fn no_attempt_leaves_what_is_permitted(cases: usize) -> Met {
    let mut met = Met::new();
    for_deployments(cases, |seed, settings, dice| {
        let table = Files::any(dice).table(settings);
        for _ in 0..REQUESTS {
            if let Err(what) = attempts(dice, &table, &mut met) {
                panic!("seed {seed}: {what}\n{:#?}", only(&table).settings);
            }
        }
    });
    met
}

#[test]
fn residency_holds_at_every_attempt_under_all_circumstances() {
    let met = no_attempt_leaves_what_is_permitted(CASES);
    let expected = [
        "failover",
        "weighted",
        "shift",
        "forced",
        "replay",
        "pin",
        "rule",
        "rule_fallback",
        "rule_others",
        "rule_unavailable",
        "write",
        "read_your_writes",
        "affinity",
        "preferred",
        "last_resort",
        "residency_unavailable",
        "residency_required",
        "region_unavailable",
        "home_unavailable",
        "read_only",
        "overloaded",
        "no_healthy_region",
    ];
    for reason in expected {
        assert!(met.get(reason).is_some_and(|count| *count >= 20), "{reason} in {met:?}");
    }
}

#[test]
#[ignore = "the long run"]
fn residency_holds_at_every_attempt_10_million_times() {
    no_attempt_leaves_what_is_permitted(CASES * 100);
}
