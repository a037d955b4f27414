//! What is accepted with a warning.

use super::{BASE, read, with_deployment, with_line};

/// The file with one more region.
fn with_third(id: &str, text: &str) -> String {
    let region = "latitude: 1, longitude: 1, country: JP, endpoints: [http://a]";
    text.replace("deployments:", &format!("  - {{ id: {id}, {region} }}\ndeployments:"))
}

/// Line, part of the message, file.
fn cases() -> Vec<(u32, &'static str, String)> {
    let rules = |rules: &str| with_deployment(&format!("    routing_rules:\n{rules}"));
    vec![
        (11, "`api` has no health check", with_line(14, "")),
        (11, "one region only", with_deployment("    excluded_regions: [eu]")),
        (14, "longer than the interval", with_line(14, "    health_check: { interval_seconds: 1 }")),
        (10, "no deployment uses the region `ap`", with_third("ap", BASE)),
        (15, "lets every client", format!("{BASE}client: {{ trusted_proxies: [0.0.0.0/0] }}\n")),
        (15, "weights have no effect", with_deployment("    regions: { us: { weight: 5 } }")),
        (
            16,
            "`eu` has no weight",
            with_deployment("    routing_strategy: weighted\n    regions: { us: { weight: 5 } }"),
        ),
        (15, "`us` has no weight", with_deployment("    routing_strategy: weighted")),
        (
            15,
            "`request_seconds` ends",
            with_deployment("    timeouts: { first_byte_seconds: 9, request_seconds: 5 }"),
        ),
        (
            17,
            "no request reaches the rule `b`",
            rules(
                "      - { id: a, priority: 1, source_countries: [DE, FR], target_regions: [eu] }
      - { id: b, source_countries: [FR], header_conditions: { x: y }, target_regions: [us] }",
            ),
        ),
        (
            16,
            "no request reaches the rule `b`",
            rules(
                "      - { id: b, source_countries: [FR], target_regions: [us] }
      - { id: a, priority: 1, target_regions: [eu] }",
            ),
        ),
        (
            17,
            "`us` does not serve this deployment",
            with_third(
                "eu2",
                &with_deployment(
                    "    excluded_regions: [us]\n    routing_rules: [{ id: a, target_regions: [eu, us] }]",
                ),
            )
            .replace("replica_regions: [eu]", "replica_regions: [eu, eu2]"),
        ),
        (
            15,
            "`us` is a target of the rule already",
            with_deployment("    routing_rules: [{ id: a, target_regions: [us], fallback_regions: [us] }]"),
        ),
        (
            15,
            "no request reaches the deployment `b`",
            format!(
                "{BASE}  - {{ name: b, primary_region: us, replica_regions: [eu], health_check: {{}} }}\n"
            ),
        ),
    ]
}

#[test]
fn doubtful_files_are_accepted_with_a_warning() {
    for (line, part, text) in cases() {
        let loaded = read(&text).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        let found: Vec<_> = loaded.warnings.iter().map(|w| (w.line, w.message.as_str())).collect();
        assert_eq!(found.len(), 1, "{text}\n{found:?}");
        assert!(found[0].1.contains(part), "{text}\n{found:?}");
        assert_eq!(found[0].0, line, "{text}\n{found:?}");
    }
}

#[test]
fn rules_that_some_request_reaches_give_no_warning() {
    for rules in [
        // Narrower first.
        "[{ id: a, priority: 1, source_countries: [DE], target_regions: [eu] }, { id: b, target_regions: [us] }]",
        // Another value, another header, a disabled rule, one country too few.
        "[{ id: a, header_conditions: { x: y }, target_regions: [eu] }, { id: b, header_conditions: { x: z }, target_regions: [us] }]",
        "[{ id: a, header_conditions: { x: y, z: z }, target_regions: [eu] }, { id: b, header_conditions: { x: y }, target_regions: [us] }]",
        "[{ id: a, enabled: false, target_regions: [eu] }, { id: b, target_regions: [us] }]",
        "[{ id: a, source_countries: [DE], target_regions: [eu] }, { id: b, source_countries: [DE, FR], target_regions: [us] }]",
        "[{ id: a, source_countries: [DE], target_regions: [eu] }, { id: b, target_regions: [us] }]",
    ] {
        let loaded = read(&with_deployment(&format!("    routing_rules: {rules}"))).unwrap();
        assert!(loaded.warnings.is_empty(), "{rules}: {:?}", loaded.warnings);
    }
}

