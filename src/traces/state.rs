//! `tracestate` (W3C Trace Context, level 2): what others have written in it, checked and passed on.
//!
//! Pure. Rhumb has no entry of its own in it: what it has to say of a request is in its spans.

use crate::model::limits::{TRACESTATE_BYTES, TRACESTATE_MEMBERS};
use crate::model::list;

/// Longest key, and longest value.
const WORD_BYTES: usize = 256;
/// Members that are longer go first when there is not room for all.
const LONG_MEMBER_BYTES: usize = 128;

/// What is sent in place of what came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The same: there is one line, and it is good.
    Same,
    /// This.
    Other(Vec<u8>),
    /// Nothing: there is nothing in it, or it cannot be understood.
    Nothing,
}

/// What becomes of these lines, which are one list (RFC 9110 section 5.3). One bad member spoils it:
/// who takes such a list apart may find other members in it.
pub fn passed_on<'a>(lines: impl Iterator<Item = &'a [u8]>) -> State {
    let mut members: Vec<&[u8]> = Vec::new();
    let (mut count, mut length) = (0, 0);
    for line in lines {
        count += 1;
        for member in list::members([line]).filter(|member| !member.is_empty()) {
            if members.len() == TRACESTATE_MEMBERS || !is_member(member) {
                return State::Nothing;
            }
            length += member.len() + 1;
            members.push(member);
        }
        // Of a single line, blanks count as well: it may be sent as it is.
        length = length.max(line.len());
    }
    match (members.is_empty(), count) {
        (true, _) => State::Nothing,
        (false, 1) if length <= TRACESTATE_BYTES => State::Same,
        _ => State::Other(shortened(members).join(&b',')),
    }
}

/// As many members as there is room for: long ones are left out first, then those at the end, which
/// are the oldest.
fn shortened(mut members: Vec<&[u8]>) -> Vec<&[u8]> {
    let too_long = |members: &[&[u8]]| {
        let commas = members.len().saturating_sub(1);
        members.iter().map(|member| member.len()).sum::<usize>() + commas > TRACESTATE_BYTES
    };
    while too_long(&members) {
        let long = members.iter().rposition(|member| member.len() > LONG_MEMBER_BYTES);
        members.remove(long.unwrap_or(members.len() - 1));
    }
    members
}

fn is_member(member: &[u8]) -> bool {
    let Some(equals) = member.iter().position(|byte| *byte == b'=') else { return false };
    let (key, value) = member.split_at(equals);
    is_key(key) && value.split_first().is_some_and(|(_, value)| is_value(value))
}

fn is_key(key: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    key.len() <= WORD_BYTES
        && key.first().is_some_and(plain)
        && key.iter().all(|byte| plain(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@'))
}

/// Blanks may stand anywhere but at its end, where they have been taken off.
fn is_value(value: &[u8]) -> bool {
    let visible = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    (1..=WORD_BYTES).contains(&value.len()) && value.iter().all(visible)
}
