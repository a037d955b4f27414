//! What accepted settings of both edges mean, and which of them give a warning.

use std::path::PathBuf;
use std::time::Duration;

use super::super::{
    Alpn, CertificateFiles, ClientCertificates, ClientFields, ClientLimits, Config, DotSegments,
    EncodedSlash, GrpcStatuses, HttpsRedirect, Listener, ListenerTls, ProxyProtocolFrom,
    ProxyProtocolVersion, RepeatedSlash, RequestRules, Scheme, Streams, TlsVersion, Transport,
    Underscores, UpstreamTls,
};
use super::{BASE, read, with_deployment, with_line};

const TLS: &str = "certificates: [{ certificate: a.pem, key: a.key }]";

#[track_caller]
fn config(text: &str) -> Config {
    let loaded = read(text).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    assert!(loaded.warnings.is_empty(), "{text}\n{:?}", loaded.warnings);
    loaded.config
}

/// What the only listener is, with these fields beside its address.
#[track_caller]
fn listener(fields: &str) -> Listener {
    let text = with_line(2, &format!("  - {{ address: \"0.0.0.0:443\", {fields} }}"));
    config(&text).listeners.remove(0)
}

#[track_caller]
fn tls(fields: &str) -> ListenerTls {
    listener(&format!("tls: {{ {TLS}{fields} }}")).tls.unwrap()
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("/etc/rhumb").join(name)
}

#[test]
fn defaults_of_the_edge_are_those_of_the_documentation() {
    let found = config(BASE);
    assert_eq!(found.listeners, [Listener::cleartext("0.0.0.0:8080".parse().unwrap())]);
    assert!(found.listeners[0].http2);
    assert_eq!(found.client_fields, ClientFields::default());
    assert_eq!(found.client_fields.certificate, "x-forwarded-client-cert");
    assert_eq!(found.limits, ClientLimits::default());
    assert_eq!(found.limits.connections_per_worker, 10_000);
    assert_eq!(found.limits.connections_per_client, None);
    assert_eq!(found.limits.streams_per_connection, 100);
    assert_eq!((found.limits.uri_bytes, found.limits.header_bytes), (8_192, 32_768));
    assert_eq!(found.requests, RequestRules::default());
    assert!(found.origin_networks.is_empty());
    assert_eq!(*found.regions[0].endpoints[0].transport, Transport::default());
    let deployment = &found.deployments[0];
    assert_eq!(deployment.streams, Streams::default());
    assert_eq!(deployment.streams.upgrades, ["websocket"]);
    assert_eq!(deployment.streams.idle, Duration::from_secs(300));
    assert_eq!(deployment.retries.grpc_statuses, GrpcStatuses::UNAVAILABLE);
    // The same with empty mappings.
    for empty in
        ["limits: {}", "requests: {}", "origins: {}", "origins: { allow: [] }", "client: {}"]
    {
        assert_eq!(config(&format!("{BASE}{empty}\n")), found, "{empty}");
    }
    for empty in ["timeouts: {}", "retries: {}", "upgrades: [websocket]", "streaming: false"] {
        assert_eq!(config(&with_deployment(&format!("    {empty}"))), found, "{empty}");
    }
}

#[test]
fn tls_of_a_listener() {
    let expected = ListenerTls {
        certificates: vec![CertificateFiles {
            certificate: path("a.pem"),
            key: path("a.key"),
            ocsp: None,
        }],
        min_version: TlsVersion::Tls12,
        alpn: vec![Alpn::H2, Alpn::Http11],
        client: None,
    };
    assert_eq!(tls(""), expected);
    for (text, version) in [
        ("1.2", TlsVersion::Tls12),
        ("\"1.2\"", TlsVersion::Tls12),
        ("1.3", TlsVersion::Tls13),
        ("\"1.3\"", TlsVersion::Tls13),
        ("1.30", TlsVersion::Tls13),
    ] {
        assert_eq!(tls(&format!(", min_version: {text}")).min_version, version, "{text}");
    }
    assert_eq!(tls(", alpn: [http/1.1, h2]").alpn, [Alpn::Http11, Alpn::H2]);
    for (text, required) in [
        ("", true),
        (", client_certificates: required", true),
        (", client_certificates: optional", false),
    ] {
        let client = Some(ClientCertificates { ca: path("ca.pem"), required });
        assert_eq!(tls(&format!(", client_ca: ca.pem{text}")).client, client, "{text}");
    }
    let two = "certificates: [{ certificate: a.pem, key: a.key }, { certificate: /b.pem, key: /b.pem, ocsp: b.der }]";
    let found = listener(&format!("tls: {{ {two} }}")).tls.unwrap();
    let second = CertificateFiles {
        certificate: PathBuf::from("/b.pem"),
        key: PathBuf::from("/b.pem"),
        ocsp: Some(path("b.der")),
    };
    assert_eq!(found.certificates[1], second);
}

