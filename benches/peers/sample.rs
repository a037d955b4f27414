//! One measurement of one contestant, in the units that people compare.
//!
//! Not here: what several of them say together (`report`).

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::client::Fault;
use crate::contestant::Kind;
use crate::load::Outcome;
use crate::usage::Memory;

/// How requests were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// As fast as answers came.
    Saturated,
    /// At a fixed rate, the same for all.
    Fixed,
}

/// One measurement of one contestant.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) proxy: Kind,
    pub(crate) mode: Mode,
    pub(crate) round: usize,
    pub(crate) requests: usize,
    pub(crate) seconds: f64,
    pub(crate) processes: usize,
    pub(crate) user_seconds: f64,
    pub(crate) system_seconds: f64,
    pub(crate) cpu_us_per_request: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) peak_mib: f64,
    pub(crate) proportional_mib: f64,
    /// Share of its core that the contestant used.
    pub(crate) proxy_busy: f64,
    /// Share of its core that origins and load used; at a fixed rate they spin.
    pub(crate) load_busy: f64,
    /// Share of the contestant's core that went elsewhere: to other processes, and to interrupts
    /// where the kernel charges them to nobody.
    pub(crate) others_busy: f64,
    /// Share of that core that the hypervisor took.
    pub(crate) stolen: f64,
    /// How late requests were sent at a fixed rate, 99th percentile.
    pub(crate) send_lag_p99_us: f64,
    pub(crate) faults: BTreeMap<Fault, u64>,
}

impl Sample {
    pub(crate) fn new(
        (proxy, mode, round): (Kind, Mode, usize),
        outcome: &Outcome,
        processes: usize,
        memory: Memory,
    ) -> Self {
        let (before, after) = (&outcome.before, &outcome.after);
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let user_seconds = after.proxy.user - before.proxy.user;
        let system_seconds = after.proxy.system - before.proxy.system;
        let spent = user_seconds + system_seconds;
        let load = after.load.user + after.load.system - before.load.user - before.load.system;
        let on_core = after.core.busy - before.core.busy;
        let requests = outcome.latencies.len();
        let mib = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
        Self {
            proxy,
            mode,
            round,
            requests,
            seconds,
            processes,
            user_seconds,
            system_seconds,
            cpu_us_per_request: spent * 1e6 / requests.max(1) as f64,
            requests_per_second: requests as f64 / seconds,
            p50_us: percentile(&outcome.latencies, 0.50),
            p99_us: percentile(&outcome.latencies, 0.99),
            p999_us: percentile(&outcome.latencies, 0.999),
            peak_mib: mib(memory.peak),
            proportional_mib: mib(memory.proportional),
            proxy_busy: spent / seconds,
            load_busy: load / seconds,
            others_busy: ((on_core - spent) / seconds).max(0.0),
            stolen: (after.core.stolen - before.core.stolen) / seconds,
            send_lag_p99_us: percentile(&outcome.lags, 0.99),
            faults: outcome.faults.clone(),
        }
    }

    /// One line for whoever watches.
    pub(crate) fn line(&self) -> String {
        let mut line = format!(
            "{:<8} {:>7.2} us CPU/request {:>8.0} requests/s  p50 {:>6.0} us  p99 {:>7.0} us  core {:>3.0} %",
            self.proxy.name(),
            self.cpu_us_per_request,
            self.requests_per_second,
            self.p50_us,
            self.p99_us,
            self.proxy_busy * 100.0
        );
        if !self.faults.is_empty() {
            let _ = write!(line, "  WRONG ANSWERS {:?}", self.faults);
        }
        line
    }
}

/// Nearest rank, in microseconds; `ascending` is in nanoseconds.
fn percentile(ascending: &[u64], share: f64) -> f64 {
    let rank = (ascending.len() as f64 * share).ceil() as usize;
    ascending.get(rank.saturating_sub(1)).map_or(0.0, |&nanos| nanos as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_the_nearest_rank() {
        let nanos: Vec<u64> = (1..=100).map(|n| n * 1000).collect();
        for (share, micros) in [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (0.999, 100.0), (1.0, 100.0)]
        {
            assert_eq!(percentile(&nanos, share), micros, "{share}");
        }
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
