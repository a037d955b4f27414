//! Residency: what a policy applies to and allows, that the guard says the same, and that no
//! decision goes beyond either, whatever else there is to it.

mod cases;

use std::collections::BTreeMap;

use self::cases::{
    Dice, Files, Known, any_deployment, any_draws, any_policy, any_request, in_any_state,
};
use super::fixture::{Request, country, deployment, header, policy, table, three_regions};
use super::{ids, outcome};
use crate::config::{
    Deployment, Enforcement, HeaderMatch, Region, ResidencyPolicy, Strategy, TextMatch, Unknown,
};
use crate::model::RegionState;
use crate::routing::residency::Verdict;
use crate::routing::{
    Conditions, Decision, DeploymentHealth, DeploymentIndex, DeploymentPlan, NoTrace,
    RefusalReason, RegionHealth, RegionPosition, RegionSet, Table, decide, permits,
};

/// Cases in every run; the long run has a hundred times as many.
const CASES: usize = 100_000;
/// Requests for each random deployment.
const REQUESTS: usize = 20;

fn api(policies: Vec<ResidencyPolicy>) -> Table {
    let api = deployment("api", Strategy::Failover, three_regions());
    table(vec![Deployment { residency: policies, ..api }], None)
}

fn only(table: &Table) -> &DeploymentPlan {
    &table.plan.deployments[0]
}

fn verdict(deployment: &DeploymentPlan, request: &Request) -> Verdict {
    deployment.residency.verdict(&request.facts(), deployment.eligible())
}

/// What the guard says of every region.
fn permitted(deployment: &DeploymentPlan, request: &Request) -> RegionSet {
    let facts = request.facts();
    deployment.eligible().iter().filter(|position| permits(deployment, &facts, *position)).collect()
}

/// Whether the policy, which allows `eu` alone, applies; the guard has to agree.
#[track_caller]
fn applies(policy: &ResidencyPolicy, request: &Request) -> bool {
    let table = api(vec![policy.clone()]);
    let verdict = verdict(only(&table), request);
    assert_eq!(verdict.allowed, permitted(only(&table), request), "the guard disagrees");
    assert_eq!((verdict.applying == 1, verdict.reported), (verdict.bound, RegionSet::EMPTY));
    assert_eq!(verdict.allowed.len(), if verdict.bound { 1 } else { 3 });
    verdict.bound
}

fn eu_only(change: impl FnOnce(&mut ResidencyPolicy)) -> ResidencyPolicy {
    let mut policy = policy("eu", &["eu"]);
    change(&mut policy);
    policy
}

#[test]
fn a_policy_without_conditions_applies_always() {
    assert!(applies(&eu_only(|_| {}), &Request::default()));
}

#[test]
fn countries_are_any_of_and_unknown_is_as_the_policy_says() {
    let both = |policy: &mut ResidencyPolicy| {
        policy.applies_to.countries = vec![country("DE"), country("ZZ"), country("AA")];
    };
    let careful = eu_only(both);
    let lenient = ResidencyPolicy { when_unknown: Unknown::Skip, ..careful.clone() };
    for (from, expected) in [("DE", true), ("ZZ", true), ("AA", true), ("FR", false)] {
        assert_eq!(applies(&careful, &Request::default().in_country(from)), expected, "{from}");
        assert_eq!(applies(&lenient, &Request::default().in_country(from)), expected, "{from}");
    }
    assert!(applies(&careful, &Request::default()));
    assert!(!applies(&lenient, &Request::default()));
}

#[test]
fn tenants_are_any_of_and_unknown_is_as_the_policy_says() {
    let careful = eu_only(|policy| {
        policy.applies_to.tenants = (0..500).map(|n| format!("tenant-{n}").into()).collect();
    });
    let lenient = ResidencyPolicy { when_unknown: Unknown::Skip, ..careful.clone() };
    for (tenant, expected) in [("tenant-0", true), ("tenant-499", true), ("tenant-500", false)] {
        let request = Request::default().of_tenant(tenant);
        assert_eq!(applies(&careful, &request), expected, "{tenant}");
        assert_eq!(applies(&lenient, &request), expected, "{tenant}");
    }
    assert!(!applies(&careful, &Request::default().of_tenant("TENANT-0")), "byte for byte");
    assert!(applies(&careful, &Request::default()));
    assert!(!applies(&lenient, &Request::default()));
}

#[test]
fn headers_are_any_of_and_an_absent_one_is_not_unknown() {
    let suffix = HeaderMatch { value: TextMatch::Suffix("-eu".into()), ..header("x-plan", "") };
    let policy = eu_only(|policy| policy.applies_to.headers = vec![header("x-data", "eu"), suffix]);
    let with = |name: &str, value: &str| Request::default().with_header(name, value);
    assert!(!applies(&policy, &Request::default()));
    assert!(applies(&policy, &with("X-Data", "eu")));
    assert!(applies(&policy, &with("x-data", "us").with_header("x-data", "eu")), "any line");
    assert!(applies(&policy, &with("x-plan", "gold-eu")));
    assert!(!applies(&policy, &with("x-data", "EU")));
    assert!(!applies(&policy, &with("x-plan", "eu")));
}

#[test]
fn path_prefixes_are_any_of_on_segment_borders_however_they_are_spelled() {
    let policy = eu_only(|policy| {
        policy.applies_to.path_prefixes = vec!["/eu".to_owned(), "/a/b".to_owned()];
    });
    let at = |path: &str| Request::default().to("api.example.com", path);
    for path in ["/eu", "/eu/", "/eu/x", "/a/b", "/a/b/c", "/x/../eu", "/%65u", "//a/./b"] {
        assert!(applies(&policy, &at(path)), "{path}");
    }
    for path in ["/", "/eux", "/a", "/a/bc", "/x/eu", "/EU"] {
        assert!(!applies(&policy, &at(path)), "{path}");
    }
}