/// Field, part of the message, fields of the deployment, what stands before them.
type Row = (&'static str, &'static str, &'static str, &'static str);

const KEYS: &str = "signing: { keys: [{ id: k, secret: 0123456789abcdef0123456789abcdef }] }\n";
const HOMES: &str = "tenants: { file: t.csv }\n";
const TRUST: &str = "client: { trusted_proxies: [10.0.0.0/8] }\n";

#[test]
fn settings_without_effect() {
    let rows: &[Row] = &[
        ("objectives", "without the strategy `score`", "objectives: { cost: 1 }", ""),
        (
            "latency_tolerance_ms",
            "without the strategy `latency`",
            "latency_tolerance_ms: 5\n    routing_strategy: cost",
            "",
        ),
        (
            "latency_switch_ms",
            "without the strategy `latency`",
            "latency_switch_ms: 5\n    routing_strategy: failover",
            "",
        ),
        (
            "writes.mode",
            "no tenant has one",
            "tenant: { header: x-t }\n    writes: { mode: home }",
            "",
        ),
        ("writes.when_down", "no effect with this `mode`", "writes: { when_down: read_only }", ""),
        ("writes.cookie", "without `sticky_seconds`", "writes: { cookie: a }", ""),
        (
            "writes.caught_up_header",
            "without `sticky_seconds`",
            "writes: { caught_up_header: x-a }",
            "",
        ),
        ("affinity.name", "no effect with this `mode`", "affinity: { mode: client, name: a }", ""),
        ("affinity.ttl_seconds", "no effect with this `mode`", "affinity: { ttl_seconds: 5 }", ""),
        ("hints", "these hints are off", "hints: {}", ""),
        ("hints", "these hints are off", "hints: { from: signed }", KEYS),
        ("hints.force", "no peer is trusted", "hints: { force: true, prefer: true }", ""),
        ("hints.prefer", "no peer is trusted", "hints: { prefer: true }", ""),
        (
            "priorities",
            "no region has `max_in_flight`",
            "priorities: { classes: { a: 1 }, from_anyone: true }",
            "",
        ),
        (
            "residency[0].when_unknown",
            "without `countries` or `tenants`",
            "residency: [{ name: a, allowed_regions: [us, eu], when_unknown: skip }]",
            "",
        ),
        (
            "residency[0].applies_to.tenants",
            "never applies",
            "residency: [{ name: a, allowed_regions: [us, eu], when_unknown: skip, applies_to: { tenants: [a] } }]",
            "",
        ),
        (
            "residency[0].applies_to.tenants",
            "takes every tenant",
            "residency: [{ name: a, allowed_regions: [us, eu], applies_to: { tenants: [a] } }]",
            "",
        ),
        (
            "routing_rules[0].tenants",
            "no tenant is ever known",
            "routing_rules: [{ id: a, target_regions: [us], tenants: [a] }]",
            "",
        ),
        (
            "routing_rules[0].percent",
            "no request reaches",
            "routing_rules: [{ id: a, target_regions: [us], percent: 0 }]",
            "",
        ),
        (
            "routing_rules[0].source_countries[0]",
            "`EU` is not the code of a country",
            "routing_rules: [{ id: a, target_regions: [us], source_countries: [EU] }]",
            "",
        ),
        (
            "routing_rules[0].routing_strategy",
            "`weights` order the targets",
            "routing_rules: [{ id: a, target_regions: [us], weights: { us: 1 }, fallback_regions: [eu], routing_strategy: cost }]",
            "",
        ),
    ];
    for (path, part, fields, before) in rows {
        let text = format!("{before}{}", with_deployment(&format!("    {fields}")));
        check(&text, &format!("deployments[0].{path}"), part);
    }
    for (before, path, part) in [
        (HOMES, "tenants", "no deployment reads the tenant"),
        ("hops: { most: 3 }\n", "hops", "without an `id`"),
        ("shadow: { config: a, sample_percent: 0 }\n", "shadow.sample_percent", "no request"),
        ("latency: { soft_ttl_seconds: 5 }\n", "latency.soft_ttl_seconds", "there is none"),
        (
            "latency: { measured: { max_networks: 5 } }\n",
            "latency.measured.max_networks",
            "by_client_network",
        ),
    ] {
        check(&format!("{before}{BASE}"), path, part);
    }
}

