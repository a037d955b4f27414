//! Where the admin address takes what it shows.

use std::sync::Arc;

use super::readiness::Readiness;
use crate::dump::Census;
use crate::failover::Handle;
use crate::measure::Networks;
use crate::metrics::Registry;
use crate::overload::Gauge;
use crate::profile::Profiler;
use crate::snapshot::Live;

/// What the admin address shows.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The controller.
    pub handle: Handle,
    /// The current snapshot.
    pub live: Arc<Live>,
    /// Everything that is counted.
    pub registry: Arc<Registry>,
    /// Times of client networks.
    pub networks: Arc<Networks>,
    /// What the process is short of.
    pub gauge: Arc<Gauge>,
    /// The workers, to be asked what they have.
    pub census: Census,
    /// Where profiles are made.
    pub profiler: Profiler,
    /// Whether the process wants traffic.
    pub readiness: Readiness,
    /// When the process started, in Unix time.
    pub started_unix_seconds: f64,
}
