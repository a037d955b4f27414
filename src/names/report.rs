//! How it stands with a name of endpoints, for people.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::book::NameStatus;
use crate::model::{Place, Sought};

/// How it stands with a name of endpoints.
#[derive(Clone, Debug, Serialize)]
pub struct NameReport {
    /// The name.
    pub name: Arc<str>,
    /// What is asked about it.
    pub sought: Sought,
    /// Where the endpoint is, by the last good answer.
    pub places: Vec<Place>,
    /// How old that answer is.
    pub answer_age_seconds: Option<f64>,
    /// Whether it is older than it was good for.
    pub expired: bool,
    /// Lookups in a row that brought no complete good answer.
    pub failures: u32,
    /// What is wrong, if the last lookup was one of them.
    pub trouble: Option<String>,
}

impl From<NameStatus<'_>> for NameReport {
    fn from(status: NameStatus<'_>) -> Self {
        Self {
            name: Arc::clone(&status.question.name),
            sought: status.question.sought,
            places: status.places.to_vec(),
            answer_age_seconds: status.age.map(|age| age.as_millis() as f64 / 1e3),
            expired: status.expired,
            failures: status.failures,
            trouble: status.trouble.map(ToString::to_string),
        }
    }
}

impl fmt::Display for NameReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        for (i, Place { address, port, .. }) in self.places.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            match port {
                Some(port) => write!(f, "{comma}{address} port {port}")?,
                None => write!(f, "{comma}{address}")?,
            }
        }
        match (&self.trouble, self.places.is_empty()) {
            (Some(trouble), true) => write!(f, "no address: {trouble}"),
            (Some(trouble), false) => write!(f, " (not complete: {trouble})"),
            (None, true) => f.write_str("no address"),
            (None, false) => Ok(()),
        }
    }
}
