//! The one writer: feeds the policy and does what it says.
//!
//! A task of the control thread. All that thinks is in `policy`; here are the channels, the clock,
//! the log and the store. If it ends, requests keep flowing on the last table.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;

use crate::config::{Config, diff};
use crate::geo::Databases;
use crate::health::{Monitor, ProbeReport};
use crate::metrics::Registry;
use crate::model::{EndpointSignal, RegionState, limits};
use crate::names::{Answered, Book};
use crate::routing::{Table, Tables};
use crate::shadow::{Candidate, Seat};
use crate::snapshot::{Live, Snapshot};
use crate::tls::Tls;
use crate::tokens::Keys;

use super::command::{Command, Handle};
use super::event::{Event, EventLog};
use super::naming::Naming;
use super::policy::{Effect, Input, Policy};
use super::status::Status;

/// What a controller is made of.
#[derive(Debug)]
pub struct ControllerParts {
    /// The policy with its first table.
    pub policy: Policy,
    /// The databases in use.
    pub geo: Arc<Databases>,
    /// The keys in use.
    pub keys: Arc<Keys>,
    /// What handshakes use.
    pub tls: Arc<Tls>,
    /// The names of the configuration, with their first answers.
    pub names: Book,
    /// Where tables are put.
    pub live: Arc<Live>,
    /// Where things are counted.
    pub registry: Arc<Registry>,
    /// The instant that all durations count from.
    pub epoch: Instant,
}

/// The controller's task.
#[derive(Debug)]
pub struct Controller {
    policy: Policy,
    geo: Arc<Databases>,
    keys: Arc<Keys>,
    tls: Arc<Tls>,
    shadow: Seat,
    live: Arc<Live>,
    registry: Arc<Registry>,
    epoch: Instant,
    events: EventLog,
    entropy: fastrand::Rng,
    monitor: Monitor,
    names: Naming,
    lookups: mpsc::Receiver<Answered>,
    commands: mpsc::Receiver<Command>,
    signals: mpsc::Receiver<EndpointSignal>,
    reports: mpsc::Receiver<ProbeReport>,
}

impl Controller {
    /// A controller, and the handle to it.
    pub fn new(parts: ControllerParts) -> (Self, Handle) {
        let (commands_in, commands) = mpsc::channel(limits::COMMAND_QUEUE);
        let (signals_in, signals) = mpsc::channel(limits::OBSERVATION_QUEUE);
        let (reports_in, reports) = mpsc::channel(limits::CHECKS_IN_FLIGHT);
        let (lookups_in, lookups) = mpsc::channel(limits::NAMES_IN_FLIGHT);
        let ControllerParts { policy, geo, keys, tls, names, live, registry, epoch } = parts;
        let names = Naming::new(names, lookups_in, Arc::clone(&registry));
        registry.control.reload("config", true, unix_seconds());
        let mut monitor = Monitor::new(reports_in, Arc::clone(&registry));
        monitor.adopt(policy.config(), &tls);
        let controller = Self {
            policy,
            geo,
            keys,
            tls,
            shadow: Seat::default(),
            live,
            monitor,
            names,
            lookups,
            registry,
            epoch,
            events: EventLog::default(),
            entropy: fastrand::Rng::new(),
            commands,
            signals,
            reports,
        };
        (controller, Handle { commands: commands_in, signals: signals_in })
    }

    /// Works until every handle is gone.
    pub async fn run(mut self) {
        loop {
            self.tend_names();
            let wake = earliest(self.policy.next_wake(), self.names.next_wake());
            let input = tokio::select! {
                biased;
                Some(report) = self.reports.recv() => {
                    Some(Input::Probed { check: report.check, result: report.result })
                }
                Some(signal) = self.signals.recv() => Some(Input::Signal(signal)),
                Some(answered) = self.lookups.recv() => {
                    self.names.answered(answered, self.epoch.elapsed(), self.entropy.u64(..));
                    None
                }
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                () = sleep_until(self.epoch, wake) => Some(Input::Tick),
            };
            if let Some(input) = input {
                self.handle(input);
            }
        }
    }

    fn handle(&mut self, input: Input) {
        let effects = self.policy.handle(input, self.epoch.elapsed(), self.entropy.u64(..));
        for effect in effects {
            match effect {
                Effect::Publish(table) => self.publish(table),
                Effect::Probe(order) => self.monitor.start(order),
                Effect::Announce(event) => self.announce(event),
            }
        }
    }

    fn publish(&mut self, table: Arc<Table>) {
        let config = self.policy.config();
        let shadow = self.shadow.beside(&table);
        self.live.store(Snapshot {
            table,
            config: Arc::clone(config),
            tls: Arc::clone(&self.tls),
            geo: Arc::clone(&self.geo),
            trust: Arc::new(config.client.clone()),
            keys: Arc::clone(&self.keys),
            hops: config.hops.clone(),
            shadow,
        });
    }

    /// Tries another candidate, or none. The live table stays what it is.
    fn shadow(&mut self, read: Option<Result<Arc<Candidate>, String>>) {
        let table = Arc::clone(self.policy.table());
        match read {
            Some(read) => {
                self.registry.control.reload("shadow", read.is_ok(), unix_seconds());
                match &read {
                    Ok(candidate) => {
                        tracing::info!(file = %candidate.config.display(), "candidate is tried");
                    }
                    Err(report) => tracing::error!("candidate refused:\n{report}"),
                }
                self.shadow.take(read, &table);
            }
            None => self.shadow.leave(),
        }
        self.publish(table);
    }

