//! The thread that sends what workers have recorded, and the only one that waits for a receiver.
//!
//! What cannot be sent is dropped and counted: a receiver that is gone, slow or wrong changes nothing
//! for requests. Encoding and attempts are those of the OpenTelemetry exporter.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, RetryPolicy, SpanExporter as Otlp, WithExportConfig,
    WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use rustls::ClientConfig;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::{timeout, timeout_at};

use super::outlet::Traces;
use super::receiver::{Receiver, Said};
use super::spans::{self, Moment};
use crate::config::Tracing;
use crate::metrics::Registry;
use crate::model::limits;
use crate::snapshot::{Live, Snapshot};

/// Failures are told once, and then so often at most.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What the thread needs.
#[derive(Debug)]
pub struct ExporterParts {
    /// Where workers leave their records.
    pub traces: Arc<Traces>,
    /// Where the configuration is.
    pub live: Arc<Live>,
    /// Where spans are counted.
    pub registry: Arc<Registry>,
}

/// The running thread.
#[derive(Debug)]
pub struct Exporter {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Exporter {
    /// Starts the thread; without traces in the configuration it sleeps.
    ///
    /// # Errors
    ///
    /// When the system has no thread or no descriptors for it.
    pub fn start(parts: ExporterParts) -> io::Result<Self> {
        let (stop, stopping) = watch::channel(false);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let work = Work::new(parts, stopping);
        let thread = thread::Builder::new()
            .name("rhumb-traces".to_owned())
            .spawn(move || run(runtime, work.run()))?;
        Ok(Self { stop, thread })
    }

    /// Sends what is left, for a bounded time, and ends. False if it had ended by a panic.
    pub fn stop(self) -> bool {
        // Without a receiver it has ended already.
        let _ = self.stop.send(true);
        self.thread.join().is_ok()
    }
}

/// Runs something to its end, and nothing that it has left behind: a receiver's name may be looked up
/// for as long as the system's resolver likes.
pub(super) fn run(runtime: Runtime, work: impl Future<Output = ()>) {
    runtime.block_on(work);
    runtime.shutdown_background();
}

pub(super) struct Work {
    parts: ExporterParts,
    scope: InstrumentationScope,
    /// Of the snapshot that was looked at last.
    version: Option<u64>,
    target: Option<Target>,
    batch: Vec<SpanData>,
    stopping: watch::Receiver<bool>,
}

/// Where spans are sent now.
struct Target {
    settings: Tracing,
    tls: Option<Arc<ClientConfig>>,
    /// `None`: the settings cannot be used, and that has been said.
    exporter: Option<Otlp>,
    said: Arc<Said>,
    /// When a failure was last told, while there is one.
    told: Option<Instant>,
}

impl Work {
    pub(super) fn new(parts: ExporterParts, stopping: watch::Receiver<bool>) -> Self {
        let scope = InstrumentationScope::builder("rhumb");
        let scope = scope.with_version(env!("CARGO_PKG_VERSION")).build();
        Self { parts, scope, version: None, target: None, batch: Vec::new(), stopping }
    }

    async fn run(mut self) {
        loop {
            self.adopt();
            if !self.wait().await {
                break;
            }
            self.deliver().await;
        }
        let end = Instant::now() + limits::TRACE_GOODBYE;
        loop {
            self.send(Some(end)).await;
            if !self.collect() {
                break;
            }
        }
    }

    /// Sends what there is, batch by batch.
    pub(super) async fn deliver(&mut self) {
        while self.collect() && !*self.stopping.borrow() {
            let full = self.batch.len() >= limits::TRACE_BATCH;
            self.send(None).await;
            if !full {
                break;
            }
        }
    }

    /// Waits until it is worth looking for records, or for a configuration; false: it is time to end.
    async fn wait(&mut self) -> bool {
        let traces = &self.parts.traces;
        let next = async {
            match self.target {
                None => traces.changed().await,
                Some(_) => drop(timeout(limits::TRACE_LOOK, traces.changed()).await),
            }
        };
        tokio::select! {
            () = next => true,
            // Also when nobody is left to say so.
            _ = self.stopping.wait_for(|stopping| *stopping) => false,
        }
    }

    /// Looks whether the configuration says something else than before.
    pub(super) fn adopt(&mut self) {
        let version = self.parts.live.version();
        if self.version.replace(version) == Some(version) {
            return;
        }
        let snapshot = self.parts.live.load();
        let Some(settings) = &snapshot.config.tracing else {
            self.target = None;
            return;
        };
        let tls = snapshot.tls.client(&settings.otlp.tls).cloned();
        let same_tls = |old: &Target| match (&old.tls, &tls) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (old, new) => old.is_none() && new.is_none(),
        };
        if let Some(old) = &mut self.target
            && same_tls(old)
            && (&old.settings.otlp, &old.settings.service_name)
                == (&settings.otlp, &settings.service_name)
        {
            return;
        }
        self.target = Some(Target::new(settings, tls, &snapshot));
    }

