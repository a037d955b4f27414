//! Broken settings of both edges, and exactly what is said of them.

use super::super::{BASE, read, with_deployment, with_line};
use super::{Expected, check};
use crate::config::{ConfigErrors, Severity};

const CERTIFICATES: &str = "certificates: [{ certificate: a.pem, key: a.key }]";

/// The base with a listener that has these fields beside its address.
fn listener(fields: &str) -> String {
    with_line(2, &format!("  - {{ address: \"0.0.0.0:443\", {fields} }}"))
}

/// The base with more fields of its first region.
fn region(fields: &str) -> String {
    with_line(7, &format!("    country: US\n    {fields}"))
}

fn errors(text: &str) -> ConfigErrors {
    match read(text) {
        Err(errors) => errors,
        Ok(_) => panic!("accepted:\n{text}"),
    }
}

/// Checks that there is one error, at that field, that says this.
#[track_caller]
fn check_one(text: &str, line: u32, path: &str, part: &str) {
    let errors = errors(text);
    let found: Vec<_> = errors.iter().filter(|e| e.severity == Severity::Error).collect();
    let shown: Vec<_> =
        found.iter().map(|e| (e.line, e.path.as_str(), e.message.as_str())).collect();
    assert_eq!(found.len(), 1, "{text}\n{shown:#?}");
    assert_eq!((found[0].line, found[0].path.as_str()), (line, path), "{text}\n{shown:?}");
    assert!(found[0].message.contains(part), "{text}\n{shown:?}");
}

#[test]
fn fields_of_a_listener() {
    for (fields, path, part) in [
        ("tsl: {}", "tsl", "unknown field `tsl`"),
        ("http2: 2", "http2", "expected true or false"),
        ("tls: true", "tls", "expected a mapping, found `true`"),
        ("proxy_protocol: true", "proxy_protocol", "expected a mapping"),
        ("proxy_protocol: { trusted: [] }", "proxy_protocol.trusted", "is empty"),
        ("proxy_protocol: { trusted: all }", "proxy_protocol.trusted", "expected a list"),
        ("proxy_protocol: { trusted: [lb] }", "proxy_protocol.trusted[0]", "not a network"),
        (
            "proxy_protocol: { trusted: [10.0.0.1/8] }",
            "proxy_protocol.trusted[0]",
            "bits set behind its prefix",
        ),
        (
            "proxy_protocol: { trusted: [10.0.0.1, 10.0.0.1/32] }",
            "proxy_protocol.trusted[1]",
            "listed twice",
        ),
        (
            "proxy_protocol: { trusted: [10.0.0.1], mode: maybe }",
            "proxy_protocol.mode",
            "not one of the choices",
        ),
        (
            "proxy_protocol: { trusted: [10.0.0.1], version: 2 }",
            "proxy_protocol.version",
            "unknown field",
        ),
        ("redirect_to_https: yes", "redirect_to_https", "expected true, false or a mapping"),
        ("redirect_to_https: 443", "redirect_to_https", "expected true, false or a mapping"),
        ("redirect_to_https: { port: 0 }", "redirect_to_https.port", "from 1 to 65535"),
        ("redirect_to_https: { port: 70000 }", "redirect_to_https.port", "from 1 to 65535"),
        ("redirect_to_https: { status: 303 }", "redirect_to_https.status", "status of a redirect"),
        ("redirect_to_https: { to: x }", "redirect_to_https.to", "unknown field"),
        ("hsts: true", "hsts", "from nobody in clear text"),
        ("hsts: {}", "hsts", "from nobody in clear text"),
        ("hsts: { max_age_seconds: -1 }", "hsts.max_age_seconds", "from 0 to 315360000"),
        ("hsts: { max_age_seconds: 1.5 }", "hsts.max_age_seconds", "whole number"),
    ] {
        // With another error in its part, the field is still the one that is named.
        check_one(&listener(fields), 2, &format!("listeners[0].{path}"), part);
    }
}