/// A listener offers `h2` in handshakes if and only if it speaks HTTP/2.
#[test]
fn http2_and_alpn_agree() {
    for (fields, http2, alpn) in [
        ("", true, &[Alpn::H2, Alpn::Http11][..]),
        (", http2: true", true, &[Alpn::H2, Alpn::Http11]),
        (", http2: false", false, &[Alpn::Http11]),
    ] {
        let found = listener(&format!("tls: {{ {TLS} }}{fields}"));
        assert_eq!(found.http2, http2, "{fields}");
        assert_eq!(found.tls.unwrap().alpn, alpn, "{fields}");
    }
    for (alpn, http2) in [("[http/1.1]", false), ("[h2]", true), ("[h2, http/1.1]", true)] {
        assert_eq!(listener(&format!("tls: {{ {TLS}, alpn: {alpn} }}")).http2, http2, "{alpn}");
    }
    assert!(!listener("http2: false").http2);
}

#[test]
fn what_a_listener_believes_and_answers() {
    let found = listener("proxy_protocol: { trusted: [10.0.0.0/8, \"::ffff:192.0.2.1/128\"] }");
    let trusted = vec!["10.0.0.0/8".parse().unwrap(), "192.0.2.1/32".parse().unwrap()];
    assert_eq!(
        found.proxy_protocol,
        Some(ProxyProtocolFrom { trusted: trusted.clone(), required: true })
    );
    let found = listener("proxy_protocol: { trusted: [10.0.0.0/8, 192.0.2.1], mode: optional }");
    assert_eq!(found.proxy_protocol, Some(ProxyProtocolFrom { trusted, required: false }));

    let two = |first: &str| {
        let text = with_line(
            2,
            &format!(
                "  - {{ address: \"0.0.0.0:80\", redirect_to_https: {first} }}\n  - {{ address: \"0.0.0.0:443\", tls: {{ {TLS} }} }}"
            ),
        );
        config(&text).listeners.remove(0).redirect
    };
    assert_eq!(two("true"), Some(HttpsRedirect { port: 443, status: 308 }));
    assert_eq!(two("{}"), Some(HttpsRedirect { port: 443, status: 308 }));
    assert_eq!(
        two("{ port: 8443, status: 302 }"),
        Some(HttpsRedirect { port: 8_443, status: 302 })
    );
    assert_eq!(two("false"), None);

    for (text, expected) in [
        ("true", Some("max-age=31536000")),
        ("{}", Some("max-age=31536000")),
        ("{ max_age_seconds: 0 }", Some("max-age=0")),
        ("{ include_subdomains: true }", Some("max-age=31536000; includeSubDomains")),
        (
            "{ max_age_seconds: 63072000, include_subdomains: true, preload: true }",
            Some("max-age=63072000; includeSubDomains; preload"),
        ),
        ("false", None),
    ] {
        let hsts = listener(&format!("tls: {{ {TLS} }}, hsts: {text}")).hsts;
        assert_eq!(hsts.as_ref().map(|value| value.to_str().unwrap()), expected, "{text}");
    }
    assert_eq!(listener("hsts: false, redirect_to_https: false").hsts, None);
}

