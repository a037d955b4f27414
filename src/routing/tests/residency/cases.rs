//! Random deployments, states and requests, each from one number that is told when a test fails.
//!
//! Made by hand rather than by proptest: a hundred thousand of them have to be ready in seconds
//! without optimisation. What must hold for them is the tests' business.

use std::sync::Arc;

use http::Method;

use crate::config::{
    Affinity, AffinityMode, Applies, Deployment, Enforcement, HeaderMatch, Objectives, OnFailure,
    Priorities, RankingSettings, RegionSettings, ResidencyPolicy, Rule, Strategy, TextMatch,
    TokenCarrier, Unknown, WhenAllDown, WhenDown, WriteMode, Writes,
};
use crate::model::RegionState;
use crate::routing::tests::fixture::{
    Request, Said, at, continent_of, country, deployment, header, policy, region_settings, rule,
    table_with, tenants,
};
use crate::routing::{
    Conditions, DeploymentHealth, DeploymentIndex, DeploymentOverrides, Draws, LatencyTable,
    Measured, RegionHealth, RegionLoad, RegionNumber, RegionPosition, RegionSet, Sources, Table,
    TenantTable,
};

/// The last two are in no deployment but those of 128 regions.
const IDS: [&str; 8] = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "gone"];
const COUNTRIES: [&str; 4] = ["DE", "FR", "US", "JP"];
const TENANTS: [&str; 5] = ["acme", "globex", "initech", "umbrella", "hooli"];
const FRAMEWORKS: [&str; 3] = ["gdpr", "hipaa", "soc2"];
const PATHS: [&str; 8] = ["/", "/eu", "/eu/a", "/eux", "/a", "/a/../eu", "/%65u/a", "//eu"];
const NOW: u64 = 1_700_000_000;

/// Random numbers from a seed (SplitMix64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.roll()) * bound as u128) >> 64) as usize
    }

    /// True once in so many times.
    pub(super) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// Up to `most` elements, perhaps some of them twice.
    fn some<T: Clone>(&mut self, most: usize, all: &[T]) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| self.one_of(all)).collect()
    }

    fn perhaps<T>(&mut self, times: usize, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.one_in(times).then(|| make(self))
    }

    fn id(&mut self) -> String {
        self.one_of(&IDS).to_owned()
    }
}

fn regions(dice: &mut Dice) -> Vec<RegionSettings> {
    let count = if dice.one_in(100) { 128 } else { 1 + dice.below(6) };
    let regions = (0..count).map(|n| {
        let place = at(dice.below(180) as f64 - 90.0, dice.below(360) as f64 - 180.0);
        let bias = if dice.one_in(4) { (dice.below(199) as i16 - 99) as i8 } else { 0 };
        let weight = dice.below(4) as u32;
        let mut settings = region_settings(&format!("r{n}"), place, bias, weight);
        let region = Arc::make_mut(&mut settings.region);
        let declared = FRAMEWORKS.iter().filter(|_| dice.one_in(2));
        region.compliance = declared.map(|name| (*name).into()).collect();
        region.cost_multiplier = dice.below(4) as f64;
        region.max_in_flight =
            dice.perhaps(2, |dice| 1 + dice.below(20) as u32).and_then(|n| n.try_into().ok());
        settings
    });
    regions.collect()
}

/// A policy, binding or not; rarely one that allows no region.
pub(super) fn any_policy(dice: &mut Dice) -> ResidencyPolicy {
    let countries = dice.some(2, &COUNTRIES).into_iter().map(country).collect();
    let tenants = if dice.one_in(3) { dice.some(2, &TENANTS) } else { Vec::new() };
    let headers = if dice.one_in(4) { dice.some(2, &any_matches()) } else { Vec::new() };
    let prefixes =
        if dice.one_in(4) { dice.some(2, &["/eu", "/", "/a", "/eu/a"]) } else { Vec::new() };
    let listed: Vec<&str> = IDS.into_iter().filter(|_| !dice.one_in(4)).collect();
    let frameworks = if dice.one_in(4) { dice.some(2, &FRAMEWORKS) } else { Vec::new() };
    let compliance_only = !frameworks.is_empty() && dice.one_in(2);
    let base = policy("p", &listed);
    ResidencyPolicy {
        applies_to: Applies {
            countries,
            tenants: tenants.into_iter().map(Into::into).collect(),
            headers,
            path_prefixes: prefixes.into_iter().map(str::to_owned).collect(),
        },
        allowed_regions: base.allowed_regions.filter(|_| !compliance_only),
        required_compliance: frameworks.into_iter().map(Into::into).collect(),
        when_unknown: dice.one_of(&[Unknown::Apply, Unknown::Skip]),
        enforcement: dice.one_of(&[Enforcement::Strict, Enforcement::Strict, Enforcement::Report]),
        ..base
    }
}

