//! What the control thread counts: reloads, failovers, health checks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Histogram, HistogramTotals};

/// Key of a failover count: deployment, from, to, trigger.
pub(super) type FailoverKey = (String, String, String, &'static str);

/// Counts of the control side. Locked, because nothing here is on the request path.
#[derive(Debug, Default)]
pub struct ControlSeries(Mutex<Counts>);

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) failovers: BTreeMap<FailoverKey, u64>,
    pub(super) checks: BTreeMap<(String, &'static str), u64>,
    pub(super) check_durations: BTreeMap<String, Histogram>,
    pub(super) reloads: BTreeMap<(&'static str, &'static str), u64>,
    pub(super) upgrades: BTreeMap<&'static str, u64>,
    pub(super) lookups: BTreeMap<&'static str, u64>,
    pub(super) refused_addresses: u64,
    pub(super) names: BTreeMap<String, NameGauge>,
    pub(super) last_reload_successful: Option<bool>,
    pub(super) last_success_unix_seconds: f64,
}

/// How it stands with a name of endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NameGauge {
    /// Addresses that it has.
    pub addresses: usize,
    /// Failures in a row.
    pub failures: u32,
    /// When the last good answer came, in Unix time, if there was one.
    pub answered: Option<f64>,
}

impl ControlSeries {
    /// A lookup of a name ended; `refused` addresses were left out of its answer.
    pub fn lookup(&self, result: &'static str, refused: usize) {
        let mut counts = self.lock();
        *counts.lookups.entry(result).or_default() += 1;
        counts.refused_addresses += refused as u64;
    }

    /// How it stands with a name.
    pub fn name(&self, name: String, gauge: NameGauge) {
        self.lock().names.insert(name, gauge);
    }

    /// Forgets names that the configuration no longer has.
    pub fn retain_names(&self, known: impl Fn(&str) -> bool) {
        self.lock().names.retain(|name, _| known(name));
    }

    /// A region was taken out, or came back.
    pub fn failover(&self, deployment: &str, from: &str, to: &str, trigger: &'static str) {
        let key = (deployment.to_owned(), from.to_owned(), to.to_owned(), trigger);
        *self.lock().failovers.entry(key).or_default() += 1;
    }

    /// A health check of an endpoint of `region` ended.
    pub fn health_check(&self, region: &str, result: &'static str, duration: Duration) {
        let mut counts = self.lock();
        *counts.checks.entry((region.to_owned(), result)).or_default() += 1;
        counts.check_durations.entry(region.to_owned()).or_default().record(duration);
    }

    /// A file was loaded again: `what` is `config`, `geoip`, `latency` or `shadow`.
    pub fn reload(&self, what: &'static str, successful: bool, unix_seconds: f64) {
        let mut counts = self.lock();
        let result = if successful { "success" } else { "failure" };
        *counts.reloads.entry((what, result)).or_default() += 1;
        // A file that is refused holds back whatever was read with it.
        // What a candidate is made of holds back nothing.
        if !successful && what != "shadow" {
            counts.last_reload_successful = Some(false);
        } else if successful && what == "config" {
            counts.last_reload_successful = Some(true);
            counts.last_success_unix_seconds = unix_seconds;
        }
    }

    /// An upgrade of the binary has failed, or this process has taken over.
    pub fn upgrade(&self, successful: bool) {
        let result = if successful { "success" } else { "failure" };
        *self.lock().upgrades.entry(result).or_default() += 1;
    }

    /// Forgets regions and deployments that the configuration no longer names.
    pub fn retain(&self, deployment: impl Fn(&str) -> bool, region: impl Fn(&str) -> bool) {
        let mut counts = self.lock();
        counts.failovers.retain(|(name, ..), _| deployment(name));
        counts.checks.retain(|(id, _), _| region(id));
        counts.check_durations.retain(|id, _| region(id));
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    pub(super) fn durations(&self) -> impl Iterator<Item = (&str, HistogramTotals)> {
        self.check_durations.iter().map(|(region, histogram)| {
            let mut totals = HistogramTotals::default();
            totals.absorb(histogram);
            (region.as_str(), totals)
        })
    }
}