#[test]
fn limits_and_what_becomes_of_requests() {
    let text = "limits: { connections_per_worker: 5, connections_per_client: 6, streams_per_connection: 7, uri_bytes: 1000, header_bytes: 2000 }";
    let limits = ClientLimits {
        connections_per_worker: 5,
        connections_per_client: std::num::NonZeroU32::new(6),
        streams_per_connection: 7,
        uri_bytes: 1_000,
        header_bytes: 2_000,
    };
    assert_eq!(config(&format!("{BASE}{text}\n")).limits, limits);
    // The default of a target is never more than a whole head may have.
    let limits = config(&format!("{BASE}limits: {{ header_bytes: 4096 }}\n")).limits;
    assert_eq!((limits.uri_bytes, limits.header_bytes), (4_096, 4_096));

    let rules = |text: &str| config(&format!("{BASE}requests: {{ {text} }}\n")).requests;
    let default = RequestRules::default();
    let expected = RequestRules { encoded_slash: EncodedSlash::Refuse, ..default };
    assert_eq!(rules("encoded_slash: refuse"), expected);
    let expected = RequestRules { encoded_slash: EncodedSlash::Decode, ..default };
    assert_eq!(rules("encoded_slash: decode"), expected);
    let expected = RequestRules { repeated_slash: RepeatedSlash::Keep, ..default };
    assert_eq!(rules("repeated_slash: keep"), expected);
    let expected = RequestRules { repeated_slash: RepeatedSlash::Refuse, ..default };
    assert_eq!(rules("repeated_slash: refuse"), expected);
    let expected = RequestRules { dot_segments: DotSegments::Refuse, ..default };
    assert_eq!(rules("dot_segments: refuse"), expected);
    let expected = RequestRules { underscores: Underscores::Keep, ..default };
    assert_eq!(rules("underscores: keep"), expected);
    let expected = RequestRules { underscores: Underscores::Refuse, ..default };
    assert_eq!(rules("underscores: refuse"), expected);
    assert_eq!(
        rules(
            "encoded_slash: keep, repeated_slash: merge, dot_segments: resolve, underscores: drop"
        ),
        default
    );

    let text = "client: { forwarded_header: true, certificate_header: X-Cert }";
    let found = config(&format!("{BASE}{text}\n")).client_fields;
    assert_eq!((found.forwarded, found.certificate.as_str()), (true, "x-cert"));
}

