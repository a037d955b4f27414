//! The header value that tells a client's certificate, whatever is in the certificate.

use aws_lc_rs::digest::{SHA256, digest};
use proptest::prelude::*;
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};

use crate::model::limits::CLIENT_CERTIFICATE_BYTES;
use crate::tls::client_certificate_value;

fn certificate(subject: &[(DnType, DnValue)], names: Vec<SanType>) -> Vec<u8> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in subject {
        params.distinguished_name.push(kind.clone(), value.clone());
    }
    params.subject_alt_names = names;
    // A key costs more than a signature, and every certificate may have the same.
    thread_local!(static KEY: KeyPair = KeyPair::generate().unwrap());
    KEY.with(|key| params.self_signed(key).unwrap().der().to_vec())
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

fn cn(text: &str) -> (DnType, DnValue) {
    (DnType::CommonName, text.into())
}

fn hash(der: &[u8]) -> String {
    digest(&SHA256, der).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The value without its hash, which is right.
fn told(der: &[u8]) -> String {
    let value = client_certificate_value(der).unwrap();
    let value = value.to_str().unwrap();
    value.strip_prefix(&format!("Hash={}", hash(der))).unwrap().to_owned()
}

#[test]
fn a_certificate_is_told_in_the_form_of_envoy() {
    let subject = [
        (DnType::CountryName, DnValue::PrintableString("DE".try_into().unwrap())),
        (DnType::OrganizationName, "Acme".into()),
        cn("worker-7 (blue)"),
    ];
    let names = vec![
        dns("worker.internal"),
        uri("spiffe://acme/worker"),
        dns("*.pool.internal"),
        SanType::IpAddress("192.0.2.1".parse().unwrap()),
        SanType::Rfc822Name("who@acme".try_into().unwrap()),
        uri("https://a/?x=1;y,z"),
    ];
    assert_eq!(
        told(&certificate(&subject, names)),
        ";Subject=\"CN=worker-7 (blue),O=Acme,C=DE\";URI=spiffe://acme/worker;\
         URI=\"https://a/?x=1;y,z\";DNS=worker.internal;DNS=*.pool.internal"
    );
    assert_eq!(told(&certificate(&[], Vec::new())), "");
    assert!(client_certificate_value(b"").is_none());
    assert!(client_certificate_value(b"garbage").is_none());
    let mut longer = certificate(&[], Vec::new());
    longer.push(0);
    assert!(client_certificate_value(&longer).is_none());
}

#[test]
fn what_a_name_cannot_have_is_escaped_or_left_out() {
    let subjects = [
        ("a\",URI=b", "a\\22\\2CURI\\3Db"),
        ("a\\", "a\\5C"),
        ("a\";Hash=0", "a\\22\\3BHash\\3D0"),
        (" a ", "\\20a\\20"),
        ("#a#", "\\23a#"),
        ("a\r\nb\0", "a\\0D\\0Ab\\00"),
        ("é", "\\C3\\A9"),
        ("a+b<c>", "a\\2Bb\\3Cc\\3E"),
        ("a b", "a b"),
    ];
    for (name, expected) in subjects {
        let expected = format!(";Subject=\"CN={expected}\"");
        assert_eq!(told(&certificate(&[cn(name)], Vec::new())), expected, "{name:?}");
    }
    let other = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
    let other = [(other, DnValue::Ia5String("a@b".try_into().unwrap()))];
    let expected = ";Subject=\"1.2.840.113549.1.9.1=#1603614062\"";
    assert_eq!(told(&certificate(&other, Vec::new())), expected);
    for name in ["", "a b", "a\"b", "a\\b", "a\r\nb", "a\u{7f}", "a;b\";URI=c"] {
        assert_eq!(told(&certificate(&[], vec![uri(name), dns("x.test")])), ";DNS=x.test");
    }
    for name in ["", "a b", "a,b", "a;b", "a=b", "a\"", "a\\", "..", "a..b", "-", "*", "a.*"] {
        assert_eq!(told(&certificate(&[], vec![dns(name), uri("x:y")])), ";URI=x:y", "{name}");
    }
}

#[test]
fn what_is_too_long_is_left_out_as_a_whole() {
    let long = "x".repeat(CLIENT_CERTIFICATE_BYTES);
    let names = vec![uri(&format!("a:{long}")), uri("a:b"), dns("c")];
    assert_eq!(told(&certificate(&[cn(&long)], names)), ";URI=a:b;DNS=c");
    let many = (0..1_000).map(|n| dns(&format!("host-{n}.internal"))).collect();
    let value = told(&certificate(&[cn("x")], many));
    assert!(value.len() <= CLIENT_CERTIFICATE_BYTES - 69, "{}", value.len());
    assert!(value.starts_with(";Subject=\"CN=x\";DNS=host-0.internal;DNS=host-1.internal"));
    assert!(value.ends_with(".internal"), "{value}");
}

/// Reads a value as its readers do: elements between commas, fields between semicolons, both outside of
/// quotes. Some take a backslash in quotes for an escape, and some do not.
fn parse(value: &str, escapes: bool) -> Vec<Vec<(String, String)>> {
    let (mut elements, mut fields) = (Vec::new(), Vec::new());
    let (mut field, mut quoted, mut escaped) = (String::new(), false, false);
    for c in value.chars().chain(",".chars()) {
        match c {
            _ if escaped => {
                field.push(c);
                escaped = false;
            }
            '\\' if escapes && quoted => {
                field.push(c);
                escaped = true;
            }
            '"' => quoted = !quoted,
            ',' | ';' if !quoted => {
                let (key, value) = field.split_once('=').expect("a field is a key and a value");
                fields.push((key.to_owned(), value.to_owned()));
                field.clear();
                if c == ',' {
                    elements.push(std::mem::take(&mut fields));
                }
            }
            c => field.push(c),
        }
    }
    assert!(!quoted && field.is_empty() && fields.is_empty(), "{value}");
    elements
}

/// Takes the escapes of a value of RFC 4514 off.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'\\' {
            let digits = std::str::from_utf8(&tail[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(*first);
        }
    }
    bytes
}

