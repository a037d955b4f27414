//! What each step does to the list, one step at a time and then against the others. Named after what
//! they say of precedence.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::fixture::{Request, config, deployment, header, rule, three_regions};
use super::ids;
use crate::config::{
    Affinity, AffinityMode, Deployment, OnFailure, Priorities, Region, Strategy, TokenCarrier,
    WhenDown, WriteMode, Writes,
};
use crate::model::RegionState;
use crate::routing::{
    Conditions, DeploymentHealth, DeploymentIndex, DeploymentOverrides, Draws, EndpointIds, Facts,
    Forced, NoTrace, Plan, RegionHealth, RegionLoad, RegionPosition, Sources, Table, TenantTable,
    Words, decide, explain,
};

const US: RegionPosition = RegionPosition(0);
const EU: RegionPosition = RegionPosition(1);
const AP: RegionPosition = RegionPosition(2);

/// A deployment of `us`, `eu` and `ap` in that order.
fn api(change: impl FnOnce(&mut Deployment)) -> Deployment {
    let mut deployment = deployment("api", Strategy::Failover, three_regions());
    change(&mut deployment);
    deployment
}

fn table(deployment: Deployment) -> Table {
    super::fixture::table(vec![deployment], None)
}

fn pinned(deployment: Deployment, tenants: &str) -> Table {
    let tenants =
        TenantTable::parse(tenants.as_bytes(), Some(1_700_000_000), 7, &|_| true).unwrap();
    let sources = Sources {
        tenants: Some(&Arc::new(tenants)),
        ..Sources::none(super::fixture::continent_of)
    };
    let plan = Plan::compile(&config(vec![deployment]), sources, &mut EndpointIds::default());
    Table::healthy(1, Arc::new(plan))
}

/// Where the request goes and why: `us eu: reason`, or `refusal`.
fn told(table: &Table, facts: &Facts<'_>, conditions: &Conditions<'_>) -> String {
    let decided = decide(table, facts, conditions, Draws::default(), &mut NoTrace);
    let explained = explain(table, facts, conditions, Draws::default());
    match decided {
        Ok(decision) => {
            let told = explained.decision.expect("explained as decided");
            let order = ids(table, &decision);
            assert_eq!(told.region.as_str(), order[0]);
            assert_eq!(told.reason, decision.reason);
            format!("{}: {}", order.join(" "), decision.reason.as_str())
        }
        Err(refusal) => {
            assert_eq!(explained.refusal.expect("refused as decided").reason, refusal.reason());
            refusal.reason().to_owned()
        }
    }
}

fn outcome(table: &Table, words: Words<'_>) -> String {
    let request = Request::default();
    told(table, &Facts { words, ..request.facts() }, &Conditions::NONE)
}

fn health(state: RegionState) -> RegionHealth {
    RegionHealth { state, ..RegionHealth::HEALTHY }
}

fn down(table: &Table, regions: &[RegionPosition]) -> Table {
    let state = |position| match regions.contains(&position) {
        true => RegionState::Down,
        false => RegionState::Healthy,
    };
    let health = [US, EU, AP].map(|position| health(state(position)));
    table.with_health(2, DeploymentIndex(0), DeploymentHealth::new(health))
}

const FORCE_AP: Words<'_> = Words {
    force: Some(Forced { region: "ap", replay: false }),
    prefer: None,
    affinity: None,
    written: None,
    class: None,
};

fn post(request: &Request) -> Request {
    Request { method: http::Method::POST, ..request.clone() }
}