#[track_caller]
fn check(text: &str, path: &str, part: &str) {
    let loaded = read(text).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    let found: Vec<_> = loaded.warnings.iter().map(|w| (&*w.path, w.message.as_str())).collect();
    assert_eq!(found.len(), 1, "{text}\n{found:?}");
    assert_eq!(found[0].0, path, "{text}\n{found:?}");
    assert!(found[0].1.contains(part), "{text}\n{found:?}");
}

#[test]
fn settings_with_effect_give_no_warning() {
    for (before, fields) in [
        ("", "objectives: { cost: 1 }\n    routing_strategy: score"),
        (
            "",
            "objectives: { cost: 1 }\n    routing_rules: [{ id: a, target_regions: [us], routing_strategy: score }]",
        ),
        ("", "latency_tolerance_ms: 5\n    latency_switch_ms: 5"),
        (
            "",
            "routing_strategy: cost\n    latency_switch_ms: 5\n    routing_rules: [{ id: a, target_regions: [us], routing_strategy: latency }]",
        ),
        (HOMES, "tenant: { header: x-t }\n    writes: { mode: home, when_down: read_only }"),
        (
            KEYS,
            "writes: { sticky_seconds: 5, cookie: a }\n    affinity: { mode: cookie, ttl_seconds: 5 }",
        ),
        (KEYS, "hints: { force: true, from: signed }"),
        (TRUST, "hints: { force: true }"),
        ("", "affinity: { mode: client }\n    regions: { us: { weight: 2 } }"),
        (
            "",
            "regions: { us: { weight: 2 } }\n    routing_rules: [{ id: a, target_regions: [us, eu], routing_strategy: weighted }]",
        ),
        (
            "",
            "residency: [{ name: a, allowed_regions: [us, eu] }]\n    routing_strategy: compliance",
        ),
    ] {
        let text = format!("{before}{}", with_deployment(&format!("    {fields}")));
        let loaded = read(&text).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        assert!(loaded.warnings.is_empty(), "{text}\n{:?}", loaded.warnings);
    }
}

#[test]
fn a_rule_is_shadowed_only_by_one_that_asks_no_more() {
    let shadowed = |first: &str, second: &str| {
        let text = with_deployment(&format!(
            "    tenant: {{ header: x-t }}\n    routing_rules:\n      - {{ id: a, target_regions: [us]{first} }}\n      - {{ id: b, target_regions: [eu]{second} }}"
        ));
        let loaded = read(&text).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        loaded.warnings.iter().any(|warning| warning.message.contains("no request reaches"))
    };
    let all = [
        ", hosts: [a.example.com]",
        ", path_prefixes: [/a]",
        ", methods: [GET]",
        ", source_continents: [EU]",
        ", source_subdivisions: [US-CA]",
        ", source_cidrs: [10.0.0.0/8]",
        ", source_asns: [64500]",
        ", tenants: [a]",
        ", query_conditions: { a: b }",
        ", cookie_conditions: { a: b }",
        ", time_windows: [{ from: '08:00' }]",
    ];
    for one in all {
        assert!(!shadowed(one, ""), "{one}");
        assert!(shadowed("", one), "{one}");
        assert!(shadowed(one, one), "{one}");
        let more = format!("{one}, source_countries: [DE], header_conditions: {{ x: y }}");
        assert!(shadowed(one, &more), "{more}");
        assert!(!shadowed(&more, one), "{more}");
        for other in all {
            assert_eq!(shadowed(one, other), one == other, "{one} {other}");
        }
    }
    assert!(!shadowed(", percent: 50", ", percent: 50"), "shares are of different clients");
    assert!(!shadowed(", percent: 50", ""));
    assert!(shadowed("", ", percent: 50"));
}
