//! A Rhumb while it runs: signals, upgrades, systemd.
//!
//! How it ends is `ending`.

use std::future::pending;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::ending::End;
use super::signals::{Signals, Wanted};
use crate::app::{App, Legacy, Passing, Pulse, causes, systemd};
use crate::config::Upgrade;
use crate::handover::{Asked, Asker, Desk, Program};

/// An upgrade that is under way.
pub(super) struct Upgrading {
    pub(super) legacy: Legacy,
    /// Who has taken over, or why nobody has.
    pub(super) outcome: Pin<Box<dyn Future<Output = Result<Passing, String>>>>,
}

/// A running Rhumb, and what it listens to.
pub(super) struct Service {
    pub(super) app: App,
    pub(super) signals: Signals,
    program: Option<Program>,
    pub(super) desk: Option<Desk>,
    reloaded: Option<mpsc::Receiver<()>>,
    watchdog: Option<(Interval, Pulse)>,
    pub(super) upgrading: Option<Upgrading>,
}

/// Something that happened.
enum Event {
    Signal(Wanted),
    Asked(Asked),
    Reloaded,
    Upgraded(Result<Passing, String>),
    Watchdog,
}

impl Service {
    pub(super) fn new(
        mut app: App,
        signals: Signals,
        program: Option<Program>,
        desk: Option<Desk>,
    ) -> Self {
        let reloaded = app.reloaded();
        let watchdog = systemd::watchdog().map(|period| {
            let mut interval = interval(period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            (interval, app.pulse())
        });
        Self { app, signals, program, desk, reloaded, watchdog, upgrading: None }
    }

    /// Runs to the end.
    pub(super) async fn run(mut self) -> ExitCode {
        let end = loop {
            match self.next().await {
                Event::Signal(Wanted::Reload) => {
                    tracing::info!("SIGHUP: reading the configuration again");
                    systemd::reloading();
                    self.app.reload();
                }
                Event::Reloaded => systemd::ready(),
                Event::Signal(Wanted::Reopen) => self.app.reopen_log(),
                Event::Signal(Wanted::Upgrade) => self.upgrade(None).await,
                Event::Asked(Asked::Upgrade(asker)) => self.upgrade(Some(asker)).await,
                Event::Asked(Asked::Take(asker)) => self.give(asker).await,
                Event::Upgraded(Ok(passing)) => break End::Replaced(passing),
                Event::Upgraded(Err(reason)) => {
                    self.app.registry().control.upgrade(false);
                    tracing::error!("upgrade failed, this process serves on: {reason}");
                }
                Event::Watchdog => self.watchdog().await,
                Event::Signal(Wanted::End(ending)) => break End::Told(ending),
            }
        };
        self.end(end).await
    }

    async fn next(&mut self) -> Event {
        let Self { signals, desk, reloaded, watchdog, upgrading, .. } = self;
        tokio::select! {
            wanted = signals.next() => Event::Signal(wanted),
            Some(asked) = or_never(desk.as_mut().map(Desk::next)) => Event::Asked(asked),
            Some(()) = or_never(reloaded.as_mut().map(mpsc::Receiver::recv)) => Event::Reloaded,
            outcome = or_never(upgrading.as_mut().map(|it| it.outcome.as_mut())) => {
                *upgrading = None;
                Event::Upgraded(outcome)
            }
            _ = or_never(watchdog.as_mut().map(|(interval, _)| interval.tick())) => Event::Watchdog,
        }
    }

    /// Starts the binary on disk in this one's place, unless that cannot be.
    async fn upgrade(&mut self, asker: Option<Asker>) {
        let Some(program) = self.program.clone().filter(|_| self.may_be_replaced().is_ok()) else {
            let why = self.may_be_replaced().err().unwrap_or("this program was not found on disk");
            return self.refuse(asker, why).await;
        };
        self.begin(async move |legacy, ready| match legacy.to_program(&program, ready).await {
            Ok(passing) => {
                if let Some(asker) = asker {
                    asker.done(passing.given.pid).await;
                }
                Ok(passing)
            }
            Err(error) => {
                let reason = causes(&error);
                if let Some(asker) = asker {
                    asker.failed(reason.clone()).await;
                }
                Err(reason)
            }
        });
    }

    /// Passes everything on to a process that somebody else has started, unless that cannot be.
    async fn give(&mut self, mut asker: Asker) {
        if let Err(why) = self.may_be_replaced() {
            return self.refuse(Some(asker), why).await;
        }
        self.begin(async move |legacy, ready| match legacy.to_asker(&mut asker, ready).await {
            Ok(passing) => Ok(passing),
            Err(error) => {
                let reason = causes(&error);
                asker.failed(reason.clone()).await;
                Err(reason)
            }
        });
    }

    fn begin<F>(&mut self, how: F)
    where
        F: AsyncFnOnce(Legacy, Duration) -> Result<Passing, String> + 'static,
    {
        let Upgrade { ready, .. } = self.app.live().load().config.upgrade;
        let legacy = self.app.legacy();
        let giving = legacy.clone();
        let outcome = Box::pin(async move { how(giving, ready).await });
        self.upgrading = Some(Upgrading { legacy, outcome });
    }

    fn may_be_replaced(&self) -> Result<(), &'static str> {
        if self.upgrading.is_some() {
            return Err("another upgrade is under way");
        }
        if std::process::id() == 1 {
            return Err("this is process 1, and when it ends its container does; start another \
                        container, or this one with an init process");
        }
        Ok(())
    }

    async fn refuse(&self, asker: Option<Asker>, why: &str) {
        self.app.registry().control.upgrade(false);
        tracing::error!("no upgrade: {why}");
        if let Some(asker) = asker {
            asker.failed(why.to_owned()).await;
        }
    }

    /// Tells systemd that all is well, if it is. Asks beside everything else, because a thread that
    /// does not answer takes its time.
    async fn watchdog(&mut self) {
        let Some((_, pulse)) = &self.watchdog else { return };
        let pulse = pulse.clone();
        tokio::spawn(async move {
            match pulse.is_there().await {
                true => systemd::alive(),
                false => tracing::error!("a thread does not answer; the watchdog is not told"),
            }
        });
    }
}

/// What comes of it, if there is something.
pub(super) async fn or_never<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}
