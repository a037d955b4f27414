//! JSON Web Tokens that were verified a moment ago: one worker's memory in front of the arithmetic.
//!
//! A signature takes tens of microseconds to verify, and clients send the same token for minutes.
//! One slot a token, chosen by a hash; whoever comes later takes the slot. A hit compares every
//! byte. The memory belongs to one plan and one set of keys, so that nothing outlives either.

use std::hash::BuildHasher;
use std::rc::Rc;

use foldhash::fast::RandomState;

use crate::model::{TokenRefusal, limits::JWTS_PER_WORKER};
use crate::routing::DeploymentIndex;
use crate::tokens::VerifiedClaim;

/// The memory.
pub(super) struct Claims {
    slots: Box<[Option<Known>]>,
    /// Seeded anew, so that nobody can choose tokens that share a slot.
    hash: RandomState,
}

struct Known {
    deployment: DeploymentIndex,
    token: Box<[u8]>,
    value: Rc<str>,
    starts: u64,
    expires: u64,
}

impl Claims {
    pub(super) fn new() -> Self {
        Self { slots: Box::default(), hash: RandomState::default() }
    }

    /// What the token says in that deployment: as `verify` says, or said of the same token.
    pub(super) fn find(
        &mut self,
        deployment: DeploymentIndex,
        token: &[u8],
        now: u64,
        verify: impl FnOnce() -> Result<VerifiedClaim, TokenRefusal>,
    ) -> Result<Rc<str>, TokenRefusal> {
        if self.slots.is_empty() {
            // Only a worker that has such requests needs it.
            self.slots = (0..JWTS_PER_WORKER).map(|_| None).collect();
        }
        let place = self.hash.hash_one((deployment, token)) as usize % JWTS_PER_WORKER;
        let slot = self.slots.get_mut(place);
        if let Some(Some(known)) = &slot
            && known.deployment == deployment
            && *known.token == *token
        {
            let counts = known.starts <= now && now < known.expires;
            return if counts { Ok(Rc::clone(&known.value)) } else { Err(TokenRefusal::Expired) };
        }
        let VerifiedClaim { value, expires, starts } = verify()?;
        let value: Rc<str> = value.into();
        if let Some(slot) = slot {
            let (token, value) = (token.into(), Rc::clone(&value));
            *slot = Some(Known { deployment, token, value, starts, expires });
        }
        Ok(value)
    }
}

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claims").field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: DeploymentIndex = DeploymentIndex(0);
    const OTHER: DeploymentIndex = DeploymentIndex(1);

    fn acme() -> Result<VerifiedClaim, TokenRefusal> {
        Ok(VerifiedClaim { value: "acme".to_owned(), starts: 100, expires: 200 })
    }

    fn never() -> Result<VerifiedClaim, TokenRefusal> {
        panic!("a known token was verified again")
    }

    #[test]
    fn a_known_token_is_not_verified_again_but_its_time_is_looked_at() {
        let mut claims = Claims::new();
        assert_eq!(&*claims.find(ONE, b"t", 150, acme).unwrap(), "acme");
        assert_eq!(&*claims.find(ONE, b"t", 199, never).unwrap(), "acme");
        assert_eq!(claims.find(ONE, b"t", 200, never), Err(TokenRefusal::Expired));
        assert_eq!(claims.find(ONE, b"t", 99, never), Err(TokenRefusal::Expired));
    }

    #[test]
    fn another_token_or_deployment_is_verified_for_itself() {
        let mut claims = Claims::new();
        assert!(claims.find(ONE, b"t", 150, acme).is_ok());
        let forged = || Err(TokenRefusal::Forged);
        assert_eq!(claims.find(OTHER, b"t", 150, forged), Err(TokenRefusal::Forged));
        assert_eq!(claims.find(ONE, b"u", 150, forged), Err(TokenRefusal::Forged));
        // What was not believed is not remembered either.
        assert!(claims.find(ONE, b"u", 150, acme).is_ok());
    }

    #[test]
    fn ten_thousand_tokens_leave_no_more_than_its_slots() {
        let mut claims = Claims::new();
        for n in 0..10_000_u32 {
            let _ = claims.find(ONE, &n.to_le_bytes(), 150, acme);
        }
        assert_eq!(claims.slots.len(), JWTS_PER_WORKER);
        for n in 0..10_000_u32 {
            let token = n.to_le_bytes();
            assert_eq!(&*claims.find(ONE, &token, 150, acme).unwrap(), "acme");
        }
    }
}
