//! Which responses of a deployment are compressed, and how.

use std::fmt;

use crate::model::{Coding, limits};

/// Compression of a deployment's responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompressionSettings {
    /// What clients may get, best first; at least one.
    pub encodings: Vec<Coding>,
    /// Responses that say that they are shorter are left alone.
    pub min_bytes: u64,
    /// What is worth it; at least one.
    pub types: Vec<MediaRange>,
    /// How much work it is worth.
    pub level: CompressionLevel,
}

impl Default for CompressionSettings {
    fn default() -> Self {
        Self {
            encodings: Coding::ALL.into(),
            min_bytes: limits::COMPRESSION_MIN_BYTES,
            types: DEFAULT_TYPES.iter().filter_map(|text| MediaRange::parse(text)).collect(),
            level: CompressionLevel::Fast,
        }
    }
}

/// What is compressed unless a deployment says it.
pub(in crate::config) const DEFAULT_TYPES: [&str; 12] = [
    "text/*",
    "application/json",
    "application/*+json",
    "application/javascript",
    "application/xml",
    "application/*+xml",
    "application/yaml",
    "application/x-ndjson",
    "application/wasm",
    "image/svg+xml",
    "font/otf",
    "font/ttf",
];

/// How much work compression is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompressionLevel {
    /// Little.
    Fast,
    /// What is usual for files that are compressed once.
    Balanced,
    /// A lot.
    Best,
}

impl CompressionLevel {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Balanced, Self::Best];

    /// The word used in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::Best => "best",
        }
    }
}

/// Media types, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MediaRange {
    /// `application/json`.
    One(Box<str>),
    /// `text/*`: all of a kind, but no event stream.
    Kind(Box<str>),
    /// `application/*+json`: all of a kind with such a suffix (RFC 6839).
    Suffix(Box<str>, Box<str>),
}

/// What has to be listed by its name to be compressed: its events are small and wait for nobody.
const EVENT_STREAM: &str = "text/event-stream";

impl MediaRange {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let token = |text: &str| {
            let rest = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
            text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.bytes().all(rest)
        };
        let text = text.to_ascii_lowercase();
        let (kind, subtype) = text.split_once('/')?;
        if text.len() > limits::MEDIA_TYPE_LENGTH || !token(kind) {
            return None;
        }
        match subtype.strip_prefix('*') {
            Some("") => Some(Self::Kind(kind.into())),
            Some(rest) => {
                let suffix = rest.strip_prefix('+').filter(|suffix| token(suffix))?;
                Some(Self::Suffix(kind.into(), suffix.into()))
            }
            None => token(subtype).then(|| Self::One(text.as_str().into())),
        }
    }

    /// Whether a media type without parameters is among these.
    pub fn matches(&self, media: &[u8]) -> bool {
        match self {
            Self::One(one) => one.as_bytes().eq_ignore_ascii_case(media),
            Self::Kind(kind) => {
                subtype(media, kind).is_some_and(|subtype| !subtype.is_empty())
                    && !media.eq_ignore_ascii_case(EVENT_STREAM.as_bytes())
            }
            Self::Suffix(kind, suffix) => subtype(media, kind).is_some_and(|subtype| {
                let plus = subtype.iter().rposition(|byte| *byte == b'+');
                let end = plus.and_then(|plus| subtype.get(plus + 1..));
                end.is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
            }),
        }
    }
}

/// What stands behind `kind/`.
fn subtype<'a>(media: &'a [u8], kind: &str) -> Option<&'a [u8]> {
    let (start, rest) = media.split_at_checked(kind.len())?;
    rest.strip_prefix(b"/").filter(|_| start.eq_ignore_ascii_case(kind.as_bytes()))
}

impl fmt::Display for MediaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(one) => f.write_str(one),
            Self::Kind(kind) => write!(f, "{kind}/*"),
            Self::Suffix(kind, suffix) => write!(f, "{kind}/*+{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_written() {
        for text in DEFAULT_TYPES.into_iter().chain(["a/b", "x-a/y.z-1!#$&^_+"]) {
            assert_eq!(MediaRange::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(MediaRange::parse("Text/HTML").unwrap().to_string(), "text/html");
        let long = format!("text/{}", "x".repeat(limits::MEDIA_TYPE_LENGTH));
        for text in [
            "",
            "*",
            "*/*",
            "text",
            "text/",
            "/html",
            "text/html; charset=utf-8",
            "text/*+",
            "text/*json",
            "text/x*",
            "te*t/html",
            "text/ht ml",
            "text/html,text/css",
            "text/a/b",
            "text/**",
            "text/*+j*",
            "tëxt/html",
            &long,
        ] {
            assert_eq!(MediaRange::parse(text), None, "{text}");
        }
        assert_eq!(CompressionSettings::default().types.len(), DEFAULT_TYPES.len());
    }

    #[test]
    fn ranges_match() {
        for (range, media, expected) in [
            ("text/html", "text/html", true),
            ("text/html", "TEXT/html", true),
            ("text/html", "text/htm", false),
            ("text/*", "text/x", true),
            ("text/*", "TEXT/x", true),
            ("text/*", "text/", false),
            ("text/*", "text", false),
            ("text/*", "textual/x", false),
            ("text/*", "text/event-stream", false),
            ("text/*", "text/Event-Stream", false),
            ("text/event-stream", "text/event-stream", true),
            ("application/*+json", "application/a+json", true),
            ("application/*+json", "application/a+b+JSON", true),
            ("application/*+json", "application/json", false),
            ("application/*+json", "application/a+json+xml", false),
            ("application/*+json", "image/a+json", false),
        ] {
            let range = MediaRange::parse(range).unwrap();
            assert_eq!(range.matches(media.as_bytes()), expected, "{range} {media}");
        }
    }
}
