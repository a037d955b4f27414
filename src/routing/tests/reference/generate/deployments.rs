//! Deployments of a random world, and how they stand.

use std::sync::Arc;

use super::rules::{header_match, rule};
use super::{COUNTRIES, Dice, TENANTS, compliance, endpoints};
use crate::config::{
    Affinity, AffinityMode, Applies, Deployment, Enforcement, Hints, HostPattern, Objectives,
    OnFailure, Priorities, RankingSettings, Region, RegionSettings, ResidencyPolicy, Strategy,
    TenantSource, TokenCarrier, Unknown, WhenAllDown, WhenDown, WriteMode, Writes,
};
use crate::model::{RegionId, RegionState};
use crate::routing::RegionHealth;
use crate::routing::tests::fixture;
use crate::routing::tests::fixture::country;
use crate::routing::tests::reference::world::Standing;

const PREFIXES: [&str; 4] = ["/", "/v1", "/v1/eu", "/v2"];
const RULE_BYTES: usize = 64;
const HEALTH_BYTES: usize = 80;

pub(super) fn hosts(dice: &mut Dice<'_>) -> Vec<HostPattern> {
    let exact = |host: &str| HostPattern::Exact(host.to_owned());
    let below = |host: &str| HostPattern::Wildcard(host.to_owned());
    let all = [
        exact("api.example.com"),
        below("example.com"),
        below("api.example.com"),
        exact("example.org"),
        below("org"),
    ];
    dice.some(&all, 1, 3)
}

pub(super) fn prefixes(dice: &mut Dice<'_>, least: usize) -> Vec<String> {
    dice.some(&PREFIXES, least, 2).into_iter().map(str::to_owned).collect()
}

/// A deployment, and the bytes that are left for how it stands.
pub(super) fn deployment(
    dice: &mut Dice<'_>,
    (number, last): (usize, bool),
    regions: &[Arc<Region>],
) -> (Deployment, Vec<u8>) {
    let mut of_rules = dice.cut(4 * RULE_BYTES);
    let mut of_health = dice.cut(HEALTH_BYTES);
    let health = (0..HEALTH_BYTES).map(|_| of_health.below(256) as u8).collect();
    let mut of_regions = dice.cut(34);
    let ids: Vec<String> = regions.iter().map(|region| region.id.to_string()).collect();
    let least = if of_regions.chance(70) { regions.len().div_ceil(2) } else { 1 };
    let listed = of_regions.some(regions, least, regions.len());
    let settings: Vec<_> = listed
        .iter()
        .map(|region| RegionSettings {
            region: Arc::clone(region),
            weight: of_regions.one(&[1, 0, 2, 3]),
            endpoints: endpoints(region.id.as_str()),
        })
        .collect();
    let primary_region = match listed.first() {
        Some(first) if !of_regions.chance(10) => first.id.clone(),
        _ => of_regions.one(regions).id.clone(),
    };
    // The primary is the first, or not among them.
    let excluded = listed.iter().skip(1).any(|region| region.id == primary_region);
    let primary_region = if excluded { listed[0].id.clone() } else { primary_region };
    // There is most to tell apart in these.
    let strategies = [&Strategy::ALL[..], &[Strategy::Latency, Strategy::Latency, Strategy::Score]];
    let strategy = dice.one(&strategies.concat());
    let rules = (0..dice.one(&[0, 0, 1, 2, 4]))
        .map(|number| rule(&mut of_rules.cut(RULE_BYTES), number, &ids));
    let rules = rules.collect();
    // Without a policy, there is not much to see of this strategy.
    let policies = match strategy {
        Strategy::Compliance => &[1, 1, 2][..],
        _ => &[0, 0, 0, 0, 1, 1, 2],
    };
    let base = fixture::deployment(["api", "web", "old"][number], strategy, settings);
    let deployment = Deployment {
        // The last one mostly answers what the others do not.
        hosts: if dice.chance(if last { 5 } else { 60 }) { hosts(dice) } else { Vec::new() },
        path_prefix: match dice.chance(if last { 5 } else { 50 }) {
            true => prefixes(dice, 1).remove(0),
            false => "/".to_owned(),
        },
        primary_region,
        ranking: ranking(dice),
        tenant: Some(TenantSource::HostLabel(0)),
        residency: (0..dice.one(policies)).map(|_| policy(dice, &ids)).collect(),
        writes: writes(dice),
        affinity: affinity(dice),
        hints: Hints { prefer: true, force: true, ..Hints::default() },
        replay_regions: ids.iter().map(|id| RegionId::from(id.as_str())).collect(),
        priorities: dice.chance(30).then(|| priorities(dice)),
        rules,
        when_all_down: dice.one(&[WhenAllDown::LastResort, WhenAllDown::Refuse]),
        ..base
    };
    (deployment, health)
}

