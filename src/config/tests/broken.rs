//! Broken files, and exactly what is said of them: line, field, and part of the message.

mod deployment;
mod edge;
mod residency;
mod rules;
mod secrets;
mod steering;

use super::super::Severity;
use super::{BASE, read, with_deployment, with_line};

type Expected = &'static [(u32, &'static str, &'static str)];

/// One error: its field and a part of its message.
type Row = (&'static str, &'static str, &'static str);

fn check(text: &str, expected: Expected) {
    let Err(errors) = read(text) else { panic!("accepted:\n{text}") };
    let found: Vec<_> = errors
        .iter()
        .filter(|error| error.severity == Severity::Error)
        .map(|error| (error.line, error.path.as_str(), error.message.as_str()))
        .collect();
    assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((found.0, found.1), (expected.0, expected.1), "{text}\n{found:?}");
        assert!(found.2.contains(expected.2), "{text}\n{found:?}");
    }
}

#[track_caller]
fn check_one(text: &str, path: &str, part: &str) {
    let Err(errors) = read(text) else { panic!("accepted:\n{text}") };
    let found: Vec<_> = errors.iter().filter(|e| e.severity == Severity::Error).collect();
    let shown: Vec<_> = found.iter().map(|e| (e.path.as_str(), e.message.as_str())).collect();
    assert_eq!(found.len(), 1, "{text}\n{shown:#?}");
    assert_eq!(found[0].path, path, "{text}\n{shown:?}");
    assert!(found[0].message.contains(part), "{text}\n{shown:?}");
    assert!(found[0].line > 0, "{text}");
}

