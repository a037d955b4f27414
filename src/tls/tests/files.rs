//! Files that cannot be used, and files that can although something is wrong with them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::KeyPair;

use super::fixture::{
    Authority, Fixture, address, config, listening, load, params, set_mode, settings,
};
use crate::config::{CertificateFiles, ClientCertificates, Listener, ListenerTls};
use crate::tls::{Tls, TlsError};

fn refused(files: CertificateFiles) -> String {
    let error = Tls::load(&listening(settings(vec![files])), None).unwrap_err();
    assert!(error.file().is_some_and(Path::is_absolute), "{error}");
    error.to_string()
}

/// The content of a certificate's file, that of its key, the file that is named, and some of what is said.
type Case = (Vec<u8>, Vec<u8>, &'static str, &'static str);

fn cases(f: &Fixture) -> Vec<Case> {
    let (mine, other) = (f.ca.issue(&["a.test"]), f.ca.issue(&["b.test"]));
    let (pem, key) = (|| mine.pem.clone().into_bytes(), || mine.key.clone().into_bytes());
    let old_encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n\
                         -----END RSA PRIVATE KEY-----\n";
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cut = &mine.pem[..mine.pem.len() / 2];
    let no_base64 = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    vec![
        (Vec::new(), key(), "a.pem", "is empty"),
        (b" \n\n".to_vec(), key(), "a.pem", "is empty"),
        (b"\x00\xff\x17binary".to_vec(), key(), "a.pem", "BEGIN CERTIFICATE"),
        (mine.der.to_vec(), key(), "a.pem", "openssl x509 -inform DER"),
        (cut.into(), key(), "a.pem", "broken PEM"),
        (no_base64.into(), key(), "a.pem", "broken PEM"),
        (garbage.into(), key(), "a.pem", "certificate 1 of"),
        (key(), key(), "a.pem", "no certificate"),
        (mine.pem.repeat(17).into(), key(), "a.pem", "more than 16"),
        (vec![b'#'; (4 << 20) + 1], key(), "a.pem", "more than 4194304 bytes"),
        (pem(), Vec::new(), "a.key", "is empty"),
        (pem(), pem(), "a.key", "no private key"),
        (pem(), encrypted.into(), "a.key", "openssl pkey"),
        (pem(), old_encrypted.into(), "a.key", "is encrypted"),
        (pem(), mine.pair.serialize_der(), "a.key", "openssl pkey -inform DER"),
        (pem(), no_key.into(), "a.key", "cannot be used"),
        (pem(), other.key.into(), "a.key", "does not belong"),
        ((f.ca.pem() + &mine.pem).into(), key(), "a.pem", "belongs to certificate 2"),
    ]
}

#[test]
fn every_file_that_cannot_be_used_is_named_with_what_to_do() {
    let f = Fixture::new();
    for (certificate, key, named, said) in cases(&f) {
        let files = CertificateFiles {
            certificate: f.write("a.pem", certificate),
            key: f.write("a.key", key),
            ocsp: None,
        };
        let message = refused(files);
        assert!(message.contains(said), "{said}: {message}");
        assert!(message.contains(f.path(named).to_str().unwrap()), "{named}: {message}");
    }
}

#[test]
fn files_that_are_not_there_are_named() {
    let f = Fixture::new();
    let good = f.files("a", &["a.test"]);
    let gone = f.path("gone");
    for files in [
        CertificateFiles { certificate: gone.clone(), ..good.clone() },
        CertificateFiles { key: gone.clone(), ..good.clone() },
        CertificateFiles { ocsp: Some(gone.clone()), ..good.clone() },
        CertificateFiles { key: f.dir.path().to_owned(), ..good },
    ] {
        assert!(refused(files).contains("cannot read"));
    }
}

#[test]
fn key_files_of_all_kinds_are_read() {
    let f = Fixture::new();
    let issued = f.ca.issue(&["a.test"]);
    // Certificate and key in one file, with what OpenSSL writes around them.
    let both = format!(
        "Bag Attributes\n-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n\
         -----END EC PARAMETERS-----\n{}\nsubject=CN = a\n{}",
        issued.key,
        issued.pem.replace('\n', "\r\n")
    );
    let file = f.write("both.pem", both);
    let files = CertificateFiles { certificate: file.clone(), key: file, ocsp: None };
    load(&listening(settings(vec![files])));
    for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let pair = KeyPair::generate_for(algorithm).unwrap();
        let issued = f.ca.sign(&params(&["a.test"]), pair);
        load(&listening(settings(vec![f.issued("other", &issued)])));
    }
}

fn warnings(files: CertificateFiles) -> Vec<(PathBuf, String)> {
    let tls = load(&listening(settings(vec![files])));
    let warnings = tls.warnings(SystemTime::now());
    warnings.into_iter().map(|warning| (warning.file, warning.message)).collect()
}

