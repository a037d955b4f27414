//! A candidate beside a live table, against deciding by both one after the other.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::Strategy as _;

use super::*;
use crate::config::{Deployment, HostPattern, Strategy, WhenAllDown};
use crate::model::RegionState;
use crate::routing::tests::fixture::{
    self, Request, deployment, region_settings, rule, three_regions,
};
use crate::routing::{
    Conditions, Decision, DeploymentHealth, DeploymentIndex, DeploymentOverrides, Draws,
    EndpointIds, NoTrace, Plan, Refusal, RegionHealth, RegionLoad, RegionNumber, RegionPosition,
    Sources, Table,
};
use crate::{config, model, routing};

const API: DeploymentIndex = DeploymentIndex(0);

fn plan(deployments: Vec<Deployment>) -> Arc<Plan> {
    let config = fixture::config(deployments);
    let sources = Sources::none(fixture::continent_of);
    Arc::new(Plan::compile(&config, sources, &mut EndpointIds::default()))
}

fn candidate(deployments: Vec<Deployment>, sample: u16) -> Arc<Candidate> {
    Arc::new(Candidate { config: "candidate.yaml".into(), sample, plan: plan(deployments) })
}

fn decide(table: &Table, request: &Request, draws: Draws) -> Result<Decision, Refusal> {
    routing::decide(table, &request.facts(), &Conditions::NONE, draws, &mut NoTrace)
}

/// Requests from a few countries, each with its draws.
fn requests(count: u64) -> impl Iterator<Item = (Request, Draws)> {
    (0..count).map(|n| {
        let (country, latitude, longitude) =
            [("DE", 51.0, 10.0), ("US", 39.0, -98.0), ("JP", 36.0, 138.0)][(n % 3) as usize];
        let address = format!("10.{}.{}.{}", n % 7, n % 251, n % 241);
        let request = Request::default()
            .in_country(country)
            .at_place(latitude, longitude)
            .with_address(&address)
            .to("api.example.com", "/v1/things");
        let entropy = fastrand::Rng::with_seed(n).u64(..);
        (request, Draws { entropy, turn: n })
    })
}

fn try_all(trial: &Trial, live: &Table, count: u64) {
    let desk = Desk::new(trial, 0);
    for (request, draws) in requests(count) {
        let decided = decide(live, &request, draws);
        desk.compare(&request.facts(), &Conditions::NONE, draws, decided.as_ref());
    }
}

fn report(trial: &Trial) -> ShadowReport {
    ShadowReport::of(&Shadow { trial: Some(trial.clone()), error: None })
}

fn api(strategy: Strategy) -> Deployment {
    let mut api = deployment("api", strategy, three_regions());
    let mut germans = rule("germans", &["ap"], &[]);
    germans.source_countries = vec![fixture::country("DE")];
    api.rules = vec![germans];
    api
}

fn health() -> impl proptest::strategy::Strategy<Value = DeploymentHealth> {
    let region = (any::<bool>(), 0..=RegionHealth::WHOLE).prop_map(|(down, share)| RegionHealth {
        state: if down { RegionState::Down } else { RegionState::Healthy },
        share,
        ..RegionHealth::HEALTHY
    });
    prop::collection::vec(region, 3).prop_map(DeploymentHealth::new)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_candidate_that_is_the_live_configuration_never_differs(
        strategy in prop::sample::select(&Strategy::ALL),
        health in health(),
        drained in prop::option::of(0_u8..3),
        refuse: bool,
    ) {
        let mut api = api(strategy);
        api.when_all_down = if refuse { WhenAllDown::Refuse } else { WhenAllDown::LastResort };
        let overrides = DeploymentOverrides {
            drained: drained.map(RegionPosition).into_iter().collect(),
            ..DeploymentOverrides::default()
        };
        let live = Table::new(1, plan(vec![api.clone()]), vec![health]).with_overrides(API, overrides);
        let trial = Trial::new(candidate(vec![api], 10_000), &live);
        try_all(&trial, &live, 200);
        let report = report(&trial);
        prop_assert_eq!((report.compared, report.differing), (200, 0), "{:?}", report);
        prop_assert!(report.examples.is_empty() && report.rules.is_empty());
    }

    #[test]
    fn what_it_counts_is_what_both_decide(
        first in prop::sample::select(&Strategy::ALL),
        second in prop::sample::select(&Strategy::ALL),
        health in health(),
        without_rule: bool,
    ) {
        let live = Table::new(1, plan(vec![api(first)]), vec![health.clone()]);
        let mut other = api(second);
        other.regions.rotate_left(1);
        if without_rule {
            other.rules.clear();
        }
        // The candidate lists the regions in another order; their health has to follow them.
        let turned = health.regions().iter().cycle().skip(1).take(3).copied();
        let own = plan(vec![other.clone()]);
        let alone = Table::new(1, Arc::clone(&own), vec![DeploymentHealth::new(turned)]);
        let trial = Trial::new(candidate(vec![other], 10_000), &live);
        try_all(&trial, &live, 150);
        let region = |plan: &Plan, outcome: &Result<Decision, Refusal>| match outcome {
            Ok(decision) => {
                let api = plan.deployment(decision.deployment).unwrap();
                Ok(api.region(decision.order[0]).unwrap().id.clone())
            }
            Err(refusal) => Err(refusal.why),
        };
        let differing = requests(150).filter(|(request, draws)| {
            let (a, b) = (decide(&live, request, *draws), decide(&alone, request, *draws));
            region(&live.plan, &a) != region(&own, &b)
        });
        let report = report(&trial);
        prop_assert_eq!(report.differing, differing.count() as u64);
        prop_assert_eq!(report.compared, 150);
        let by_country: u64 = report.countries.iter().map(|count| count.differing).sum();
        let by_rule: u64 = report.rules.iter().map(|count| count.differing).sum();
        prop_assert_eq!((by_country, by_rule), (report.differing, report.differing));
    }
}