    fn command(&mut self, command: Command) -> Option<Input> {
        match command {
            Command::Adopt { config, mut tables, geo, keys, tls, names } => {
                let fresh_keys = !Arc::ptr_eq(&self.keys, &keys);
                let fresh_tls = !Arc::ptr_eq(&self.tls, &tls);
                self.keys = keys;
                self.tls = tls;
                tables.places = self.names.adopt(&config, names, self.epoch.elapsed());
                self.adopt(&config, tables, geo, (fresh_keys, fresh_tls));
                None
            }
            Command::Reject { file, report } => {
                self.registry.control.reload(file, false, unix_seconds());
                tracing::error!(
                    file,
                    generation = self.policy.table().generation,
                    "reload refused, the last good table stays in use:\n{report}"
                );
                None
            }
            Command::Age(geo) => {
                self.geo = geo;
                Some(Input::Refresh)
            }
            Command::Shadow(read) => {
                self.shadow(read);
                None
            }
            Command::Ping(reply) => {
                // Whoever asked may have gone away.
                let _ = reply.send(());
                None
            }
            Command::Status(reply) => {
                // The same.
                let uptime = self.epoch.elapsed();
                let names = self.names.report(uptime);
                let status = Status::of(&self.policy, names, &self.events, uptime);
                let _ = reply.send(status);
                None
            }
        }
    }

    fn adopt(
        &mut self,
        config: &Arc<Config>,
        tables: Tables,
        geo: Option<Arc<Databases>>,
        (fresh_keys, fresh_tls): (bool, bool),
    ) {
        let changes = diff(self.policy.config(), config);
        let changed = !changes.is_empty();
        let fresh_geo = geo.is_some();
        if let Some(geo) = geo {
            self.geo = geo;
            self.registry.control.reload("geoip", true, unix_seconds());
        }
        let known = self.policy.tables();
        let fresh_latency = !same(known.latency.as_ref(), tables.latency.as_ref());
        let fresh_tenants = !same(known.tenants.as_ref(), tables.tenants.as_ref());
        if fresh_latency {
            self.registry.control.reload("latency", true, unix_seconds());
        }
        if fresh_tenants {
            self.registry.control.reload("tenants", true, unix_seconds());
        }
        if fresh_keys {
            self.registry.control.reload("keys", true, unix_seconds());
        }
        if fresh_tls {
            self.registry.control.reload("tls", true, unix_seconds());
        }
        let fresh_tables = fresh_latency || fresh_tenants;
        self.registry.control.reload("config", true, unix_seconds());
        if changed || fresh_tables {
            self.monitor.adopt(config, &self.tls);
            self.handle(Input::Config(Arc::clone(config), tables));
            self.forget_removed(config);
        } else if fresh_geo || fresh_keys || fresh_tls {
            self.monitor.adopt(config, &self.tls);
            self.handle(Input::Refresh);
        }
        if changed || fresh_geo || fresh_keys || fresh_tls || fresh_tables {
            let generation = self.policy.table().generation;
            tracing::info!(
                generation,
                changes = changes.len(),
                geoip = fresh_geo,
                latency = fresh_latency,
                tenants = fresh_tenants,
                keys = fresh_keys,
                tls = fresh_tls,
                "reloaded"
            );
            for change in &changes {
                tracing::info!(generation, "changed {change}");
            }
        } else {
            tracing::info!("reload found nothing changed");
        }
    }

    fn forget_removed(&self, config: &Config) {
        let serves = |deployment: &str, region: &str| {
            config.deployments.iter().any(|known| {
                known.name.as_str() == deployment
                    && (region.is_empty()
                        || known.regions.iter().any(|known| known.region.id.as_str() == region))
            })
        };
        self.registry.retain(|key| {
            let (deployment, region) = key.labels();
            deployment.is_empty() || serves(deployment, region)
        });
        self.registry.control.retain(
            |deployment| serves(deployment, ""),
            |region| config.regions.iter().any(|known| known.id.as_str() == region),
        );
    }

    /// Looks up the names that are due, and makes a table of what is known of them by now.
    fn tend_names(&mut self) {
        let now = self.epoch.elapsed();
        self.names.ask(now);
        if let Some(places) = self.names.take_places(now) {
            let tables = Tables { places, ..self.policy.tables().clone() };
            self.handle(Input::Config(Arc::clone(self.policy.config()), tables));
        }
    }

    fn announce(&mut self, event: Event) {
        if event.to == RegionState::Down {
            self.registry.control.failover(
                event.deployment.as_str(),
                event.region.as_str(),
                event.successor.as_ref().map_or("", |region| region.as_str()),
                event.cause.trigger(),
            );
        }
        // The level of a log line has to be known when it is compiled.
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    event = event.id,
                    deployment = event.deployment.as_str(),
                    region = event.region.as_str(),
                    from = event.from.as_str(),
                    to = event.to.as_str(),
                    trigger = event.cause.trigger(),
                    generation = event.generation,
                    "{}",
                    event.summary()
                )
            };
        }
        if event.to == RegionState::Healthy {
            log!(info);
        } else {
            log!(warn);
        }
        self.events.push(event);
    }
}

/// The earlier of two times, as far as there are any.
fn earliest(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    a.into_iter().chain(b).min()
}

async fn sleep_until(epoch: Instant, wake: Option<Duration>) {
    match wake {
        Some(wake) => tokio::time::sleep_until((epoch + wake).into()).await,
        None => std::future::pending().await,
    }
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Whether both are the same table, or there is none.
fn same<T>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}
