//! Signing Rhumb's own tokens, and opening them again.
//!
//! A token is `base64url(payload | HMAC-SHA256(payload))` without padding. The first key signs, all
//! verify: a new key is put in front, and the old one is taken out once its tokens have expired.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::format::{self, Claim, Purpose};
use crate::config::SigningKey;
use crate::model::TokenRefusal;
use crate::model::limits::{TOKEN_BYTES, TOKEN_TEXT_BYTES};

const TAG_BYTES: usize = 32;
/// Keeps what is signed here apart from whatever else the same secret may sign.
const CONTEXT: &[u8] = b"rhumb token";

/// The keys that sign and verify.
#[derive(Default)]
pub struct Keyring(Box<[Key]>);

struct Key {
    id: Arc<str>,
    hmac: hmac::Key,
}

/// A token that was opened: its signature fits, it is for here, and its time is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    subject: arrayvec::ArrayString<TOKEN_BYTES>,
    /// When it was made, in Unix seconds.
    pub issued: u64,
    /// From then on it counts no more.
    pub expires: Option<u64>,
}

impl Opened {
    /// What it names.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

impl Keyring {
    /// With these keys, in that order.
    pub fn new(keys: &[SigningKey]) -> Self {
        let keys = keys.iter().map(|key| Key {
            id: Arc::clone(&key.id),
            hmac: hmac::Key::new(hmac::HMAC_SHA256, &key.secret),
        });
        Self(keys.collect())
    }

    /// Whether nothing can be signed or verified.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The token that says so; `None` without a key, or when it would be too long.
    pub fn sign(&self, claim: &Claim<'_>) -> Option<String> {
        let key = self.0.first()?;
        let mut bytes = format::write(claim, &key.id)?;
        let tag = key.tag(&bytes);
        bytes.try_extend_from_slice(tag.as_ref()).ok()?;
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What a token says, if it was signed here, is for that purpose and deployment, and its time
    /// is not over.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    pub fn open(
        &self,
        text: &[u8],
        purpose: Purpose,
        deployment: &str,
        now: u64,
    ) -> Result<Opened, TokenRefusal> {
        if text.len() > TOKEN_TEXT_BYTES {
            return Err(TokenRefusal::Malformed);
        }
        let mut buffer = [0; TOKEN_BYTES];
        let length =
            URL_SAFE_NO_PAD.decode_slice(text, &mut buffer).map_err(|_| TokenRefusal::Malformed)?;
        let bytes = buffer.get(..length).ok_or(TokenRefusal::Malformed)?;
        let (payload, tag) =
            bytes.split_last_chunk::<TAG_BYTES>().ok_or(TokenRefusal::Malformed)?;
        let (key, claim) = format::read(payload).ok_or(TokenRefusal::Malformed)?;
        let key = self.0.iter().find(|known| *known.id == *key).ok_or(TokenRefusal::UnknownKey)?;
        if !key.signed(payload, tag) {
            return Err(TokenRefusal::Forged);
        }
        if claim.purpose != purpose || claim.deployment != deployment {
            return Err(TokenRefusal::Misplaced);
        }
        if claim.expires.is_some_and(|expires| expires <= now) {
            return Err(TokenRefusal::Expired);
        }
        let subject = claim.subject.try_into().map_err(|_| TokenRefusal::Malformed)?;
        Ok(Opened { subject, issued: claim.issued, expires: claim.expires })
    }
}

impl Key {
    fn tag(&self, payload: &[u8]) -> hmac::Tag {
        let mut signing = hmac::Context::with_key(&self.hmac);
        signing.update(CONTEXT);
        signing.update(payload);
        signing.sign()
    }

    /// In constant time, as to where the first difference is.
    fn signed(&self, payload: &[u8], tag: &[u8; TAG_BYTES]) -> bool {
        let expected = self.tag(payload);
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref(), tag).is_ok()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(id: &str, byte: u8) -> SigningKey {
        SigningKey { id: id.into(), secret: [byte; 32].as_slice().into() }
    }

    fn claim(purpose: Purpose) -> Claim<'static> {
        Claim {
            purpose,
            deployment: "api",
            subject: "eu-west-1",
            issued: 1_000,
            expires: Some(2_000),
        }
    }

    const PURPOSES: [Purpose; 6] = [
        Purpose::Affinity,
        Purpose::Written,
        Purpose::Prefer,
        Purpose::Force,
        Purpose::Explain,
        Purpose::Hops,
    ];

    #[test]
    fn a_token_opens_only_for_its_purpose_its_deployment_and_its_time() {
        let ring = Keyring::new(&[key("a", 1)]);
        for made in PURPOSES {
            let token = ring.sign(&claim(made)).unwrap();
            for asked in PURPOSES {
                let opened = ring.open(token.as_bytes(), asked, "api", 1_500);
                if made == asked {
                    let opened = opened.unwrap();
                    assert_eq!(opened.subject(), "eu-west-1");
                    assert_eq!((opened.issued, opened.expires), (1_000, Some(2_000)));
                } else {
                    assert_eq!(opened, Err(TokenRefusal::Misplaced), "{made:?} as {asked:?}");
                }
            }
            let at = |deployment, now| ring.open(token.as_bytes(), made, deployment, now);
            assert_eq!(at("ap", 1_500), Err(TokenRefusal::Misplaced));
            assert_eq!(at("api", 2_000), Err(TokenRefusal::Expired));
            assert!(at("api", 1_999).is_ok());
        }
    }