#[test]
fn a_drained_region_drops_out_and_a_shift_replaces_the_order() {
    let table = table(api(|_| {}));
    let overridden = |drained: &[RegionPosition], shift: &[RegionPosition]| {
        let drained = drained.iter().copied().collect();
        let overrides = DeploymentOverrides { drained, shift: shift.into() };
        outcome(&table.with_overrides(DeploymentIndex(0), overrides), Words::default())
    };
    assert_eq!(overridden(&[], &[]), "us eu ap: failover");
    assert_eq!(overridden(&[US], &[]), "eu ap: failover");
    assert_eq!(overridden(&[], &[AP]), "ap us eu: shift");
    assert_eq!(overridden(&[AP], &[AP, EU]), "eu us: shift");
    // All drained: the last resort is over what the law allows, not over what operators left.
    assert_eq!(overridden(&[US, EU, AP], &[]), "us eu ap: last_resort");
}

#[test]
fn a_forced_region_or_none() {
    let table = table(api(|_| {}));
    assert_eq!(outcome(&table, FORCE_AP), "ap: forced");
    let replay = Words { force: Some(Forced { region: "eu", replay: true }), ..Words::default() };
    assert_eq!(outcome(&table, replay), "eu: replay");
    assert_eq!(outcome(&down(&table, &[AP]), FORCE_AP), "region_unavailable");
    let unknown = Words { force: Some(Forced { region: "mars", replay: false }), ..FORCE_AP };
    assert_eq!(outcome(&table, unknown), "region_unavailable");
    let drained = DeploymentOverrides { drained: [AP].into_iter().collect(), ..Default::default() };
    let drained = table.with_overrides(DeploymentIndex(0), drained);
    assert_eq!(outcome(&drained, FORCE_AP), "region_unavailable");
}

#[test]
fn what_comes_after_a_forced_region_is_not_its_reason() {
    let forced = Words { prefer: Some("ap"), affinity: Some("ap"), ..FORCE_AP };
    let all = table(api(|api| {
        api.affinity.mode = AffinityMode::Token(TokenCarrier::default());
        api.rules = vec![rule("r", &["us"], &["ap"])];
    }));
    assert_eq!(outcome(&all, forced), "ap: forced");
    let request = Request::default();
    let explained = explain(
        &all,
        &Facts { words: forced, ..request.facts() },
        &Conditions::NONE,
        Draws::default(),
    );
    let hint = explained.steps.iter().find(|record| record.step.as_str() == "hint").unwrap();
    let dropped: Vec<_> = hint.dropped.iter().map(|dropped| dropped.region.as_str()).collect();
    assert_eq!(dropped, ["us", "eu"], "what the step took out is told");
}

#[test]
fn a_wish_goes_first_if_it_is_in_the_list() {
    let table = table(api(|_| {}));
    let prefer = |region| Words { prefer: Some(region), ..Words::default() };
    assert_eq!(outcome(&table, prefer("ap")), "ap us eu: preferred");
    assert_eq!(outcome(&table, prefer("mars")), "us eu ap: failover");
    assert_eq!(outcome(&down(&table, &[AP]), prefer("ap")), "us eu: failover");
}

#[test]
fn a_home_goes_first_and_a_rule_orders_around_it() {
    let tenants = "tenant,region,strict\nsoft,ap,\nhard,ap,strict\nlost,mars,\ngone,mars,strict\n";
    let rules = |targets: &[&str], fallbacks: &[&str]| {
        let rules = vec![rule("r", targets, fallbacks)];
        pinned(api(|api| api.rules = rules), tenants)
    };
    let plain = pinned(api(|_| {}), tenants);
    let of = |table: &Table, tenant| {
        let request = Request::default();
        let facts = Facts { tenant: Some(tenant), ..request.facts() };
        told(table, &facts, &Conditions::NONE)
    };
    assert_eq!(of(&plain, "soft"), "ap us eu: pin");
    assert_eq!(of(&plain, "hard"), "ap: pin");
    assert_eq!(of(&plain, "nobody"), "us eu ap: failover");
    assert_eq!(of(&plain, "lost"), "us eu ap: failover");
    assert_eq!(of(&plain, "gone"), "home_unavailable");
    assert_eq!(of(&down(&plain, &[AP]), "soft"), "us eu: failover");
    // A strict pin binds the last resort too.
    assert_eq!(of(&down(&plain, &[AP]), "hard"), "ap: last_resort");
    // Targets come before a home that is none of them; among them it is the first.
    assert_eq!(of(&rules(&["eu"], &[]), "soft"), "eu ap us: rule");
    assert_eq!(of(&rules(&["eu", "ap"], &[]), "soft"), "ap eu us: pin");
    assert_eq!(of(&rules(&["eu"], &["us"]), "soft"), "eu us: rule");
    assert_eq!(of(&rules(&["eu"], &["us", "ap"]), "soft"), "eu us ap: rule");
    // None of the rule's regions is left by a strict pin: as if no rule held.
    assert_eq!(of(&rules(&["eu"], &["us"]), "hard"), "ap: pin");
}

