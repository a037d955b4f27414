//! What happened, for people and machines: every change of a region's state, with its cause.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::health::Failure;
use crate::model::{DeploymentName, RegionId, RegionState, SignalKind, limits};

/// A region of a deployment changed its state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Counts events of this process from 1.
    pub id: u64,
    /// When, since the process's epoch.
    #[serde(rename = "uptime_seconds", serialize_with = "seconds")]
    pub at: Duration,
    /// The deployment.
    pub deployment: DeploymentName,
    /// The region.
    pub region: RegionId,
    /// Its state before.
    pub from: RegionState,
    /// Its state now.
    pub to: RegionState,
    /// How long it was in the state before.
    #[serde(rename = "after_seconds", serialize_with = "seconds")]
    pub after: Duration,
    /// Why.
    pub cause: Cause,
    /// When a region went down: the first other region, in listed order, that takes traffic.
    pub successor: Option<RegionId>,
    /// Generation of the table that has the change.
    pub generation: u64,
}

impl Event {
    /// One line for a log or a screen.
    pub fn summary(&self) -> String {
        let Self { deployment, region, from, to, cause, .. } = self;
        let (from, to) = (from.as_str(), to.as_str());
        let mut line = format!("{deployment}: region {region} {from} -> {to}: {cause}");
        if *to == *RegionState::Down.as_str() {
            match &self.successor {
                Some(successor) => line.push_str(&format!("; next in line is {successor}")),
                None => line.push_str("; no other region is up"),
            }
        }
        line
    }
}

/// Why a region changed its state.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// Checks failed in a row.
    ChecksFailed {
        /// The endpoint whose failure completed the count.
        endpoint: String,
        /// How many in a row.
        failures: u32,
        /// The last of them.
        last: Failure,
        /// The failure of a request that prompted the checks, if one did.
        signal: Option<SignalKind>,
    },
    /// Checks passed in a row.
    ChecksPassed {
        /// The endpoint whose success completed the count.
        endpoint: String,
        /// How many in a row.
        successes: u32,
    },
    /// The configuration no longer checks the region.
    ChecksRemoved,
}

impl Cause {
    /// What set the change off: the label of `rhumb_failovers_total`.
    pub const fn trigger(&self) -> &'static str {
        match self {
            Self::ChecksFailed { signal: Some(_), .. } => "traffic",
            Self::ChecksFailed { .. } | Self::ChecksPassed { .. } => "check",
            Self::ChecksRemoved => "config",
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ChecksFailed { endpoint, failures, last, signal } => {
                write!(f, "{failures} failed checks in a row, the last of {endpoint}: {last}")?;
                match signal {
                    Some(kind) => write!(f, " (prompted by {} of a request)", kind.as_str()),
                    None => Ok(()),
                }
            }
            Self::ChecksPassed { endpoint, successes } => {
                write!(f, "{successes} passed checks in a row of {endpoint}")
            }
            Self::ChecksRemoved => f.write_str("the configuration no longer checks it"),
        }
    }
}

/// The latest events, oldest first.
#[derive(Clone, Debug, Default)]
pub struct EventLog(VecDeque<Event>);

impl EventLog {
    /// Keeps one more event, and forgets the oldest beyond the limit.
    pub fn push(&mut self, event: Event) {
        if self.0.len() >= limits::EVENTS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(event);
    }

    /// The kept events, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Event> + ExactSizeIterator {
        self.0.iter()
    }
}

fn seconds<S: serde::Serializer>(at: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Milliseconds are what a reader needs, and what survives a float unchanged.
    serializer.serialize_f64(at.as_millis() as f64 / 1e3)
}
