//! Every change of the example configuration, and the one line that is said of it.

use std::path::Path;

use super::*;
use crate::config::parse;

const EXAMPLE: &str = include_str!("../../../config/rhumb.yaml");

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

#[test]
fn names_every_changed_field_of_the_edge() {
    for (from, to, expected) in [
        ("http2: true", "http2: false", "listeners[0.0.0.0:8080].http2: true -> false"),
        (
            "trusted: [\"::1\"]",
            "trusted: [\"::1\", 10.0.0.1]",
            "listeners[[::1]:8081].proxy_protocol.trusted: [::1/128] -> [::1/128, 10.0.0.1/32]",
        ),
        (
            "mode: optional",
            "mode: required",
            "listeners[[::1]:8081].proxy_protocol.mode: optional -> required",
        ),
        (
            "connections_per_worker: 10000",
            "connections_per_worker: 9",
            "limits.connections_per_worker: 10000 -> 9",
        ),
        ("  connections_per_client: 1000", "  #", "limits.connections_per_client: removed 1000"),
        (
            "streams_per_connection: 100",
            "streams_per_connection: 9",
            "limits.streams_per_connection: 100 -> 9",
        ),
        ("uri_bytes: 8192", "uri_bytes: 999", "limits.uri_bytes: 8192 -> 999"),
        ("header_bytes: 32768", "header_bytes: 9999", "limits.header_bytes: 32768 -> 9999"),
        ("encoded_slash: keep", "encoded_slash: refuse", "requests.encoded_slash: keep -> refuse"),
        ("repeated_slash: merge", "repeated_slash: keep", "requests.repeated_slash: merge -> keep"),
        (
            "dot_segments: resolve",
            "dot_segments: refuse",
            "requests.dot_segments: resolve -> refuse",
        ),
        ("underscores: drop", "underscores: keep", "requests.underscores: drop -> keep"),
        (
            "allow: [169.254.170.2/32]",
            "allow: [169.254.170.3/32]",
            "origins.allow: [169.254.170.2/32] -> [169.254.170.3/32]",
        ),
        ("  min_ttl_seconds: 1", "  min_ttl_seconds: 2", "names.min_ttl_seconds: 1 -> 2"),
        ("max_ttl_seconds: 300", "max_ttl_seconds: 30", "names.max_ttl_seconds: 300 -> 30"),
        ("  timeout_seconds: 2 #", "  timeout_seconds: 3 #", "names.timeout_seconds: 2 -> 3"),
        ("#  servers:", "  servers:", "names.servers: added [10.0.0.2:53]"),
        (
            "forwarded_header: false",
            "forwarded_header: true",
            "client.forwarded_header: false -> true",
        ),
        (
            "certificate_header: x-forwarded-client-cert",
            "certificate_header: x-cert",
            "client.certificate_header: x-forwarded-client-cert -> x-cert",
        ),
        (
            "stream_idle_seconds: 300",
            "stream_idle_seconds: 5",
            "deployments[api].timeouts.stream_idle_seconds: 300 -> 5",
        ),
        ("upgrades: [websocket]", "upgrades: []", "deployments[api].upgrades: [websocket] -> []"),
        ("max_body_bytes: 10485760", "#", "deployments[api].max_body_bytes: removed 10485760"),
        ("streaming: false", "streaming: true", "deployments[api].streaming: false -> true"),
        (
            "grpc_statuses: [unavailable]",
            "grpc_statuses: [aborted, unavailable]",
            "deployments[api].retries.grpc_statuses: [unavailable] -> [aborted, unavailable]",
        ),
        (
            "[http://10.0.3.10:8000]",
            "[https://10.0.3.10:8000]",
            "regions[eu-central-1].endpoints: [http://10.0.3.10:8000] -> [https://10.0.3.10:8000]",
        ),
    ] {
        assert_eq!(changes(&[(from, to)]), [expected], "{from}");
    }
}

#[test]
fn names_every_changed_field_of_the_access_log() {
    let to_file = "to: file\n  file: access.log";
    let to_syslog = "to: syslog\n  syslog: { address: 'udp:10.0.0.1:514', facility: user }";
    for (from, to, expected) in [
        (
            "to: stdout",
            to_file,
            &["access_log.file: added /access.log", "access_log.to: stdout -> file"][..],
        ),
        (
            "to: stdout",
            to_syslog,
            &[
                "access_log.syslog.address: added udp:10.0.0.1:514",
                "access_log.syslog.facility: added user",
                "access_log.to: stdout -> syslog",
            ],
        ),
        (
            "format: json",
            "format: '{{{status} {header.x-a}'",
            &[
                "access_log.format: json -> {{{status} {header.x-a}",
                "access_log.headers: removed [user-agent, referer]",
            ],
        ),
        ("sample: 1.0", "sample: 0.5", &["access_log.sample: 1 -> 0.5"]),
        ("query: redact", "query: keep", &["access_log.query: redact -> keep"]),
        (
            "headers: [user-agent, referer]",
            "headers: [user-agent]",
            &["access_log.headers: [user-agent, referer] -> [user-agent]"],
        ),
    ] {
        let edits = [("access_log:\n  to: stdout", "access_log:\n  to: stdout"), (from, to)];
        let mut found = changes(&edits);
        // What a template makes of no effect.
        found.sort();
        assert_eq!(found, expected, "{from}");
    }
}