#[test]
fn writes_go_where_they_are_taken() {
    let tenants = "tenant,region\nacme,ap\n";
    let writes = |mode, when_down| {
        let writes = Writes { mode, when_down, ..Writes::default() };
        let rules = vec![rule("r", &["eu"], &[])];
        pinned(api(|api| (api.writes, api.rules) = (writes, rules)), tenants)
    };
    let get = Request::default();
    let post = post(&get);
    let of = |table: &Table, request: &Request, tenant| {
        let facts = Facts { tenant, ..request.facts() };
        told(table, &facts, &Conditions::NONE)
    };
    let nearest = writes(WriteMode::Nearest, WhenDown::Failover);
    assert_eq!(of(&nearest, &post, None), "eu us ap: rule");
    let primary = writes(WriteMode::Primary, WhenDown::Failover);
    assert_eq!(of(&primary, &get, None), "eu us ap: rule");
    assert_eq!(of(&primary, &post, None), "us eu ap: write");
    assert_eq!(of(&primary, &post, Some("acme")), "us eu ap: write");
    assert_eq!(of(&down(&primary, &[US]), &post, None), "eu ap: rule");
    let home = writes(WriteMode::Home, WhenDown::Failover);
    assert_eq!(of(&home, &post, Some("acme")), "ap eu us: write");
    assert_eq!(of(&home, &post, Some("unknown")), "us eu ap: write");
    let elsewhere = |when_down| {
        let writes = Writes { mode: WriteMode::Home, when_down, ..Writes::default() };
        pinned(api(|api| api.writes = writes), "tenant,region\nacme,mars\n")
    };
    // A home that the deployment does not have is not the primary.
    let failover = elsewhere(WhenDown::Failover);
    assert_eq!(of(&failover, &post, Some("acme")), "us eu ap: failover");
    assert_eq!(of(&elsewhere(WhenDown::ReadOnly), &post, Some("acme")), "read_only");
    let read_only = writes(WriteMode::Primary, WhenDown::ReadOnly);
    // Not even a retry takes the write elsewhere.
    assert_eq!(of(&read_only, &post, None), "us: write");
    assert_eq!(of(&down(&read_only, &[US]), &post, None), "read_only");
    assert_eq!(of(&down(&read_only, &[US]), &get, None), "eu ap: rule");
    assert_eq!(of(&down(&read_only, &[US, EU, AP]), &post, None), "read_only");
    for method in [http::Method::HEAD, http::Method::OPTIONS, http::Method::TRACE] {
        assert_eq!(of(&read_only, &Request { method, ..get.clone() }, None), "eu us ap: rule");
    }
}

#[test]
fn reads_follow_a_write() {
    let table = table(api(|api| api.rules = vec![rule("r", &["eu"], &["ap"])]));
    let written = |region| Words { written: Some(region), ..Words::default() };
    assert_eq!(outcome(&table, written("ap")), "ap eu: read_your_writes");
    assert_eq!(outcome(&table, written("us")), "eu ap: rule");
    assert_eq!(outcome(&down(&table, &[AP]), written("ap")), "eu: rule");
}

