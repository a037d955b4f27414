//! The way from a file to a [`Config`]: read, build the tree, read the shapes, validate, and give
//! every problem its line and its field.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::deserialize::NodeDeserializer;
use super::document::{self, Document, Environment, Node, Position, SyntaxProblem};
use super::error::{ConfigError, ConfigErrors, Severity, SourceLine};
use super::field::Field;
use super::overrides::{self, Objection, Overridden, Overrides};
use super::raw;
use super::report::{Problem, Report};
use super::secrets::{self, Hiding};
use super::settings::Config;
use super::validate::{Valid, validate};
use crate::bounded_file;
use crate::model::limits::CONFIG_BYTES;

/// A configuration that was accepted.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is probably not meant, in order of position.
    pub warnings: Vec<ConfigError>,
    /// Other files that it was made from, such as those of secrets.
    pub files: Vec<PathBuf>,
    /// What the environment has set.
    pub overridden: Vec<Overridden>,
}

/// Reads the environment of the process, for [`load`].
#[expect(clippy::disallowed_methods, reason = "what a file asks for; `Overrides` has the rest")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads a configuration file. Relative paths in it start at its directory; what `overrides` sets
/// counts in place of what it says.
///
/// # Errors
///
/// Everything that is wrong with the file or with what is set, or that it could not be read.
pub fn load(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    overrides: &Overrides,
) -> Result<Loaded, ConfigErrors> {
    let name = path.display().to_string();
    let text = read_text(path)?;
    let base_dir = path.parent().unwrap_or_else(|| Path::new(""));
    parse_with(&text, &name, base_dir, env, overrides)
}

