//! Which deployment answers: examples, and the index against a scan of all deployments.

use proptest::prelude::*;

use super::fixture::{deployment, table, three_regions};
use crate::config::{Deployment, HostPattern, Strategy};
use crate::routing::{DeploymentIndex, deployment as find};

fn api(hosts: Vec<HostPattern>, path_prefix: &str) -> Deployment {
    Deployment {
        hosts,
        path_prefix: path_prefix.to_owned(),
        ..deployment("api", Strategy::Failover, three_regions())
    }
}

fn exact(host: &str) -> HostPattern {
    HostPattern::Exact(host.to_owned())
}

fn wildcard(suffix: &str) -> HostPattern {
    HostPattern::Wildcard(suffix.to_owned())
}

#[test]
fn the_most_specific_host_then_the_longest_prefix_then_file_order() {
    let table = table(
        vec![
            api(vec![], "/"),                                   // 0
            api(vec![wildcard("example.org")], "/"),            // 1
            api(vec![wildcard("api.example.org")], "/v1"),      // 2
            api(vec![exact("eu.api.example.org")], "/v1/deep"), // 3
            api(vec![exact("eu.api.example.org")], "/v1"),      // 4
            api(vec![exact("eu.api.example.org")], "/v1"),      // 5, hidden by 4
            api(vec![], "/any"),                                // 6
        ],
        None,
    );
    let cases = [
        ("eu.api.example.org", "/v1/deep/x", 3),
        ("eu.api.example.org", "/v1/deep", 3),
        ("eu.api.example.org", "/v1/deeper", 4),
        ("eu.api.example.org", "/v1", 4),
        ("eu.api.example.org", "/v10", 1),
        ("eu.api.example.org", "/", 1),
        ("eu.api.example.org.", "/v1", 4),
        ("us.api.example.org", "/v1/", 2),
        ("a.b.c.api.example.org", "/v1", 2),
        ("us.api.example.org", "/v2", 1),
        ("api.example.org", "/v1", 1),
        ("example.org", "/", 0),
        (".example.org", "/", 0),
        ("badexample.org", "/", 0),
        ("example.org", "/any/x", 6),
        ("example.org", "/anything", 0),
        ("", "*", 0),
        ("", "", 0),
        ("münchen.example.org", "/", 1),
        ("ü", "/anü", 0),
    ];
    for (host, path, expected) in cases {
        let found = find(&table, host, path);
        assert_eq!(found, Some(DeploymentIndex(expected)), "{host} {path}");
    }
}

#[test]
fn a_hostile_host_or_path_matches_nothing_but_does_no_harm() {
    let table = table(vec![api(vec![wildcard("example.org"), exact("x")], "/v1")], None);
    for host in ["", ".", "..", "....example.org.example.org.", "\u{0}", "*.example.org"] {
        let _ = find(&table, host, "/v1");
        assert_eq!(find(&table, host, &"/".repeat(8192)), None);
    }
}

/// How well a deployment matches, from the words of the documentation: the larger, the better.
fn score(deployment: &Deployment, host: &str, path: &str) -> Option<(usize, usize)> {
    let prefix = deployment.path_prefix.as_str();
    let segments = |text: &str| -> Vec<String> {
        text.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    if !segments(path).starts_with(&segments(prefix)) {
        return None;
    }
    let by_host = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) => (name == host).then_some(usize::MAX),
        HostPattern::Wildcard(suffix) => {
            let head = host.strip_suffix(suffix.as_str())?.strip_suffix('.')?;
            (!head.is_empty()).then_some(suffix.len())
        }
    };
    let host = if deployment.hosts.is_empty() {
        0
    } else {
        deployment.hosts.iter().filter_map(by_host).max()?
    };
    Some((host, segments(prefix).len()))
}

fn name() -> impl Strategy_<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "ab"]), 1..5)
        .prop_map(|labels| labels.join("."))
}

fn path() -> impl Strategy_<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["v1", "v10", "x"]), 0..4)
        .prop_map(|parts| format!("/{}", parts.join("/")))
}

use proptest::strategy::Strategy as Strategy_;

proptest! {
    #[test]
    fn the_index_equals_a_scan(
        deployments in prop::collection::vec(
            (
                prop::collection::vec((any::<bool>(), name()), 0..4),
                path(),
            ),
            0..12,
        ),
        requests in prop::collection::vec((name(), path()), 1..20),
    ) {
        let deployments: Vec<_> = deployments
            .into_iter()
            .map(|(hosts, prefix)| {
                let hosts = hosts.into_iter().map(|(exactly, host)| {
                    if exactly { exact(&host) } else { wildcard(&host) }
                });
                api(hosts.collect(), &prefix)
            })
            .collect();
        let table = table(deployments.clone(), None);
        for (host, path) in requests {
            let mut best = None;
            for (index, deployment) in deployments.iter().enumerate() {
                let found = score(deployment, &host, &path);
                if let Some(found) = found && best.is_none_or(|(other, _)| found > other) {
                    best = Some((found, index));
                }
            }
            let expected = best.map(|(_, index)| DeploymentIndex(index as u32));
            prop_assert_eq!(find(&table, &host, &path), expected, "{} {}", host, path);
        }
    }
}
