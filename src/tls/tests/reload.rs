//! What stays when files are read again, and what may not.

use std::sync::Arc;

use rustls::HandshakeKind::{Full, Resumed};
use rustls::version::{TLS12, TLS13};

use super::fixture::{
    Authority, Fixture, address, config, endpoints, https, listening, load, server, settings, shake,
};
use crate::config::{ClientCertificates, Config, Listener, ListenerTls, UpstreamTls};
use crate::tls::{Tls, TlsError};

#[test]
fn nothing_changed_is_the_same_value() {
    let f = Fixture::new();
    let config = listening(settings(vec![f.files("a", &["a.test"])]));
    let before = load(&config);
    let after = Tls::load(&config, Some(&before)).unwrap();
    assert!(Arc::ptr_eq(&server(&before), &server(&after)));
    assert!(!Tls::differs(&config, &config));

    let ca = f.write("roots.pem", f.ca.pem());
    let tls = UpstreamTls { ca: Some(ca), ..UpstreamTls::default() };
    let config = endpoints(vec![(https("a.test"), tls.clone())]);
    let before = load(&config);
    let after = Tls::load(&config, Some(&before)).unwrap();
    assert!(Arc::ptr_eq(before.client(&tls).unwrap(), after.client(&tls).unwrap()));
    f.write("roots.pem", Authority::new("other").pem());
    let other = Tls::load(&config, Some(&after)).unwrap();
    assert!(!Arc::ptr_eq(other.client(&tls).unwrap(), after.client(&tls).unwrap()));
}

/// Reloads with `change` between two handshakes of one client, and says how the second one went.
fn second_handshake(
    tls: &ListenerTls,
    client: &Arc<rustls::ClientConfig>,
    change: impl FnOnce(ListenerTls) -> ListenerTls,
) -> rustls::HandshakeKind {
    let before = load(&listening(tls.clone()));
    assert_eq!(shake(client, &server(&before), "a.test").unwrap().kind(), Full);
    assert_eq!(shake(client, &server(&before), "a.test").unwrap().kind(), Resumed);
    let after = Tls::load(&listening(change(tls.clone())), Some(&before)).unwrap();
    shake(client, &server(&after), "a.test").unwrap().kind()
}

#[test]
fn tickets_stay_good_when_a_certificate_is_renewed() {
    for version in [&TLS12, &TLS13] {
        let f = Fixture::new();
        let tls = settings(vec![f.files("a", &["a.test"])]);
        let client = Arc::new(f.client_with(&[version], None));
        let kind = second_handshake(&tls, &client, |tls| {
            f.files("a", &["a.test"]);
            tls
        });
        assert_eq!(kind, Resumed);
        // And who has none gets the new one.
        let fresh = Arc::new(f.client_with(&[version], None));
        let now = Tls::load(&listening(tls.clone()), None).unwrap();
        let shaken = shake(&fresh, &server(&now), "a.test").unwrap();
        let on_disk = std::fs::read_to_string(&tls.certificates[0].certificate).unwrap();
        use rustls_pki_types::pem::PemObject;
        let on_disk = rustls_pki_types::CertificateDer::from_pem_slice(on_disk.as_bytes()).unwrap();
        assert_eq!(*shaken.shown(), on_disk);
    }
}

#[test]
fn no_session_survives_a_change_of_who_is_let_in() {
    for version in [&TLS12, &TLS13] {
        let f = Fixture::new();
        let clients = Authority::new("clients");
        let ca = f.write("ca.pem", clients.pem());
        let me = clients.issue(&["client.test"]);
        let files = vec![f.files("a", &["a.test"])];
        let open = settings(files.clone());
        let with = |required| {
            let client = Some(ClientCertificates { ca: ca.clone(), required });
            ListenerTls { client, ..settings(files.clone()) }
        };
        let client = || Arc::new(f.client_with(&[version], Some(&me)));
        assert_eq!(second_handshake(&open, &client(), |_| with(false)), Full);
        assert_eq!(second_handshake(&with(false), &client(), |_| with(true)), Full);
        assert_eq!(second_handshake(&with(true), &client(), |_| open.clone()), Full);
        assert_eq!(second_handshake(&with(true), &client(), |same| same), Resumed);
        let more = |tls| {
            // The same path, and one more that is trusted.
            f.write("ca.pem", clients.pem() + &Authority::new("more").pem());
            tls
        };
        assert_eq!(second_handshake(&with(true), &client(), more), Full);
    }
}

#[test]
fn a_client_that_is_not_trusted_any_more_is_refused_with_a_ticket() {
    let f = Fixture::new();
    let clients = Authority::new("clients");
    let ca = f.write("ca.pem", clients.pem());
    let client = Some(ClientCertificates { ca, required: true });
    let tls = ListenerTls { client, ..settings(vec![f.files("a", &["a.test"])]) };
    let me = Arc::new(f.client_with(&[&TLS13], Some(&clients.issue(&["client.test"]))));
    let before = load(&listening(tls.clone()));
    drop(shake(&me, &server(&before), "a.test").unwrap());
    f.write("ca.pem", Authority::new("successor").pem());
    let after = Tls::load(&listening(tls), Some(&before)).unwrap();
    assert!(shake(&me, &server(&after), "a.test").is_err());
}

#[test]
fn a_ticket_of_one_listener_is_worth_nothing_at_another() {
    let f = Fixture::new();
    let tls = settings(vec![f.files("a", &["a.test"])]);
    let other = "127.0.0.1:9443".parse().unwrap();
    let at = |address| Listener { tls: Some(tls.clone()), ..Listener::cleartext(address) };
    let loaded = load(&config(vec![at(address()), at(other)]));
    let client = Arc::new(f.client());
    assert_eq!(shake(&client, &server(&loaded), "a.test").unwrap().kind(), Full);
    let kind = shake(&client, loaded.server(other).unwrap(), "a.test").unwrap().kind();
    assert_eq!(kind, Full);
}

#[test]
fn a_bad_file_is_an_error_and_the_value_in_use_is_untouched() {
    let f = Fixture::new();
    let config = listening(settings(vec![f.files("a", &["a.test"])]));
    let before = load(&config);
    f.write("a.pem", "half a certif");
    let error = Tls::load(&config, Some(&before)).unwrap_err();
    assert!(matches!(error, TlsError::NoCertificate { .. }), "{error}");
    assert_eq!(shake(&Arc::new(f.client()), &server(&before), "a.test").unwrap().kind(), Full);
}

#[test]
fn what_differs_between_configurations_is_seen() {
    let f = Fixture::new();
    let tls = settings(vec![f.files("a", &["a.test"])]);
    let plain = listening(tls.clone());
    let more = ListenerTls { certificates: vec![tls.certificates[0].clone(); 2], ..tls };
    assert!(Tls::differs(&plain, &listening(more)));
    let with = |settings: UpstreamTls| -> Config { endpoints(vec![(https("a.test"), settings)]) };
    let named = UpstreamTls { server_name: Some("b.test".to_owned()), ..UpstreamTls::default() };
    assert!(Tls::differs(&with(UpstreamTls::default()), &with(named)));
    // Also for endpoints that only a deployment has.
    let mut own = with(UpstreamTls::default());
    let mut none = own.clone();
    Arc::make_mut(&mut own.deployments[0]).regions[0].endpoints = own.regions[0].endpoints.clone();
    own.regions.clear();
    none.regions.clear();
    assert!(Tls::differs(&own, &none));
}
