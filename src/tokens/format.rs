//! The bytes of a token before they are signed.
//!
//! ```text
//! version 1 | purpose 1 | key id 1+n | issued 8 | expires 8 | deployment 1+n | subject 2+n
//! ```
//!
//! Numbers are big-endian, texts have their length before them. Every field is read to the last
//! byte: two different payloads never mean the same, and nothing may follow. Signing is `keyring`.

use crate::model::limits::TOKEN_BYTES;

/// What a token is good for. Part of what is signed, so that none can stand in for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The region that a client stays at.
    Affinity,
    /// The region of a client's last write.
    Written,
    /// A region that is preferred.
    Prefer,
    /// The only region that will do.
    Force,
    /// The decision may be seen.
    Explain,
    /// The Rhumbs that a request has passed.
    Hops,
}

impl Purpose {
    const ALL: [Self; 6] =
        [Self::Affinity, Self::Written, Self::Prefer, Self::Force, Self::Explain, Self::Hops];

    const fn code(self) -> u8 {
        match self {
            Self::Affinity => b'a',
            Self::Written => b'w',
            Self::Prefer => b'p',
            Self::Force => b'f',
            Self::Explain => b'e',
            Self::Hops => b'h',
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.code() == code)
    }
}

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// What it is good for.
    pub purpose: Purpose,
    /// The deployment it is for; empty: it belongs to none.
    pub deployment: &'a str,
    /// A region's id, or whatever the purpose calls for.
    pub subject: &'a str,
    /// When it was made, in Unix seconds.
    pub issued: u64,
    /// From then on it counts no more; `None`: it has no end.
    pub expires: Option<u64>,
}

const VERSION: u8 = 1;
/// Stands for "no end": a moment that never comes.
const NEVER: u64 = u64::MAX;

/// A payload with room for the longest.
pub(super) type Payload = arrayvec::ArrayVec<u8, TOKEN_BYTES>;

/// The payload of a claim that the key of that id is going to sign; `None` if it is too long.
pub(super) fn write(claim: &Claim<'_>, key: &str) -> Option<Payload> {
    let mut bytes = Payload::new();
    bytes.try_push(VERSION).ok()?;
    bytes.try_push(claim.purpose.code()).ok()?;
    short(&mut bytes, key)?;
    bytes.try_extend_from_slice(&claim.issued.to_be_bytes()).ok()?;
    bytes.try_extend_from_slice(&claim.expires.unwrap_or(NEVER).to_be_bytes()).ok()?;
    short(&mut bytes, claim.deployment)?;
    let length = u16::try_from(claim.subject.len()).ok()?;
    bytes.try_extend_from_slice(&length.to_be_bytes()).ok()?;
    bytes.try_extend_from_slice(claim.subject.as_bytes()).ok()?;
    Some(bytes)
}

fn short(bytes: &mut Payload, text: &str) -> Option<()> {
    bytes.try_push(u8::try_from(text.len()).ok()?).ok()?;
    bytes.try_extend_from_slice(text.as_bytes()).ok()
}

/// The id of the key, and what the payload says; `None` if it is no payload.
pub(super) fn read(payload: &[u8]) -> Option<(&str, Claim<'_>)> {
    let mut rest = payload;
    if take(&mut rest, 1)? != [VERSION] {
        return None;
    }
    let purpose = Purpose::of_code(*take(&mut rest, 1)?.first()?)?;
    let key = short_text(&mut rest)?;
    let issued = number(&mut rest)?;
    let expires = number(&mut rest)?;
    let deployment = short_text(&mut rest)?;
    let length = u16::from_be_bytes(take(&mut rest, 2)?.try_into().ok()?);
    let subject = std::str::from_utf8(take(&mut rest, usize::from(length))?).ok()?;
    let expires = Some(expires).filter(|expires| *expires != NEVER);
    let claim = Claim { purpose, deployment, subject, issued, expires };
    rest.is_empty().then_some((key, claim))
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

fn short_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = *take(rest, 1)?.first()?;
    std::str::from_utf8(take(rest, usize::from(length))?).ok()
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(take(rest, 8)?.try_into().ok()?))
}
