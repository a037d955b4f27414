//! Residency policies: what is refused, and what is found out about those that are not.

use super::super::{BASE, read, with_deployment};
use crate::config::{ConfigError, Severity, pins_outside_policy};

/// Three regions: us (hipaa), eu and eu2 (gdpr).
fn three(fields: &str) -> String {
    let more = "  - { id: eu2, latitude: 50, longitude: 8, country: DE, compliance: [GDPR], endpoints: [http://a] }\n";
    with_deployment(fields)
        .replace("deployments:\n", &format!("{more}deployments:\n"))
        .replace("replica_regions: [eu]", "replica_regions: [eu, eu2]")
        .replace("    country: US\n", "    country: US\n    compliance: [hipaa]\n")
        .replace("country: IE,", "country: IE, compliance: [gdpr],")
}

fn problems(text: &str) -> Vec<ConfigError> {
    match read(text) {
        Ok(loaded) => loaded.warnings,
        Err(errors) => errors.into_iter().collect(),
    }
}

#[track_caller]
fn check(fields: &str, expected: &[(Severity, &str, &str)]) {
    let found = problems(&three(&format!("    {fields}")));
    let shown: Vec<_> = found.iter().map(|e| (e.path.as_str(), e.message.as_str())).collect();
    assert_eq!(found.len(), expected.len(), "{fields}\n{shown:#?}");
    for (found, (severity, path, part)) in found.iter().zip(expected) {
        assert_eq!(
            (found.severity, found.path.as_str()),
            (*severity, *path),
            "{fields}\n{shown:?}"
        );
        assert!(found.message.contains(part), "{fields}\n{shown:?}");
    }
}

use Severity::{Error, Warning};

#[test]
fn broken_policies() {
    let first = "deployments[0].residency[0]";
    for (policy, path, part) in [
        ("{ allowed_regions: [eu, eu2] }", ".name", "`name` is missing"),
        ("{ name: a b, allowed_regions: [eu, eu2] }", ".name", "cannot be a name"),
        ("{ name: a }", "", "allows every region"),
        ("{ name: a, allowed: [eu] }", ".allowed", "unknown field"),
        ("{ name: a, allowed_regions: [] }", ".allowed_regions", "is empty"),
        ("{ name: a, allowed_regions: [eux, eu, eu2] }", ".allowed_regions[0]", "no region `eux`"),
        ("{ name: a, allowed_regions: [eu, eu] }", ".allowed_regions[1]", "listed twice"),
        ("{ name: a, required_compliance: [] }", ".required_compliance", "is empty"),
        ("{ name: a, required_compliance: [g dpr] }", ".required_compliance[0]", "framework"),
        ("{ name: a, required_compliance: [gdpr, GDPR] }", ".required_compliance[1]", "twice"),
        (
            "{ name: a, allowed_regions: [eu, eu2], when_unknown: ask }",
            ".when_unknown",
            "not one of the choices",
        ),
        (
            "{ name: a, allowed_regions: [eu, eu2], enforcement: lax }",
            ".enforcement",
            "not one of the choices",
        ),
        (
            "{ name: a, allowed_regions: [eu, eu2], applies_to: { countries: [] } }",
            ".applies_to.countries",
            "is empty",
        ),
        (
            "{ name: a, allowed_regions: [eu, eu2], applies_to: { countries: [GER] } }",
            ".applies_to.countries[0]",
            "not a country",
        ),
        (
            "{ name: a, allowed_regions: [eu, eu2], applies_to: { headers: { x: { regex: '[' } } } }",
            ".applies_to.headers.x.regex",
            "no regular expression",
        ),
        (
            "{ name: a, allowed_regions: [eu, eu2], applies_to: { path_prefixes: [eu] } }",
            ".applies_to.path_prefixes[0]",
            "does not start",
        ),
    ] {
        let path = format!("{first}{path}");
        check(&format!("residency: [{policy}]"), &[(Error, &path, part)]);
    }
    let policy = "{ name: a, allowed_regions: [eu, eu2] }";
    let twice = format!("residency: [{policy}, {policy}]");
    check(&twice, &[(Error, "deployments[0].residency[1].name", "listed twice")]);
    let many: String =
        (0..65).map(|n| format!("{{ name: p{n}, allowed_regions: [eu, eu2] }}, ")).collect();
    check(&format!("residency: [{many}]"), &[(Error, "deployments[0].residency", "more than 64")]);
}

