//! Broken settings of steering, and exactly what is said of them.

use super::super::{BASE, with_deployment};
use super::{Row, check_one};

const KEYS: &str = "signing: { keys: [{ id: k, secret: 0123456789abcdef0123456789abcdef }] }\n";

fn check_deployment(rows: &[Row], keys: &str) {
    for (fields, path, part) in rows {
        let text = format!("{keys}{}", with_deployment(&format!("    {fields}")));
        check_one(&text, &format!("deployments[0].{path}"), part);
    }
}

#[test]
fn files_and_their_ages() {
    let rows: &[Row] = &[
        (
            "latency: { soft_ttl_seconds: 9, hard_ttl_seconds: 8 }",
            "latency.soft_ttl_seconds",
            "longer",
        ),
        (
            "latency: { soft_ttl_seconds: 86401 }",
            "latency.soft_ttl_seconds",
            "86400 unless written",
        ),
        ("latency: { soft_ttl_seconds: 0 }", "latency.soft_ttl_seconds", "range from 1"),
        ("latency: { hard_ttl_seconds: .nan }", "latency.hard_ttl_seconds", "expected a number"),
        ("latency: { hard_ttl_seconds: 1e12 }", "latency.hard_ttl_seconds", "range"),
        (
            "latency: { measured: { half_life_seconds: 0 } }",
            "latency.measured.half_life_seconds",
            "range",
        ),
        (
            "latency: { measured: { soft_ttl_seconds: 601 } }",
            "latency.measured.soft_ttl_seconds",
            "600 unless written",
        ),
        ("latency: { measured: { min_samples: 0 } }", "latency.measured.min_samples", "from 1"),
        (
            "latency: { measured: { max_networks: 9999999 } }",
            "latency.measured.max_networks",
            "to 1048576",
        ),
        ("geoip: { soft_ttl_seconds: 9, hard_ttl_seconds: 8 }", "geoip.soft_ttl_seconds", "longer"),
        ("tenants: {}", "tenants.file", "`file` is missing"),
        ("tenants: { file: '' }", "tenants.file", "no path"),
        (
            "tenants: { file: a, soft_ttl_seconds: 2, hard_ttl_seconds: 1 }",
            "tenants.soft_ttl_seconds",
            "longer",
        ),
        ("shadow: {}", "shadow.config", "`config` is missing"),
        ("shadow: { config: a, sample_percent: 100.01 }", "shadow.sample_percent", "0 to 100"),
        ("shadow: { config: a, sample_percent: -1 }", "shadow.sample_percent", "0 to 100"),
        ("shadow: { config: a, sample_percent: 0.001 }", "shadow.sample_percent", "decimals"),
        ("hops: { id: a }", "hops.id", "needs keys"),
        ("hops: { most: 65 }", "hops.most", "from 1 to 64"),
    ];
    for (fields, path, part) in rows {
        check_one(&format!("{BASE}{fields}\n"), path, part);
    }
    check_one(&format!("{BASE}{KEYS}hops: {{ id: a b }}\n"), "hops.id", "cannot be a name");
}

#[test]
fn regions() {
    let rows: &[Row] = &[
        ("compliance: [soc 2]", "compliance[0]", "cannot be a framework"),
        ("compliance: [SOC2, soc2]", "compliance[1]", "listed twice"),
        ("compliance: soc2", "compliance", "expected a list"),
        ("cost_multiplier: -0.5", "cost_multiplier", "from 0"),
        ("cost_multiplier: .inf", "cost_multiplier", "expected a number"),
        ("cost_multiplier: .nan", "cost_multiplier", "expected a number"),
        ("cost_multiplier: 1e7", "cost_multiplier", "to 1000000"),
        ("max_in_flight: 0", "max_in_flight", "from 1"),
        ("max_in_flight: 4294967296", "max_in_flight", "to 4294967295"),
        ("max_in_flight: 0.5", "max_in_flight", "whole number"),
    ];
    for (field, path, part) in rows {
        let text = BASE.replace("    country: US\n", &format!("    country: US\n    {field}\n"));
        check_one(&text, &format!("regions[0].{path}"), part);
    }
}