#[test]
fn tls_of_a_listener() {
    for (fields, path, part) in [
        ("certificates: []", ".certificates", "is empty"),
        ("certificates: a.pem", ".certificates", "expected a list"),
        ("certificates: [a.pem]", ".certificates[0]", "expected a mapping"),
        ("certificates: [{ key: a.key }]", ".certificates[0].certificate", "is missing"),
        ("certificates: [{ certificate: a.pem }]", ".certificates[0].key", "is missing"),
        ("certificates: [{ certificate: '', key: a }]", ".certificates[0].certificate", "no path"),
        (
            "certificates: [{ certificate: a, key: a, ocsp: '' }]",
            ".certificates[0].ocsp",
            "no path",
        ),
        ("certificates: [{ certificate: a, key: a, name: a }]", ".certificates[0].name", "unknown"),
        (
            "certificates: [{ certificate: a, key: a }, { certificate: ./a, key: b }]",
            ".certificates[1].certificate",
            "listed twice",
        ),
        ("min_version: 1.1", ".min_version", "TLS 1.1 is not spoken"),
        ("min_version: 1", ".min_version", "TLS 1 is not spoken"),
        ("min_version: \"1.0\"", ".min_version", "TLS 1.0 is not spoken"),
        ("min_version: TLSv1.2", ".min_version", "`TLSv1.2` is not a version"),
        ("min_version: 1.4", ".min_version", "`1.4` is not a version"),
        ("min_version: [1.2]", ".min_version", "expected text or a number"),
        ("alpn: []", ".alpn", "is empty"),
        ("alpn: h2", ".alpn", "expected a list"),
        ("alpn: [http/2]", ".alpn[0]", "not one of the choices"),
        ("alpn: [h3, h2]", ".alpn[0]", "not built"),
        ("alpn: [h2, h2]", ".alpn[1]", "listed twice"),
        ("client_ca: ''", ".client_ca", "no path"),
        ("client_certificates: optional", ".client_certificates", "needs `client_ca`"),
        ("client_certificates: required", ".client_certificates", "needs `client_ca`"),
        (
            "client_ca: ca.pem, client_certificates: always",
            ".client_certificates",
            "not one of the choices",
        ),
    ] {
        let own = fields.starts_with("certificates");
        let fields = if own { fields.to_owned() } else { format!("{CERTIFICATES}, {fields}") };
        let text = listener(&format!("tls: {{ {fields} }}"));
        check_one(&text, 2, &format!("listeners[0].tls{path}"), part);
    }
    let many: Vec<_> = (0..1_025).map(|n| format!("{{ certificate: {n}.pem, key: k }}")).collect();
    let text = listener(&format!("tls: {{ certificates: [{}] }}", many.join(", ")));
    check_one(&text, 2, "listeners[0].tls.certificates", "1025 certificates are more than 1024");
}

#[test]
fn settings_of_a_listener_that_contradict_each_other() {
    for (fields, path, part) in [
        (
            format!("tls: {{ {CERTIFICATES} }}, redirect_to_https: true"),
            "redirect_to_https",
            "HTTPS already",
        ),
        (
            format!("tls: {{ {CERTIFICATES}, alpn: [h2] }}, http2: false"),
            "tls.alpn",
            "`http2` is false",
        ),
        (
            format!("tls: {{ {CERTIFICATES}, alpn: [http/1.1] }}, http2: true"),
            "http2",
            "leaves it out",
        ),
        ("hsts: true, redirect_to_https: true".to_owned(), "hsts", "clear text"),
        (
            format!("tls: {{ {CERTIFICATES} }}, hsts: {{ include_subdomain: true }}"),
            "hsts.include_subdomain",
            "unknown field",
        ),
    ] {
        check_one(&listener(&fields), 2, &format!("listeners[0].{path}"), part);
    }
    // Addresses that the system chooses can be the same, but not those of different listeners.
    let two = |fields: &str| {
        with_line(
            2,
            &format!("  - address: 127.0.0.1:0\n  - {{ address: \"127.0.0.1:0\"{fields} }}"),
        )
    };
    assert!(read(&two("")).is_ok());
    check_one(&two(", http2: false"), 3, "listeners[1].address", "another listener's address");
    // Every error of a listener at once, also where its address is wrong.
    check(
        &with_line(
            2,
            "  - { address: here, tls: { alpn: [h2] }, hsts: { max_age_seconds: no }, http2: no }",
        ),
        &[
            (2, "listeners[0].address", "not an address"),
            (2, "listeners[0].tls.certificates", "is missing"),
            (2, "listeners[0].hsts.max_age_seconds", "whole number"),
            (2, "listeners[0].http2", "expected true or false"),
        ],
    );
}