#[test]
fn differences_are_told_by_country_rule_and_example() {
    let live = Table::healthy(1, plan(vec![api(Strategy::Failover)]));
    let mut other = api(Strategy::Failover);
    other.rules[0].id = "germans_home".into();
    other.rules[0].target_regions = vec!["eu".into()];
    let trial = Trial::new(candidate(vec![other], 10_000), &live);
    try_all(&trial, &live, 300);
    let report = report(&trial);
    assert_eq!((report.compared, report.differing), (300, 100));
    let country =
        CountryCount { country: Some(fixture::country("DE")), compared: 100, differing: 100 };
    assert_eq!(report.countries, [country]);
    let rule = RuleCount {
        deployment: Some("api".into()),
        rule: Some("germans".into()),
        candidate_deployment: Some("api".into()),
        candidate_rule: Some("germans_home".into()),
        differing: 100,
    };
    assert_eq!(report.rules, [rule]);
    assert_eq!(report.examples.len(), model::limits::SHADOW_EXAMPLES_ALIKE);
    let example = &report.examples[0];
    assert_eq!((example.client.as_str(), example.path.as_str()), ("10.0.0.0/24", "/v1/things"));
    let regions = (example.live.region.clone(), example.candidate.region.clone());
    assert_eq!(regions, (Some("ap".into()), Some("eu".into())));
    assert_eq!((report.config.as_deref(), report.sample_percent), (Some("candidate.yaml"), 100.0));
}

#[test]
fn refusals_on_one_side_have_words_of_their_own() {
    let mut elsewhere = api(Strategy::Failover);
    elsewhere.hosts = vec![HostPattern::Exact("other.example".to_owned())];
    let counts = |live: Deployment, other: Deployment| {
        let live = Table::healthy(1, plan(vec![live]));
        let trial = Trial::new(candidate(vec![other], 10_000), &live);
        try_all(&trial, &live, 30);
        let of = |index, outcome| trial.ledger().decisions(index, outcome);
        (of(Some(API), Outcome::Refused), of(None, Outcome::Served), of(None, Outcome::Same))
    };
    let here = || api(Strategy::Failover);
    assert_eq!(counts(here(), elsewhere.clone()), (30, 0, 0));
    assert_eq!(counts(elsewhere.clone(), here()), (0, 30, 0));
    assert_eq!(counts(elsewhere.clone(), elsewhere), (0, 0, 30));
}

#[test]
fn a_part_of_the_requests_is_a_part_and_always_the_same_one() {
    let live = Table::healthy(1, plan(vec![api(Strategy::Failover)]));
    let compared = |sample| {
        let trial = Trial::new(candidate(vec![api(Strategy::Failover)], sample), &live);
        try_all(&trial, &live, 4_000);
        report(&trial).compared
    };
    assert_eq!((compared(0), compared(10_000)), (0, 4_000));
    let quarter = compared(2_500);
    assert!((850..1_150).contains(&quarter), "{quarter}");
    assert_eq!(compared(2_500), quarter);
}