fn any_matches() -> Vec<HeaderMatch> {
    let values = [TextMatch::Prefix("1".into()), TextMatch::Suffix("2".into()), TextMatch::Present];
    let matches = values.map(|value| HeaderMatch { value, ..header("x-a", "") });
    [vec![header("x-a", "1"), header("x-b", "1")], matches.into()].concat()
}

fn any_rule(dice: &mut Dice, number: usize) -> Rule {
    let mut targets = dice.some(2, &IDS);
    targets.push(dice.one_of(&IDS));
    let fallbacks = dice.some(2, &IDS);
    let weighted = dice.one_in(3);
    Rule {
        priority: dice.below(3) as i32,
        source_countries: dice.some(1, &COUNTRIES).into_iter().map(country).collect(),
        header_conditions: if dice.one_in(3) { vec![header("x-a", "1")] } else { Vec::new() },
        weights: targets
            .iter()
            .filter(|_| weighted)
            .map(|id| ((*id).into(), dice.below(3) as u32))
            .collect(),
        strategy: dice.perhaps(3, |dice| dice.one_of(&Strategy::ALL)),
        ..rule(&format!("rule-{number}"), &targets, &fallbacks)
    }
}

/// A deployment of everything that a deployment can have.
pub(super) fn any_deployment(dice: &mut Dice) -> Deployment {
    let regions = regions(dice);
    let strategy = dice.one_of(&Strategy::ALL);
    let modes =
        [AffinityMode::None, AffinityMode::Client, AffinityMode::Token(TokenCarrier::default())];
    let classes = [("batch", 50), ("urgent", 100)].map(|(name, percent)| (name.into(), percent));
    Deployment {
        primary_region: dice.id().into(),
        ranking: RankingSettings {
            latency_tolerance_ms: dice.below(3) as f64 * 20.0,
            latency_switch_ms: dice.below(3) as f64 * 20.0,
            objectives: Objectives { latency: 0.5, cost: 0.3, load: dice.below(2) as f64 },
        },
        residency: (0..dice.below(4)).map(|_| any_policy(dice)).collect(),
        writes: Writes {
            mode: dice.one_of(&[WriteMode::Nearest, WriteMode::Primary, WriteMode::Home]),
            when_down: dice.one_of(&[WhenDown::Failover, WhenDown::Failover, WhenDown::ReadOnly]),
            ..Writes::default()
        },
        affinity: Affinity {
            mode: dice.one_of(&modes),
            lifetime: None,
            on_failure: dice.one_of(&[OnFailure::None, OnFailure::Temporary, OnFailure::Sticky]),
        },
        priorities: dice.perhaps(3, |dice| Priorities {
            header: http::HeaderName::from_static("x-class"),
            from_anyone: true,
            classes: classes.into(),
            default_percent: 1 + dice.below(100) as u8,
        }),
        rules: (0..dice.below(4)).map(|number| any_rule(dice, number)).collect(),
        when_all_down: dice.one_of(&[
            WhenAllDown::LastResort,
            WhenAllDown::LastResort,
            WhenAllDown::Refuse,
        ]),
        ..deployment("api", strategy, regions)
    }
}

/// What a table is compiled from beside its deployments.
#[derive(Debug)]
pub(super) struct Files {
    latency: Option<LatencyTable>,
    tenants: Option<Arc<TenantTable>>,
}

impl Files {
    pub(super) fn any(dice: &mut Dice) -> Self {
        let latency = dice.perhaps(2, |dice| {
            let mut text = "client,region,rtt_ms\n".to_owned();
            let keys = ["*", "EU", "DE", "US", "192.0.2.0/24"];
            for (key, id) in keys.into_iter().flat_map(|key| IDS.map(|id| (key, id))) {
                if dice.one_in(4) {
                    text += &format!("{key},{id},{}\n", dice.below(300));
                }
            }
            LatencyTable::parse(&text, &|_| true).unwrap()
        });
        let tenants = dice.perhaps(2, |dice| {
            let lines = TENANTS.map(|tenant| {
                format!(
                    "{tenant},{},{}\n",
                    dice.one_of(&IDS),
                    dice.one_of(&["soft", "soft", "strict"])
                )
            });
            tenants(&lines.concat())
        });
        Self { latency, tenants }
    }