/// Reads a configuration from text; `file_name` is only shown, relative paths start at `base_dir`.
///
/// # Errors
///
/// Everything that is wrong with the text; warnings are among it.
pub fn parse(
    text: &str,
    file_name: &str,
    base_dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, ConfigErrors> {
    parse_with(text, file_name, base_dir, env, &Overrides::none())
}

/// The same with what the environment sets.
pub(super) fn parse_with(
    text: &str,
    file_name: &str,
    base_dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    overrides: &Overrides,
) -> Result<Loaded, ConfigErrors> {
    let mut found = Found::default();
    let valid = if text.len() as u64 > CONFIG_BYTES {
        let message = format!("the file has more than {CONFIG_BYTES} bytes");
        found.add(Severity::Error, Position::START, String::new(), message, None);
        None
    } else {
        understand(text, base_dir, env, overrides, &mut found)
    };
    let refused = found.has_errors();
    match valid {
        Some(Valid { config, files }) if !refused => {
            let overridden = std::mem::take(&mut found.overridden);
            let warnings = found.into_errors(text, file_name);
            Ok(Loaded { config, warnings, files, overridden })
        }
        _ => {
            if !refused {
                let message = "refused without a reason; this is a bug in Rhumb".to_owned();
                found.add(Severity::Error, Position::START, String::new(), message, None);
            }
            Err(ConfigErrors::new(found.into_errors(text, file_name)))
        }
    }
}

fn understand(
    text: &str,
    base_dir: &Path,
    env: &Environment<'_>,
    overrides: &Overrides,
    found: &mut Found,
) -> Option<Valid> {
    let used = RefCell::new(HashSet::new());
    let env = |name: &str| {
        if !overrides.is_empty() {
            used.borrow_mut().insert(name.to_owned());
        }
        env(name)
    };
    let Document { root, problems } = document::build(text, &env);
    for SyntaxProblem { at, message, help } in problems {
        found.add(Severity::Error, at, String::new(), message, help);
    }
    let mut root = root?;
    found.secrets = secrets::places(&root);
    if !overrides.is_empty() {
        found.set(&mut root, overrides, &used.borrow());
    }
    let root = root;

    let positions = |id| document::locate(&root, id).1;
    let report = Report::new(&positions);
    let file: Result<Field<raw::File>, _> =
        Deserialize::deserialize(NodeDeserializer::new(&root, &report));
    let valid = file.ok().and_then(|file| validate(&file, base_dir, &report));

    let (problems, dropped) = report.finish();
    for Problem { severity, at, missing, message, help } in problems {
        let (mut path, at) = document::locate(&root, at);
        if let Some(field) = missing {
            document::push_field(&mut path, field);
        }
        found.add(severity, at, path, message, help);
    }
    if dropped > 0 {
        let severity = if valid.is_some() { Severity::Warning } else { Severity::Error };
        let end = Position { line: line_count(text), ..Position::START };
        let message = format!("{dropped} more errors and warnings are not shown");
        found.add(severity, end, String::new(), message, None);
    }
    valid
}

fn line_count(text: &str) -> u32 {
    u32::try_from(document::lines(text).count()).unwrap_or(u32::MAX).max(1)
}

/// Problems with their positions, not yet with the lines they are on.
#[derive(Default)]
struct Found {
    errors: Vec<(ConfigError, u32)>,
    /// Where secrets are written.
    secrets: Vec<(u32, u32)>,
    /// The variables that were looked at.
    variables: Vec<String>,
    overridden: Vec<Overridden>,
}

impl Found {
    /// Puts what the environment sets into the document. `used` are the variables that the file
    /// itself refers to.
    fn set(&mut self, root: &mut Node, overrides: &Overrides, used: &HashSet<String>) {
        let applied = overrides::apply(root, overrides, &|name| used.contains(name));
        document::number(root, &mut 0);
        self.variables = applied.names;
        self.overridden = applied.overridden;
        for Objection { variable, path, message, help } in applied.objections {
            let at = Position { variable: Some(variable), ..Position::START };
            self.add(Severity::Error, at, path, message, Some(help));
        }
    }

    fn add(
        &mut self,
        severity: Severity,
        at: Position,
        path: String,
        message: String,
        help: Option<String>,
    ) {
        let whole_file = ConfigError::of_file(Path::new(""), message);
        let Position { line, column, length, variable } = at;
        let variable = variable.map(|number| self.variables.get(usize::from(number)).cloned());
        let (line, column) = if variable.is_some() { (0, 0) } else { (line, column) };
        let variable = variable.map(Option::unwrap_or_default);
        let error = ConfigError { severity, variable, line, column, path, help, ..whole_file };
        self.errors.push((error, length));
    }

    fn has_errors(&self) -> bool {
        self.errors.iter().any(|(error, _)| error.severity == Severity::Error)
    }

    /// Sorts by position and fetches every line in one pass over the text.
    fn into_errors(mut self, text: &str, file_name: &str) -> Vec<ConfigError> {
        // Where something is missing at the end, the parser may point to the line behind the last.
        let count = line_count(text);
        for (error, _) in self.errors.iter_mut().filter(|(error, _)| error.line > count) {
            let last = document::lines(text).last().map_or(0, |line| line.chars().count());
            error.line = count;
            error.column = u32::try_from(last).unwrap_or(u32::MAX - 1).saturating_add(1);
        }
        self.errors.sort_by(|(a, _), (b, _)| a.order(b));
        let mut hiding = Hiding::new(self.secrets);
        let lines = document::lines(text).zip(1..);
        let mut lines = lines.map(|(line, number)| (hiding.visible(number, line), number));
        let mut current = lines.next();
        let attach = |(mut error, length): (ConfigError, u32)| {
            while current.is_some_and(|(_, number)| number < error.line) {
                current = lines.next();
            }
            let line = match current.filter(|(_, number)| *number == error.line) {
                _ if error.variable.is_some() => None,
                Some((visible, _)) => visible,
                None => Some(""),
            };
            error.source_line = line.map(|line| SourceLine::new(line, error.column, length));
            file_name.clone_into(&mut error.file);
            error
        };
        self.errors.into_iter().map(attach).collect()
    }
}

/// The text of a configuration file; also of a pipe, which is what a shell makes of a command.
///
/// # Errors
///
/// That it cannot be read, is too large, or is no text.
pub fn read_text(path: &Path) -> Result<String, ConfigErrors> {
    let read = File::open(path).and_then(|file| bounded_file::read_stream(&file, CONFIG_BYTES));
    let bytes = read.map_err(|cause| ConfigError::unreadable(path, cause))?;
    String::from_utf8(bytes).map_err(|error| {
        not_text(error.as_bytes(), &path.display().to_string(), error.utf8_error())
    })
}

fn not_text(bytes: &[u8], file_name: &str, error: std::str::Utf8Error) -> ConfigErrors {
    let (good, _) = bytes.split_at(error.valid_up_to().min(bytes.len()));
    let good = std::str::from_utf8(good).unwrap_or("");
    let line = line_count(&format!("{good}x"));
    let column = good.rsplit('\n').next().map_or(0, |line| line.chars().count());
    let column = u32::try_from(column + 1).unwrap_or(u32::MAX);
    let at = Position { line, column, length: 1, variable: None };
    let help = Some("save the file as UTF-8".to_owned());
    let mut found = Found::default();
    found.add(Severity::Error, at, String::new(), "this byte is not UTF-8".to_owned(), help);
    ConfigErrors::new(found.into_errors(good, file_name))
}
