//! The path of a request in its normal form (RFC 3986 section 6.2.2): the one that is routed, that
//! rules, tenants and residency read, and that the origin gets.
//!
//! Escapes of unreserved characters are undone, other escapes get upper case digits, dot segments
//! and repeated slashes are taken out. What an origin could read in another way than Rhumb does is
//! refused. Most paths are normal already: they cost one pass and no allocation. Not here: the
//! query, which is nobody's business but the origin's.

use std::borrow::Cow;

use crate::config::{DotSegments, EncodedSlash, RepeatedSlash, RequestRules};

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not `/` first.
    #[error("it does not start with `/`")]
    Relative,
    /// A control character, a space or the like, as it is or escaped.
    #[error("it has a character that no path may have")]
    Character,
    /// `\`: a slash to some.
    #[error("it has a backslash")]
    Backslash,
    /// `%` without two hexadecimal digits.
    #[error("it has a `%` that two hexadecimal digits do not follow")]
    Escape,
    /// `%2F` or `%5C` where they are not wanted.
    #[error("it has an encoded slash, which `requests.encoded_slash` refuses")]
    EncodedSlash,
    /// `//` where it is not wanted.
    #[error("it has `//`, which `requests.repeated_slash` refuses")]
    RepeatedSlash,
    /// `.` or `..` where they are not wanted.
    #[error("it has a dot segment, which `requests.dot_segments` refuses")]
    DotSegment,
    /// More `..` than segments before them.
    #[error("it leads above the root")]
    AboveRoot,
    /// `.` or `..` that only some would see: beside an encoded slash, or with parameters.
    #[error("it has a dot segment that not everyone would take for one")]
    HiddenDots,
}

/// The normal form of `path`, borrowed if it is that already.
///
/// `path` is one that `http` has parsed, or [`is_path`] says that it could be.
///
/// # Errors
///
/// What is wrong with it.
#[inline]
pub fn normal_path<'a>(path: &'a str, rules: &RequestRules) -> Result<Cow<'a, str>, PathError> {
    if is_plain(path.as_bytes()) {
        return Ok(Cow::Borrowed(path));
    }
    normalised(path, rules)
}

/// Whether it has only bytes that a request could bring: for paths that are described.
pub fn is_path(path: &str) -> bool {
    path.bytes().all(|byte| byte != b'?' && byte != b'#' && !is_foreign(byte))
}

/// Bytes that `http` takes in no path.
const fn is_foreign(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b'<' | b'>' | b'`' | 0x7f)
}

const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// High bits where a byte of `word` is `byte`; maybe also right above such a byte.
const fn equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ (EACH * byte as u64);
    difference.wrapping_sub(EACH) & !difference & HIGH
}

/// Whether nothing has to be looked at closely: no escape, no backslash, no `//` and no `/.`.
///
/// Eight bytes at a time, the last eight maybe twice. Bits above a real match may be set wrongly,
/// which only makes a path that is looked at in any case look worse: `.` behind `/` may pass for
/// `/`, and the two are looked for together.
fn is_plain(path: &[u8]) -> bool {
    let (words, rest) = path.as_chunks();
    let (Some(first), Some(last)) = (path.first(), path.last_chunk()) else {
        return is_plain_and_short(path);
    };
    let (mut found, mut slash) = (u64::from(*first != b'/'), 0);
    for word in words {
        (found, slash) = look(u64::from_le_bytes(*word), found, slash);
    }
    if !rest.is_empty() {
        found = look(u64::from_le_bytes(*last), found, 0).0;
    }
    found == 0
}

fn is_plain_and_short(path: &[u8]) -> bool {
    let mut before = b'a';
    path.first() == Some(&b'/')
        && path.iter().all(|byte| {
            let pair = before == b'/' && matches!(byte, b'/' | b'.');
            before = *byte;
            !pair && !matches!(byte, b'%' | b'\\')
        })
}

/// What was `found` so far, and this word; `slash` has its high bit set if a slash is before it.
#[inline]
const fn look(word: u64, found: u64, slash: u64) -> (u64, u64) {
    let slashes = equal(word, b'/');
    let behind = slashes << 8 | slash >> 56;
    let odd = equal(word, b'%') | equal(word, b'\\');
    (found | odd | behind & (slashes | equal(word, b'.')), slashes)
}

/// What comes next in a path.
enum Unit {
    Slash,
    /// `%2F` or `%5C` that stays.
    EncodedSlash([u8; 3]),
    Byte(u8),
    Escape([u8; 3]),
}

fn normalised<'a>(path: &'a str, rules: &RequestRules) -> Result<Cow<'a, str>, PathError> {
    let mut rest = path.as_bytes().strip_prefix(b"/").ok_or(PathError::Relative)?;
    let mut output = Output { source: path, same: 1, changed: None };
    let mut segment = Segment { start: 1, encoded_slash: false };
    while let Some(unit) = unit(&mut rest, rules)? {
        match unit {
            Unit::Slash => segment = segment.close(&mut output, rules, false)?,
            Unit::EncodedSlash(text) => {
                segment.encoded_slash = true;
                output.push(&text);
            }
            Unit::Escape(text) => output.push(&text),
            Unit::Byte(byte) => output.push(&[byte]),
        }
    }
    segment.close(&mut output, rules, true)?;
    output.into_text()
}

