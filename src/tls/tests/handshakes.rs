//! What clients and listeners agree on.

use std::sync::Arc;

use rcgen::{KeyPair, PKCS_RSA_SHA256};
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion};

use super::fixture::{
    Authority, Fixture, Shaken, config, listening, load, params, server, settings, shake,
};
use crate::config::{Alpn, ClientCertificates, Listener, ListenerTls, TlsVersion};

#[test]
fn the_name_picks_the_certificate() {
    let f = Fixture::new();
    let names: [&[&str]; 3] = [
        &["default.test", "also.default.test"],
        &["api.example.test"],
        &["*.example.test", "example.test"],
    ];
    let issued = names.map(|names| f.ca.issue(names));
    let files = issued.iter().enumerate().map(|(n, issued)| f.issued(&n.to_string(), issued));
    let server = server(&load(&listening(settings(files.collect()))));
    let client = Arc::new(f.client());
    for (name, expected) in [
        ("default.test", 0),
        ("also.default.test", 0),
        ("api.example.test", 1),
        ("other.example.test", 2),
        ("example.test", 2),
    ] {
        let shaken = shake(&client, &server, name).unwrap();
        assert!(*shaken.shown() == issued[expected].der, "{name}");
        assert_eq!(shaken.server.server_name(), Some(name));
    }
    // A wildcard stands for one label, and what nobody is for gets the first, which the client refuses.
    for name in ["a.b.example.test", "elsewhere.test", "127.0.0.1"] {
        let error = shake(&client, &server, name).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("not valid for name"), "{name}: {error}");
    }
}

