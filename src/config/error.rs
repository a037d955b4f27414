//! What is wrong with a configuration file, in a form that a tired operator can act on: where,
//! what, and what to write instead.
//!
//! Not here: finding problems (`document`, `validate`) and deciding what a problem means for the
//! process (the caller keeps the last good configuration).

use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::model::limits::CONFIG_BYTES;

/// Characters of a source line that are shown around a problem.
const SHOWN_WIDTH: usize = 100;
/// Characters of a message that are shown: it may repeat what somebody wrote.
const TEXT_WIDTH: usize = 1_000;
/// Characters of a value that are repeated in a message.
const QUOTED_WIDTH: usize = 60;

/// What to do about a file that is too large.
const MOST: &str =
    "a file has at most 64 MiB; lists of tenants and of round trips have files of their own";
const _: () = assert!(CONFIG_BYTES == 64 << 20);

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is accepted, but probably not what was meant.
    Warning,
}

/// One problem of a configuration file.
#[derive(Clone, Debug, Serialize)]
pub struct ConfigError {
    /// How bad it is.
    pub severity: Severity,
    /// The file, as it was named by the caller.
    pub file: String,
    /// The environment variable, where the problem is in its value and not in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// Line, from 1; 0 when the file itself is the problem (it could not be read), or a variable.
    pub line: u32,
    /// Column in characters, from 1; 0 when `line` is.
    pub column: u32,
    /// The field, such as `deployments[0].replica_regions[1]`; empty for the whole file.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The line, for display.
    #[serde(skip)]
    pub(super) source_line: Option<SourceLine>,
    /// What the operating system said, when it did.
    #[serde(skip)]
    pub(super) cause: Option<Arc<io::Error>>,
}

impl ConfigError {
    /// A problem of a file as a whole, for callers that read files which a configuration names.
    pub fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.display().to_string(),
            variable: None,
            line: 0,
            column: 0,
            path: String::new(),
            message: message.into(),
            help: None,
            source_line: None,
            cause: None,
        }
    }

    /// A file that could not be read.
    pub(super) fn unreadable(file: &Path, cause: io::Error) -> Self {
        let help = match cause.kind() {
            io::ErrorKind::NotFound => "check the name of the file and the directory it is in",
            io::ErrorKind::PermissionDenied => "the user that runs rhumb must be able to read it",
            io::ErrorKind::IsADirectory => "name the file in it",
            io::ErrorKind::FileTooLarge => MOST,
            _ => "the last good configuration, if there is one, stays in use",
        };
        Self {
            help: Some(help.to_owned()),
            message: format!("cannot read the configuration: {cause}"),
            cause: Some(Arc::new(cause)),
            ..Self::of_file(file, "")
        }
    }

    /// By position.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let key = |error: &'_ Self| (error.line, error.column);
        key(self).cmp(&key(other)).then_with(|| {
            let rest = (&self.variable, &self.path, &self.message);
            rest.cmp(&(&other.variable, &other.path, &other.message))
        })
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{kind}: {}", Printable(&self.message))?;
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let file = Printable(&self.file);
        if let Some(variable) = &self.variable {
            write!(f, "{margin}--> environment: {}", Printable(variable))?;
        } else if self.line == 0 {
            write!(f, "{margin}--> {file}")?;
        } else {
            write!(f, "{margin}--> {file}:{}:{}", self.line, self.column)?;
        }
        if let Some(source) = &self.source_line {
            let pad = " ".repeat(source.caret_at);
            let carets = "^".repeat(source.caret_width);
            write!(f, "\n{margin} |\n{number} | {}\n{margin} | {pad}{carets}", source.text)?;
        }
        if !self.path.is_empty() {
            write!(f, "\n{margin} = field: {}", Printable(&self.path))?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n{margin} = help: {}", Printable(help))?;
        }
        Ok(())
    }
}