#[test]
fn ranking() {
    check_deployment(
        &[
            ("latency_tolerance_ms: -1", "latency_tolerance_ms", "from 0"),
            ("latency_tolerance_ms: .nan", "latency_tolerance_ms", "expected a number"),
            ("latency_switch_ms: 60001", "latency_switch_ms", "to 60000"),
            ("objectives: {}", "objectives", "above 0"),
            ("objectives: { cost: 0 }", "objectives", "above 0"),
            ("objectives: { cost: -1 }", "objectives.cost", "from 0"),
            ("objectives: { load: .inf }", "objectives.load", "expected a number"),
            ("objectives: { latncy: 1 }", "objectives.latncy", "unknown field"),
            ("routing_strategy: score", "routing_strategy", "needs `objectives`"),
            (
                "routing_rules: [{ id: a, target_regions: [us], routing_strategy: score }]",
                "routing_rules[0].routing_strategy",
                "needs `objectives`",
            ),
            ("routing_strategy: compliance", "routing_strategy", "there is none"),
            (
                "residency: [{ name: a, allowed_regions: [eu], enforcement: report }]\n    routing_strategy: compliance",
                "routing_strategy",
                "there is none",
            ),
            (
                "routing_rules: [{ id: a, target_regions: [us], routing_strategy: fast }]",
                "routing_rules[0].routing_strategy",
                "not one of the choices",
            ),
        ],
        "",
    );
}

#[test]
fn tenants() {
    check_deployment(
        &[
            ("tenant: {}", "tenant", "says nothing"),
            ("tenant: { header: a, cookie: b }", "tenant", "exclude each other"),
            ("tenant: { heder: a }", "tenant.heder", "unknown field"),
            ("tenant: { header: a b }", "tenant.header", "name of a header"),
            ("tenant: { header: X-Forwarded-For }", "tenant.header", "Rhumb itself"),
            ("tenant: { header: host }", "tenant.header", "Rhumb itself"),
            ("tenant: { header: cookie }", "tenant.header", "Rhumb itself"),
            ("tenant: { cookie: 'a b' }", "tenant.cookie", "name of a cookie"),
            ("tenant: { cookie: 'a=b' }", "tenant.cookie", "name of a cookie"),
            ("tenant: { cookie: 'a;b' }", "tenant.cookie", "name of a cookie"),
            ("tenant: { cookie: '' }", "tenant.cookie", "name of a cookie"),
            ("tenant: { cookie: 'ü' }", "tenant.cookie", "name of a cookie"),
            ("tenant: { host_label: -1 }", "tenant.host_label", "from 0"),
            ("tenant: { path_segment: 127 }", "tenant.path_segment", "to 126"),
            ("tenant: { jwt: { jwks: a } }", "tenant.jwt.claim", "`claim` is missing"),
            ("tenant: { jwt: { claim: a } }", "tenant.jwt.jwks", "`jwks` is missing"),
            ("tenant: { jwt: { claim: '', jwks: a } }", "tenant.jwt.claim", "no token has"),
            (
                "tenant: { jwt: { claim: a, jwks: a, header: x-rhumb-token } }",
                "tenant.jwt.header",
                "Rhumb itself",
            ),
            ("tenant: { jwt: { claim: a, jwks: a, issuer: '' } }", "tenant.jwt.issuer", "no token"),
        ],
        "",
    );
}

