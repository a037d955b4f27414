//! Settings from the environment: a variable `RHUMB_…` for each scalar of the configuration, put
//! into the document before anything looks at it, so that it is checked as if the file said it.
//!
//! Not here: `${VAR}` in the text of the file (`document`). What values mean is not known here
//! either; the names and the kinds of values follow from the JSON Schema.

mod apply;
mod conflict;
mod listing;
mod place;
mod strangers;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

pub(super) use apply::{Objection, apply};
pub use listing::{Setting, ValueKind, settings, settings_of};

/// How every name begins.
pub(super) const PREFIX: &str = "RHUMB_";

/// Names that begin like settings and are none: they are for the program and not for its
/// configuration.
const OTHERS: [&str; 1] = ["RHUMB_HANDOVER"];

/// What the environment sets, as it was when it was asked.
#[derive(Clone, Default)]
pub struct Overrides {
    /// Values by name; `None` where one is not UTF-8.
    variables: Arc<BTreeMap<String, Option<String>>>,
    /// Whether names that mean nothing are passed over.
    lenient: bool,
}

impl Overrides {
    /// Sets nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// What these variables set. A variable whose value is empty counts as not set, because tools
    /// that fill in templates cannot leave one out.
    pub fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let ours = variables.into_iter().filter_map(|(name, value)| {
            let name = name.to_string_lossy().into_owned();
            let wanted = name.starts_with(PREFIX) && !OTHERS.contains(&&*name) && !value.is_empty();
            wanted.then(|| (name, value.into_string().ok()))
        });
        Self { variables: Arc::new(ours.collect()), lenient: false }
    }

    /// What the environment of the process sets now.
    pub fn of_process() -> Self {
        Self::of(std::env::vars_os())
    }

    /// The same for a file beside the one that runs: names that mean nothing there are passed over.
    #[must_use]
    pub fn lenient(self) -> Self {
        Self { lenient: true, ..self }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }
}

/// Names only: a value may be a secret.
impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// A field that the environment has set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overridden {
    /// The variable.
    pub variable: String,
    /// The field, such as `admin.address`.
    pub path: String,
}