#[test]
fn of_two_certificates_with_the_same_names_the_client_gets_one_that_it_can_verify() {
    let f = Fixture::new();
    let ecdsa = f.ca.issue(&["api.test"]);
    let rsa = f.ca.sign(&params(&["api.test"]), KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap());
    let files = vec![f.issued("ecdsa", &ecdsa), f.issued("rsa", &rsa)];
    let server = server(&load(&listening(settings(files))));
    let both = Arc::new(f.client());
    assert!(*shake(&both, &server, "api.test").unwrap().shown() == ecdsa.der);
    // A client that knows neither TLS 1.3 nor ECDSA.
    let mut provider = (*super::fixture::provider()).clone();
    provider.cipher_suites.retain(|suite| format!("{suite:?}").contains("ECDHE_RSA"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(f.ca.der()).unwrap();
    let old = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    assert!(*shake(&Arc::new(old), &server, "api.test").unwrap().shown() == rsa.der);
}

#[test]
fn keys_are_agreed_on_so_that_quantum_computers_do_not_help() {
    let f = Fixture::new();
    let server = server(&load(&listening(settings(vec![f.files("a", &["a.test"])]))));
    let shaken = shake(&Arc::new(f.client()), &server, "a.test").unwrap();
    let group = |shaken: &Shaken| shaken.server.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group(&shaken), NamedGroup::X25519MLKEM768);
    // In one flight: the client need not be asked for another key.
    assert_eq!(shaken.kind(), HandshakeKind::Full);
    let old = Arc::new(f.client_with(&[&TLS12], None));
    assert_eq!(group(&shake(&old, &server, "a.test").unwrap()), NamedGroup::X25519);
}

#[test]
fn every_suite_has_forward_secrecy_and_authenticates_what_it_encrypts_and_the_server_chooses() {
    let suites = super::fixture::provider().cipher_suites.clone();
    for suite in &suites {
        let name = format!("{:?}", suite.suite());
        let forward_secret = name.starts_with("TLS13_") || name.contains("_ECDHE_");
        assert!(forward_secret && (name.contains("GCM") || name.contains("POLY1305")), "{name}");
    }
    let f = Fixture::new();
    let server = server(&load(&listening(settings(vec![f.files("a", &["a.test"])]))));
    for version in [&TLS12, &TLS13] {
        let mut provider = (*super::fixture::provider()).clone();
        provider.cipher_suites.reverse();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(f.ca.der()).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let shaken = shake(&Arc::new(client), &server, "a.test").unwrap();
        let suite = shaken.server.negotiated_cipher_suite().unwrap();
        assert!(format!("{:?}", suite.suite()).contains("AES_256_GCM"), "{suite:?}");
    }
}

#[test]
fn versions_below_the_floor_are_refused() {
    let f = Fixture::new();
    let files = vec![f.files("a", &["a.test"])];
    let old = Arc::new(f.client_with(&[&TLS12], None));
    let open = server(&load(&listening(settings(files.clone()))));
    let shaken = shake(&old, &open, "a.test").unwrap();
    assert_eq!(shaken.server.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    let strict = ListenerTls { min_version: TlsVersion::Tls13, ..settings(files) };
    let strict = server(&load(&listening(strict)));
    assert!(shake(&old, &strict, "a.test").is_err());
    let shaken = shake(&Arc::new(f.client()), &strict, "a.test").unwrap();
    assert_eq!(shaken.server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[test]
fn protocols_are_agreed_on_in_the_order_of_the_listener() {
    let f = Fixture::new();
    let tls = settings(vec![f.files("a", &["a.test"])]);
    let (h1, h2) = (Alpn::Http11, Alpn::H2);
    /// The listener's protocols, whether it speaks HTTP/2, what is offered, what is agreed on.
    type Case<'a> = (&'a [Alpn], bool, &'a [&'a str], Result<Option<&'a str>, ()>);
    let cases: [Case<'_>; 8] = [
        (&[h2, h1], true, &["http/1.1", "h2"], Ok(Some("h2"))),
        (&[h1, h2], true, &["h2", "http/1.1"], Ok(Some("http/1.1"))),
        (&[h2, h1], true, &["http/1.1"], Ok(Some("http/1.1"))),
        (&[h2, h1], true, &[], Ok(None)),
        (&[h2, h1], false, &["h2", "http/1.1"], Ok(Some("http/1.1"))),
        (&[h2, h1], false, &["h2"], Err(())),
        // What speaks another protocol is not let in to speak it here (ALPACA).
        (&[h2, h1], true, &["ftp"], Err(())),
        (&[h1], true, &["h2"], Err(())),
    ];
    for (alpn, http2, offered, expected) in cases {
        let tls = ListenerTls { alpn: alpn.to_vec(), ..tls.clone() };
        let cleartext = Listener::cleartext(super::fixture::address());
        let listener = Listener { tls: Some(tls), http2, ..cleartext };
        let server = server(&load(&config(vec![listener])));
        let mut client = f.client();
        client.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let agreed = shake(&Arc::new(client), &server, "a.test");
        let agreed = agreed.as_ref().map(|shaken| shaken.server.alpn_protocol());
        let expected = expected.map(|name| name.map(str::as_bytes));
        assert_eq!(agreed.map_err(|_| ()), expected, "{alpn:?} {http2} {offered:?}");
    }
}

#[test]
fn client_certificates_are_required_or_optional_and_verified_in_both_cases() {
    let f = Fixture::new();
    let ca = Authority::new("clients");
    let ca_file = f.write("ca.pem", ca.pem());
    let (good, stranger) = (ca.issue(&["client.test"]), f.ca.issue(&["client.test"]));
    let files = vec![f.files("a", &["a.test"])];
    for required in [true, false] {
        let client = Some(ClientCertificates { ca: ca_file.clone(), required });
        let tls = ListenerTls { client, ..settings(files.clone()) };
        let server = server(&load(&listening(tls)));
        for version in [&TLS12, &TLS13] {
            let with = |identity| {
                let client = f.client_with(&[version], identity);
                shake(&Arc::new(client), &server, "a.test")
            };
            let shaken = with(Some(&good)).unwrap();
            assert_eq!(shaken.server.peer_certificates().unwrap(), &[good.der.clone()][..]);
            let error = with(Some(&stranger)).map(|_| ()).unwrap_err();
            assert!(error.to_string().contains("invalid peer certificate"), "{error}");
            let nobody = with(None).map(|shaken| shaken.server.peer_certificates().is_none());
            assert_eq!(nobody.ok(), (!required).then_some(true), "required: {required}");
        }
    }
}

#[test]
fn nothing_is_kept_for_clients_and_nothing_goes_out_early() {
    let f = Fixture::new();
    let server = server(&load(&listening(settings(vec![f.files("a", &["a.test"])]))));
    assert_eq!(server.max_early_data_size, 0);
    assert!(!server.send_half_rtt_data && !server.enable_secret_extraction);
    assert!(!server.session_storage.can_cache());
    assert!(!server.key_log.will_log("CLIENT_RANDOM"));
    assert!(server.ticketer.enabled());
    assert!(server.ignore_client_order);
    let client = Arc::new(f.client());
    drop(shake(&client, &server, "a.test").unwrap());
    let again = shake(&client, &server, "a.test").unwrap();
    assert_eq!(again.kind(), HandshakeKind::Resumed);
    assert_eq!(again.server.server_name(), Some("a.test"));
}
