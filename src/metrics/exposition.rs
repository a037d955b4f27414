//! One scrape: samples are collected on a page, and the page is written in the text format.
//!
//! The format itself is the `prometheus` crate's.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::TextEncoder;
use prometheus::proto;

use super::names::{self, Kind, Name};
use super::{Counter, DURATION_BOUNDS, HistogramTotals, Registry};
use crate::model::{Coding, ConnectionRefusal, Flood, Handshake, Shed, TokenRefusal};

/// Samples of one scrape.
#[derive(Debug, Default)]
pub struct Page {
    /// In the order of their first samples.
    families: Vec<proto::MetricFamily>,
    /// Where each of them is.
    places: HashMap<&'static str, usize>,
}

impl Page {
    /// Adds one sample of a counter or gauge; label values in the order of the name's labels.
    pub fn sample(&mut self, name: Name, labels: &[&str], value: f64) {
        let mut metric = proto::Metric::from_label(pairs(name, labels));
        if name.kind == Kind::Counter {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.family(name).mut_metric().push(metric);
    }

    /// Adds one histogram.
    pub fn histogram(&mut self, name: Name, labels: &[&str], totals: &HistogramTotals) {
        let mut cumulative = 0;
        let buckets = DURATION_BOUNDS
            .iter()
            .zip(&totals.buckets)
            .map(|(bound, count)| {
                cumulative += count;
                let mut bucket = proto::Bucket::default();
                bucket.set_upper_bound(*bound as f64 / 1e6);
                bucket.set_cumulative_count(cumulative);
                bucket
            })
            .collect::<Vec<_>>();
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(totals.count());
        histogram.set_sample_sum(totals.sum_micros as f64 / 1e6);
        let mut metric = proto::Metric::from_label(pairs(name, labels));
        metric.set_histogram(histogram);
        self.family(name).mut_metric().push(metric);
    }

    /// Adds everything that the registry knows. `reasons` and `signals` name the places of the
    /// counters that routing and health number.
    pub fn registry(&mut self, registry: &Registry, reasons: &[&str], signals: &[&str]) {
        registry.visit_pairs(|key, shards| {
            let (deployment, region) = key.labels();
            let shards = shards.iter().map(|(_, series)| series.as_ref()).collect::<Vec<_>>();
            PairPage { page: self, deployment, region, shards: &shards }.write(reasons, signals);
        });
        self.workers(registry);
        self.listeners(registry);
        self.control(registry);
    }

    /// The page in the text exposition format.
    ///
    /// # Errors
    ///
    /// When the encoder refuses a family, which would be a bug in a name.
    pub fn encode(self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.families)
    }

    fn family(&mut self, name: Name) -> &mut proto::MetricFamily {
        let families = &mut self.families;
        let place = *self.places.entry(name.name).or_insert_with(|| {
            let mut family = proto::MetricFamily::default();
            family.set_name(name.name.to_owned());
            family.set_help(name.help.to_owned());
            family.set_field_type(match name.kind {
                Kind::Counter => proto::MetricType::COUNTER,
                Kind::Gauge => proto::MetricType::GAUGE,
                Kind::Histogram => proto::MetricType::HISTOGRAM,
            });
            families.push(family);
            families.len() - 1
        });
        &mut families[place]
    }