#[test]
fn policies_that_no_region_satisfies() {
    let first = "deployments[0].residency[0]";
    for (policy, severity) in [
        ("{ name: a, required_compliance: [fedramp] }", Error),
        ("{ name: a, required_compliance: [gdpr, hipaa] }", Error),
        ("{ name: a, allowed_regions: [us], required_compliance: [gdpr] }", Error),
        ("{ name: a, required_compliance: [fedramp], enforcement: report }", Warning),
    ] {
        check(&format!("residency: [{policy}]"), &[(severity, first, "no region")]);
    }
    // A region of the file that the deployment leaves out satisfies nothing.
    check(
        "excluded_regions: [us]\n    residency: [{ name: a, allowed_regions: [us] }]",
        &[(Error, first, "no region")],
    );
    check("residency: [{ name: a, required_compliance: [Gdpr] }]", &[]);
}

#[test]
fn the_loss_of_the_only_region() {
    let first = "deployments[0].residency[0]";
    check(
        "residency: [{ name: a, required_compliance: [hipaa] }]",
        &[(Warning, first, "the loss of `us`")],
    );
    check("residency: [{ name: a, allowed_regions: [us], enforcement: report }]", &[]);
    check("residency: [{ name: a, allowed_regions: [eu, eu2] }]", &[]);
}

#[test]
fn pairs_that_leave_nothing() {
    let pair = |a: &str, b: &str| {
        format!(
            "tenant: {{ header: x-t }}\n    residency:\n      - {{ name: a, allowed_regions: [eu, eu2], {a} }}\n      \
             - {{ name: b, allowed_regions: [us], {b} }}"
        )
    };
    let loss = (Warning, "deployments[0].residency[1]", "the loss of `us`");
    let at = "deployments[0].residency[1]";
    for (a, b, expected) in [
        ("", "", Some("leave no region for a request that both")),
        ("applies_to: { countries: [DE] }", "", Some("that both apply to")),
        (
            "applies_to: { countries: [DE, FR] }",
            "applies_to: { countries: [FR, US] }",
            Some("that both apply to"),
        ),
        (
            "applies_to: { countries: [DE] }",
            "applies_to: { countries: [US] }",
            Some("of unknown country"),
        ),
        (
            "applies_to: { countries: [DE] }, when_unknown: skip",
            "applies_to: { countries: [US] }",
            None,
        ),
        ("applies_to: { tenants: [a] }", "applies_to: { tenants: [b] }", Some("unknown tenant")),
        ("applies_to: { tenants: [a] }, when_unknown: skip", "applies_to: { tenants: [b] }", None),
        (
            "applies_to: { countries: [DE], tenants: [a] }",
            "applies_to: { countries: [US], tenants: [b] }",
            Some("of unknown country and tenant"),
        ),
        (
            "applies_to: { headers: { x: a } }",
            "applies_to: { headers: { x: b } }",
            Some("that both apply to"),
        ),
        ("applies_to: { path_prefixes: [/a] }", "applies_to: { path_prefixes: [/ab] }", None),
        (
            "applies_to: { path_prefixes: [/a] }",
            "applies_to: { path_prefixes: [/a/b] }",
            Some("that both apply to"),
        ),
        ("enforcement: report", "", None),
    ] {
        let mut rows = vec![loss];
        rows.extend(expected.map(|part| (Warning, at, part)));
        check(&pair(a, b), &rows);
    }
}

