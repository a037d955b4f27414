//! Changes of listeners, and of how regions are spoken to.

use super::{EXAMPLE, changes, config};
use crate::config::diff;

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
