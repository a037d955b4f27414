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
