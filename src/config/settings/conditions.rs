//! What a text or a moment must be for a rule or a policy to hold.

use std::fmt;
use std::hash::{Hash, Hasher};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use regex::bytes::{Regex, RegexBuilder};

use crate::model::limits;

/// What a text must be. Compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TextMatch {
    /// Exactly this.
    Exact(Box<str>),
    /// Starts with this.
    Prefix(Box<str>),
    /// Ends with this.
    Suffix(Box<str>),
    /// The expression is found in it.
    Regex(Pattern),
    /// Anything, but there.
    Present,
}

impl TextMatch {
    /// Whether the text is so.
    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Exact(expected) => text == expected.as_bytes(),
            Self::Prefix(prefix) => text.starts_with(prefix.as_bytes()),
            Self::Suffix(suffix) => text.ends_with(suffix.as_bytes()),
            Self::Regex(pattern) => pattern.is_found_in(text),
            Self::Present => true,
        }
    }
}

impl fmt::Display for TextMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Prefix(text) => write!(f, "{text}…"),
            Self::Suffix(text) => write!(f, "…{text}"),
            Self::Regex(pattern) => write!(f, "/{pattern}/"),
            Self::Present => f.write_str("present"),
        }
    }
}

/// A text that has a name, such as a query parameter or a cookie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamedMatch {
    /// Name, compared byte for byte.
    pub name: Box<str>,
    /// What its value must be.
    pub value: TextMatch,
}

/// A regular expression. It is searched for in time linear in the text, whatever it says, and its
/// compiled form is limited in size.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles an expression; the error says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        RegexBuilder::new(text)
            .size_limit(limits::PATTERN_BYTES)
            .dfa_size_limit(limits::PATTERN_BYTES)
            .nest_limit(limits::PATTERN_DEPTH)
            .build()
            .map(Self)
    }

    /// Whether the expression is found in the text.
    pub fn is_found_in(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_str(), f)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// Days of the week; bit 0 is Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeekdaySet(pub u8);

impl WeekdaySet {
    /// Every day.
    pub const ALL: Self = Self(0x7f);

    /// Whether the day is in it; 0 is Monday.
    pub const fn contains(self, day: u8) -> bool {
        self.0 >> (day % 7) & 1 == 1
    }
}

/// A span of the day on some days of the week, in a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeWindow {
    /// The days on which it starts.
    pub days: WeekdaySet,
    /// Minutes after midnight at which it starts, 0..1440.
    pub from: u16,
    /// Minutes after midnight before which it ends, 1..=1440. Not after `from`: on the next day.
    pub until: u16,
    /// Whose clocks count.
    pub zone: TimeZone,
}

impl TimeWindow {
    /// Whether the moment, in Unix seconds, is in the window.
    pub fn contains(&self, now: u64) -> bool {
        let seconds = i64::try_from(now).ok();
        let Some(now) = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()) else {
            return false;
        };
        let local = self.zone.to_datetime(now);
        let minute =
            u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        let day = local.weekday().to_monday_zero_offset().unsigned_abs();
        let yesterday = (day + 6) % 7;
        if self.from < self.until {
            return self.days.contains(day) && (self.from..self.until).contains(&minute);
        }
        self.days.contains(day) && minute >= self.from
            || self.days.contains(yesterday) && minute < self.until
    }
}
