//! JSON Web Tokens (RFC 7519) of others: a key set (RFC 7517), and the one claim that is asked for.
//!
//! Only asymmetric algorithms, and of a key only those that fit its own kind: what a token says of
//! itself never decides how it is verified (RFC 8725 section 3.1). Nothing of a token is used before
//! its signature has been checked. The arithmetic is the `jsonwebtoken` crate's.

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation};
use serde_json::{Map, Value};

use crate::config::JwtSource;
use crate::model::TokenRefusal;
use crate::model::limits::{JWKS_KEYS, JWT_BYTES, JWT_LEEWAY, TENANT_LENGTH};

/// Keys that verify.
pub struct KeySet(Box<[PublicKey]>);

struct PublicKey {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// A key set that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// It is not JSON of the form `{"keys": [...]}`.
    #[error("it is not JSON of the form {{\"keys\": [...]}}")]
    Json(#[from] serde_json::Error),
    /// It has too many keys.
    #[error("it has {0} keys; up to {max} are allowed", max = JWKS_KEYS)]
    TooMany(usize),
    /// None of its keys verifies a signature.
    #[error("none of its keys can be used: RSA, EC on P-256 or P-384, and Ed25519 can")]
    NoneUsable,
}

#[derive(serde::Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// A claim of a token whose signature fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedClaim {
    /// Its text.
    pub value: String,
    /// From then on it counts no more, in Unix seconds.
    pub expires: u64,
    /// Until then it does not count yet.
    pub starts: u64,
}

impl KeySet {
    /// Reads a JSON Web Key Set. Keys of kinds that are not used here are passed over, as RFC 7517
    /// section 5 has it.
    ///
    /// # Errors
    ///
    /// When no key is left.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        let Document { keys } = serde_json::from_slice(text)?;
        if keys.len() > JWKS_KEYS {
            return Err(KeySetError::TooMany(keys.len()));
        }
        let keys: Box<[_]> = keys.into_iter().filter_map(PublicKey::of).collect();
        if keys.is_empty() {
            return Err(KeySetError::NoneUsable);
        }
        Ok(Self(keys))
    }

    /// The claim that `source` asks for, of a token that one of these keys has signed and whose
    /// time `now` is.
    ///
    /// # Errors
    ///
    /// Why the token is not believed.
    pub fn verify(
        &self,
        token: &[u8],
        source: &JwtSource,
        now: u64,
    ) -> Result<VerifiedClaim, TokenRefusal> {
        if token.len() > JWT_BYTES {
            return Err(TokenRefusal::Malformed);
        }
        // Also refuses `none`, which is no algorithm here.
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenRefusal::Malformed)?;
        if header.crit.is_some() {
            // Extensions that must be understood (RFC 7515 section 4.1.11): none is.
            return Err(TokenRefusal::Malformed);
        }
        let key = self.find(header.kid.as_deref(), header.alg).ok_or(TokenRefusal::UnknownKey)?;
        let decoded: TokenData<Map<String, Value>> =
            jsonwebtoken::decode(token, &key.key, &signature_only(header.alg))
                .map_err(|_| TokenRefusal::Forged)?;
        claim(&decoded.claims, source, now)
    }

    /// The key of that name; without a name the only one of the algorithm.
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&PublicKey> {
        let mut fitting = self.0.iter().filter(|key| key.algorithms.contains(&algorithm));
        match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }
}

/// Time, issuer and audience are checked here, against this request's clock.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

fn claim(
    claims: &Map<String, Value>,
    source: &JwtSource,
    now: u64,
) -> Result<VerifiedClaim, TokenRefusal> {
    let moment = |name| match claims.get(name) {
        None => Ok(None),
        Some(value) => {
            value.as_f64().map(|at| Some(at.max(0.0) as u64)).ok_or(TokenRefusal::Malformed)
        }
    };
    let leeway = JWT_LEEWAY.as_secs();
    // A token without end could never be taken back.
    let expires = moment("exp")?.ok_or(TokenRefusal::Malformed)?.saturating_add(leeway);
    let starts = moment("nbf")?.unwrap_or(0).saturating_sub(leeway);
    if now >= expires || now < starts {
        return Err(TokenRefusal::Expired);
    }
    let is = |value: Option<&Value>, expected: &str| match value {
        Some(Value::String(text)) => text == expected,
        Some(Value::Array(list)) => list.iter().any(|value| value.as_str() == Some(expected)),
        _ => false,
    };
    let issued = source
        .issuer
        .as_deref()
        .is_none_or(|issuer| claims.get("iss").and_then(Value::as_str) == Some(issuer));
    let meant = source.audience.as_deref().is_none_or(|audience| is(claims.get("aud"), audience));
    if !issued || !meant {
        return Err(TokenRefusal::Misplaced);
    }
    let value = claims.get(&*source.claim).and_then(Value::as_str);
    let value = value.filter(|value| !value.is_empty() && value.len() <= TENANT_LENGTH);
    let value = value.ok_or(TokenRefusal::Malformed)?.to_owned();
    Ok(VerifiedClaim { value, expires, starts })
}

impl PublicKey {
    fn of(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let mut algorithms = algorithms(&jwk.algorithm);
        if let Some(only) = jwk.common.key_algorithm {
            let only = Algorithm::try_from(only).ok()?;
            algorithms.retain(|algorithm| *algorithm == only);
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        (!algorithms.is_empty()).then_some(Self { id: jwk.common.key_id, algorithms, key })
    }
}

/// What a key of that kind may verify. Shared secrets verify nothing: whoever knows one can sign.
fn algorithms(parameters: &AlgorithmParameters) -> Vec<Algorithm> {
    match parameters {
        AlgorithmParameters::RSA(_) => vec![
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => Vec::new(),
        },
        AlgorithmParameters::OctetKeyPair(key) => match key.curve {
            EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.iter().map(|key| (&key.id, &key.algorithms));
        f.debug_list().entries(keys).finish()
    }
}

#[cfg(test)]
mod tests;