#[test]
fn lines_of_the_file() {
    let cases: &[(usize, &str, Expected)] = &[
        (1, "listener:", &[(1, "listener", "unknown field `listener`")]),
        (2, "  []", &[(2, "listeners", "`listeners` is empty")]),
        (2, "", &[(1, "listeners", "expected a list, found nothing")]),
        (2, "  - 8080", &[(2, "listeners[0]", "expected a mapping, found the number 8080")]),
        (2, "  - {}", &[(2, "listeners[0].address", "`address` is missing")]),
        (2, "  - address: :8080", &[(2, "listeners[0].address", "not an address")]),
        (2, "  - address: localhost:80", &[(2, "listeners[0].address", "not an address")]),
        (2, "  - address: 1.2.3.4:99999", &[(2, "listeners[0].address", "not an address")]),
        (
            2,
            "  - address: 0.0.0.0:80\n  - address: 127.0.0.1:80",
            &[(3, "listeners[1].address", "taken by another listener")],
        ),
        (2, "  - address: 0.0.0.0:9090", &[(2, "listeners[0].address", "both the admin address")]),
        (
            1,
            "admin: { address: \"127.0.0.1:8080\" }\nlisteners:",
            &[(1, "admin.address", "both the admin address")],
        ),
        (
            2,
            "  - { address: \"0.0.0.0:80\", tls: {} }",
            &[(2, "listeners[0].tls.certificates", "is missing")],
        ),
        (
            2,
            "  - { address: \"0.0.0.0:80\", proxy_protocol: {} }",
            &[(2, "listeners[0].proxy_protocol.trusted", "is missing")],
        ),
        (4, "  - id: u s", &[(4, "regions[0].id", "cannot be a name")]),
        (4, "  - id: 7", &[(4, "regions[0].id", "expected text, found the number 7")]),
        (4, "  - name: x", &[(4, "regions[0].id", "`id` is missing")]),
        (
            4,
            "  - id: eu",
            &[
                (9, "regions[1].id", "listed twice"),
                (12, "deployments[0].primary_region", "no region `us`"),
            ],
        ),
        (5, "    latitude: 90.5", &[(5, "regions[0].latitude", "from -90 to 90")]),
        (5, "    latitude: .nan", &[(5, "regions[0].latitude", "expected a number")]),
        (5, "    lattitude: 1", &[(5, "regions[0].lattitude", "unknown field")]),
        (5, "    bias: 1", &[(4, "regions[0].latitude", "`latitude` is missing")]),
        (5, "    latitude: 1\n    bias: 100", &[(6, "regions[0].bias", "from -99 to 99")]),
        (5, "    latitude: 1\n    bias: 1.5", &[(6, "regions[0].bias", "whole number")]),
        (6, "    longitude: -181", &[(6, "regions[0].longitude", "from -180 to 180")]),
        (7, "    country: USA", &[(7, "regions[0].country", "not a country code")]),
        (7, "    country: no", &[(8, "regions[0].endpoints[0]", "no scheme")]),
        (8, "    endpoints: []", &[(8, "regions[0].endpoints", "is empty")]),
        (8, "    endpoints: http://a", &[(8, "regions[0].endpoints", "expected a list")]),
        (8, "    endpoints: [ftp://a]", &[(8, "regions[0].endpoints[0]", "scheme other")]),
        (
            8,
            "    endpoints: [http://a, http://A:80]",
            &[(8, "regions[0].endpoints[1]", "listed twice")],
        ),
        (
            8,
            "    endpoints: [{ weight: 2 }]",
            &[(8, "regions[0].endpoints[0].url", "`url` is missing")],
        ),
        (
            8,
            "    endpoints: [{ url: http://a, weight: -1 }]",
            &[(8, "regions[0].endpoints[0].weight", "from 1 to")],
        ),
        (11, "  - names: api", &[(11, "deployments[0].names", "unknown field")]),
        (
            12,
            "    primary_region: usa",
            &[(12, "deployments[0].primary_region", "no region `usa`")],
        ),
        (
            13,
            "    replica_regions: [eu, us]",
            &[(13, "deployments[0].replica_regions[1]", "the primary region already")],
        ),
        (
            13,
            "    replica_regions: [eu, eu]",
            &[(13, "deployments[0].replica_regions[1]", "listed twice")],
        ),
        (
            13,
            "    replica_regions: eu",
            &[(13, "deployments[0].replica_regions", "expected a list")],
        ),
        (13, "    replica_regions:", &[(13, "deployments[0].replica_regions", "found nothing")]),
        (
            13,
            "    excluded_regions: [us]",
            &[(13, "deployments[0].excluded_regions", "excludes every region")],
        ),
        (
            14,
            "    health_check: { type: grpc }",
            &[(14, "deployments[0].health_check.type", "not built")],
        ),
        (
            14,
            "    health_check: { type: ping }",
            &[(14, "deployments[0].health_check.type", "not one of the choices")],
        ),
        (
            14,
            "    health_check: { path: health }",
            &[(14, "deployments[0].health_check.path", "does not start")],
        ),
        (
            14,
            "    health_check: { expected_status: 100 }",
            &[(14, "deployments[0].health_check.expected_status", "from 200")],
        ),
        (
            14,
            "    health_check: { interval_seconds: -1 }",
            &[(14, "deployments[0].health_check.interval_seconds", "range")],
        ),
        (
            14,
            "    health_check: { interval_seconds: 1e300 }",
            &[(14, "deployments[0].health_check.interval_seconds", "range")],
        ),
        (
            14,
            "    health_check: { healthy_threshold: 0 }",
            &[(14, "deployments[0].health_check.healthy_threshold", "from 1")],
        ),
        (
            14,
            "    health_check: { fast_interval_seconds: 60 }",
            &[(
                14,
                "deployments[0].health_check.fast_interval_seconds",
                "longer than the interval",
            )],
        ),
        (
            14,
            "    health_check: { host: a b }",
            &[(14, "deployments[0].health_check.host", "Host header")],
        ),
        (
            14,
            "    health_check: http",
            &[(14, "deployments[0].health_check", "expected a mapping, found the text `http`")],
        ),
    ];
    for (line, replacement, expected) in cases {
        let text = with_line(*line, replacement);
        // A country that is right shows that the endpoint behind it is still read.
        let text = if replacement.ends_with("country: no") {
            text.replace("http://10.0.1.10:8000", "\"10.0.1.10:8000\"")
        } else {
            text
        };
        check(&text, expected);
    }
}