    fn workers(&mut self, registry: &Registry) {
        let workers = registry.workers();
        let sum = |read: fn(&super::WorkerSeries) -> &Counter| {
            workers.iter().map(|worker| read(worker).get()).sum::<u64>() as f64
        };
        let (accepted, closed) = (sum(|w| &w.accepted), sum(|w| &w.closed));
        self.sample(names::WORKERS, &[], workers.len() as f64);
        self.sample(names::CONNECTIONS, &[], (accepted - closed).max(0.0));
        self.sample(names::CONNECTIONS_ACCEPTED, &[], accepted);
        self.sample(names::ACCEPT_FAILURES, &[], sum(|w| &w.accept_failures));
        self.sample(names::MALFORMED, &[], sum(|w| &w.malformed));
        self.sample(names::UPSTREAM_CONNECTIONS, &[], sum(|w| &w.upstream_connections));
        let (opened, closed) = (sum(|w| &w.tunnels_opened), sum(|w| &w.tunnels_closed));
        self.sample(names::TUNNELS, &[], (opened - closed).max(0.0));
        self.sample(names::OBSERVATIONS_DROPPED, &[], sum(|w| &w.observations_dropped));
        self.sample(names::RESIDENCY_VIOLATIONS, &[], sum(|w| &w.residency_violations));
        let traces = &registry.traces;
        self.sample(names::TRACE_SPANS_EXPORTED, &[], traces.exported.get() as f64);
        for (why, count) in [
            ("queue_full", sum(|w| &w.spans_dropped)),
            ("unsent", traces.unsent.get() as f64),
            ("rejected", traces.rejected.get() as f64),
        ] {
            self.sample(names::TRACE_SPANS_DROPPED, &[why], count);
        }
        let dropped =
            [("queue", sum(|w| &w.log_lines_dropped)), ("write", registry.log.failed.get() as f64)];
        for (why, lines) in dropped {
            self.sample(names::ACCESS_LOG_DROPPED, &[why], lines);
        }
        self.sample(names::ACCESS_LOG_LINES, &[], registry.log.written.get() as f64);
        let at = |place: usize, read: fn(&super::WorkerSeries) -> &[Counter]| {
            let counters = workers.iter().filter_map(|worker| read(worker).get(place));
            counters.map(Counter::get).sum::<u64>() as f64
        };
        for (place, kind) in TokenRefusal::ALL.into_iter().enumerate() {
            let count = at(place, |worker| &worker.tokens_refused);
            self.sample(names::TOKENS_REFUSED, &[kind.as_str()], count);
        }
        for (place, why) in ConnectionRefusal::ALL.into_iter().enumerate() {
            let count = at(place, |worker| &worker.refused);
            self.sample(names::CONNECTIONS_REFUSED, &[why.as_str()], count);
        }
        for (place, why) in Shed::ALL.into_iter().enumerate() {
            self.sample(names::SHED, &[why.as_str()], at(place, |worker| &worker.shed));
        }
        for (place, kind) in Flood::ALL.into_iter().enumerate() {
            self.sample(names::FLOODS, &[kind.as_str()], at(place, |worker| &worker.floods));
        }
        self.compression(&workers);
    }

    fn compression(&mut self, workers: &[Arc<super::WorkerSeries>]) {
        for (place, coding) in Coding::ALL.into_iter().enumerate() {
            let sum = |read: fn(&super::CompressedSeries) -> &Counter| {
                let series = workers.iter().filter_map(|worker| worker.compressed.get(place));
                series.map(|series| read(series).get()).sum::<u64>() as f64
            };
            let labels = [coding.as_str()];
            self.sample(names::COMPRESSED_RESPONSES, &labels, sum(|series| &series.responses));
            self.sample(names::COMPRESSED_BYTES_IN, &labels, sum(|series| &series.bytes_in));
            self.sample(names::COMPRESSED_BYTES_OUT, &labels, sum(|series| &series.bytes_out));
        }
        let refused = workers.iter().map(|worker| worker.compression_refused.get()).sum::<u64>();
        self.sample(names::COMPRESSION_REFUSED, &[], refused as f64);
    }

    fn listeners(&mut self, registry: &Registry) {
        registry.visit_listeners(|address, shards| {
            let address = address.to_string();
            let errors: u64 = shards.iter().map(|shard| shard.proxy_protocol_errors.get()).sum();
            self.sample(names::PROXY_PROTOCOL_ERRORS, &[&address], errors as f64);
            let all = shards.iter().flat_map(|shard| &shard.handshakes);
            if all.map(Counter::get).sum::<u64>() == 0 {
                // Most likely it speaks clear text.
                return;
            }
            for (place, result) in Handshake::ALL.into_iter().enumerate() {
                let counters = shards.iter().filter_map(|shard| shard.handshakes.get(place));
                let count = counters.map(Counter::get).sum::<u64>() as f64;
                self.sample(names::TLS_HANDSHAKES, &[&address, result.as_str()], count);
            }
        });
    }