#[test]
fn limits_requests_and_fields() {
    for (fields, path, part) in [
        ("limits: { connections_per_worker: 0 }", "connections_per_worker", "from 1 to 1000000"),
        ("limits: { connections_per_client: 0 }", "connections_per_client", "from 1 to 1000000"),
        ("limits: { connections_per_client: off }", "connections_per_client", "whole number"),
        ("limits: { streams_per_connection: 0 }", "streams_per_connection", "from 1 to 10000"),
        ("limits: { uri_bytes: 255 }", "uri_bytes", "from 256 to 65536"),
        ("limits: { uri_bytes: 8k }", "uri_bytes", "whole number"),
        ("limits: { uri_bytes: 40000 }", "uri_bytes", "may have 32768 only"),
        ("limits: { uri_bytes: 8192, header_bytes: 4096 }", "uri_bytes", "may have 4096 only"),
        ("limits: { header_bytes: 1023 }", "header_bytes", "from 1024 to 65536"),
        ("limits: { header_bytes: 1048576 }", "header_bytes", "from 1024 to 65536"),
        ("limits: { headers: 100 }", "headers", "unknown field"),
        ("requests: { encoded_slash: merge }", "encoded_slash", "not one of the choices"),
        ("requests: { repeated_slash: drop }", "repeated_slash", "not one of the choices"),
        ("requests: { dot_segments: keep }", "dot_segments", "not one of the choices"),
        ("requests: { underscores: false }", "underscores", "expected text"),
        ("requests: { encoded_slashes: keep }", "encoded_slashes", "unknown field"),
        ("client: { forwarded_header: always }", "forwarded_header", "expected true or false"),
        ("client: { certificate_header: a b }", "certificate_header", "name of a header"),
        ("client: { certificate_header: Forwarded }", "certificate_header", "Rhumb itself"),
        ("client: { certificate_header: x-forwarded-for }", "certificate_header", "Rhumb itself"),
        ("origins: { allow: 10.0.0.0/8 }", "allow", "expected a list"),
        ("origins: { allow: [metadata] }", "allow[0]", "not a network"),
        ("origins: { allow: [169.254.170.2, 169.254.170.2/32] }", "allow[1]", "listed twice"),
        ("origins: { deny: [] }", "deny", "unknown field"),
    ] {
        let (section, _) = fields.split_once(':').unwrap();
        check_one(&format!("{BASE}{fields}\n"), 15, &format!("{section}.{path}"), part);
    }
}

