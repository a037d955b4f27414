//! Every change of the example configuration, and the one line that is said of it.

mod access_log;
mod edge;
mod steering;

use std::path::Path;

use super::*;
use crate::config::parse;

const EXAMPLE: &str = include_str!("../../../../config/rhumb.yaml");

fn config(text: &str) -> Config {
    parse(text, "f", Path::new("/"), &|_| None).unwrap_or_else(|e| panic!("{e}")).config
}

fn changes(edits: &[(&str, &str)]) -> Vec<String> {
    let mut text = EXAMPLE.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    diff(&config(EXAMPLE), &config(&text)).iter().map(ToString::to_string).collect()
}

#[test]
fn equal_configurations_do_not_differ() {
    assert!(changes(&[]).is_empty());
    assert!(changes(&[("# The places", "# Comments and spaces\n\n# are nothing")]).is_empty());
}

#[test]
fn names_every_changed_field() {
    for (from, to, expected) in [
        ("weight: 70", "weight: 30", "deployments[images].regions[eu-west-1].weight: 70 -> 30"),
        (
            "0.0.0.0:8080",
            "0.0.0.0:80",
            "listeners: [0.0.0.0:8080, [::1]:8081] -> [0.0.0.0:80, [::1]:8081]",
        ),
        ("workers: auto", "workers: 4", "workers: auto -> 4 (needs a restart or an upgrade)"),
        ("127.0.0.1:9090", "127.0.0.1:9091", "admin.address: 127.0.0.1:9090 -> 127.0.0.1:9091"),
        ("latitude: 38.95", "latitude: 39", "regions[us-east-1].latitude: 38.95 -> 39"),
        (
            "priority: 10",
            "priority: 5",
            "deployments[api].routing_rules[eu_users].priority: 10 -> 5",
        ),
        (
            "{ x-preferred-region: asia }",
            "{ x-preferred-region: eu }",
            "deployments[api].routing_rules[preferred].header_conditions.x-preferred-region: asia -> eu",
        ),
        (
            "interval_seconds: 30",
            "interval_seconds: 12.5",
            "deployments[api].health_check.interval_seconds: 30 -> 12.5",
        ),
        (
            "      host: api.example.com",
            "      #",
            "deployments[api].health_check.host: removed api.example.com",
        ),
        ("  table: latency.csv", "  table: other.csv", "latency.table: /latency.csv -> /other.csv"),
        (
            "endpoints: [http://10.0.1.20:8000]",
            "endpoints: [http://10.0.1.21:8000]",
            "deployments[images].regions[us-east-1].endpoints: [http://10.0.1.20:8000] -> [http://10.0.1.21:8000]",
        ),
        (
            "weight: 2 }",
            "weight: 3 }",
            "regions[us-east-1].endpoints: [http://10.0.1.10:8000, http://10.0.1.11:8000 (weight 2)] -> [http://10.0.1.10:8000, http://10.0.1.11:8000 (weight 3)]",
        ),
        (
            "when_all_down: refuse",
            "when_all_down: last_resort",
            "deployments[images].when_all_down: refuse -> last_resort",
        ),
        (
            "\"::1\", 10.0.0.0/8",
            "\"::1\"",
            "client.trusted_proxies: [127.0.0.0/8, ::1/128, 10.0.0.0/8] -> [127.0.0.0/8, ::1/128]",
        ),
    ] {
        let found = changes(&[(from, to)]);
        // A changed region is shared by the deployments, which are then compared, too.
        assert_eq!(found, [expected], "{from}");
    }
}

#[test]
fn long_lists_are_cut_and_still_differ() {
    let list = |last: u32| (1..1_000).chain([last]).map(|n| n.to_string()).collect::<Vec<_>>();
    let asns = |last: u32| format!("[{}]", list(last).join(", "));
    let old = EXAMPLE.replacen("[64500, AS64501]", &asns(5_000), 1);
    let new = EXAMPLE.replacen("[64500, AS64501]", &asns(5_001), 1);
    let found = diff(&config(&old), &config(&new));
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().len() < 500, "{}", found[0]);
    assert!(found[0].to_string().contains("and 968 more"), "{}", found[0]);
}

#[test]
fn what_is_new_or_gone_is_one_change() {
    let found = changes(&[("  - name: images", "  - name: pictures")]);
    assert_eq!(
        found,
        [
            "deployments[images]: removed /images in [eu-west-1, us-east-1]",
            "deployments[pictures]: added /images in [eu-west-1, us-east-1]",
        ]
    );
    let found = changes(&[("- id: preferred", "- id: asia")]);
    assert_eq!(
        found,
        [
            "deployments[api].routing_rules[asia]: added with targets [ap-northeast-1]",
            "deployments[api].routing_rules[preferred]: removed with targets [ap-northeast-1]",
        ]
    );
}

#[test]
fn order_is_told() {
    let found = changes(&[(
        "[eu-west-1, eu-central-1, ap-northeast-1]",
        "[eu-central-1, eu-west-1, ap-northeast-1]",
    )]);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("deployments[api].regions (in order): [us-east-1, eu-west-1,"));
    let swapped = EXAMPLE.replacen("priority: 10 ", "priority: 0 ", 1);
    let mut other = config(&swapped);
    let deployment = std::sync::Arc::make_mut(&mut other.deployments[0]);
    deployment.rules.reverse();
    let found = diff(&config(&swapped), &other);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, "deployments[api].routing_rules (order)");
}