#[test]
fn a_token_keeps_a_client_and_its_failure_mode_says_how_long() {
    let affine = |on_failure| {
        let mode = AffinityMode::Token(TokenCarrier::default());
        let affinity = Affinity { mode, on_failure, ..Affinity::default() };
        table(api(|api| api.affinity = affinity))
    };
    let token = Words { affinity: Some("ap"), ..Words::default() };
    let keeps = |table: &Table, words| {
        let request = Request::default();
        let facts = Facts { words, ..request.facts() };
        decide(table, &facts, &Conditions::NONE, Draws::default(), &mut NoTrace)
            .unwrap()
            .keeps_token
    };
    for (on_failure, up, down_, kept) in [
        (OnFailure::Temporary, "ap us eu: affinity", "us eu: failover", Some(true)),
        (OnFailure::Sticky, "ap us eu: affinity", "us eu: failover", Some(false)),
        (OnFailure::None, "ap: affinity", "no_healthy_region", None),
    ] {
        let table = affine(on_failure);
        assert_eq!(outcome(&table, token), up, "{on_failure:?}");
        assert!(keeps(&table, token));
        assert!(!keeps(&table, Words::default()));
        let table = down(&table, &[AP]);
        assert_eq!(outcome(&table, token), down_, "{on_failure:?}");
        if let Some(kept) = kept {
            assert_eq!(keeps(&table, token), kept, "{on_failure:?}");
        }
    }
}

#[test]
fn a_token_does_not_move_a_write() {
    let affinity =
        Affinity { mode: AffinityMode::Token(TokenCarrier::default()), ..Affinity::default() };
    let writes = Writes { mode: WriteMode::Primary, ..Writes::default() };
    let table = table(api(|api| (api.affinity, api.writes) = (affinity, writes)));
    let post = post(&Request::default());
    let words = Words { affinity: Some("ap"), prefer: Some("eu"), ..Words::default() };
    let facts = Facts { words, ..post.facts() };
    assert_eq!(told(&table, &facts, &Conditions::NONE), "us eu ap: write");
    assert_eq!(outcome(&table, words), "eu ap us: preferred");
    // Nor a read that follows a write, as long as it can.
    let words = Words { written: Some("us"), ..words };
    assert_eq!(outcome(&table, words), "us eu ap: read_your_writes");
    assert_eq!(outcome(&down(&table, &[US]), words), "eu ap: preferred");
}

#[test]
fn a_ramping_region_takes_its_share_of_clients_and_a_growing_share_only_adds() {
    let table = table(api(|_| {}));
    let ramped = |share| {
        let regions = [US, EU, AP].map(|position| match position {
            US => RegionHealth { share, ..RegionHealth::HEALTHY },
            _ => RegionHealth::HEALTHY,
        });
        table.with_health(2, DeploymentIndex(0), DeploymentHealth::new(regions))
    };
    let mut before = std::collections::BTreeSet::new();
    for share in [0, 500, 2_500, 5_000, 10_000] {
        let table = ramped(share);
        let there: std::collections::BTreeSet<u32> = (0..4_000)
            .filter(|client: &u32| {
                let mut request = Request::default();
                request.client.address = std::net::Ipv4Addr::from_bits(*client).into();
                told(&table, &request.facts(), &Conditions::NONE).starts_with("us")
            })
            .collect();
        assert!(before.is_subset(&there), "{share}");
        let expected = 4_000.0 * f64::from(share) / 10_000.0;
        let sigma = (expected * (1.0 - f64::from(share) / 10_000.0)).sqrt();
        assert!((there.len() as f64 - expected).abs() <= 4.0 * sigma, "{share}: {}", there.len());
        before = there;
    }
    // The only one left takes everybody.
    let health = [
        RegionHealth { share: 0, ..RegionHealth::HEALTHY },
        health(RegionState::Down),
        health(RegionState::Down),
    ];
    let alone = table.with_health(2, DeploymentIndex(0), DeploymentHealth::new(health));
    assert_eq!(outcome(&alone, Words::default()), "us: failover");
}