#[test]
fn counts_outlive_a_change_of_health_and_end_with_either_plan() {
    let live = Table::healthy(1, plan(vec![api(Strategy::Failover)]));
    let mut seat = Seat::default();
    assert!(seat.beside(&live).is_none());
    seat.take(Ok(candidate(vec![api(Strategy::Failover)], 10_000)), &live);
    let compared = |seat: &mut Seat, live: &Table| {
        let shadow = seat.beside(live).unwrap();
        try_all(shadow.trial.as_ref().unwrap(), live, 10);
        ShadowReport::of(&shadow).compared
    };
    assert_eq!(compared(&mut seat, &live), 10);
    let mut regions = vec![RegionHealth::HEALTHY; 3];
    regions[0].state = RegionState::Down;
    let failed = live.with_health(2, API, DeploymentHealth::new(regions));
    assert_eq!(compared(&mut seat, &failed), 20);
    // Refused files change nothing but the words.
    seat.take(Err("broken".to_owned()), &failed);
    let shadow = seat.beside(&failed).unwrap();
    assert_eq!(ShadowReport::of(&shadow).error.as_deref(), Some("broken"));
    assert_eq!(compared(&mut seat, &failed), 30);
    let other = Table::healthy(3, plan(vec![api(Strategy::Geolocation)]));
    assert_eq!(compared(&mut seat, &other), 10);
    seat.take(Ok(candidate(vec![api(Strategy::Failover)], 10_000)), &other);
    assert_eq!(compared(&mut seat, &other), 10);
    seat.leave();
    assert!(seat.beside(&other).is_none());
}

#[test]
fn without_a_candidate_that_could_be_read_there_is_only_the_error() {
    let live = Table::healthy(1, plan(vec![api(Strategy::Failover)]));
    let mut seat = Seat::default();
    seat.take(Err("broken".to_owned()), &live);
    let shadow = seat.beside(&live).unwrap();
    assert!(shadow.trial.is_none());
    let report = ShadowReport::of(&shadow);
    assert_eq!((report.config, report.error.as_deref()), (None, Some("broken")));
}

/// The first region, of capacity 1, comes second among the candidate's.
#[test]
fn load_is_known_to_the_candidate_by_region_and_not_by_number() {
    let limited = |mut regions: Vec<config::RegionSettings>| {
        for settings in &mut regions {
            let mut region = (*settings.region).clone();
            region.max_in_flight = std::num::NonZeroU32::new(1);
            settings.region = Arc::new(region);
        }
        deployment("api", Strategy::Failover, regions)
    };
    let live = Table::healthy(1, plan(vec![limited(three_regions())]));
    let mut regions = three_regions();
    regions.insert(0, region_settings("new", fixture::at(0.0, 0.0), 0, 1));
    let trial = Trial::new(candidate(vec![limited(regions)], 10_000), &live);
    assert_eq!(trial.numbers[..2], [None, Some(RegionNumber(0))]);
    let desk = Desk::new(&trial, 0);
    let (request, draws) = requests(1).next().unwrap();
    let load = [RegionLoad { in_flight: 1, spilling: true }, RegionLoad::default()];
    let conditions = Conditions { load: &load, ..Conditions::NONE };
    let facts = request.facts();
    let decided = routing::decide(&live, &facts, &conditions, draws, &mut NoTrace);
    desk.compare(&facts, &conditions, draws, decided.as_ref());
    let example = report(&trial).examples[0].clone();
    // Live spills from `us` to `eu`; of `new` nothing is known, so it has room.
    assert_eq!(example.live.region, Some("eu".into()));
    assert_eq!(example.candidate.region, Some("new".into()));
}

#[test]
fn workers_count_apart_and_are_added_up() {
    let live = Table::healthy(1, plan(vec![api(Strategy::Failover)]));
    let trial = Trial::new(candidate(vec![api(Strategy::Failover)], 10_000), &live);
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let (trial, live) = (&trial, &live);
            scope.spawn(move || {
                let desk = Desk::new(trial, worker);
                for (request, draws) in requests(100) {
                    let decided = decide(live, &request, draws);
                    desk.compare(&request.facts(), &Conditions::NONE, draws, decided.as_ref());
                }
            });
        }
    });
    assert_eq!(report(&trial).compared, 300);
}
