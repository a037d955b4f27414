//! Changes of what steers requests.

use super::changes;

#[test]
fn names_every_changed_field_of_steering() {
    let api = "deployments[api]";
    let every = "deployments[api].routing_rules[every-condition]";
    for (from, to, expected) in [
        (
            "hard_ttl_seconds: 86400",
            "hard_ttl_seconds: 7200",
            "latency.hard_ttl_seconds: 86400 -> 7200".to_owned(),
        ),
        (
            "half_life_seconds: 10",
            "half_life_seconds: 5",
            "latency.measured.half_life_seconds: 10 -> 5".to_owned(),
        ),
        ("min_samples: 20", "min_samples: 9", "latency.measured.min_samples: 20 -> 9".to_owned()),
        ("by_client_network: true", "by_client_network: true #", String::new()),
        (
            "file: tenants.csv",
            "file: homes.csv",
            "tenants.file: /tenants.csv -> /homes.csv".to_owned(),
        ),
        ("edge-fra-1", "edge-fra-2", "hops.id: edge-fra-1 -> edge-fra-2".to_owned()),
        ("most: 8", "most: 9", "hops.most: 8 -> 9".to_owned()),
        ("sample_percent: 1", "sample_percent: 2.5", "shadow.sample_percent: 1 -> 2.5".to_owned()),
        (
            "[soc2, hipaa]",
            "[soc2]",
            "regions[us-east-1].compliance: [hipaa, soc2] -> [soc2]".to_owned(),
        ),
        (
            "cost_multiplier: 1.1",
            "cost_multiplier: 1.2",
            "regions[eu-west-1].cost_multiplier: 1.1 -> 1.2".to_owned(),
        ),
        (
            "    max_in_flight: 500",
            "    #",
            "regions[us-east-1].max_in_flight: removed 500".to_owned(),
        ),
        (
            "latency_switch_ms: 10",
            "latency_switch_ms: 0",
            format!("{api}.latency_switch_ms: 10 -> 0"),
        ),
        (
            "latency: 0.6, cost: 0.3",
            "latency: 0.6, cost: 0.2",
            format!("{api}.objectives.cost: 0.3 -> 0.2"),
        ),
        (
            "{ header: x-tenant-id }",
            "{ header: x-org }",
            format!("{api}.tenant.header: x-tenant-id -> x-org"),
        ),
        (
            "countries: [DE, FR, IT, ES]",
            "countries: [DE, FR, IT]",
            format!(
                "{api}.residency[eu-data].applies_to.countries: [DE, FR, IT, ES] -> [DE, FR, IT]"
            ),
        ),
        (
            "required_compliance: [gdpr]",
            "required_compliance: [soc2]",
            format!("{api}.residency[eu-data].required_compliance: [gdpr] -> [soc2]"),
        ),
        (
            "when_unknown: apply",
            "when_unknown: skip",
            format!("{api}.residency[eu-data].when_unknown: apply -> skip"),
        ),
        (
            "enforcement: report",
            "enforcement: strict",
            format!("{api}.residency[health-records].enforcement: report -> strict"),
        ),
        (
            "x-class: health",
            "x-class: { prefix: health }",
            format!(
                "{api}.residency[health-records].applies_to.headers.x-class: health -> {{ prefix: health }}"
            ),
        ),
        ("mode: primary #", "mode: home #", format!("{api}.writes.mode: primary -> home")),
        ("sticky_seconds: 5", "sticky_seconds: 6", format!("{api}.writes.sticky_seconds: 5 -> 6")),
        ("name: rhumb-region", "name: stay", format!("{api}.affinity.name: rhumb-region -> stay")),
        (
            "on_failure: temporary",
            "on_failure: none",
            format!("{api}.affinity.on_failure: temporary -> none"),
        ),
        ("force: true", "force: false", format!("{api}.hints.force: true -> false")),
        (
            "from: trusted_or_signed",
            "from: signed",
            format!("{api}.hints.from: trusted_or_signed -> signed"),
        ),
        (
            "regions: [us-east-1, eu-west-1] } #",
            "regions: [eu-west-1] } #",
            format!("{api}.replay.regions: [us-east-1, eu-west-1] -> [eu-west-1]"),
        ),
        ("batch: 70", "batch: 60", format!("{api}.priorities.classes.batch: 70 -> 60")),
        (
            "default_percent: 90",
            "default_percent: 80",
            format!("{api}.priorities.default_percent: 90 -> 80"),
        ),
        ("[GET, HEAD]", "[GET]", format!("{every}.methods: [GET, HEAD] -> [GET]")),
        (
            "x-b: { prefix: p }",
            "x-b: { suffix: p }",
            format!("{every}.header_conditions.x-b: {{ prefix: p }} -> {{ suffix: p }}"),
        ),
        (
            "x-e: { present: true }",
            "x-e: x",
            format!("{every}.header_conditions.x-e: {{ present: true }} -> x"),
        ),
        ("beta: \"1\"", "beta: \"2\"", format!("{every}.cookie_conditions.beta: 1 -> 2")),
        (
            "[US-CA, US-NY]",
            "[US-CA]",
            format!("{every}.source_subdivisions: [US-CA, US-NY] -> [US-CA]"),
        ),
        ("[64500, AS64501]", "[64501]", format!("{every}.source_asns: [64500, 64501] -> [64501]")),
        ("percent: 12.5", "percent: 13", format!("{every}.percent: 12.5 -> 13")),
        (
            "until: \"18:00\"",
            "until: \"24:00\"",
            format!(
                "{every}.time_windows: [mon tue wed thu fri 08:00-18:00 America/New_York] -> [mon tue wed thu fri 08:00-24:00 America/New_York]"
            ),
        ),
        (
            "routing_strategy: score",
            "routing_strategy: cost",
            format!("{every}.routing_strategy: score -> cost"),
        ),
    ] {
        let expected: Vec<_> = Some(expected).into_iter().filter(|e| !e.is_empty()).collect();
        assert_eq!(changes(&[(from, to)]), expected, "{from}");
    }
}
