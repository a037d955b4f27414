//! From measurements to the numbers that are shown: medians over rounds, and ratios to the better
//! of nginx and HAProxy and to the relay.
//!
//! A ratio is taken within a round, between neighbours in time, and then the median over rounds:
//! what drifts in the machine from round to round cancels out of it. Not here: one measurement
//! (`sample`).

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::contestant::Kind;
use crate::sample::{Mode, Sample};

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
            "  {:<8} {:<32} {:<24} to relay",
            "",
            "median [min, max]",
            format!("to {peer}")
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
        &|s| s.mode == Mode::Saturated && s.proxy_busy + s.others_busy + s.stolen < 0.95,
    );
    doubt("other processes or interrupts took more than 3 % of the proxy's core", &|s| {
        s.others_busy > 0.03
    });
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
    fn median_of_an_even_number_lies_between() {
        let spread = Spread::of(vec![4.0, 1.0, 3.0, 2.0]);
        assert_eq!(spread, Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