#[test]
fn every_field_that_is_written_has_to_hold() {
    let all = eu_only(|policy| {
        policy.applies_to.countries = vec![country("DE")];
        policy.applies_to.tenants = vec!["acme".into()];
        policy.applies_to.headers = vec![header("x-data", "eu")];
        policy.applies_to.path_prefixes = vec!["/eu".to_owned()];
    });
    let full = || Request::default().of_tenant("acme").with_header("x-data", "eu");
    assert!(applies(&all, &full().in_country("DE").to("h", "/eu")));
    assert!(applies(&all, &full().to("h", "/eu")), "the country is unknown");
    assert!(!applies(&all, &full().in_country("FR").to("h", "/eu")));
    assert!(!applies(&all, &full().in_country("DE").to("h", "/")));
    assert!(!applies(&all, &full().of_tenant("other").in_country("DE").to("h", "/eu")));
    assert!(!applies(&all, &Request::default().of_tenant("acme").in_country("DE").to("h", "/eu")));
}

/// The same policies over regions of which `us` declares soc2, `eu` gdpr and soc2, `ap` nothing.
fn allowed(policies: Vec<ResidencyPolicy>) -> Vec<String> {
    let mut regions = three_regions();
    for (settings, declared) in regions.iter_mut().zip([&["soc2"][..], &["gdpr", "soc2"], &[]]) {
        let compliance = declared.iter().map(|name| (*name).into()).collect();
        settings.region = Region { compliance, ..(*settings.region).clone() }.into();
    }
    let api = deployment("api", Strategy::Failover, regions);
    let table = table(vec![Deployment { residency: policies, ..api }], None);
    let verdict = verdict(only(&table), &Request::default());
    assert_eq!(verdict.allowed, permitted(only(&table), &Request::default()));
    only(&table).ids(verdict.allowed).map(ToString::to_string).collect()
}

#[test]
fn a_policy_allows_listed_regions_that_declare_all_frameworks() {
    let by = |listed: Option<&[&str]>, required: &[&str]| ResidencyPolicy {
        allowed_regions: listed.map(|ids| ids.iter().map(|id| (*id).into()).collect()),
        required_compliance: required.iter().map(|name| (*name).into()).collect(),
        ..policy("p", &[])
    };
    assert_eq!(allowed(vec![by(Some(&["ap", "us"]), &[])]), ["us", "ap"]);
    assert_eq!(allowed(vec![by(None, &["soc2"])]), ["us", "eu"]);
    assert_eq!(allowed(vec![by(None, &["soc2", "gdpr"])]), ["eu"]);
    assert_eq!(allowed(vec![by(None, &["hipaa"])]).len(), 0);
    assert_eq!(allowed(vec![by(Some(&["ap", "us"]), &["soc2"])]), ["us"], "both have to hold");
    assert_eq!(allowed(vec![by(Some(&[]), &[])]).len(), 0);
    assert_eq!(allowed(vec![by(Some(&["elsewhere"]), &[])]).len(), 0);
    assert_eq!(allowed(vec![by(None, &["soc2"]), by(Some(&["eu", "ap"]), &[])]), ["eu"]);
}

#[test]
fn a_policy_that_only_reports_takes_nothing_out() {
    let report = eu_only(|policy| policy.enforcement = Enforcement::Report);
    let table = api(vec![report, policy("p", &["us", "eu"])]);
    let deployment = only(&table);
    let verdict = verdict(deployment, &Request::default());
    let named = |set| deployment.ids(set).map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(named(verdict.allowed), ["us", "eu"]);
    assert_eq!(named(verdict.reported), ["us"], "`ap` is gone already");
    assert_eq!((verdict.applying, verdict.bound), (0b11, true));
    assert_eq!(permitted(deployment, &Request::default()), verdict.allowed);
}

#[test]
fn policies_beyond_the_limit_still_bind() {
    let mut policies = vec![policy("wide", &["us", "eu", "ap"]); 70];
    policies.push(policy("narrow", &["ap"]));
    let table = api(policies);
    assert_eq!(outcome(&table, &Request::default()).0, ["ap"]);
    assert_eq!(verdict(only(&table), &Request::default()).applying, u64::MAX);
}

#[test]
fn a_request_that_no_region_may_see_is_refused() {
    let table = api(vec![policy("a", &["us"]), policy("b", &["eu"])]);
    assert_eq!(outcome(&table, &Request::default()).1, "residency_unavailable");
}

#[test]
fn the_guard_permits_no_region_that_is_not_there() {
    for table in [api(vec![]), api(vec![policy("p", &["us"])])] {
        for position in [3, 127, 128, 255] {
            let facts = Request::default();
            assert!(!permits(only(&table), &facts.facts(), RegionPosition(position)));
        }
    }
}

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

#[test]
fn without_policies_conditions_do_not_matter() {
    let table = api(vec![]);
    let request = Request::default();
    let decision = decide(
        &table,
        &request.facts(),
        &Conditions::NONE,
        crate::routing::Draws::default(),
        &mut NoTrace,
    );
    assert_eq!(ids(&table, &decision.unwrap()), ["us", "eu", "ap"]);
    assert!(only(&table).residency.is_empty());
}
