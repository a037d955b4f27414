//! From measurements to the numbers that are shown: medians over rounds, and ratios to the better
//! of nginx and HAProxy and to the relay.
//!
//! A ratio is taken within a round, between neighbours in time, and then the median over rounds:
//! what drifts in the machine from round to round cancels out of it.

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
    /// Share of the contestant's core that other processes used.
    pub(crate) others_busy: f64,
    /// Share of that core in interrupts that the kernel charges to nobody.
    pub(crate) interrupts_busy: f64,
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
        let on_core = after.core.processes - before.core.processes;
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
            interrupts_busy: (after.core.interrupts - before.core.interrupts) / seconds,
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

/// What is compared.
#[derive(Clone, Copy)]
struct Metric {
    name: &'static str,
    title: &'static str,
    decimals: usize,
    more_is_better: bool,
    value: fn(&Sample) -> f64,
}

const METRICS: [Metric; 6] = [
    Metric {
        name: "cpu_us_per_request",
        title: "CPU per request, us (user + system of the proxy's processes)",
        decimals: 2,
        more_is_better: false,
        value: |sample| sample.cpu_us_per_request,
    },
    Metric {
        name: "requests_per_second",
        title: "requests per second",
        decimals: 0,
        more_is_better: true,
        value: |sample| sample.requests_per_second,
    },
    Metric {
        name: "p50_us",
        title: "latency p50, us",
        decimals: 0,
        more_is_better: false,
        value: |sample| sample.p50_us,
    },
    Metric {
        name: "p99_us",
        title: "latency p99, us",
        decimals: 0,
        more_is_better: false,
        value: |sample| sample.p99_us,
    },
    Metric {
        name: "peak_mib",
        title: "peak memory, MiB (sum of VmHWM: pages shared by processes count for each)",
        decimals: 1,
        more_is_better: false,
        value: |sample| sample.peak_mib,
    },
    Metric {
        name: "proportional_mib",
        title: "memory at the end, MiB (PSS: shared pages counted once)",
        decimals: 1,
        more_is_better: false,
        value: |sample| sample.proportional_mib,
    },
];

/// Median and extremes over rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` without values.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), min, max })
    }

    fn text(self, decimals: usize) -> String {
        let Self { median, min, max } = self;
        format!("{median:.decimals$} [{min:.decimals$}, {max:.decimals$}]")
    }
}

/// One contestant's standing in one metric.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Standing {
    pub(crate) mode: Mode,
    pub(crate) metric: &'static str,
    pub(crate) proxy: Kind,
    #[serde(flatten)]
    pub(crate) value: Spread,
    /// The better of nginx and HAProxy in this metric.
    pub(crate) best_peer: Option<Kind>,
    pub(crate) to_best_peer: Option<Spread>,
    pub(crate) to_relay: Option<Spread>,
}

/// Every contestant's standing in every metric of `mode`.
pub(crate) fn standings(samples: &[Sample], mode: Mode) -> Vec<Standing> {
    METRICS.iter().flat_map(|metric| standings_in(*metric, samples, mode)).collect()
}

fn standings_in(metric: Metric, samples: &[Sample], mode: Mode) -> Vec<Standing> {
    let values = |kind: Kind| -> BTreeMap<usize, f64> {
        let of_kind = samples.iter().filter(|s| s.proxy == kind && s.mode == mode);
        of_kind.map(|sample| (sample.round, (metric.value)(sample))).collect()
    };
    let median =
        |kind: Kind| Spread::of(values(kind).into_values().collect()).map(|spread| spread.median);
    let peers = Kind::ALL.into_iter().filter(|kind| kind.is_peer());
    let best_peer = peers
        .filter_map(|kind| Some((kind, median(kind)?)))
        .min_by(
            |(_, a), (_, b)| {
                if metric.more_is_better { b.total_cmp(a) } else { a.total_cmp(b) }
            },
        )
        .map(|(kind, _)| kind);
    let ratio = |of: Kind, to: Kind| {
        let base = values(to);
        let paired = values(of).into_iter().filter_map(|(round, value)| {
            let base = *base.get(&round)?;
            (base > 0.0).then_some(value / base)
        });
        Spread::of(paired.collect())
    };
    Kind::ALL
        .into_iter()
        .filter_map(|proxy| {
            Some(Standing {
                mode,
                metric: metric.name,
                proxy,
                value: Spread::of(values(proxy).into_values().collect())?,
                best_peer,
                to_best_peer: best_peer.and_then(|peer| ratio(proxy, peer)),
                to_relay: ratio(proxy, Kind::Relay),
            })
        })
        .collect()
}

/// The tables of `mode`, for people.
pub(crate) fn tables(standings: &[Standing], mode: Mode) -> String {
    let mut text = String::new();
    for metric in METRICS {
        let rows: Vec<&Standing> =
            standings.iter().filter(|s| s.mode == mode && s.metric == metric.name).collect();
        if rows.is_empty() {
            continue;
        }
        let peer = rows.iter().find_map(|row| row.best_peer).map_or("best peer", Kind::name);
        let _ = writeln!(text, "\n{}", metric.title);
        let _ = writeln!(
            text,
            "  {:<8} {:<32} {:<24} {}",
            "",
            "median [min, max]",
            format!("to {peer}"),
            "to relay"
        );
        for row in rows {
            let ratio = |spread: Option<Spread>| {
                spread.map_or_else(|| "-".to_owned(), |spread| spread.text(2))
            };
            let _ = writeln!(
                text,
                "  {:<8} {:<32} {:<24} {}",
                row.proxy.name(),
                row.value.text(metric.decimals),
                ratio(row.to_best_peer),
                ratio(row.to_relay)
            );
        }
    }
    text
}

/// What makes numbers doubtful, each a sentence.
pub(crate) fn doubts(samples: &[Sample]) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut doubt = |what: &str, when: &dyn Fn(&Sample) -> bool| {
        let mut who: Vec<_> = samples.iter().filter(|s| when(s)).map(|s| s.proxy).collect();
        let count = who.len();
        who.sort();
        who.dedup();
        if count > 0 {
            let names: Vec<&str> = who.into_iter().map(Kind::name).collect();
            doubts.push(format!("{what} ({} in {count} windows)", names.join(", ")));
        }
    };
    doubt(
        "the load's core was the limit, so requests/s and latency are not the proxy's own",
        &|s| s.mode == Mode::Saturated && s.proxy_busy < 0.95,
    );
    doubt("other processes used more than 3 % of the proxy's core", &|s| s.others_busy > 0.03);
    doubt("the hypervisor took more than 1 % of the proxy's core", &|s| s.stolen > 0.01);
    doubt("requests were sent late (p99 over 200 us) at the fixed rate", &|s| {
        s.send_lag_p99_us > 200.0
    });
    doubt(
        "less than 1 s of CPU time was measured; its unit is 10 ms, use a longer --seconds",
        &|s| s.user_seconds + s.system_seconds < 1.0,
    );
    doubts
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

    #[test]
    fn median_of_an_even_number_lies_between() {
        let spread = Spread::of(vec![4.0, 1.0, 3.0, 2.0]);
        assert_eq!(spread, Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
