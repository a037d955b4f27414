//! OCSP responses: which are stapled, and until when.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use rcgen::{KeyPair, SerialNumber};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::fixture::{Fixture, listening, params, provider, server, settings, shake};
use crate::config::CertificateFiles;
use crate::tls::ocsp::{self, Staple, StapleError, Status};
use crate::tls::{Tls, TlsError};

const GOOD: u8 = 0x80;
const REVOKED: u8 = 0xa1;
const UNKNOWN: u8 = 0x82;
const SERIAL: [u8; 3] = [0x71, 2, 3];

/// A value of DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut value = vec![tag];
    match content.len() {
        length @ 0..=127 => value.push(length as u8),
        length => value.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    value.extend(content);
    value
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    der(0x30, &parts.concat())
}

/// What a response says of one certificate.
fn single(serial: &[u8], status: u8, next_update: Option<&str>) -> Vec<u8> {
    let sha1 = sequence(&[der(6, &[0x2b, 0x0e, 3, 2, 0x1a]), der(5, &[])]);
    let id = sequence(&[sha1, der(4, &[1; 20]), der(4, &[2; 20]), der(2, serial)]);
    let revoked = der(0x18, b"20300101000000Z");
    let status = der(status, if status == REVOKED { &revoked } else { &[] });
    let mut parts = vec![id, status, der(0x18, b"20300101000000Z")];
    parts.extend(next_update.map(|next| der(0xa0, &der(0x18, next.as_bytes()))));
    sequence(&parts)
}

/// RFC 6960 section 4.2.1; nobody here looks at the signature.
fn response(singles: &[Vec<u8>]) -> Vec<u8> {
    let responder = der(0xa2, &der(4, &[3; 20]));
    let data = sequence(&[responder, der(0x18, b"20300101000000Z"), sequence(singles)]);
    let signature = sequence(&[der(6, &[0x2a, 3]), der(5, &[])]);
    let basic = sequence(&[data, signature, der(3, &[0, 1, 2])]);
    let kind = der(6, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1]);
    let bytes = der(0xa0, &sequence(&[kind, der(4, &basic)]));
    sequence(&[der(10, &[0]), bytes])
}

#[test]
fn a_response_is_read_as_far_as_it_matters() {
    let next = Some("20300408120000Z");
    let at = Some(1_901_880_000);
    let mine = |status| response(&[single(&SERIAL, status, next)]);
    let staple = |status, next_update| Ok(Staple { status, next_update });
    let cases = [
        (mine(GOOD), staple(Status::Good, at)),
        (mine(REVOKED), staple(Status::Revoked, at)),
        (mine(UNKNOWN), staple(Status::Unknown, at)),
        (response(&[single(&SERIAL, GOOD, None)]), staple(Status::Good, None)),
        (response(&[single(&[0, 0x71, 2, 3], GOOD, None)]), staple(Status::Good, None)),
        (
            response(&[single(&[9], REVOKED, None), single(&SERIAL, GOOD, next)]),
            staple(Status::Good, at),
        ),
        (response(&[single(&[9], GOOD, next)]), Err(StapleError::OtherCertificate)),
        (response(&[]), Err(StapleError::OtherCertificate)),
        (response(&vec![single(&[9], GOOD, next); 65]), Err(StapleError::OtherCertificate)),
        (sequence(&[der(10, &[3])]), Err(StapleError::Refused(3))),
        (sequence(&[der(10, &[0])]), Err(StapleError::Unreadable)),
        ([mine(GOOD), vec![0]].concat(), Err(StapleError::Unreadable)),
        (b"-----BEGIN OCSP RESPONSE-----".to_vec(), Err(StapleError::Unreadable)),
        (Vec::new(), Err(StapleError::Unreadable)),
    ];
    for (number, (bytes, expected)) in cases.into_iter().enumerate() {
        assert_eq!(ocsp::read(&bytes, &SERIAL), expected, "{number}");
    }
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(
        cut in 0usize..300,
        at in 0usize..300,
        with in any::<u8>(),
        noise in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let good = response(&[single(&SERIAL, GOOD, Some("20300408120000Z"))]);
        let _ = ocsp::read(good.get(..cut).unwrap_or(&good), &SERIAL);
        let mut changed = good.clone();
        if let Some(byte) = changed.get_mut(at) {
            *byte = with;
        }
        let _ = ocsp::read(&changed, &SERIAL);
        let _ = ocsp::read(&noise, &SERIAL);
    }
}

/// A client that notes what is stapled.
#[derive(Debug)]
struct Noting(Mutex<Vec<u8>>);

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        staple: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock().unwrap() = staple.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

fn stapled(tls: &Tls) -> Vec<u8> {
    let noting = Arc::new(Noting(Mutex::default()));
    let client = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&noting) as _)
        .with_no_client_auth();
    drop(shake(&Arc::new(client), &server(tls), "a.test").unwrap());
    std::mem::take(&mut noting.0.lock().unwrap())
}

fn with_staple(f: &Fixture, staple: &[u8]) -> Result<Tls, TlsError> {
    let mut params = params(&["a.test"]);
    params.serial_number = Some(SerialNumber::from_slice(&SERIAL));
    let issued = f.ca.sign(&params, KeyPair::generate().unwrap());
    let ocsp = Some(f.write("a.ocsp", staple));
    let files = CertificateFiles { ocsp, ..f.issued("a", &issued) };
    Tls::load(&listening(settings(vec![files])), None)
}

fn messages(tls: &Tls, now: SystemTime) -> Vec<String> {
    tls.warnings(now).into_iter().map(|warning| warning.message).collect()
}

#[test]
fn a_good_response_goes_out_and_a_stale_one_does_not() {
    let f = Fixture::new();
    let good = response(&[single(&SERIAL, GOOD, Some("29990101000000Z"))]);
    let tls = with_staple(&f, &good).unwrap();
    assert_eq!(stapled(&tls), good);
    assert_eq!(messages(&tls, SystemTime::now()), [""; 0]);
    let later = UNIX_EPOCH + Duration::from_secs(40_000_000_000);
    assert!(messages(&tls, later)[0].contains("past its next update"));

    let stale = response(&[single(&SERIAL, GOOD, Some("20200101000000Z"))]);
    let tls = with_staple(&f, &stale).unwrap();
    assert_eq!(stapled(&tls), b"");
    assert!(messages(&tls, SystemTime::now())[0].contains("past its next update"));

    let revoked = response(&[single(&SERIAL, REVOKED, Some("29990101000000Z"))]);
    let tls = with_staple(&f, &revoked).unwrap();
    assert!(messages(&tls, SystemTime::now())[0].contains("revoked"));
}

#[test]
fn a_response_that_is_none_is_refused() {
    let f = Fixture::new();
    for (bytes, said) in [
        (&b"-----BEGIN"[..], "not an OCSP response in DER"),
        (&response(&[single(&[9], GOOD, None)]), "another certificate"),
        (&sequence(&[der(10, &[6])]), "status 6"),
    ] {
        let error = with_staple(&f, bytes).unwrap_err();
        assert_eq!(error.file(), Some(&*f.path("a.ocsp")));
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(said), "{source}");
    }
}