/// Every problem of a configuration file, in order of position; at least one.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// Sorts `errors` by position.
    pub(super) fn new(mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by(ConfigError::order);
        Self(errors)
    }

    /// The problems, in order of position.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl IntoIterator for ConfigErrors {
    type Item = ConfigError;
    type IntoIter = std::vec::IntoIter<ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for ConfigErrors {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.first().and_then(std::error::Error::source)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

/// A source line made fit for a terminal, and where its problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceLine {
    text: String,
    caret_at: usize,
    caret_width: usize,
}

impl SourceLine {
    /// Cuts the surroundings of `column` (from 1) out of `line`.
    pub(super) fn new(line: &str, column: u32, length: u32) -> Self {
        let column = (column as usize).saturating_sub(1);
        let skipped = if column < SHOWN_WIDTH * 3 / 4 { 0 } else { column - SHOWN_WIDTH / 2 };
        let mut text = String::new();
        let lead = if skipped > 0 { "..." } else { "" };
        text.push_str(lead);
        let mut shown = 0;
        let mut rest = line.chars().skip(skipped);
        for c in rest.by_ref().take(SHOWN_WIDTH) {
            text.push(printable(c));
            shown += 1;
        }
        let end = shown;
        if rest.next().is_some() {
            text.push_str("...");
        }
        let caret_at = (column - skipped).min(end);
        let caret_width = (length as usize).clamp(1, (end - caret_at).max(1));
        Self { text, caret_at: caret_at + lead.len(), caret_width }
    }
}

/// A character that cannot move a terminal's cursor or reorder its text.
fn printable(c: char) -> char {
    let reorders =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    match c {
        '\t' => ' ',
        c if c.is_control() || reorders || matches!(c, '\u{2028}' | '\u{2029}') => '\u{fffd}',
        c => c,
    }
}

/// Text that may be from outside, without anything that could command a terminal or fill it.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.chars();
        rest.by_ref().take(TEXT_WIDTH).try_for_each(|c| f.write_char(printable(c)))?;
        if rest.next().is_some() { f.write_str("...") } else { Ok(()) }
    }
}

/// Text from outside as a message repeats it: in backticks, printable and not too long.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('`')?;
        let mut rest = self.0.chars();
        rest.by_ref().take(QUOTED_WIDTH).try_for_each(|c| f.write_char(printable(c)))?;
        if rest.next().is_some() {
            f.write_str("...")?;
        }
        f.write_char('`')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_line_with_a_caret_under_the_value() {
        let error = ConfigError {
            line: 12,
            column: 5,
            path: "a.b".into(),
            help: Some("write c".into()),
            source_line: Some(SourceLine::new("a: \tbad", 5, 3)),
            ..ConfigError::of_file(Path::new("f.yaml"), "no")
        };
        let expected = "error: no\n  --> f.yaml:12:5\n   |\n12 | a:  bad\n   |     ^^^\n   = field: a.b\n   = help: write c";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_long_line_is_cut_around_the_problem() {
        let line = format!("{}bad{}", "x".repeat(5_000), "y".repeat(5_000));
        let shown = SourceLine::new(&line, 5_001, 3);
        assert!(shown.text.len() < 120);
        assert_eq!(&shown.text[shown.caret_at..shown.caret_at + shown.caret_width], "bad");
    }

    #[test]
    fn a_caret_beyond_the_line_stays_near_it() {
        for (line, column, length) in [("", 1, 0), ("", 9, 9), ("ab", 3, 1), ("ab", 400, 7)] {
            let shown = SourceLine::new(line, column, length);
            assert!(shown.caret_at <= line.len() + 3 && shown.caret_width == 1, "{shown:?}");
        }
    }

    #[test]
    fn nothing_from_a_file_commands_the_terminal() {
        let hostile = "\u{1b}[2J\u{202e}x\u{7}";
        assert_eq!(Quoted(hostile).to_string(), "`\u{fffd}[2J\u{fffd}x\u{fffd}`");
        assert!(!SourceLine::new(hostile, 1, 1).text.contains('\u{1b}'));
        assert_eq!(Quoted(&"é".repeat(100)).to_string().chars().count(), QUOTED_WIDTH + 5);
    }
}