#[test]
fn how_endpoints_are_spoken_to() {
    for (fields, path, part) in [
        ("proxy_protocol: 2", "proxy_protocol", "expected text, found the number 2"),
        ("proxy_protocol: v3", "proxy_protocol", "not one of the choices"),
        ("tls: { server_name: \"*.internal\" }", "tls.server_name", "name of a server"),
        ("tls: { server_name: \"https://a\" }", "tls.server_name", "name of a server"),
        ("tls: { server_name: \"a:443\" }", "tls.server_name", "name of a server"),
        ("tls: { server_name: \"a b\" }", "tls.server_name", "name of a server"),
        ("tls: { server_name: '' }", "tls.server_name", "name of a server"),
        ("tls: { ca: '' }", "tls.ca", "no path"),
        ("tls: { client_certificate: c.pem }", "tls.client_key", "is missing"),
        ("tls: { client_key: c.key }", "tls.client_certificate", "is missing"),
        ("tls: { client_certificate: '', client_key: k }", "tls.client_certificate", "no path"),
        ("tls: { alpn: [] }", "tls.alpn", "is empty"),
        ("tls: { alpn: [h2, http/1.1, h2] }", "tls.alpn[2]", "listed twice"),
        ("tls: { alpn: [h2c] }", "tls.alpn[0]", "not one of the choices"),
        ("tls: { insecure_skip_verify: yes }", "tls.insecure_skip_verify", "true or false"),
        ("tls: { skip_verify: true }", "tls.skip_verify", "unknown field"),
        ("tls: { verify: false }", "tls.verify", "unknown field"),
    ] {
        check_one(&region(fields), 8, &format!("regions[0].{path}"), part);
    }
}

#[test]
fn endpoints_where_none_should_be() {
    for (address, network) in [
        ("169.254.169.254", "169.254.0.0/16"),
        ("[::ffff:169.254.169.254]", "169.254.0.0/16"),
        ("[64:ff9b::a9fe:a9fe]", "169.254.0.0/16"),
        ("[2002:a9fe:a9fe::]", "169.254.0.0/16"),
        ("[fe80::1]", "fe80::/10"),
        ("[fd00:ec2::254]", "fd00:ec2::254/128"),
        ("100.100.100.200", "100.100.100.200/32"),
        ("168.63.129.16", "168.63.129.16/32"),
        ("192.0.0.192", "192.0.0.192/32"),
        ("0.0.0.0", "0.0.0.0/8"),
        ("[::]", "::/128"),
        ("239.1.2.3", "224.0.0.0/4"),
        ("[ff02::1]", "ff00::/8"),
        ("255.255.255.255", "255.255.255.255/32"),
    ] {
        for scheme in ["http", "https", "h2c"] {
            let text = with_line(8, &format!("    endpoints: [\"{scheme}://{address}:80\"]"));
            check_one(&text, 8, "regions[0].endpoints[0]", network);
        }
        let text = with_deployment(&format!(
            "    regions: {{ us: {{ endpoints: [{{ url: \"http://{address}:80\" }}] }} }}"
        ));
        check_one(&text, 15, "deployments[0].regions.us.endpoints[0].url", network);
        // The message says how to allow it, and that is so.
        let errors = errors(&text);
        let help = errors.iter().find_map(|error| error.help.clone()).unwrap();
        let (_, named) = help.split_once("add `").unwrap();
        let text = format!("{text}{}\n", named.trim_end_matches('`'));
        assert!(read(&text).is_ok(), "{text}");
    }
    for address in ["127.0.0.1", "[::1]", "10.0.0.1", "192.168.0.1", "[fd00::1]"] {
        assert!(read(&with_line(8, &format!("    endpoints: [\"http://{address}\"]"))).is_ok());
    }
    // What could not be read allows nothing and forbids nothing.
    let text = with_line(8, "    endpoints: [http://169.254.170.2]") + "origins: { allow: [x] }\n";
    check_one(&text, 15, "origins.allow[0]", "not a network");
    let text = with_line(8, "    endpoints: [http://169.254.170.3]")
        + "origins: { allow: [169.254.170.2/32] }\n";
    check_one(&text, 8, "regions[0].endpoints[0]", "169.254.0.0/16");
}