    pub(super) fn table(&self, deployment: Deployment) -> Table {
        let sources = Sources {
            latency: self.latency.as_ref(),
            tenants: self.tenants.as_ref(),
            ..Sources::none(continent_of)
        };
        table_with(vec![deployment], sources)
    }
}

/// The same table with any health and any overrides.
pub(super) fn in_any_state(dice: &mut Dice, table: &Table) -> Table {
    let index = DeploymentIndex(0);
    let count = table.plan.deployments[0].regions.len();
    let failing = 1 + dice.below(6);
    let health = DeploymentHealth::new((0..count).map(|_| RegionHealth {
        state: if dice.one_in(failing) { RegionState::Down } else { RegionState::Healthy },
        endpoints_up: u128::from(dice.roll()),
        score: dice.below(101) as u8,
        share: if dice.one_in(4) { dice.below(10_001) as u16 } else { RegionHealth::WHOLE },
        since: None,
    }));
    let table = table.with_health(2, index, health);
    if !dice.one_in(3) {
        return table;
    }
    let mut any = |most: usize| -> Vec<_> {
        (0..dice.below(most + 1)).map(|_| RegionPosition(dice.below(count) as u8)).collect()
    };
    let drained = any(2).into_iter().collect::<RegionSet>();
    let overrides = DeploymentOverrides { drained, shift: any(3).into() };
    table.with_overrides(index, overrides)
}

/// What is known of the regions, owned.
#[derive(Debug, Default)]
pub(super) struct Known {
    load: Vec<RegionLoad>,
    measured: Vec<Measured>,
    network: Vec<Measured>,
    incumbent: Option<RegionNumber>,
}

impl Known {
    pub(super) fn any(dice: &mut Dice, regions: usize) -> Self {
        let load = |dice: &mut Dice| RegionLoad {
            in_flight: dice.below(30) as u32,
            spilling: dice.one_in(3),
        };
        let measured = |dice: &mut Dice| Measured {
            ms: dice.below(300) as f32,
            samples: dice.below(40) as u32,
            at: NOW - dice.below(2_000) as u64,
        };
        let busy = dice.one_in(2);
        Self {
            load: (0..regions).filter(|_| busy).map(|_| load(dice)).collect(),
            measured: (0..dice.below(regions + 1)).map(|_| measured(dice)).collect(),
            network: (0..dice.below(regions + 1)).map(|_| measured(dice)).collect(),
            incumbent: dice.perhaps(2, |dice| RegionNumber(dice.below(regions) as u16)),
        }
    }

    pub(super) fn conditions(&self) -> Conditions<'_> {
        let Self { load, measured, network, incumbent } = self;
        Conditions { load, measured, network, incumbent: *incumbent }
    }
}

pub(super) fn any_draws(dice: &mut Dice) -> Draws {
    Draws { entropy: dice.roll(), turn: dice.roll() }
}

/// A request of anyone for anything, which may insist on any region in any way.
pub(super) fn any_request(dice: &mut Dice) -> Request {
    let method = dice.one_of(&[Method::GET, Method::GET, Method::POST, Method::DELETE]);
    let mut request = Request { now: NOW, ..Request::default() }.with_method(method);
    request = request.to("api.example.com", PATHS[dice.below(PATHS.len())]);
    request.client.address = std::net::Ipv4Addr::from_bits(dice.roll() as u32).into();
    if !dice.one_in(3) {
        request = request.in_country(dice.one_of(&COUNTRIES));
    }
    if dice.one_in(2) {
        let (latitude, longitude) = (dice.below(180) as f64 - 90.0, dice.below(360) as f64 - 180.0);
        request = request.at_place(latitude, longitude);
    }
    request.tenant = dice.perhaps(2, |dice| dice.one_of(&TENANTS).to_owned());
    for name in ["x-a", "x-b"] {
        for _ in 0..dice.below(3) {
            request = request.with_header(name, dice.one_of(&["1", "2", "12"]));
        }
    }
    let said = Said {
        force: dice.perhaps(8, Dice::id),
        replay: dice.one_in(2),
        prefer: dice.perhaps(4, Dice::id),
        affinity: dice.perhaps(2, Dice::id),
        written: dice.perhaps(4, Dice::id),
        class: dice.perhaps(2, |dice| dice.one_of(&["batch", "urgent", "other"]).to_owned()),
    };
    request.saying(said)
}