#[test]
fn network_settings() {
    let cases: &[(&str, Expected)] = &[
        ("workers: many", &[(15, "workers", "not a number of workers")]),
        ("workers: 0", &[(15, "workers", "cannot be 0")]),
        ("workers: 1.5", &[(15, "workers", "whole number")]),
        ("geoip: { database: [] }", &[(15, "geoip.database", "is empty")]),
        ("geoip: { database: '' }", &[(15, "geoip.database", "no path")]),
        ("geoip: { database: [a, a] }", &[(15, "geoip.database[1]", "listed twice")]),
        (
            "client: { trusted_proxies: [10.0.0.1/8] }",
            &[(15, "client.trusted_proxies[0]", "bits set")],
        ),
        (
            "client: { trusted_proxies: [proxy] }",
            &[(15, "client.trusted_proxies[0]", "not a network")],
        ),
        (
            "client: { trusted_proxies: [::1, ::1/128] }",
            &[(15, "client.trusted_proxies[1]", "listed twice")],
        ),
        (
            "client: { country_headers: [a b] }",
            &[(15, "client.country_headers[0]", "name of a header")],
        ),
        ("region: []", &[(15, "region", "unknown field `region`")]),
        ("\"a.b\": 1", &[(15, "[\"a.b\"]", "unknown field")]),
        ("workers: ${N}", &[(15, "", "`N` is not set")]),
        ("<<: {}", &[(15, "", "does not merge")]),
    ];
    for (fields, expected) in cases {
        check(&format!("{BASE}{fields}\n"), expected);
    }
}

#[test]
fn a_file_that_is_no_mapping() {
    for (text, line, part) in [
        ("", 1, "empty"),
        ("# comment\n", 1, "empty"),
        ("---\n", 2, "expected a mapping, found nothing"),
        ("rhumb", 1, "expected a mapping, found the text"),
        ("- a\n", 1, "expected a mapping, found a list"),
    ] {
        let errors = read(text).unwrap_err();
        let error = errors.iter().next().unwrap();
        assert_eq!((errors.len(), error.line), (1, line), "{text:?}");
        assert!(error.message.contains(part), "{text:?}: {}", error.message);
    }
    check(
        "{}",
        &[
            (1, "deployments", "`deployments` is missing"),
            (1, "listeners", "`listeners` is missing"),
            (1, "regions", "`regions` is missing"),
        ],
    );
}

#[test]
fn every_error_comes_at_once_and_none_that_only_follows() {
    let text = BASE
        .replace("0.0.0.0:8080", "nowhere")
        .replace("latitude: 38.95", "latitude: 95")
        .replace("country: IE", "country: Ireland")
        .replace("replica_regions: [eu]", "replica_regions: [eu, eux]")
        .replace("path: /health", "pth: /health");
    check(
        &text,
        &[
            (2, "listeners[0].address", "not an address"),
            (5, "regions[0].latitude", "from -90"),
            (9, "regions[1].country", "not a country"),
            (13, "deployments[0].replica_regions[1]", "no region `eux`"),
            (14, "deployments[0].health_check.pth", "unknown field"),
        ],
    );
    let error = read(&text).unwrap_err().into_iter().nth(3).unwrap();
    assert_eq!(error.help.as_deref(), Some("did you mean `eu`?"));
    // A list of regions that cannot be read makes no reference to them wrong.
    let text = with_line(4, "  - id: [us]");
    check(&text, &[(4, "regions[0].id", "expected text, found a list")]);
}

#[test]
fn a_flood_of_errors_is_cut_off() {
    let rules = "      - { id: a b, target_regions: [nowhere] }\n".repeat(5_000);
    let errors = read(&with_deployment(&format!("    routing_rules:\n{rules}"))).unwrap_err();
    assert_eq!(errors.len(), 1_001);
    let last = errors.iter().last().unwrap();
    assert!(last.message.contains("9000 more"), "{}", last.message);
}

#[test]
fn errors_are_machine_readable() {
    let text = with_line(12, "    primary_region: use");
    let errors = read(&text).unwrap_err();
    assert_eq!(
        serde_json::to_value(&errors).unwrap(),
        serde_json::json!([{
            "severity": "error", "file": "test.yaml", "line": 12, "column": 21,
            "path": "deployments[0].primary_region", "message": "there is no region `use`",
            "help": "did you mean `us`?"
        }])
    );
}