/// Takes the next unit off `rest`.
fn unit(rest: &mut &[u8], rules: &RequestRules) -> Result<Option<Unit>, PathError> {
    let Some((byte, after)) = rest.split_first() else { return Ok(None) };
    *rest = after;
    match *byte {
        b'/' => return Ok(Some(Unit::Slash)),
        b'\\' => return Err(PathError::Backslash),
        b'%' => {}
        byte if is_foreign(byte) => return Err(PathError::Character),
        byte => return Ok(Some(Unit::Byte(byte))),
    }
    let Some(([high, low], after)) = after.split_first_chunk() else {
        return Err(PathError::Escape);
    };
    *rest = after;
    let value = digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low);
    let text = [b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()];
    match value.ok_or(PathError::Escape)? {
        b'/' | b'\\' => match rules.encoded_slash {
            EncodedSlash::Keep => Ok(Some(Unit::EncodedSlash(text))),
            EncodedSlash::Decode => Ok(Some(Unit::Slash)),
            EncodedSlash::Refuse => Err(PathError::EncodedSlash),
        },
        byte if is_unreserved(byte) => Ok(Some(Unit::Byte(byte))),
        byte if byte.is_ascii_control() => Err(PathError::Character),
        _ => Ok(Some(Unit::Escape(text))),
    }
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The segment that is being read.
struct Segment {
    /// Where it starts in the output, which has a slash before it.
    start: usize,
    encoded_slash: bool,
}

impl Segment {
    /// Ends it, at a slash or with the path; the next one.
    fn close(
        self,
        output: &mut Output<'_>,
        rules: &RequestRules,
        last: bool,
    ) -> Result<Self, PathError> {
        let text = output.bytes().get(self.start..).unwrap_or_default();
        if self.encoded_slash && has_hidden_dots(text) {
            return Err(PathError::HiddenDots);
        }
        match dots(text) {
            Dots::None if text.is_empty() && !last => match rules.repeated_slash {
                RepeatedSlash::Merge => output.change(),
                RepeatedSlash::Keep => output.push(b"/"),
                RepeatedSlash::Refuse => return Err(PathError::RepeatedSlash),
            },
            Dots::None if last => {}
            Dots::None => output.push(b"/"),
            Dots::Disguised => return Err(PathError::HiddenDots),
            _ if rules.dot_segments == DotSegments::Refuse => return Err(PathError::DotSegment),
            Dots::This => output.truncate(self.start),
            Dots::Parent => {
                let before = self.start.checked_sub(1).filter(|before| *before > 0);
                let before = output.bytes().get(..before.ok_or(PathError::AboveRoot)?);
                let slash = before.and_then(|before| memchr::memrchr(b'/', before));
                output.truncate(slash.ok_or(PathError::AboveRoot)? + 1);
            }
        }
        Ok(Self { start: output.bytes().len(), encoded_slash: false })
    }
}

enum Dots {
    None,
    This,
    Parent,
    /// With parameters, which servlets take off before they look for dots.
    Disguised,
}

fn dots(segment: &[u8]) -> Dots {
    let Some(rest) = segment.strip_prefix(b".") else { return Dots::None };
    let (rest, found) = match rest.strip_prefix(b".") {
        Some(rest) => (rest, Dots::Parent),
        None => (rest, Dots::This),
    };
    match rest {
        [] => found,
        [b';', ..] | [b'%', b'3', b'B', ..] => Dots::Disguised,
        _ => Dots::None,
    }
}

/// Whether an encoded slash stands beside dots: they are a segment to whoever decodes it.
fn has_hidden_dots(segment: &[u8]) -> bool {
    let mut rest = segment;
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'%', rest.get(from..).unwrap_or_default()) {
        let (piece, after) = rest.split_at_checked(from + at).unwrap_or((rest, &[]));
        if !after.starts_with(b"%2F") && !after.starts_with(b"%5C") {
            from += at + 1;
            continue;
        }
        if !matches!(dots(piece), Dots::None) {
            return true;
        }
        rest = after.get(3..).unwrap_or_default();
        from = 0;
    }
    !matches!(dots(rest), Dots::None)
}

/// What has been made of a path: copied from the first byte on that differs.
struct Output<'a> {
    source: &'a str,
    /// So much of the source came out as it went in.
    same: usize,
    changed: Option<Vec<u8>>,
}

impl<'a> Output<'a> {
    fn bytes(&self) -> &[u8] {
        match &self.changed {
            Some(bytes) => bytes,
            None => self.source.as_bytes().get(..self.same).unwrap_or_default(),
        }
    }

    /// The bytes for what was read last.
    fn push(&mut self, bytes: &[u8]) {
        let rest = self.source.as_bytes().get(self.same..).unwrap_or_default();
        if self.changed.is_none() && rest.starts_with(bytes) {
            self.same += bytes.len();
        } else {
            self.copy().extend_from_slice(bytes);
        }
    }

    /// From here on it is not the source any more.
    fn change(&mut self) {
        self.copy();
    }

    fn truncate(&mut self, length: usize) {
        self.copy().truncate(length);
    }

    fn copy(&mut self) -> &mut Vec<u8> {
        let (source, same) = (self.source.as_bytes(), self.same);
        self.changed.get_or_insert_with(|| {
            let mut bytes = Vec::with_capacity(source.len());
            bytes.extend_from_slice(source.get(..same).unwrap_or_default());
            bytes
        })
    }

    fn into_text(self) -> Result<Cow<'a, str>, PathError> {
        match self.changed {
            None => Ok(Cow::Borrowed(self.source)),
            // Only ASCII was put in and taken out.
            Some(bytes) => {
                String::from_utf8(bytes).map(Cow::Owned).map_err(|_| PathError::Character)
            }
        }
    }
}