fn ranking(dice: &mut Dice<'_>) -> RankingSettings {
    let objectives = dice.one(&[
        (0.6, 0.3, 0.1),
        (1.0, 0.0, 0.0),
        (0.0, 1.0, 0.0),
        (0.0, 0.0, 2.0),
        (1.0, 1.0, 1.0),
    ]);
    let (latency, cost, load) = objectives;
    RankingSettings {
        latency_tolerance_ms: dice.maybe(40, &[5.0, 0.5, 20.0]).unwrap_or(0.0),
        latency_switch_ms: dice.maybe(40, &[5.0, 0.5, 20.0]).unwrap_or(0.0),
        objectives: Objectives { latency, cost, load },
    }
}

fn policy(dice: &mut Dice<'_>, ids: &[String]) -> ResidencyPolicy {
    let countries = dice.sometimes(50, &COUNTRIES, 2).into_iter().map(country).collect();
    let tenants = dice.sometimes(35, &TENANTS, 2).into_iter().map(Into::into).collect();
    let headers =
        if dice.chance(25) { vec![header_match(dice), header_match(dice)] } else { vec![] };
    let path_prefixes = if dice.chance(25) { prefixes(dice, 1) } else { Vec::new() };
    let listed = dice.chance(60);
    let allowed = dice
        .some(ids, ids.len().div_ceil(3), ids.len())
        .iter()
        .map(|id| RegionId::from(id.as_str()))
        .collect();
    ResidencyPolicy {
        name: "policy".into(),
        applies_to: Applies { countries, tenants, headers, path_prefixes },
        allowed_regions: listed.then_some(allowed),
        required_compliance: if listed && dice.chance(70) { vec![] } else { compliance(dice) },
        when_unknown: dice.one(&[Unknown::Apply, Unknown::Skip]),
        enforcement: dice.one(&[Enforcement::Strict, Enforcement::Strict, Enforcement::Report]),
    }
}

fn writes(dice: &mut Dice<'_>) -> Writes {
    use WriteMode::{Home, Nearest, Primary};
    Writes {
        mode: dice.one(&[Nearest, Nearest, Primary, Home]),
        when_down: dice.one(&[WhenDown::Failover, WhenDown::Failover, WhenDown::ReadOnly]),
        sticky: Some(std::time::Duration::from_secs(5)),
        ..Writes::default()
    }
}

fn affinity(dice: &mut Dice<'_>) -> Affinity {
    let token = AffinityMode::Token(TokenCarrier::default());
    Affinity {
        mode: dice.maybe(40, &[token, AffinityMode::Client]).unwrap_or_default(),
        lifetime: None,
        on_failure: dice.one(&[
            OnFailure::Temporary,
            OnFailure::Temporary,
            OnFailure::Sticky,
            OnFailure::None,
        ]),
    }
}

fn priorities(dice: &mut Dice<'_>) -> Priorities {
    Priorities {
        header: http::HeaderName::from_static("x-class"),
        from_anyone: true,
        classes: vec![("batch".into(), dice.one(&[50, 1, 33])), ("gold".into(), 100)],
        default_percent: dice.one(&[100, 90, 75]),
    }
}

/// How a deployment stands.
pub(super) fn standing(dice: &mut Dice<'_>, deployment: &Deployment) -> Standing {
    let down = dice.one(&[0, 0, 10, 20, 20, 50, 100]);
    let ramping = dice.one(&[0, 0, 10, 50]);
    let ids: Vec<String> =
        deployment.regions.iter().map(|settings| settings.region.id.to_string()).collect();
    let drained = dice.sometimes(12, &ids, ids.len());
    let shift = dice.sometimes(10, &ids, ids.len());
    let health = ids.iter().map(|_| RegionHealth {
        state: if dice.chance(down) {
            RegionState::Down
        } else {
            dice.one(&[RegionState::Healthy, RegionState::Degraded])
        },
        score: dice.one(&[100, 50, 0]),
        share: if dice.chance(ramping) { dice.one(&[500, 5_000, 0]) } else { RegionHealth::WHOLE },
        ..RegionHealth::HEALTHY
    });
    let health = health.collect();
    Standing { health, drained, shift }
}