    /// Makes a batch of what is there; false: there is nothing.
    fn collect(&mut self) -> bool {
        let (now, batch, scope) = (Moment::now(), &mut self.batch, &self.scope);
        self.parts.traces.collect(|record| {
            spans::push(batch, record, scope, now);
            batch.len() < limits::TRACE_BATCH
        });
        !batch.is_empty()
    }

    /// Sends the batch, or drops it; `end`: by when at the latest.
    async fn send(&mut self, end: Option<Instant>) {
        // Only now, when it has been collected: what was recorded under a new configuration goes
        // where that says, and is not dropped because the one before had no receiver.
        self.adopt();
        let batch = std::mem::take(&mut self.batch);
        let (count, series) = (batch.len() as u64, &self.parts.registry.traces);
        if count == 0 {
            return;
        }
        let Some(target) = &mut self.target else {
            series.unsent.add(count);
            return;
        };
        let sent = target.send(batch, end, &mut self.stopping).await;
        let rejected = target.said.take_rejected().min(count);
        match sent {
            Ok(()) => {
                series.exported.add(count - rejected);
                series.rejected.add(rejected);
            }
            Err(Unsent) => series.unsent.add(count),
        }
        target.tell(sent, rejected);
    }
}

/// A batch did not get to its receiver.
#[derive(Clone, Copy, Debug)]
struct Unsent;

impl Target {
    fn new(settings: &Tracing, tls: Option<Arc<ClientConfig>>, snapshot: &Snapshot) -> Self {
        let said = Arc::new(Said::default());
        let receiver = Receiver::new(Arc::clone(&settings.otlp), tls.clone(), Arc::clone(&said));
        let exporter = exporter(settings, receiver, snapshot).map_err(|error| {
            tracing::error!(%error, "traces cannot be sent; is a variable OTEL_EXPORTER_OTLP_* set?");
        });
        let (settings, exporter) = (settings.clone(), exporter.ok());
        Self { settings, tls, exporter, said, told: None }
    }

    async fn send(
        &self,
        batch: Vec<SpanData>,
        end: Option<Instant>,
        stopping: &mut watch::Receiver<bool>,
    ) -> Result<(), Unsent> {
        let exporter = self.exporter.as_ref().ok_or(Unsent)?;
        let export = exporter.export(batch);
        let mut export = std::pin::pin!(timeout(self.settings.otlp.timeout, export));
        let end = match end {
            Some(end) => end,
            None => tokio::select! {
                sent = &mut export => return sent.ok().and_then(Result::ok).ok_or(Unsent),
                _ = stopping.wait_for(|stopping| *stopping) => {
                    Instant::now() + limits::TRACE_GOODBYE
                }
            },
        };
        let sent = timeout_at(end.into(), export).await;
        sent.ok().and_then(Result::ok).and_then(Result::ok).ok_or(Unsent)
    }

    /// Says that something is wrong with the receiver, and when it is well again.
    fn tell(&mut self, sent: Result<(), Unsent>, rejected: u64) {
        let endpoint = &self.settings.otlp.url;
        // After a success, it is what another attempt has made good.
        let why = self.said.take_failure();
        if sent.is_ok() && rejected == 0 {
            if self.told.take().is_some() {
                tracing::info!(%endpoint, "traces are sent again");
            }
        } else if self.told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            let why = why.unwrap_or_else(|| "it took too long".to_owned());
            tracing::warn!(%endpoint, why, "spans are dropped: the receiver does not take them");
            self.told = Some(Instant::now());
        }
    }
}

/// OpenTelemetry's exporter. It adds headers from `OTEL_EXPORTER_OTLP_HEADERS`, which is where
/// secrets of receivers are looked for, and attributes from `OTEL_RESOURCE_ATTRIBUTES`.
fn exporter(
    settings: &Tracing,
    receiver: Receiver,
    snapshot: &Snapshot,
) -> Result<Otlp, ExporterBuildError> {
    // About six seconds of attempts: a receiver may be started again without a loss.
    let policy = RetryPolicy::recommended().with_max_retries(7);
    let mut exporter = Otlp::builder()
        .with_http()
        .with_http_client(receiver)
        .with_endpoint(format!("{}{}", settings.otlp.url, settings.otlp.path))
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(settings.otlp.timeout)
        .with_retry_policy(policy)
        .build()?;
    let mut resource = Resource::builder()
        .with_service_name(settings.service_name.to_string())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if let Some(id) = &snapshot.hops.id {
        resource = resource.with_attribute(KeyValue::new("service.instance.id", id.to_string()));
    }
    exporter.set_resource(&resource.build());
    Ok(exporter)
}