    fn control(&mut self, registry: &Registry) {
        let counts = registry.control.lock();
        for ((deployment, from, to, trigger), n) in &counts.failovers {
            self.sample(names::FAILOVERS, &[deployment, from, to, trigger], *n as f64);
        }
        for ((region, result), n) in &counts.checks {
            self.sample(names::HEALTH_CHECKS, &[region, result], *n as f64);
        }
        for (region, totals) in counts.durations() {
            self.histogram(names::HEALTH_CHECK_DURATION, &[region], &totals);
        }
        for ((file, result), n) in &counts.reloads {
            self.sample(names::RELOADS, &[file, result], *n as f64);
        }
        for (result, n) in &counts.upgrades {
            self.sample(names::UPGRADES, &[result], *n as f64);
        }
        for (result, n) in &counts.lookups {
            self.sample(names::NAMES_LOOKUPS, &[result], *n as f64);
        }
        self.sample(names::NAMES_REFUSED, &[], counts.refused_addresses as f64);
        for (name, gauge) in &counts.names {
            self.sample(names::NAMES_ADDRESSES, &[name], gauge.addresses as f64);
            self.sample(names::NAMES_FAILURES, &[name], f64::from(gauge.failures));
            if let Some(at) = gauge.answered {
                self.sample(names::NAMES_ANSWER_TIMESTAMP, &[name], at);
            }
        }
        if let Some(successful) = counts.last_reload_successful {
            self.sample(names::LAST_RELOAD_SUCCESSFUL, &[], f64::from(u8::from(successful)));
            let when = counts.last_success_unix_seconds;
            self.sample(names::LAST_RELOAD_SUCCESS_TIMESTAMP, &[], when);
        }
    }
}

/// The samples of one deployment and region.
struct PairPage<'a> {
    page: &'a mut Page,
    deployment: &'a str,
    region: &'a str,
    shards: &'a [&'a super::PairSeries],
}

impl PairPage<'_> {
    fn write(&mut self, reasons: &[&str], signals: &[&str]) {
        let (deployment, region) = (self.deployment, self.region);
        for (code, count) in self.codes() {
            self.page.sample(names::REQUESTS, &[deployment, region, code], count as f64);
        }
        self.histogram(names::REQUEST_DURATION, |series| &series.request_duration);
        if region.is_empty() {
            return;
        }
        self.histogram(names::UPSTREAM_DURATION, |series| &series.upstream_duration);
        for (place, reason) in reasons.iter().enumerate() {
            let count = self.sum(|series| series.decisions.get(place));
            if count > 0 {
                self.page.sample(names::DECISIONS, &[deployment, region, reason], count as f64);
            }
        }
        for (place, kind) in signals.iter().enumerate() {
            let count = self.sum(|series| series.signals.get(place));
            self.page.sample(names::UPSTREAM_FAILURES, &[deployment, region, kind], count as f64);
        }
        let retries = self.sum(|series| Some(&series.retries));
        self.page.sample(names::RETRIES, &[deployment, region], retries as f64);
        let reported = self.sum(|series| Some(&series.residency_reported));
        self.page.sample(names::RESIDENCY_REPORTED, &[deployment, region], reported as f64);
        let in_flight = self
            .sum(|series| Some(&series.started))
            .saturating_sub(self.sum(|series| Some(&series.ended)));
        self.page.sample(names::IN_FLIGHT, &[deployment, region], in_flight as f64);
    }

    fn codes(&self) -> std::collections::BTreeMap<&'static str, u64> {
        let mut codes = std::collections::BTreeMap::new();
        for (code, count) in self.shards.iter().flat_map(|series| series.requests.counts()) {
            *codes.entry(code).or_default() += count;
        }
        codes
    }

    fn histogram(&mut self, name: Name, read: fn(&super::PairSeries) -> &super::Histogram) {
        let mut totals = HistogramTotals::default();
        for series in self.shards {
            totals.absorb(read(series));
        }
        self.page.histogram(name, &[self.deployment, self.region], &totals);
    }

    fn sum<'s>(&'s self, read: impl Fn(&'s super::PairSeries) -> Option<&'s Counter>) -> u64 {
        self.shards.iter().filter_map(|series| read(series)).map(Counter::get).sum()
    }
}

fn pairs(name: Name, values: &[&str]) -> Vec<proto::LabelPair> {
    debug_assert_eq!(name.labels.len(), values.len(), "{}", name.name);
    let mut pairs = name
        .labels
        .iter()
        .zip(values)
        .map(|(label, value)| {
            let mut pair = proto::LabelPair::default();
            pair.set_name((*label).to_owned());
            pair.set_value((*value).to_owned());
            pair
        })
        .collect::<Vec<_>>();
    pairs.sort();
    pairs
}
