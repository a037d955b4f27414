//! Who says so: tokens that Rhumb signs, and tokens of others that it verifies.
//!
//! [`Keyring`] signs and opens Rhumb's own (HMAC-SHA256); [`KeySet`] verifies JSON Web Tokens (RFC
//! 7519). Nothing is believed before its signature has been checked. How a token travels (a cookie,
//! a header) and what follows from one is not known here.

mod format;
mod jwt;
mod keyring;
mod keys;

pub use format::{Claim, Purpose};
pub use jwt::{KeySet, KeySetError, VerifiedClaim};
pub use keyring::{Keyring, Opened};
pub use keys::{Keys, KeysError};
