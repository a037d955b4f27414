//! Tokens that another library signs, and what others would like to pass for one.

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use super::*;

const NOW: u64 = 1_000_000;

struct Signer {
    id: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    fn ed25519(id: &'static str) -> Self {
        let key = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
        Self { id, algorithm: Algorithm::EdDSA, key: EncodingKey::from_ed_der(key.as_ref()) }
    }

    fn p256(id: &'static str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = key.to_pkcs8v1().unwrap();
        Self { id, algorithm: Algorithm::ES256, key: EncodingKey::from_ec_der(key.as_ref()) }
    }

    fn rsa(id: &'static str) -> Self {
        use aws_lc_rs::encoding::AsDer;
        let key = aws_lc_rs::signature::RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().unwrap();
        // PKCS #1 is the octet string at the end of PKCS #8 (RFC 5958 section 2).
        let der = pkcs8.as_ref();
        let at = der.windows(4).skip(4).position(|w| w[0] == 0x30 && w[1] == 0x82).unwrap() + 4;
        Self { id, algorithm: Algorithm::RS256, key: EncodingKey::from_rsa_der(&der[at..]) }
    }

    fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.to_owned());
        self.sign_with(&header, claims)
    }

    fn sign_with(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).unwrap()
    }
}

fn set(signers: &[&Signer]) -> KeySet {
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn source() -> JwtSource {
    JwtSource {
        header: http::header::AUTHORIZATION,
        claim: "tenant".into(),
        jwks: "jwks.json".into(),
        issuer: Some("https://id.example".into()),
        audience: Some("api".into()),
    }
}

fn claims() -> Value {
    json!({
        "tenant": "acme", "iss": "https://id.example", "aud": "api",
        "exp": NOW + 600, "nbf": NOW - 600,
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => claims.as_object_mut().unwrap().remove(field),
        value => claims.as_object_mut().unwrap().insert(field.to_owned(), value),
    };
    claims
}

fn verify(set: &KeySet, token: &str) -> Result<String, TokenRefusal> {
    set.verify(token.as_bytes(), &source(), NOW).map(|claim| claim.value)
}

fn forge(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn each_kind_of_key_verifies_its_own() {
    let signers = [Signer::ed25519("ed"), Signer::p256("ec"), Signer::rsa("rsa")];
    let all = set(&signers.iter().collect::<Vec<_>>());
    for signer in &signers {
        assert_eq!(verify(&all, &signer.sign(&claims())).as_deref(), Ok("acme"), "{}", signer.id);
        // Without a name: the only key of its kind.
        let unnamed = signer.sign_with(&Header::new(signer.algorithm), &claims());
        assert_eq!(verify(&all, &unnamed).as_deref(), Ok("acme"), "{}", signer.id);
    }
}

#[test]
fn the_name_picks_the_key() {
    let (a, b) = (Signer::ed25519("a"), Signer::ed25519("b"));
    let both = set(&[&a, &b]);
    assert!(verify(&both, &a.sign(&claims())).is_ok());
    assert!(verify(&both, &b.sign(&claims())).is_ok());
    assert_eq!(verify(&set(&[&a]), &b.sign(&claims())), Err(TokenRefusal::UnknownKey));
    // Two could be meant.
    let unnamed = a.sign_with(&Header::new(Algorithm::EdDSA), &claims());
    assert_eq!(verify(&both, &unnamed), Err(TokenRefusal::UnknownKey));
    let liar = Signer { id: "a", ..b };
    assert_eq!(verify(&both, &liar.sign(&claims())), Err(TokenRefusal::Forged));
}

#[test]
fn what_a_token_says_of_itself_does_not_decide_how_it_is_verified() {
    let signer = Signer::rsa("rsa");
    let keys = set(&[&signer]);
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({ "alg": none, "kid": "rsa" });
        for signature in [&b""[..], b"x"] {
            let token = forge(&header, &claims(), signature);
            assert_eq!(verify(&keys, &token), Err(TokenRefusal::Malformed), "{none}");
        }
    }
    // The public key taken for a shared secret.
    let modulus = signer.jwk()["n"].as_str().unwrap().to_owned();
    let public = URL_SAFE_NO_PAD.decode(modulus).unwrap();
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("rsa".to_owned());
    let secret = EncodingKey::from_secret(&public);
    let token = jsonwebtoken::encode(&header, &claims(), &secret).unwrap();
    assert_eq!(verify(&keys, &token), Err(TokenRefusal::UnknownKey));
    // A key of its own.
    let header = json!({ "alg": "RS256", "kid": "rsa", "jwk": Signer::rsa("x").jwk() });
    assert_eq!(verify(&keys, &forge(&header, &claims(), b"x")), Err(TokenRefusal::Forged));
    let header = json!({ "alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": false });
    assert_eq!(verify(&keys, &forge(&header, &claims(), b"x")), Err(TokenRefusal::Malformed));
}

#[test]
fn time_issuer_audience_and_the_claim_itself_are_checked() {
    let signer = Signer::ed25519("a");
    let keys = set(&[&signer]);
    let long = "x".repeat(TENANT_LENGTH + 1);
    use TokenRefusal::{Expired, Malformed, Misplaced};
    for (field, value, expected) in [
        ("exp", json!(NOW - 30), Err(Expired)),
        ("exp", json!(NOW - 29), Ok("acme")),
        ("exp", json!(f64::MAX), Ok("acme")),
        ("exp", json!(-1), Err(Expired)),
        ("exp", json!("tomorrow"), Err(Malformed)),
        ("exp", Value::Null, Err(Malformed)),
        ("nbf", json!(NOW + 31), Err(Expired)),
        ("nbf", json!(NOW + 30), Ok("acme")),
        ("nbf", json!([]), Err(Malformed)),
        ("nbf", Value::Null, Ok("acme")),
        ("iss", json!("https://id.example.org"), Err(Misplaced)),
        ("iss", Value::Null, Err(Misplaced)),
        ("aud", json!(["other", "api"]), Ok("acme")),
        ("aud", json!(["other"]), Err(Misplaced)),
        ("aud", json!({ "api": "api" }), Err(Misplaced)),
        ("aud", Value::Null, Err(Misplaced)),
        ("tenant", json!(""), Err(Malformed)),
        ("tenant", json!(17), Err(Malformed)),
        ("tenant", json!(long), Err(Malformed)),
        ("tenant", json!(long[1..]), Ok(&long[1..])),
        ("tenant", Value::Null, Err(Malformed)),
    ] {
        let token = signer.sign(&with(field, value.clone()));
        assert_eq!(
            verify(&keys, &token).as_deref(),
            expected.as_ref().copied(),
            "{field}: {value}"
        );
    }
    let lenient = JwtSource { issuer: None, audience: None, ..source() };
    let token = signer.sign(&json!({ "tenant": "acme", "exp": NOW + 1 }));
    let claim = keys.verify(token.as_bytes(), &lenient, NOW).unwrap();
    assert_eq!((claim.expires, claim.starts), (NOW + 31, 0));
}

#[test]
fn a_token_that_was_tampered_with_is_forged() {
    let signer = Signer::p256("a");
    let keys = set(&[&signer]);
    let token = signer.sign(&claims());
    let (head, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = head.split_once('.').unwrap();
    let other = URL_SAFE_NO_PAD.encode(with("tenant", json!("globex")).to_string());
    assert_eq!(verify(&keys, &format!("{header}.{other}.{signature}")), Err(TokenRefusal::Forged));
    for rubbish in ["", ".", "..", "...", "a.b.c", head, &"x".repeat(JWT_BYTES + 1)] {
        assert_eq!(verify(&keys, rubbish), Err(TokenRefusal::Malformed), "{rubbish}");
    }
}

#[test]
fn only_keys_that_verify_are_taken_up() {
    let good = Signer::ed25519("a").jwk();
    let shared = json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "HS256" });
    let curve = json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA" });
    let sealing = {
        let mut key = Signer::rsa("r").jwk();
        key["use"] = json!("enc");
        key
    };
    let parse = |keys: Value| KeySet::parse(json!({ "keys": keys }).to_string().as_bytes());
    for useless in [&shared, &curve, &sealing, &json!({ "kty": "new" }), &json!(3)] {
        assert!(matches!(parse(json!([useless])), Err(KeySetError::NoneUsable)), "{useless}");
        assert_eq!(parse(json!([useless, good])).unwrap().0.len(), 1);
    }
    assert!(matches!(parse(json!([])), Err(KeySetError::NoneUsable)));
    assert!(matches!(parse(json!(vec![good; JWKS_KEYS + 1])), Err(KeySetError::TooMany(_))));
    assert!(matches!(KeySet::parse(b"{"), Err(KeySetError::Json(_))));
    assert!(matches!(KeySet::parse(b"[]"), Err(KeySetError::Json(_))));
}
