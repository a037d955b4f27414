//! Where the candidate sits: beside the one writer of the live table, which tells it of each.

use std::sync::Arc;

use super::candidate::{Candidate, Shadow, Trial};
use crate::routing::Table;

/// The candidate, or nobody.
#[derive(Debug, Default)]
pub struct Seat(Option<Arc<Shadow>>);

impl Seat {
    /// A candidate was read, or refused with these words; one that was good before stays then.
    pub fn take(&mut self, read: Result<Arc<Candidate>, String>, live: &Table) {
        let shadow = match read {
            Ok(candidate) => Shadow { trial: Some(Trial::new(candidate, live)), error: None },
            Err(report) => {
                let trial = self.0.as_ref().and_then(|shadow| shadow.trial.clone());
                Shadow { trial, error: Some(report.into()) }
            }
        };
        self.0 = Some(Arc::new(shadow));
    }

    /// There is no candidate any more.
    pub fn leave(&mut self) {
        self.0 = None;
    }

    /// What belongs to this live table.
    pub fn beside(&mut self, live: &Table) -> Option<Arc<Shadow>> {
        let shadow = self.0.take()?;
        let trial = shadow.trial.as_ref().map(|trial| trial.following(live));
        self.0 = Some(Arc::new(Shadow { trial, error: shadow.error.clone() }));
        self.0.clone()
    }
}