/// Text that would like to be something else.
fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just(";".to_owned()),
        Just(",".to_owned()),
        Just("=".to_owned()),
        Just("\";URI=spiffe://forged;\"".to_owned()),
        Just(",Hash=00;DNS=forged".to_owned()),
        Just("\r\nx-forwarded-client-cert: Hash=00".to_owned()),
        "[ -~]{0,6}",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

fn ascii() -> impl Strategy<Value = Ia5String> {
    hostile().prop_map(|text| {
        let ascii: String = text.chars().filter(char::is_ascii).collect();
        ascii.as_str().try_into().unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_field_can_be_forged_from_within_a_certificate(
        name in hostile(),
        organization in hostile(),
        uris in proptest::collection::vec(ascii(), 0..4),
        hosts in proptest::collection::vec(ascii(), 0..4),
    ) {
        let subject = [cn(&name), (DnType::OrganizationName, organization.as_str().into())];
        let uri = uris.iter().cloned().map(SanType::URI);
        let names = uri.chain(hosts.iter().cloned().map(SanType::DnsName)).collect();
        let der = certificate(&subject, names);
        let value = client_certificate_value(&der).unwrap();
        prop_assert!(value.len() <= CLIENT_CERTIFICATE_BYTES);
        let value = value.to_str().unwrap();
        prop_assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        for escapes in [false, true] {
            let elements = parse(value, escapes);
            prop_assert_eq!(elements.len(), 1, "{}", value);
            let of = |key: &str| -> Vec<&str> {
                let fields = elements[0].iter().filter(|(found, _)| found == key);
                fields.map(|(_, value)| value.as_str()).collect()
            };
            prop_assert_eq!(of("Hash"), [hash(&der)]);
            let subject = of("Subject");
            prop_assert_eq!(subject.len(), 1);
            let (o, c) = subject[0].strip_prefix("O=").unwrap().split_once(",CN=").unwrap();
            prop_assert_eq!(unescaped(o), organization.as_bytes());
            prop_assert_eq!(unescaped(c), name.as_bytes());
            prop_assert!(of("URI").iter().all(|told| uris.iter().any(|uri| uri.as_str() == *told)));
            prop_assert!(of("DNS").iter().all(|told| hosts.iter().any(|dns| dns.as_str() == *told)));
            let known = 2 + of("URI").len() + of("DNS").len();
            prop_assert_eq!(elements[0].len(), known, "{}", value);
        }
    }

    /// Certificates that no issuer would write: strings with bytes that they cannot have, lengths that
    /// lie.
    #[test]
    fn broken_certificates_forge_nothing_either(
        name in hostile(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut der = certificate(&[cn(&name)], vec![dns("a.test"), uri("a:b")]);
        for (place, byte) in changes {
            let place = place.index(der.len());
            der[place] = byte;
        }
        if let Some(value) = client_certificate_value(&der) {
            let value = value.to_str().unwrap();
            for escapes in [false, true] {
                let elements = parse(value, escapes);
                prop_assert_eq!(elements.len(), 1);
                let hashes = elements[0].iter().filter(|(key, _)| key == "Hash");
                prop_assert_eq!(hashes.count(), 1);
            }
        }
    }
}
