//! Broken deployments, and exactly what is said of them.

use super::super::with_deployment;
use super::{Expected, check};

#[test]
fn fields_of_a_deployment() {
    let cases: &[(&str, Expected)] = &[
        ("    hosts: []", &[(15, "deployments[0].hosts", "is empty")]),
        ("    hosts: [a, A]", &[(15, "deployments[0].hosts[1]", "listed twice")]),
        ("    hosts: [\"*\"]", &[(15, "deployments[0].hosts[0]", "not a host")]),
        ("    hosts: [\"a:80\"]", &[(15, "deployments[0].hosts[0]", "not a host")]),
        ("    path_prefix: v1", &[(15, "deployments[0].path_prefix", "does not start")]),
        ("    path_prefix: /a//b", &[(15, "deployments[0].path_prefix", "empty or dotted")]),
        ("    path_prefix: /a/../b", &[(15, "deployments[0].path_prefix", "empty or dotted")]),
        ("    path_prefix: /a?b", &[(15, "deployments[0].path_prefix", "query")]),
        ("    path_prefix: /ä", &[(15, "deployments[0].path_prefix", "character")]),
        (
            "    routing_strategy: latncy",
            &[(15, "deployments[0].routing_strategy", "not one of the choices")],
        ),
        (
            "    retries: { budget_percent: 20 }",
            &[(15, "deployments[0].retries.budget_percent", "not built")],
        ),
        ("    retries: { attempts: 8 }", &[(15, "deployments[0].retries.attempts", "from 0 to 7")]),
        (
            "    failover: { failback: auto }",
            &[(15, "deployments[0].failover.failback", "not built")],
        ),
        (
            "    failover: { failover_threshold: 0 }",
            &[(15, "deployments[0].failover.failover_threshold", "from 1")],
        ),
        (
            "    failover: { auto_failover_enabled: yes }",
            &[(15, "deployments[0].failover.auto_failover_enabled", "expected true or false")],
        ),
        (
            "    timeouts: { connect_seconds: 0 }",
            &[(15, "deployments[0].timeouts.connect_seconds", "range")],
        ),
        (
            "    when_all_down: panic",
            &[(15, "deployments[0].when_all_down", "not one of the choices")],
        ),
        ("    regions: { ap: {} }", &[(15, "deployments[0].regions.ap", "no region `ap`")]),
        (
            "    regions: { us: { weight: -1 } }",
            &[(15, "deployments[0].regions.us.weight", "from 0")],
        ),
        (
            "    regions: { us: { weight: 1, endpoints: [] } }",
            &[(15, "deployments[0].regions.us.endpoints", "is empty")],
        ),
        ("    regions: { us: 70 }", &[(15, "deployments[0].regions.us", "expected a mapping")]),
        (
            "    routing_strategy: weighted\n    regions: { us: { weight: 0 }, eu: { weight: 0 } }",
            &[(16, "deployments[0].regions", "above 0")],
        ),
        ("    name: again", &[(15, "", "`name` is written twice")]),
        ("  - { name: api, primary_region: us }", &[(15, "deployments[1].name", "listed twice")]),
        ("  -", &[(15, "deployments[1]", "expected a mapping, found nothing")]),
    ];
    for (fields, expected) in cases {
        check(&with_deployment(fields), expected);
    }
}
