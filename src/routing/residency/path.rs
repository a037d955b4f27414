//! A request's path as a policy has to understand it: as it is written, and as a server may read
//! it.
//!
//! `/public/../eu/a`, `//eu/a` and `/%65u/a` may all be `/eu/a` to the server behind. A policy for
//! `/eu` applies to a path that is below it in either reading: a policy only narrows, so the
//! larger set of paths is the safe one. Rules and deployments go by the path as it is written.

use arrayvec::ArrayVec;

use crate::model::limits::URI_BYTES;

/// A path in both readings.
#[derive(Debug)]
pub(super) struct ReadPath<'a> {
    written: &'a [u8],
    reading: Reading,
}

#[expect(clippy::large_enum_variant, reason = "lives on the stack for one decision; never moved")]
#[derive(Debug)]
enum Reading {
    /// As it is written.
    Same,
    /// With escapes decoded, and without empty segments and dots.
    Resolved(ArrayVec<u8, URI_BYTES>),
    /// Too long to be read; it may be anywhere.
    Anywhere,
}

impl<'a> ReadPath<'a> {
    pub(super) fn of(path: &'a str) -> Self {
        let odd = path.contains(['%', '\\']) || path.contains("/.") || path.contains("//");
        let reading = match odd {
            false => Reading::Same,
            true => resolve(path.as_bytes()).map_or(Reading::Anywhere, Reading::Resolved),
        };
        Self { written: path.as_bytes(), reading }
    }

    /// Whether the path is at or below the prefix, which starts with `/`.
    pub(super) fn is_below(&self, prefix: &str) -> bool {
        let prefix = prefix.trim_end_matches('/').as_bytes();
        let below = |path: &[u8]| {
            path.strip_prefix(prefix).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
        };
        // Every request is below `/`, even one for `*`.
        prefix.is_empty()
            || below(self.written)
            || match &self.reading {
                Reading::Same => false,
                Reading::Resolved(path) => below(path),
                Reading::Anywhere => true,
            }
    }
}

/// The path with escapes decoded once, `\` as `/`, and without empty segments, `.` and `..`.
fn resolve(path: &[u8]) -> Option<ArrayVec<u8, URI_BYTES>> {
    let mut resolved = ArrayVec::new();
    let mut rest = path;
    while let Some((byte, behind)) = rest.split_first() {
        let escape = behind.split_first_chunk().filter(|_| *byte == b'%');
        let escaped =
            escape.and_then(|([high, low], behind)| Some((decoded(*high, *low)?, behind)));
        let (byte, behind) = escaped.unwrap_or((*byte, behind));
        rest = behind;
        if matches!(byte, b'/' | b'\\') {
            end_segment(&mut resolved);
            resolved.try_push(b'/').ok()?;
        } else {
            resolved.try_push(byte).ok()?;
        }
    }
    end_segment(&mut resolved);
    Some(resolved)
}

/// Takes back the last segment with its slash if it is empty or `.`, and the one before it as well
/// if it is `..`.
fn end_segment<const N: usize>(path: &mut ArrayVec<u8, N>) {
    let start = |path: &[u8]| path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let last = start(path);
    let segment = path.get(last..).unwrap_or_default();
    match segment.strip_prefix(b"/").unwrap_or(segment) {
        b"" | b"." => path.truncate(last),
        b".." => {
            path.truncate(last);
            path.truncate(start(path));
        }
        _ => {}
    }
}

fn decoded(high: u8, low: u8) -> Option<u8> {
    let digit = |byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_a_prefix() {
        let paths = [
            "/eu",
            "/eu/",
            "/eu/a",
            "/eu//a",
            "/eu/../public",
            "//eu/a",
            "/./eu/a",
            "/a/../eu",
            "/%65u/a",
            "/%65%75",
            "/eu%2fa",
            "/%2Feu",
            "/a%2f..%2feu/b",
            "/a/%2e%2E/eu",
            "/a\\..\\eu",
            "\\eu\\a",
            "/../../eu",
            "/a/b/../../eu/",
            "/a/./../eu",
            "/eu/.",
            "/%2e/eu",
        ];
        for path in paths {
            assert!(ReadPath::of(path).is_below("/eu"), "{path}");
            assert!(ReadPath::of(path).is_below("/eu/"), "{path}");
            assert!(ReadPath::of(path).is_below("/"), "{path}");
        }
    }

    #[test]
    fn paths_beside_a_prefix() {
        let paths = [
            "",
            "*",
            "/",
            "/e",
            "/eux",
            "/eu.",
            "/eu-a",
            "/a/eu",
            "/EU",
            "/%2565u",
            "/eu%",
            "/%zzeu",
            "/%6",
            "/a%2feu",
            "/a/../b/eu",
            "/.eu",
            "/...",
            "/../e/u",
        ];
        for path in paths {
            assert!(!ReadPath::of(path).is_below("/eu"), "{path}");
            assert!(ReadPath::of(path).is_below("/"), "{path}");
        }
    }

    #[test]
    fn a_path_that_is_too_long_to_read_may_be_anywhere() {
        let long = "/a%20".repeat(URI_BYTES);
        assert!(ReadPath::of(&long).is_below("/eu"));
        let plain = "/a".repeat(URI_BYTES);
        assert!(!ReadPath::of(&plain).is_below("/eu"));
    }
}