#[test]
fn what_is_wrong_but_works_is_warned_of() {
    let f = Fixture::new();
    assert_eq!(warnings(f.files("a", &["a.test"])), []);

    let files = f.files("a", &["a.test"]);
    set_mode(&files.key, 0o644);
    let found = warnings(files.clone());
    assert!(found.len() == 1 && found[0].0 == files.key, "{found:?}");
    assert!(found[0].1.contains("chmod"), "{found:?}");

    let found = warnings(f.files("a", &[]));
    assert!(found.len() == 1 && found[0].1.contains("for no host"), "{found:?}");
}

#[test]
fn a_chain_in_the_wrong_order_is_warned_of() {
    let f = Fixture::new();
    let upper = f.ca.below("upper");
    let lower = upper.below("lower");
    let leaf = lower.issue(&["a.test"]);
    let (upper, lower) = (upper.pem(), lower.pem());
    let key = f.write("a.key", &leaf.key);
    let chain = |parts: &[&str]| {
        let certificate = f.write("a.pem", parts.concat());
        warnings(CertificateFiles { certificate, key: key.clone(), ocsp: None })
    };
    assert_eq!(chain(&[&leaf.pem, &lower, &upper]), []);
    assert_eq!(chain(&[&leaf.pem, &lower, &upper, &f.ca.pem()]), []);
    for (parts, number) in
        [([&*leaf.pem, &*upper, &*lower], 1), ([&*leaf.pem, &*lower, &*lower], 2)]
    {
        let found = chain(&parts);
        assert!(found.len() == 1, "{found:?}");
        assert!(
            found[0].1.starts_with(&format!("certificate {number} is not issued")),
            "{found:?}"
        );
    }
}

#[test]
fn bad_files_of_client_authorities_are_named() {
    let f = Fixture::new();
    let good = Authority::new("clients").pem();
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (content, said) in [
        ("", "is empty"),
        ("nothing here", "no certificate"),
        (&*(good + garbage), "certificate 2 of"),
    ] {
        let client = Some(ClientCertificates { ca: f.write("ca.pem", content), required: true });
        let tls = ListenerTls { client, ..settings(vec![f.files("a", &["a.test"])]) };
        let error = Tls::load(&listening(tls), None).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(error.file(), Some(&*f.path("ca.pem")));
    }
}

#[test]
fn an_inspection_finds_every_error() {
    let f = Fixture::new();
    let bad = |stem: &str| {
        let files = f.files(stem, &["a.test"]);
        f.write(&format!("{stem}.key"), "");
        settings(vec![files])
    };
    let other = "127.0.0.1:9443".parse().unwrap();
    let at = |address, tls| Listener { tls: Some(tls), ..Listener::cleartext(address) };
    let third = "127.0.0.1:9444".parse().unwrap();
    let config = config(vec![
        at(address(), bad("a")),
        at(other, bad("b")),
        at(third, settings(vec![f.files("c", &["c.test"])])),
        Listener::cleartext("127.0.0.1:80".parse().unwrap()),
    ]);
    let (tls, errors) = Tls::inspect(&config);
    let files: Vec<_> = errors.iter().filter_map(TlsError::file).collect();
    assert_eq!(files, [f.path("a.key"), f.path("b.key")]);
    assert_eq!(tls.shown().len(), 1);
    assert!(tls.server(third).is_some() && tls.server("127.0.0.1:80".parse().unwrap()).is_none());
}

#[test]
fn every_file_is_watched() {
    let f = Fixture::new();
    let mut files = f.files("a", &["a.test"]);
    files.ocsp = Some(f.path("a.ocsp"));
    let client = Some(ClientCertificates { ca: f.path("ca.pem"), required: false });
    let mut config = listening(ListenerTls { client, ..settings(vec![files]) });
    let tls = crate::config::UpstreamTls {
        ca: Some(f.path("roots.pem")),
        identity: Some((f.path("me.pem"), f.path("me.key"))),
        ..Default::default()
    };
    let upstream = super::fixture::endpoints(vec![(super::fixture::https("a"), tls)]);
    config.regions = upstream.regions;
    let mut found: Vec<_> = Tls::paths(&config).map(Path::to_owned).collect();
    found.sort();
    let expected = ["a.key", "a.ocsp", "a.pem", "ca.pem", "me.key", "me.pem", "roots.pem"];
    assert_eq!(found, expected.map(|name| f.path(name)));
}

#[test]
fn two_listeners_of_one_address_have_to_be_alike() {
    let f = Fixture::new();
    let port_zero = "127.0.0.1:0".parse().unwrap();
    let at = |tls| Listener { tls: Some(tls), ..Listener::cleartext(port_zero) };
    let (a, b) = (settings(vec![f.files("a", &["a"])]), settings(vec![f.files("b", &["b"])]));
    load(&config(vec![at(a.clone()), at(a.clone())]));
    let error = Tls::load(&config(vec![at(a), at(b)]), None).unwrap_err();
    assert!(matches!(error, TlsError::SameListener { .. }));
}