    #[test]
    fn a_token_without_end_has_none() {
        let ring = Keyring::new(&[key("a", 1)]);
        let token = ring.sign(&Claim { expires: None, ..claim(Purpose::Affinity) }).unwrap();
        let opened = ring.open(token.as_bytes(), Purpose::Affinity, "api", u64::MAX).unwrap();
        assert_eq!(opened.expires, None);
    }

    #[test]
    fn keys_are_rotated_by_putting_the_new_one_in_front() {
        let old = Keyring::new(&[key("a", 1)]);
        let both = Keyring::new(&[key("b", 2), key("a", 1)]);
        let new = Keyring::new(&[key("b", 2)]);
        let open =
            |ring: &Keyring, token: &str| ring.open(token.as_bytes(), Purpose::Force, "api", 0);
        let by_old = old.sign(&claim(Purpose::Force)).unwrap();
        let by_new = both.sign(&claim(Purpose::Force)).unwrap();
        assert!(open(&both, &by_old).is_ok() && open(&both, &by_new).is_ok());
        assert!(open(&new, &by_new).is_ok());
        assert_eq!(open(&new, &by_old), Err(TokenRefusal::UnknownKey));
        assert_eq!(open(&old, &by_new), Err(TokenRefusal::UnknownKey));
        // The same name with another secret is another key.
        let thief = Keyring::new(&[key("a", 9)]);
        assert_eq!(
            open(&old, &thief.sign(&claim(Purpose::Force)).unwrap()),
            Err(TokenRefusal::Forged)
        );
    }

    #[test]
    fn without_keys_nothing_is_signed_or_believed() {
        let none = Keyring::default();
        assert!(none.is_empty());
        assert_eq!(none.sign(&claim(Purpose::Force)), None);
        let token = Keyring::new(&[key("a", 1)]).sign(&claim(Purpose::Force)).unwrap();
        let opened = none.open(token.as_bytes(), Purpose::Force, "api", 0);
        assert_eq!(opened, Err(TokenRefusal::UnknownKey));
    }

    #[test]
    fn what_is_too_long_is_neither_signed_nor_read() {
        let ring = Keyring::new(&[key("a", 1)]);
        let long = "x".repeat(TOKEN_BYTES);
        assert_eq!(ring.sign(&Claim { subject: &long, ..claim(Purpose::Hops) }), None);
        let long = "A".repeat(TOKEN_TEXT_BYTES + 1);
        let opened = ring.open(long.as_bytes(), Purpose::Hops, "", 0);
        assert_eq!(opened, Err(TokenRefusal::Malformed));
        let most = "A".repeat(TOKEN_TEXT_BYTES);
        assert!(ring.open(most.as_bytes(), Purpose::Hops, "", 0).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_signed_is_read_again(
            deployment in "[a-z0-9.-]{0,64}",
            subject in "\\PC{0,100}",
            issued: u64,
            expires in proptest::option::of(1..u64::MAX),
        ) {
            let ring = Keyring::new(&[key("k1", 3)]);
            let claim = Claim {
                purpose: Purpose::Affinity,
                deployment: &deployment,
                subject: &subject,
                issued,
                expires,
            };
            let token = ring.sign(&claim).unwrap();
            let opened = ring.open(token.as_bytes(), Purpose::Affinity, &deployment, 0).unwrap();
            prop_assert_eq!(opened.subject(), subject);
            prop_assert_eq!((opened.issued, opened.expires), (issued, expires));
        }

        #[test]
        fn one_changed_byte_is_one_too_many(at in 0_usize..1_000, byte: u8) {
            let ring = Keyring::new(&[key("a", 1)]);
            let token = ring.sign(&claim(Purpose::Written)).unwrap();
            let mut changed = token.clone().into_bytes();
            let at = at % changed.len();
            prop_assume!(changed[at] != byte);
            changed[at] = byte;
            prop_assert!(ring.open(&changed, Purpose::Written, "api", 1_500).is_err());
            prop_assert!(ring.open(&token.as_bytes()[..at], Purpose::Written, "api", 1_500).is_err());
        }

        #[test]
        fn rubbish_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let ring = Keyring::new(&[key("a", 1)]);
            prop_assert!(ring.open(&bytes, Purpose::Written, "api", 0).is_err());
            let encoded = URL_SAFE_NO_PAD.encode(&bytes);
            prop_assert!(ring.open(encoded.as_bytes(), Purpose::Written, "api", 0).is_err());
        }
    }
}
