//! Residency: what a policy applies to and allows, and that the guard says the same.

mod cases;
mod properties;

use super::fixture::{Request, country, deployment, header, policy, table, three_regions};
use super::{ids, outcome};
use crate::config::{
    Deployment, Enforcement, HeaderMatch, Region, ResidencyPolicy, Strategy, TextMatch, Unknown,
};
use crate::routing::residency::Verdict;
use crate::routing::{
    Conditions, DeploymentPlan, Draws, NoTrace, RegionPosition, RegionSet, Table, decide, permits,
};

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

#[test]
fn without_policies_conditions_do_not_matter() {
    let table = api(vec![]);
    let request = Request::default();
    let (facts, draws) = (request.facts(), Draws::default());
    let decision = decide(&table, &facts, &Conditions::NONE, draws, &mut NoTrace);
    assert_eq!(ids(&table, &decision.unwrap()), ["us", "eu", "ap"]);
    assert!(only(&table).residency.is_empty());
}