#[test]
fn writes_and_affinity() {
    check_deployment(
        &[
            ("writes: { sticky_seconds: 5 }", "writes.sticky_seconds", "needs keys"),
            ("writes: { mode: home }", "writes.mode", "no tenant is ever known"),
            ("affinity: { mode: cookie }", "affinity.mode", "needs keys"),
            ("affinity: { mode: header }", "affinity.mode", "needs keys"),
            ("hints: { prefer: true, from: signed }", "hints.from", "need keys"),
            ("hints: { force: true, from: trusted_or_signed }", "hints.from", "need keys"),
        ],
        "",
    );
    check_deployment(
        &[
            ("writes: { mode: anywhere }", "writes.mode", "not one of the choices"),
            ("writes: { sticky_seconds: 0 }", "writes.sticky_seconds", "from 1"),
            ("writes: { sticky_seconds: 86401 }", "writes.sticky_seconds", "to 86400"),
            (
                "writes: { sticky_seconds: 5, cookie: a, header: x-b }",
                "writes.header",
                "exclude each other",
            ),
            ("writes: { sticky_seconds: 5, cookie: 'a,b' }", "writes.cookie", "name of a cookie"),
            ("writes: { sticky_seconds: 5, header: via }", "writes.header", "Rhumb itself"),
            (
                "writes: { sticky_seconds: 5, caught_up_header: set-cookie }",
                "writes.caught_up_header",
                "Rhumb itself",
            ),
            (
                "writes: { sticky_seconds: 5, header: x-a, caught_up_header: X-A }",
                "writes.caught_up_header",
                "cannot say both",
            ),
            ("affinity: { mode: cookie, name: 'a b' }", "affinity.name", "name of a cookie"),
            ("affinity: { mode: header, name: X-Request-Id }", "affinity.name", "Rhumb itself"),
            (
                "affinity: { mode: header, name: X-Rhumb-Force-Region }",
                "affinity.name",
                "Rhumb itself",
            ),
            ("affinity: { mode: cookie, ttl_seconds: -1 }", "affinity.ttl_seconds", "range"),
            ("affinity: { mode: cookie, ttl_seconds: 34560001 }", "affinity.ttl_seconds", "range"),
            (
                "writes: { sticky_seconds: 5 }\n    affinity: { mode: cookie, name: rhumb }",
                "affinity",
                "last write",
            ),
            (
                "tenant: { cookie: rhumb-region }\n    affinity: { mode: cookie }",
                "affinity",
                "the tenant",
            ),
            (
                "tenant: { header: x-t }\n    writes: { sticky_seconds: 5, header: X-T }",
                "writes",
                "the tenant",
            ),
        ],
        KEYS,
    );
}

#[test]
fn wishes() {
    check_deployment(
        &[
            ("hints: { prefer: 1 }", "hints.prefer", "true or false"),
            ("replay: {}", "replay.regions", "`regions` is missing"),
            ("replay: { regions: [] }", "replay.regions", "is empty"),
            ("replay: { regions: [ap] }", "replay.regions[0]", "no region `ap`"),
            (
                "excluded_regions: [us]\n    replay: { regions: [eu, us] }",
                "replay.regions[1]",
                "does not serve",
            ),
            ("priorities: {}", "priorities.classes", "`classes` is missing"),
            ("priorities: { classes: {} }", "priorities.classes", "is empty"),
            ("priorities: { classes: { a: 0 } }", "priorities.classes.a", "from 1 to 100"),
            ("priorities: { classes: { a: 101 } }", "priorities.classes.a", "from 1 to 100"),
            ("priorities: { classes: { ' a': 1 } }", "priorities.classes[\" a\"]", "a header"),
            (
                "priorities: { classes: { a: 1 }, default_percent: 101 }",
                "priorities.default_percent",
                "from 1 to 100",
            ),
            (
                "priorities: { classes: { a: 1 }, header: connection }",
                "priorities.header",
                "Rhumb itself",
            ),
        ],
        "",
    );
    let classes: String = (0..33).map(|class| format!("c{class}: 1, ")).collect();
    let field = format!("    priorities: {{ classes: {{ {classes} }} }}");
    check_one(&with_deployment(&field), "deployments[0].priorities.classes", "more than 32");
}
