//! What a trial has found so far, added up over the workers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::candidate::{Shadow, Trial};
use super::compare::Outcome;
use super::example::Example;
use super::ledger::{RuleKey, Shard};
use crate::model::limits::SHADOW_SHOWN;
use crate::model::{Country, DeploymentName, RuleId};
use crate::routing::{DeploymentIndex, Plan};

/// What a trial has found so far.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShadowReport {
    /// The candidate's file; `None`: none is in use.
    pub config: Option<String>,
    /// The part of requests that it decides too.
    pub sample_percent: f64,
    /// What is wrong with its files, if they were refused when they were last read.
    pub error: Option<String>,
    /// Requests that both decided.
    pub compared: u64,
    /// Those that they decided differently.
    pub differing: u64,
    /// By live deployment.
    pub deployments: Vec<DeploymentCount>,
    /// Countries with differences, most first.
    pub countries: Vec<CountryCount>,
    /// Pairs of rules with differences, most first.
    pub rules: Vec<RuleCount>,
    /// Differences of pairs of rules that are not counted one by one.
    pub further_rules: u64,
    /// Some of the requests.
    pub examples: Vec<Example>,
}

/// What was found of a live deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeploymentCount {
    /// Its name; `None`: no deployment answers.
    pub deployment: Option<DeploymentName>,
    /// Both went to the same region, or refused for the same reason.
    pub same: u64,
    /// They went to different regions, or refused for different reasons.
    pub different: u64,
    /// Only the candidate refused.
    pub refused: u64,
    /// Only the live one refused.
    pub served: u64,
}

/// What was found of a country.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CountryCount {
    /// The country; `None`: not known.
    pub country: Option<Country>,
    /// Requests that both decided.
    pub compared: u64,
    /// Those that they decided differently.
    pub differing: u64,
}

/// What was found where these rules hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleCount {
    /// The live deployment; `None`: no deployment answers.
    pub deployment: Option<DeploymentName>,
    /// The rule that holds there; `None`: none does.
    pub rule: Option<RuleId>,
    /// The candidate's deployment.
    pub candidate_deployment: Option<DeploymentName>,
    /// The rule that holds there.
    pub candidate_rule: Option<RuleId>,
    /// Requests that are decided differently.
    pub differing: u64,
}

impl ShadowReport {
    /// What is known now.
    pub fn of(shadow: &Shadow) -> Self {
        let error = shadow.error.as_ref().map(ToString::to_string);
        let Some(trial) = &shadow.trial else { return Self { error, ..Self::default() } };
        let shards = trial.ledger.shards();
        let deployments = deployments(trial);
        let sum = |of: fn(&DeploymentCount) -> u64| deployments.iter().map(of).sum::<u64>();
        let differing = sum(|count| count.different + count.refused + count.served);
        let examples = shards.iter().flat_map(|shard| shard.examples());
        Self {
            config: Some(trial.candidate.config.display().to_string()),
            sample_percent: f64::from(trial.candidate.sample) / 100.0,
            error,
            compared: sum(|count| count.same) + differing,
            differing,
            countries: countries(&shards),
            rules: rules(trial, &shards),
            further_rules: shards.iter().map(|shard| shard.further_rules.get()).sum(),
            examples: examples.take(SHADOW_SHOWN).cloned().collect(),
            deployments,
        }
    }
}

type Shards = [std::sync::Arc<Shard>];

fn deployments(trial: &Trial) -> Vec<DeploymentCount> {
    let count = |deployment: Option<(DeploymentIndex, DeploymentName)>| {
        let index = deployment.as_ref().map(|(index, _)| *index);
        let of = |outcome| trial.ledger.decisions(index, outcome);
        DeploymentCount {
            same: of(Outcome::Same),
            different: of(Outcome::Different),
            refused: of(Outcome::Refused),
            served: of(Outcome::Served),
            deployment: deployment.map(|(_, name)| name),
        }
    };
    let known = trial.live.iter().map(|(index, deployment)| Some((index, deployment.name.clone())));
    known.chain([None]).map(count).collect()
}

fn countries(shards: &Shards) -> Vec<CountryCount> {
    let letter = |number: usize| b'A' + (number % 26) as u8;
    let count = |place: usize| {
        let counts = shards.iter().filter_map(|shard| shard.countries.get(place));
        let (mut compared, mut differing) = (0, 0);
        for counts in counts {
            compared += counts.compared.get();
            differing += counts.differing.get();
        }
        let known = place < Country::COUNT;
        let country = Country::new(&[letter(place / 26), letter(place)]).filter(|_| known);
        CountryCount { country, compared, differing }
    };
    let all = (0..=Country::COUNT).map(count).filter(|count| count.differing > 0);
    most_first(all.collect(), |count| count.differing)
}

fn rules(trial: &Trial, shards: &Shards) -> Vec<RuleCount> {
    let mut counts = BTreeMap::<(RuleKey, RuleKey), u64>::new();
    for (live, candidate, count) in shards.iter().flat_map(|shard| shard.rules()) {
        *counts.entry((live, candidate)).or_default() += count;
    }
    let all = counts.into_iter().map(|((live, candidate), differing)| {
        let (deployment, rule) = named(&trial.live, live);
        let (candidate_deployment, candidate_rule) = named(&trial.table.plan, candidate);
        RuleCount { deployment, rule, candidate_deployment, candidate_rule, differing }
    });
    most_first(all.collect(), |count| count.differing)
}

fn named(plan: &Plan, key: RuleKey) -> (Option<DeploymentName>, Option<RuleId>) {
    let deployment = key.deployment().and_then(|index| plan.deployment(index));
    let rule = deployment.and_then(|deployment| deployment.rule(key.rule()?));
    (deployment.map(|deployment| deployment.name.clone()), rule.map(|rule| rule.id.clone()))
}

fn most_first<T>(mut all: Vec<T>, count: impl Fn(&T) -> u64) -> Vec<T> {
    all.sort_by_key(|one| std::cmp::Reverse(count(one)));
    all.truncate(SHADOW_SHOWN);
    all
}