#[test]
fn rules_out_of_reach() {
    let with = |applies: &str, rule: &str| {
        format!(
            "tenant: {{ header: x-t }}\n    residency: [{{ name: p, allowed_regions: [eu, eu2]{applies} }}]\n    \
             routing_rules: [{{ id: r, {rule} }}]"
        )
    };
    let de = ", applies_to: { countries: [DE, FR] }";
    let rule = "deployments[0].routing_rules[0]";
    let target = "deployments[0].routing_rules[0].target_regions[0]";
    let second = "deployments[0].routing_rules[0].target_regions[1]";
    let fallback = "deployments[0].routing_rules[0].fallback_regions[0]";
    for (applies, fields, expected) in [
        ("", "target_regions: [us]", Some((rule, "no region of the rule `r`"))),
        ("", "target_regions: [us], enabled: false", None),
        ("", "target_regions: [eu, us]", Some((second, "`us` is out of reach"))),
        ("", "target_regions: [us], fallback_regions: [eu]", Some((target, "out of reach"))),
        ("", "target_regions: [eu], fallback_regions: [us]", Some((fallback, "out of reach"))),
        (de, "target_regions: [us]", None),
        (de, "target_regions: [us], source_countries: [DE]", Some((rule, "no region of"))),
        (de, "target_regions: [us], source_countries: [DE, US]", None),
        (de, "target_regions: [us], source_subdivisions: [DE-BY]", Some((rule, "no region of"))),
        (de, "target_regions: [us], source_continents: [EU]", None),
        (
            ", applies_to: { countries: [DE], path_prefixes: [/eu] }",
            "target_regions: [us], source_countries: [DE]",
            None,
        ),
        (
            ", applies_to: { countries: [DE], path_prefixes: [/eu] }",
            "target_regions: [us], source_countries: [DE], path_prefixes: [/eu/x, /eu]",
            Some((rule, "no region of")),
        ),
        (
            ", applies_to: { path_prefixes: [/eu] }",
            "target_regions: [us], path_prefixes: [/eux]",
            None,
        ),
        (
            ", applies_to: { tenants: [a, b] }",
            "target_regions: [us], tenants: [b]",
            Some((rule, "no region of")),
        ),
        (", applies_to: { tenants: [a] }", "target_regions: [us], tenants: [a, b]", None),
        (
            ", applies_to: { headers: { x: a, y: b } }",
            "target_regions: [us], header_conditions: { y: b, z: c }",
            Some((rule, "no region of")),
        ),
        (
            ", applies_to: { headers: { x: { prefix: a } } }",
            "target_regions: [us], header_conditions: { x: b }",
            None,
        ),
        (", enforcement: report", "target_regions: [us]", None),
    ] {
        let expected: Vec<_> = expected.map(|(at, part)| (Warning, at, part)).into_iter().collect();
        check(&with(applies, fields), &expected);
    }
    // The deployment's own path is below the policy's.
    check(
        "path_prefix: /eu/v1\n    residency: [{ name: p, allowed_regions: [eu, eu2], applies_to: { path_prefixes: [/eu] } }]\n    \
         routing_rules: [{ id: r, target_regions: [us] }]",
        &[(Warning, rule, "no region of the rule")],
    );
}

#[test]
fn pins_that_a_policy_keeps_their_tenant_from() {
    let found = |residency: &str, pins: &[(&str, &str)]| {
        let text = three(&format!("    tenant: {{ header: x-t }}\n    residency: [{residency}]"));
        let text = format!("tenants: {{ file: t.csv }}\n{text}");
        let config = read(&text).unwrap_or_else(|errors| panic!("{errors}")).config;
        let found = pins_outside_policy(&config, pins.iter().copied());
        assert!(found.iter().all(|e| e.severity == Warning && e.file == "/etc/rhumb/t.csv"));
        found.into_iter().map(|error| error.message).collect::<Vec<_>>()
    };
    let everyone = "{ name: p, allowed_regions: [eu, eu2] }";
    assert!(found(everyone, &[("a", "eu"), ("b", "eu2"), ("c", "nowhere")]).is_empty());
    let one = found(everyone, &[("a", "us"), ("b", "eu")]);
    assert_eq!(
        one,
        [
            "the tenant `a` is pinned to `us`, which the policy `p` of the deployment `api` does not allow"
        ]
    );
    let many = found(everyone, &[("a", "us"), ("b", "us"), ("c", "us"), ("d", "us"), ("e", "us")]);
    assert_eq!(many.len(), 1);
    assert!(
        many[0].starts_with("5 tenants, such as `a`, `b`, `c`, are pinned to `us`"),
        "{many:?}"
    );
    let named = "{ name: p, applies_to: { tenants: [a, b] }, allowed_regions: [eu, eu2] }";
    assert_eq!(found(named, &[("a", "us"), ("z", "us")]).len(), 1);
    assert!(found(named, &[("z", "us")]).is_empty());
    for narrower in [
        "{ name: p, applies_to: { tenants: [a], countries: [DE] }, allowed_regions: [eu, eu2] }",
        "{ name: p, applies_to: { path_prefixes: [/eu] }, allowed_regions: [eu, eu2] }",
        "{ name: p, allowed_regions: [eu, eu2], enforcement: report }",
    ] {
        assert!(found(narrower, &[("a", "us")]).is_empty(), "{narrower}");
    }
    // A deployment that knows no tenants has none to keep away.
    let text = three(&format!("    residency: [{everyone}]"));
    assert!(pins_outside_policy(&read(&text).unwrap().config, [("a", "us")]).is_empty());
    assert!(pins_outside_policy(&read(BASE).unwrap().config, [("a", "us")]).is_empty());
}
