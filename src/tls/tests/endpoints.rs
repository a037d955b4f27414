//! Handshakes with endpoints: whom they are verified by, and by which name.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;

use super::fixture::{
    Authority, Fixture, Issued, Shaken, endpoints, https, load, provider, set_mode, shake,
};
use crate::config::{Alpn, Scheme, UpstreamTls};
use crate::tls::{Tls, TlsError, server_name};

/// An endpoint that shows this certificate, and wants one of `clients`.
fn endpoint(shown: &Issued, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der()).unwrap();
            let roots = Arc::new(roots);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::try_from(shown.pair.serialize_der()).unwrap();
    let mut config = builder.with_single_cert(vec![shown.der.clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// A handshake as a connection to `host` makes it.
fn connect(
    settings: &UpstreamTls,
    host: &str,
    endpoint: &Arc<ServerConfig>,
) -> Result<Shaken, String> {
    let tls = load(&endpoints(vec![(https(host), settings.clone())]));
    let name = server_name(&https(host), settings).map_err(|error| error.to_string())?;
    let client = tls.client(settings).unwrap();
    shake(client, endpoint, &name.to_str()).map_err(|error| error.to_string())
}

#[test]
fn an_endpoint_is_verified_by_the_given_roots_and_its_name() {
    let f = Fixture::new();
    let ca = Some(f.write("roots.pem", f.ca.pem()));
    let settings = UpstreamTls { ca, ..UpstreamTls::default() };
    let named = UpstreamTls { server_name: Some("api.internal".into()), ..settings.clone() };
    let mine = endpoint(&f.ca.issue(&["api.internal", "192.0.2.7"]), None);
    let stranger = endpoint(&Authority::new("x").issue(&["api.internal"]), None);

    let shaken = connect(&settings, "api.internal", &mine).unwrap();
    assert_eq!(shaken.server.server_name(), Some("api.internal"));
    assert_eq!(shaken.client.alpn_protocol(), Some(&b"h2"[..]));
    assert!(connect(&settings, "API.internal.", &mine).is_ok());
    let error = connect(&settings, "other.internal", &mine).err().unwrap();
    assert!(error.contains("not valid for name"), "{error}");
    let error = connect(&settings, "api.internal", &stranger).err().unwrap();
    assert!(error.contains("UnknownIssuer") || error.contains("invalid peer"), "{error}");
    // By address: no name is asked for, and the certificate has to be for the address.
    let shaken = connect(&settings, "192.0.2.7", &mine).unwrap();
    assert_eq!(shaken.server.server_name(), None);
    assert!(connect(&settings, "192.0.2.8", &mine).is_err());
    // By another name than the URL's.
    let shaken = connect(&named, "192.0.2.8", &mine).unwrap();
    assert_eq!(shaken.server.server_name(), Some("api.internal"));
    assert!(connect(&named, "other.internal", &mine).is_ok());
    assert!(connect(&named, "api.internal", &stranger).is_err());
}

#[test]
fn protocols_are_offered_as_configured() {
    let f = Fixture::new();
    let ca = Some(f.write("roots.pem", f.ca.pem()));
    let h1 = UpstreamTls { ca, alpn: vec![Alpn::Http11], ..UpstreamTls::default() };
    let shaken = connect(&h1, "a.test", &endpoint(&f.ca.issue(&["a.test"]), None)).unwrap();
    assert_eq!(shaken.client.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[test]
fn what_is_not_verified_is_believed_and_said_loudly() {
    let f = Fixture::new();
    let settings = UpstreamTls { insecure_skip_verify: true, ..UpstreamTls::default() };
    let stranger = endpoint(&Authority::new("x").issue(&["elsewhere"]), None);
    assert!(connect(&settings, "a.test", &stranger).is_ok());
    let secure =
        UpstreamTls { ca: Some(f.write("roots.pem", f.ca.pem())), ..UpstreamTls::default() };
    let mut clear = https("c.test");
    clear.scheme = Scheme::Http;
    let tls = load(&endpoints(vec![
        (https("b.test"), settings.clone()),
        (https("a.test"), settings.clone()),
        (https("a.test"), settings.clone()),
        (https("d.test"), secure),
        (clear, settings),
    ]));
    let insecure: Vec<_> = tls.insecure_endpoints().iter().map(ToString::to_string).collect();
    assert_eq!(insecure, ["https://a.test:443", "https://b.test:443"]);
}

#[test]
fn an_endpoint_can_know_rhumb_by_its_certificate() {
    let f = Fixture::new();
    let me = f.ca.issue(&["rhumb.internal"]);
    let identity = Some((f.write("me.pem", &me.pem), f.write("me.key", &me.key)));
    let ca = Some(f.write("roots.pem", f.ca.pem()));
    let anonymous = UpstreamTls { ca, ..UpstreamTls::default() };
    let known = UpstreamTls { identity, ..anonymous.clone() };
    let strict = endpoint(&f.ca.issue(&["a.test"]), Some(&f.ca));
    let shaken = connect(&known, "a.test", &strict).unwrap();
    assert_eq!(shaken.server.peer_certificates().unwrap(), &[me.der.clone()][..]);
    assert!(connect(&anonymous, "a.test", &strict).is_err());
    let tls = load(&endpoints(vec![(https("a.test"), known.clone())]));
    let shown = tls.shown();
    assert!(shown.len() == 1 && shown[0].listener.is_none(), "{shown:?}");
    assert_eq!(shown[0].name(), "rhumb.internal");

    set_mode(&f.path("me.key"), 0o644);
    let tls = load(&endpoints(vec![(https("a.test"), known.clone())]));
    assert_eq!(tls.warnings(std::time::SystemTime::now()).len(), 1);
    f.write("me.key", f.ca.issue(&["other"]).key);
    let error = Tls::load(&endpoints(vec![(https("a.test"), known)]), None).unwrap_err();
    assert!(matches!(error, TlsError::KeyMismatch { .. }), "{error}");
}

#[test]
fn sessions_are_kept_for_the_next_connection() {
    let f = Fixture::new();
    let ca = Some(f.write("roots.pem", f.ca.pem()));
    let settings = UpstreamTls { ca, ..UpstreamTls::default() };
    let tls = load(&endpoints(vec![(https("a.test"), settings.clone())]));
    let endpoint = endpoint(&f.ca.issue(&["a.test"]), None);
    let client = tls.client(&settings).unwrap();
    assert_eq!(shake(client, &endpoint, "a.test").unwrap().kind(), HandshakeKind::Full);
    assert_eq!(shake(client, &endpoint, "a.test").unwrap().kind(), HandshakeKind::Resumed);
}

#[test]
fn roots_are_wanted_only_for_what_is_spoken_to_in_tls() {
    let f = Fixture::new();
    let settings = UpstreamTls { ca: Some(f.path("gone")), ..UpstreamTls::default() };
    for scheme in [Scheme::Http, Scheme::H2c] {
        let mut url = https("a.test");
        url.scheme = scheme;
        let config = endpoints(vec![(url, settings.clone())]);
        let tls = load(&config);
        assert!(tls.client(&settings).is_none());
        assert_eq!(Tls::paths(&config).count(), 0);
    }
    let error = Tls::load(&endpoints(vec![(https("a.test"), settings)]), None).unwrap_err();
    assert!(matches!(error, TlsError::Unreadable { .. }), "{error}");
}

#[test]
fn a_name_that_tls_cannot_verify_is_an_error_of_the_load() {
    let f = Fixture::new();
    let settings = UpstreamTls {
        ca: Some(f.write("roots.pem", f.ca.pem())),
        server_name: Some("not a name".to_owned()),
        ..UpstreamTls::default()
    };
    let error = Tls::load(&endpoints(vec![(https("a.test"), settings)]), None).unwrap_err();
    assert!(error.to_string().contains("`not a name`"), "{error}");
}
