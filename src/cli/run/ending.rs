//! How a Rhumb ends: it finishes what is under way, and says what became of it.

use std::future::pending;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::timeout;

use super::service::{Service, Upgrading};
use super::signals::Ending;
use crate::app::{App, Passing, systemd};
use crate::config::Drain;
use crate::handover::Desk;
use crate::model::limits;
use crate::proxy::WorkCounts;
use crate::server::Left;

/// Exit code when something was cut.
const CUT: u8 = 3;

/// Why it ends.
pub(super) enum End {
    Told(Ending),
    Replaced(Passing),
}

impl Service {
    /// Finishes what is under way; a second signal ends it at once.
    pub(super) async fn end(self, end: End) -> ExitCode {
        let Self { mut app, mut signals, desk, upgrading, .. } = self;
        let drain = app.live().load().config.drain;
        let was_told = matches!(end, End::Told(_));
        let second = async {
            if !was_told {
                let signal = signals.end().await;
                tracing::info!("{signal}: another process serves already; this one is finishing");
            }
            signals.end().await
        };
        let finishing = async {
            let end = match end {
                End::Told(signal) => match outcome(upgrading).await {
                    Some(passing) => End::Replaced(passing),
                    None => End::Told(signal),
                },
                replaced => replaced,
            };
            match end {
                End::Told(signal) => leave(&mut app, desk, signal, drain).await,
                End::Replaced(passing) => give_way(&mut app, desk, passing, drain.timeout).await,
            }
        };
        tokio::select! {
            biased;
            signal = second => {
                tracing::warn!("second signal, {signal}: ended at once; what was under way is cut");
                ExitCode::from(signal.exit_code())
            }
            left = finishing => last_words(left, app.stop()),
        }
    }
}

/// What became of an upgrade that was under way: nothing, unless the other process was told to serve
/// already.
async fn outcome(upgrading: Option<Upgrading>) -> Option<Passing> {
    let Upgrading { legacy, outcome } = upgrading?;
    if !legacy.is_gone() {
        return None;
    }
    // It has so long to say so, and for its last word.
    match timeout(2 * limits::THREAD_ANSWER, outcome).await.ok()? {
        Ok(passing) => Some(passing),
        Err(reason) => {
            tracing::error!("upgrade failed: {reason}");
            None
        }
    }
}

/// Nobody comes after this process, as far as it knows.
async fn leave(app: &mut App, desk: Option<Desk>, signal: Ending, drain: Drain) -> Left {
    let Drain { grace, timeout } = drain;
    systemd::stopping();
    if let Some(desk) = desk {
        desk.close(&format!("{signal}: this process is about to end")).await;
    }
    app.unready();
    if !grace.is_zero() {
        let seconds = grace.as_secs_f64();
        tracing::info!("{signal}: not ready any more; connections are accepted for {seconds} s");
        tokio::time::sleep(grace).await;
    }
    tracing::info!("{signal}: finishing what is under way");
    app.drain(timeout, None).await
}

/// Another process serves.
async fn give_way(
    app: &mut App,
    mut desk: Option<Desk>,
    passing: Passing,
    timeout: Duration,
) -> Left {
    let pid = passing.given.pid;
    systemd::succeeded_by(pid);
    tracing::info!(pid, "another process serves; finishing what is under way");
    let refusing = async {
        // The other one opens its own in a moment.
        if let Some(desk) = &mut desk {
            desk.refuse("another process serves by now; ask again").await;
        }
        pending().await
    };
    tokio::select! {
        left = app.drain(timeout, Some(passing)) => left,
        left = refusing => left,
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