fn limited(limits: [Option<u32>; 3], change: impl FnOnce(&mut Deployment)) -> Table {
    table(api(|api| {
        for (settings, limit) in api.regions.iter_mut().zip(limits) {
            let region = Region::clone(&settings.region);
            let max_in_flight = limit.and_then(NonZeroU32::new);
            settings.region = Arc::new(Region { max_in_flight, ..region });
        }
        change(api);
    }))
}

fn loaded(table: &Table, in_flight: [u32; 3], spilling: bool, words: Words<'_>) -> String {
    let load = in_flight.map(|in_flight| RegionLoad { in_flight, spilling });
    let conditions = Conditions { load: &load, ..Conditions::NONE };
    let request = Request::default();
    told(table, &Facts { words, ..request.facts() }, &conditions)
}

#[test]
fn a_full_region_spills_and_takes_again_below_85_percent() {
    let table = limited([Some(100), Some(100), None], |_| {});
    let none = Words::default();
    assert_eq!(loaded(&table, [99, 0, 0], false, none), "us eu ap: failover");
    assert_eq!(loaded(&table, [100, 0, 0], false, none), "eu ap: failover");
    assert_eq!(loaded(&table, [85, 0, 0], true, none), "eu ap: failover");
    assert_eq!(loaded(&table, [84, 0, 0], true, none), "us eu ap: failover");
    assert_eq!(loaded(&table, [500, 500, u32::MAX], false, none), "ap: failover");
    let table = limited([Some(100), Some(100), Some(100)], |_| {});
    assert_eq!(loaded(&table, [100, 100, 100], false, none), "overloaded");
    // Down and full: shed, not the last resort.
    assert_eq!(loaded(&down(&table, &[US]), [0, 100, 100], false, none), "overloaded");
    assert_eq!(loaded(&table, [0, 0, 100], false, FORCE_AP), "region_unavailable");
}

#[test]
fn requests_of_a_lower_class_give_way_first() {
    let priorities = Priorities {
        header: header("x-class", "").name,
        from_anyone: true,
        classes: vec![("critical".into(), 100), ("batch".into(), 50)],
        default_percent: 80,
    };
    let table = limited([Some(100); 3], |api| api.priorities = Some(priorities));
    let class = |class: &'static [u8]| Words { class: Some(class), ..Words::default() };
    for (in_flight, critical, normal, batch) in [
        (49, true, true, true),
        (50, true, true, false),
        (80, true, false, false),
        (100, false, false, false),
    ] {
        for (words, expected) in
            [(class(b"critical"), critical), (class(b"other"), normal), (class(b"batch"), batch)]
        {
            let told = loaded(&table, [in_flight; 3], false, words);
            let expected = if expected { "us eu ap: failover" } else { "overloaded" };
            assert_eq!(told, expected, "{in_flight} {words:?}");
        }
    }
}

#[test]
fn a_write_that_only_one_region_takes_waits_for_it() {
    let writes =
        Writes { mode: WriteMode::Primary, when_down: WhenDown::ReadOnly, ..Writes::default() };
    let table = limited([Some(100); 3], |api| api.writes = writes);
    let load = [RegionLoad { in_flight: 100, spilling: true }, RegionLoad::default()];
    let conditions = Conditions { load: &load, ..Conditions::NONE };
    let post = post(&Request::default());
    assert_eq!(told(&table, &post.facts(), &conditions), "overloaded");
    // While it ramps up, it takes all writes.
    let ramping = [0, 10_000, 10_000].map(|share| RegionHealth { share, ..RegionHealth::HEALTHY });
    let table = table.with_health(2, DeploymentIndex(0), DeploymentHealth::new(ramping));
    assert_eq!(told(&table, &post.facts(), &Conditions::NONE), "us: write");
}
