//! Names with values in a query or in cookies.
//!
//! Reads what is there and no more: what is malformed is taken as it stands, never refused, since
//! an origin may understand it.

use arrayvec::ArrayVec;
use http::HeaderMap;
use http::header::COOKIE;

use crate::model::limits::URI_BYTES;

/// Room to decode one name or one value.
pub(super) type Room = ArrayVec<u8, URI_BYTES>;

/// The parameters of a query (without its `?`), not decoded. One without `=` has an empty value.
pub(super) fn of_query(query: &str) -> impl Iterator<Item = (&[u8], &[u8])> {
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    parameters.map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        (name.as_bytes(), value.as_bytes())
    })
}

/// The cookies of a request (RFC 6265, section 4.2.1), over all its lines. Quotes are part of a
/// value, as they are for browsers; what has no `=` is no cookie.
pub(super) fn of_cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = headers.get_all(COOKIE).into_iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(|pair| {
        let pair = pair.trim_ascii();
        let equals = memchr::memchr(b'=', pair)?;
        Some((pair.get(..equals)?, pair.get(equals + 1..)?))
    })
}

/// The text with `%` escapes and `+` decoded; an escape that is none stays as it is. `None`: it has
/// more bytes than a request target may have.
pub(super) fn decoded<'a>(text: &'a [u8], room: &'a mut Room) -> Option<&'a [u8]> {
    let Some(clean) = memchr::memchr2(b'%', b'+', text) else { return Some(text) };
    room.clear();
    let (clean, mut rest) = text.split_at_checked(clean)?;
    room.try_extend_from_slice(clean).ok()?;
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'+', after) => (b' ', after),
            (b'%', [high, low, behind @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, behind),
                _ => (b'%', after),
            },
            (byte, after) => (*byte, after),
        };
        room.try_push(byte).ok()?;
        rest = after;
    }
    Some(room)
}

/// The value of a hexadecimal digit.
fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
