//! OCSP responses that are stapled (RFC 6960): whether one is what it should be, and until when.
//!
//! Signatures are for clients to verify; a response that none would accept is found out there. Nothing
//! is fetched: whoever renews the certificate writes the file.

use x509_parser::asn1_rs::{Any, Class, FromDer, GeneralizedTime, Tag};

/// Numbers of `id-pkix-ocsp-basic`.
const BASIC: &str = "1.3.6.1.5.5.7.48.1.1";
/// Single responses that are looked at.
const RESPONSES: usize = 64;

/// Why a file cannot be stapled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StapleError {
    /// It is something else.
    #[error("it is not an OCSP response in DER; `openssl ocsp -respout` writes one")]
    Unreadable,
    /// The responder had nothing to say.
    #[error("it is not an answer: the responder refused with status {0}; ask it again")]
    Refused(u8),
    /// It is about others.
    #[error("it is about another certificate; ask for the one that it lies beside")]
    OtherCertificate,
}

/// What a response says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Staple {
    pub(super) status: Status,
    /// From then on clients expect a newer one, in Unix seconds; `None`: it does not say.
    pub(super) next_update: Option<i64>,
}

/// Whether a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Good,
    Revoked,
    Unknown,
}

/// What `der` says of the certificate with that serial number.
pub(super) fn read(der: &[u8], serial: &[u8]) -> Result<Staple, StapleError> {
    let mut response = Fields::of(&one(der, Tag::Sequence)?);
    match response.take(Tag::Enumerated)?.data {
        [0] => {}
        [status] => return Err(StapleError::Refused(*status)),
        _ => return Err(StapleError::Unreadable),
    }
    let bytes = response.context(0)?.ok_or(StapleError::Unreadable)?;
    let mut bytes = Fields::of(&one(bytes.data, Tag::Sequence)?);
    let kind = bytes.take(Tag::Oid)?.oid().map_err(|_| StapleError::Unreadable)?;
    if kind.to_id_string() != BASIC {
        return Err(StapleError::Unreadable);
    }
    let basic = bytes.take(Tag::OctetString)?;
    let mut basic = Fields::of(&one(basic.data, Tag::Sequence)?);
    let mut data = Fields::of(&basic.take(Tag::Sequence)?);
    data.context(0)?;
    if data.context(1)?.is_none() {
        data.context(2)?.ok_or(StapleError::Unreadable)?;
    }
    data.take(Tag::GeneralizedTime)?;
    let mut responses = Fields::of(&data.take(Tag::Sequence)?);
    for _ in 0..RESPONSES {
        if responses.is_empty() {
            break;
        }
        if let Some(staple) = single(&responses.take(Tag::Sequence)?, serial)? {
            return Ok(staple);
        }
    }
    Err(StapleError::OtherCertificate)
}

/// One `SingleResponse`; `None` where it is about another certificate.
fn single(response: &Any<'_>, serial: &[u8]) -> Result<Option<Staple>, StapleError> {
    let mut fields = Fields::of(response);
    let mut id = Fields::of(&fields.take(Tag::Sequence)?);
    id.take(Tag::Sequence)?;
    id.take(Tag::OctetString)?;
    id.take(Tag::OctetString)?;
    if unsigned(id.take(Tag::Integer)?.data) != unsigned(serial) {
        return Ok(None);
    }
    let status = match fields.next()? {
        any if any.class() != Class::ContextSpecific => return Err(StapleError::Unreadable),
        any if any.tag().0 == 0 => Status::Good,
        any if any.tag().0 == 1 => Status::Revoked,
        _ => Status::Unknown,
    };
    fields.take(Tag::GeneralizedTime)?;
    let next_update = match fields.context(0)? {
        Some(next) => Some(time(&one(next.data, Tag::GeneralizedTime)?)?),
        None => None,
    };
    Ok(Some(Staple { status, next_update }))
}

/// A number without the zeros that some put before it.
fn unsigned(mut bytes: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn time(value: &Any<'_>) -> Result<i64, StapleError> {
    let time = GeneralizedTime::try_from(value).and_then(|time| time.utc_datetime());
    let Ok(time) = time else { return Err(StapleError::Unreadable) };
    Ok(time.unix_timestamp())
}

/// The one value that `bytes` consist of.
fn one(bytes: &[u8], tag: Tag) -> Result<Any<'_>, StapleError> {
    let mut fields = Fields(bytes);
    let value = fields.take(tag)?;
    if fields.is_empty() { Ok(value) } else { Err(StapleError::Unreadable) }
}

/// The values of a sequence, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn of(sequence: &Any<'a>) -> Self {
        Self(sequence.data)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn next(&mut self) -> Result<Any<'a>, StapleError> {
        let (rest, value) = Any::from_der(self.0).map_err(|_| StapleError::Unreadable)?;
        self.0 = rest;
        Ok(value)
    }

    /// The next value, which is of that kind.
    fn take(&mut self, tag: Tag) -> Result<Any<'a>, StapleError> {
        let value = self.next()?;
        let as_expected = value.class() == Class::Universal && value.tag() == tag;
        if as_expected { Ok(value) } else { Err(StapleError::Unreadable) }
    }

    /// The next value, if it has that tag of the surrounding type.
    fn context(&mut self, tag: u32) -> Result<Option<Any<'a>>, StapleError> {
        if self.is_empty() {
            return Ok(None);
        }
        let before = self.0;
        let value = self.next()?;
        if value.class() == Class::ContextSpecific && value.tag().0 == tag {
            return Ok(Some(value));
        }
        self.0 = before;
        Ok(None)
    }
}
