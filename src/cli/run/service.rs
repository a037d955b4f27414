//! A Rhumb while it runs: signals, upgrades, systemd, and the end.

use std::future::pending;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::signals::{Ending, Signals, Wanted};
use crate::app::{App, Legacy, Passing, Pulse, causes, systemd};
use crate::config::{Drain, Upgrade};
use crate::handover::{Asked, Asker, Desk, Given, Program};
use crate::proxy::WorkCounts;
use crate::server::Left;

/// Exit code when something was cut.
const CUT: u8 = 3;

/// An upgrade that is under way: who has taken over, or why nobody has.
type Upgrading = Pin<Box<dyn Future<Output = Result<Passing, String>>>>;

/// A running Rhumb, and what it listens to.
pub(super) struct Service {
    app: App,
    signals: Signals,
    program: Option<Program>,
    desk: Option<Desk>,
    reloaded: Option<mpsc::Receiver<()>>,
    watchdog: Option<(Interval, Pulse)>,
    upgrading: Option<Upgrading>,
}

/// Why it ends.
enum End {
    Told(Ending),
    Replaced(Given),
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
                Event::Upgraded(Ok(Passing { given, .. })) => break End::Replaced(given),
                Event::Upgraded(Err(reason)) => {
                    self.app.registry().control.upgrade(false);
                    tracing::error!("upgrade failed, this process serves on: {reason}");
                }
                Event::Watchdog => self.watchdog().await,
                Event::Signal(Wanted::End(ending)) => break End::Told(ending),
            }
        };
        // One that is under way comes to nothing.
        self.upgrading = None;
        self.end(end).await
    }

    async fn next(&mut self) -> Event {
        let Self { signals, desk, reloaded, watchdog, upgrading, .. } = self;
        tokio::select! {
            wanted = signals.next() => Event::Signal(wanted),
            Some(asked) = or_never(desk.as_mut().map(Desk::next)) => Event::Asked(asked),
            Some(()) = or_never(reloaded.as_mut().map(mpsc::Receiver::recv)) => Event::Reloaded,
            outcome = or_never(upgrading.as_mut()) => {
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
        let (legacy, ready) = self.legacy();
        self.upgrading = Some(Box::pin(async move {
            match legacy.to_program(&program, ready).await {
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
            }
        }));
    }

    /// Passes everything on to a process that somebody else has started, unless that cannot be.
    async fn give(&mut self, mut asker: Asker) {
        if let Err(why) = self.may_be_replaced() {
            return self.refuse(Some(asker), why).await;
        }
        let (legacy, ready) = self.legacy();
        self.upgrading = Some(Box::pin(async move {
            match legacy.to_asker(&mut asker, ready).await {
                Ok(passing) => Ok(passing),
                Err(error) => {
                    let reason = causes(&error);
                    asker.failed(reason.clone()).await;
                    Err(reason)
                }
            }
        }));
    }

    fn legacy(&self) -> (Legacy, Duration) {
        let Upgrade { ready, .. } = self.app.live().load().config.upgrade;
        (self.app.legacy(), ready)
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

    /// Finishes what is under way; a second signal ends it at once.
    async fn end(self, end: End) -> ExitCode {
        let Self { mut app, mut signals, desk, .. } = self;
        let Drain { grace, timeout } = app.live().load().config.drain;
        let finishing = async {
            match &end {
                End::Told(signal) => {
                    systemd::stopping();
                    app.unready();
                    if !grace.is_zero() {
                        tracing::info!(
                            "{signal}: not ready any more; connections are accepted for {} s",
                            grace.as_secs_f64()
                        );
                        tokio::time::sleep(grace).await;
                    }
                    tracing::info!("{signal}: finishing what is under way");
                    app.drain(timeout, None).await
                }
                End::Replaced(given) => {
                    systemd::succeeded_by(given.pid);
                    tracing::info!(
                        pid = given.pid,
                        "another process serves; finishing what is under way"
                    );
                    app.drain(timeout, Some(given)).await
                }
            }
        };
        tokio::select! {
            biased;
            signal = signals.end() => {
                tracing::warn!("second signal, {signal}: ended at once; what was under way is cut");
                ExitCode::from(signal.exit_code())
            }
            left = finishing => {
                drop(desk);
                last_words(left, app.stop())
            }
        }
    }
}

/// What became of everything, as a line and as an exit code.
fn last_words(Left { finished, cut }: Left, clean: bool) -> ExitCode {
    let finished = counted(finished);
    match (clean, cut.is_none()) {
        (false, _) => {
            let cut = counted(cut);
            tracing::error!("stopped after a panic: finished {finished}; cut {cut}");
            ExitCode::FAILURE
        }
        (true, true) => {
            tracing::info!("stopped: finished {finished}; cut nothing");
            ExitCode::SUCCESS
        }
        (true, false) => {
            tracing::warn!("stopped: finished {finished}; cut {}", counted(cut));
            ExitCode::from(CUT)
        }
    }
}

fn counted(WorkCounts { requests, streams, tunnels }: WorkCounts) -> String {
    let parts = [(requests, "request"), (streams, "stream"), (tunnels, "tunnel")];
    let some = parts.into_iter().filter(|(count, _)| *count > 0);
    let some: Vec<_> = some
        .map(|(count, name)| format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if some.is_empty() { "nothing".to_owned() } else { some.join(", ") }
}

/// What comes of it, if there is something.
async fn or_never<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_names_what_there_was() {
        let counts = |requests, streams, tunnels| WorkCounts { requests, streams, tunnels };
        assert_eq!(counted(counts(0, 0, 0)), "nothing");
        assert_eq!(counted(counts(1, 0, 2)), "1 request, 2 tunnels");
        assert_eq!(counted(counts(3, 1, 1)), "3 requests, 1 stream, 1 tunnel");
    }
}