#[test]
fn endpoints_and_how_they_are_spoken_to() {
    let fields = "    country: US
    proxy_protocol: v2
    tls: { server_name: API.internal, ca: /r.pem, client_certificate: c.pem, client_key: c.key, alpn: [http/1.1] }
    endpoints: [\"https://a\", \"h2c://b:50051\", \"http://c\"]
    name: x";
    let text = with_line(7, fields).replace("    endpoints: [http://10.0.1.10:8000]\n", "");
    let text = format!(
        "{text}    regions: {{ us: {{ endpoints: [\"https://own:8443\"] }}, eu: {{ endpoints: [\"http://own\"] }} }}\n"
    );
    let found = config(&text);
    let expected = Transport {
        proxy_protocol: Some(ProxyProtocolVersion::V2),
        tls: UpstreamTls {
            server_name: Some("api.internal".to_owned()),
            ca: Some(PathBuf::from("/r.pem")),
            identity: Some((path("c.pem"), path("c.key"))),
            alpn: vec![Alpn::Http11],
            insecure_skip_verify: false,
        },
    };
    let endpoints = &found.regions[0].endpoints;
    let schemes: Vec<_> = endpoints.iter().map(|e| (e.url.scheme, e.url.port)).collect();
    assert_eq!(schemes, [(Scheme::Https, 443), (Scheme::H2c, 50_051), (Scheme::Http, 80)]);
    assert!(endpoints.iter().all(|endpoint| *endpoint.transport == expected));
    // A deployment's own endpoints are spoken to like those of their region.
    let own = &found.deployments[0].regions;
    assert_eq!(own[0].endpoints[0].url.to_string(), "https://own:8443");
    assert_eq!(*own[0].endpoints[0].transport, expected);
    assert_eq!(*own[1].endpoints[0].transport, Transport::default());
    let text = with_line(7, "    country: US\n    proxy_protocol: v1");
    let transport = &config(&text).regions[0].endpoints[0].transport;
    assert_eq!(transport.proxy_protocol, Some(ProxyProtocolVersion::V1));
}

#[test]
fn networks_that_are_allowed() {
    let text = with_line(8, "    endpoints: [http://169.254.170.2]")
        + "origins: { allow: [169.254.170.2, \"fe80::/64\"] }\n";
    let found = config(&text).origin_networks;
    assert_eq!(found, ["169.254.170.2/32".parse().unwrap(), "fe80::/64".parse().unwrap()]);
}

#[test]
fn streams_of_a_deployment() {
    let deployment = |text: &str| {
        let found = config(&with_deployment(&format!("    {text}")));
        found.deployments[0].as_ref().clone()
    };
    assert_eq!(deployment("upgrades: []").streams.upgrades, [""; 0]);
    let found = deployment("upgrades: [WebSocket, mqtt]");
    assert_eq!(found.streams.upgrades, ["websocket", "mqtt"]);
    assert_eq!(deployment("max_body_bytes: 0").streams.max_body_bytes, Some(0));
    assert_eq!(deployment("max_body_bytes: 1048576").streams.max_body_bytes, Some(1 << 20));
    assert!(deployment("streaming: true").streams.exempt);
    let found = deployment("timeouts: { stream_idle_seconds: 7.5 }");
    assert_eq!(found.streams.idle, Duration::from_millis(7_500));
    assert_eq!(found.timeouts.request, Duration::from_secs(60));

    let statuses =
        |text: &str| deployment(&format!("retries: {{ grpc_statuses: {text} }}")).retries;
    assert_eq!(statuses("[]").grpc_statuses, GrpcStatuses::NONE);
    assert_eq!(statuses("[]").attempts, 2);
    let found = statuses("[unavailable, resource_exhausted, aborted]").grpc_statuses;
    assert_eq!(found, GrpcStatuses::NONE.with(14).with(8).with(10));
    // Every name, with the number that gRPC gives it.
    let names = "cancelled, unknown, invalid_argument, deadline_exceeded, not_found, \
                 already_exists, permission_denied, resource_exhausted, failed_precondition, \
                 aborted, out_of_range, unimplemented, internal, unavailable, data_loss, \
                 unauthenticated";
    for (code, name) in (1..).zip(names.split(", ")) {
        let found = statuses(&format!("[{name}]")).grpc_statuses;
        assert_eq!(found, GrpcStatuses::NONE.with(code), "{name}");
        assert_eq!(found.names().collect::<Vec<_>>(), [name]);
    }
}

/// Line, field, part of the message, file.
fn doubtful() -> Vec<(u32, &'static str, &'static str, String)> {
    let listener =
        |fields: &str| with_line(2, &format!("  - {{ address: \"0.0.0.0:443\", {fields} }}"));
    let region = |fields: &str| {
        with_line(7, &format!("    country: US\n    {fields}"))
            .replace("http://10.0.1", "https://10.0.1")
    };
    vec![
        (
            2,
            "listeners[0].proxy_protocol.trusted[0]",
            "lets every client say who it is",
            listener("proxy_protocol: { trusted: [\"::/0\"] }"),
        ),
        (2, "listeners", "every listener", listener("redirect_to_https: true")),
        (
            2,
            "listeners[0].hsts.preload",
            "do not take this host",
            listener(&format!("tls: {{ {TLS} }}, hsts: {{ preload: true }}")),
        ),
        (
            2,
            "listeners[0].hsts.preload",
            "do not take this host",
            listener(&format!(
                "tls: {{ {TLS} }}, hsts: {{ preload: true, include_subdomains: true, max_age_seconds: 300 }}"
            )),
        ),
        (15, "origins.allow[0]", "anyway", format!("{BASE}origins: {{ allow: [10.0.0.0/8] }}\n")),
        (15, "origins.allow[0]", "anywhere", format!("{BASE}origins: {{ allow: [0.0.0.0/0] }}\n")),
        (
            8,
            "regions[0].tls.insecure_skip_verify",
            "endpoints of the region `us` can read and change everything",
            region("tls: { insecure_skip_verify: true }"),
        ),
        (
            8,
            "regions[0].tls",
            "no endpoint of `us` is an https:// URL",
            region("tls: { ca: a.pem }").replace("https://", "h2c://"),
        ),
        (8, "regions[0].tls", "has no effect", region("tls: {}").replace("https://", "http://")),
        (
            15,
            "deployments[0].retries.grpc_statuses",
            "no effect with `attempts: 0`",
            with_deployment("    retries: { attempts: 0, grpc_statuses: [internal] }"),
        ),
    ]
}

#[test]
fn doubtful_settings_are_accepted_with_a_warning() {
    for (line, field, part, text) in doubtful() {
        let loaded = read(&text).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        let found: Vec<_> =
            loaded.warnings.iter().map(|w| (w.line, w.path.as_str(), w.message.as_str())).collect();
        assert_eq!(found.len(), 1, "{text}\n{found:?}");
        assert_eq!((found[0].0, found[0].1), (line, field), "{text}\n{found:?}");
        assert!(found[0].2.contains(part), "{text}\n{found:?}");
    }
}

#[test]
fn without_verification_the_roots_are_not_asked() {
    let text = with_line(7, "    country: US\n    tls: { ca: a.pem, insecure_skip_verify: true }")
        .replace("http://10.0.1", "https://10.0.1");
    let warnings = read(&text).unwrap().warnings;
    let paths: Vec<_> = warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(paths, ["regions[0].tls.ca", "regions[0].tls.insecure_skip_verify"]);
}

#[test]
fn tls_that_only_a_deployment_uses_is_used() {
    let text = with_line(7, "    country: US\n    tls: { ca: a.pem }");
    let own = "    regions: { us: { endpoints: [\"https://own\"] } }\n";
    assert!(read(&text).unwrap().warnings.len() == 1);
    config(&format!("{text}{own}"));
}