#[test]
fn streams_of_a_deployment() {
    let rows: &[(&str, &str, &str)] = &[
        ("upgrades: websocket", "upgrades", "expected a list"),
        ("upgrades: [h2c]", "upgrades[0]", "never passed on"),
        ("upgrades: [websocket, H2C]", "upgrades[1]", "never passed on"),
        ("upgrades: [\"*\"]", "upgrades[0]", "not a protocol"),
        ("upgrades: ['']", "upgrades[0]", "not a protocol"),
        ("upgrades: [\"a, b\"]", "upgrades[0]", "not a protocol"),
        ("upgrades: [tls/1.0]", "upgrades[0]", "not a protocol"),
        ("upgrades: [websocket, WebSocket]", "upgrades[1]", "listed twice"),
        ("max_body_bytes: -1", "max_body_bytes", "from 0"),
        ("max_body_bytes: 10MiB", "max_body_bytes", "whole number"),
        ("max_body_bytes: 1125899906842625", "max_body_bytes", "from 0"),
        ("streaming: sse", "streaming", "true or false"),
        ("timeouts: { stream_idle_seconds: 0 }", "timeouts.stream_idle_seconds", "range"),
        ("timeouts: { stream_idle_seconds: 86401 }", "timeouts.stream_idle_seconds", "range"),
        ("retries: { grpc_statuses: unavailable }", "retries.grpc_statuses", "expected a list"),
        ("retries: { grpc_statuses: [14] }", "retries.grpc_statuses[0]", "expected text"),
        (
            "retries: { grpc_statuses: [UNAVAILABLE] }",
            "retries.grpc_statuses[0]",
            "not one of the choices",
        ),
        ("retries: { grpc_statuses: [ok] }", "retries.grpc_statuses[0]", "not one of the choices"),
        (
            "retries: { grpc_statuses: [internal, internal] }",
            "retries.grpc_statuses[1]",
            "listed twice",
        ),
    ];
    for (fields, path, part) in rows {
        let text = with_deployment(&format!("    {fields}"));
        check_one(&text, 15, &format!("deployments[0].{path}"), part);
    }
    let many: Vec<_> = (0..17).map(|n| format!("p{n}")).collect();
    let text = with_deployment(&format!("    upgrades: [{}]", many.join(", ")));
    check_one(&text, 15, "deployments[0].upgrades", "17 protocols are more than 16");
}

#[test]
fn what_was_probably_meant_is_said() {
    for (text, help) in [
        (listener("tsl: {}"), "did you mean `tls`?"),
        (listener("proxy_protocl: {}"), "did you mean `proxy_protocol`?"),
        (listener(&format!("tls: {{ {CERTIFICATES}, alpn: [http/1.0] }}")), "`http/1.1`"),
        (listener(&format!("tls: {{ {CERTIFICATES}, min_version: 1.1 }}")), "write \"1.2\""),
        (format!("{BASE}limit: {{}}\n"), "did you mean `limits`?"),
        (format!("{BASE}request: {{}}\n"), "did you mean `requests`?"),
        (format!("{BASE}origin: {{}}\n"), "did you mean `origins`?"),
        (region("tls: { insecure_skip_verfy: true }"), "did you mean `insecure_skip_verify`?"),
        (with_line(8, "    endpoints: [wss://a/b]"), "write https://a/b"),
        (with_line(8, "    endpoints: [grpc://a:50051]"), "write h2c://a:50051"),
        (with_line(8, "    endpoints: [https://a/b]"), "write https://host:port"),
        (with_deployment("    retries: { grpc_statuses: [unavailible] }"), "`unavailable`"),
        (with_deployment("    upgrades: [h2c]"), "h2c://host:port"),
        (with_deployment("    upgrade: []"), "did you mean `upgrades`?"),
    ] {
        let errors = errors(&text);
        let found = errors.iter().find_map(|error| error.help.clone()).unwrap_or_default();
        assert!(found.contains(help), "{text}\n{found}");
    }
}

/// A misspelt field is not missing as well.
#[test]
fn one_mistake_is_one_error() {
    let expected: Expected = &[(2, "listeners[0].tls.certificate", "unknown field")];
    check(&listener("tls: { certificate: [{ certificate: a, key: b }] }"), expected);
    let expected: Expected = &[(8, "regions[0].tls.client_ky", "unknown field")];
    check(&region("tls: { client_certificate: c.pem, client_ky: c.key }"), expected);
}