#[test]
fn a_listener_changes_without_a_restart() {
    let plain = "  - address: 0.0.0.0:8080\n    http2: true";
    let tls = "  - address: 0.0.0.0:8080
    hsts: true
    tls: { certificates: [{ certificate: a.pem, key: a.key }], client_ca: ca.pem }";
    let found = changes(&[(plain, tls), ("    redirect_to_https: false", "#")]);
    assert_eq!(
        found,
        [
            "listeners[0.0.0.0:8080].hsts: added max-age=31536000",
            "listeners[0.0.0.0:8080].tls.alpn: added [h2, http/1.1]",
            "listeners[0.0.0.0:8080].tls.certificates: added [/a.pem (/a.key)]",
            "listeners[0.0.0.0:8080].tls.client_ca: added /ca.pem",
            "listeners[0.0.0.0:8080].tls.client_certificates: added required",
            "listeners[0.0.0.0:8080].tls.min_version: added 1.2",
        ]
    );
    let with = |listener: &str| {
        config(&EXAMPLE.replacen(plain, listener, 1).replacen(
            "    redirect_to_https: false",
            "#",
            1,
        ))
    };
    let told = |edits: &[(&str, &str)]| -> Vec<String> {
        let edited =
            edits.iter().fold(tls.to_owned(), |text, (from, to)| text.replacen(from, to, 1));
        diff(&with(tls), &with(&edited)).iter().map(ToString::to_string).collect()
    };
    for (from, to, expected) in [
        (
            "hsts: true",
            "hsts: { preload: true }",
            "hsts: max-age=31536000 -> max-age=31536000; preload",
        ),
        (", client_ca", ", min_version: 1.3, client_ca", "tls.min_version: 1.2 -> 1.3"),
        (", client_ca", ", alpn: [h2], client_ca", "tls.alpn: [h2, http/1.1] -> [h2]"),
        ("ca.pem", "other.pem", "tls.client_ca: /ca.pem -> /other.pem"),
        (
            "client_ca:",
            "client_certificates: optional, client_ca:",
            "tls.client_certificates: required -> optional",
        ),
        (
            "key: a.key",
            "key: b.key, ocsp: a.der",
            "tls.certificates: [/a.pem (/a.key)] -> [/a.pem (/b.key, /a.der)]",
        ),
    ] {
        assert_eq!(told(&[(from, to)]), [format!("listeners[0.0.0.0:8080].{expected}")]);
    }
    let redirect = "    redirect_to_https: { port: 444, status: 301 }";
    assert_eq!(
        changes(&[("    redirect_to_https: false", redirect)]),
        [
            "listeners[0.0.0.0:8080].redirect_to_https.port: added 444",
            "listeners[0.0.0.0:8080].redirect_to_https.status: added 301",
        ]
    );
    // What a listener that comes or goes is like is no change of one that stays.
    let found = changes(&[("address: \"[::1]:8081\"", "address: \"[::1]:8082\"")]);
    assert_eq!(found, ["listeners: [0.0.0.0:8080, [::1]:8081] -> [0.0.0.0:8080, [::1]:8082]"]);
}

#[test]
fn how_a_region_is_spoken_to_is_told_once() {
    let with = |fields: &str| {
        let endpoints = "    endpoints: [http://10.0.3.10:8000]";
        config(&EXAMPLE.replacen(endpoints, &format!("    endpoints: [https://a]\n{fields}"), 1))
    };
    for (from, to, expected) in [
        ("", "    proxy_protocol: v1", "proxy_protocol: added v1"),
        ("    proxy_protocol: v1", "    proxy_protocol: v2", "proxy_protocol: v1 -> v2"),
        ("", "    tls: { server_name: b }", "tls.server_name: added b"),
        ("", "    tls: { ca: r.pem }", "tls.ca: added /r.pem"),
        ("    tls: {}", "    tls: { alpn: [http/1.1] }", "tls.alpn: [h2, http/1.1] -> [http/1.1]"),
        ("", "    tls: { insecure_skip_verify: true }", "tls.insecure_skip_verify: false -> true"),
        (
            "    tls: { client_certificate: a, client_key: k }",
            "    tls: { client_certificate: a, client_key: l }",
            "tls.client_key: /k -> /l",
        ),
    ] {
        let found: Vec<_> = diff(&with(from), &with(to)).iter().map(ToString::to_string).collect();
        assert_eq!(found, [format!("regions[eu-central-1].{expected}")], "{to}");
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
