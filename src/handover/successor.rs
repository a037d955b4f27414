//! A new process that the old one starts, and ends if it comes to nothing.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::{interval, timeout};

use super::elder::{GiveError, Given, Offer, go, offer};
use super::heir::{STDIN, VARIABLE};
use super::program::Program;
use super::wire::{Wire, WireError};

/// How long a process that has hung up may take to end, so that one can say how it did.
const LAST_WORD: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);

/// Why the old process serves on.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The program cannot be started.
    #[error("cannot start {path}", path = .path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("the new process ended with {0} before it was ready; its messages say why")]
    Ended(ExitStatus),
    /// It ended, and said why.
    #[error("the new process cannot serve: {0}")]
    Refused(String),
    /// It did not come that far.
    #[error("the new process does not take over: {0}")]
    Give(#[from] GiveError),
}

/// A process that was started to take this one's place; ended when it is dropped before it has.
#[derive(Debug)]
pub struct Successor {
    child: Option<Child>,
    wire: Wire,
}

impl Successor {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn start(program: &Program) -> Result<Self, UpgradeError> {
        let start = || {
            let (own, other) = UnixStream::pair()?;
            let wire = Wire::of(own.into())?;
            let child = Command::new(&program.path)
                .args(&program.arguments)
                .env(VARIABLE, STDIN)
                // systemd's watchdog was this process's business, and will be the new one's.
                .env_remove("WATCHDOG_PID")
                .stdin(Stdio::from(OwnedFd::from(other)))
                .spawn()?;
            Ok(Self { child: Some(child), wire })
        };
        start().map_err(|source| UpgradeError::Start { path: program.path.clone(), source })
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Passes everything on that is offered, and waits until it is ready, for at most `ready`. Its
    /// process.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub async fn offer(
        &mut self,
        offers: &[Offer<'_>],
        ready: Duration,
    ) -> Result<u32, UpgradeError> {
        match offer(&mut self.wire, offers, ready).await {
            Ok(pid) => Ok(pid),
            Err(error) => Err(self.explain(error).await),
        }
    }

    /// Lets it serve; it is `pid`, and accepts from now on.
    ///
    /// # Errors
    ///
    /// Why it does not serve; it has been ended then.
    pub async fn go(mut self, pid: u32) -> Result<Given, UpgradeError> {
        match go(&mut self.wire, pid).await {
            Ok(given) => {
                self.child = None;
                Ok(given)
            }
            Err(error) => Err(self.explain(error).await),
        }
    }

    async fn explain(&mut self, error: GiveError) -> UpgradeError {
        let ended = match &error {
            GiveError::Wire(_) => self.last_word().await,
            GiveError::Busy(_) | GiveError::Slow(_) | GiveError::Stuck => None,
        };
        match (error, ended) {
            (GiveError::Wire(WireError::Failed(reason)), _) => UpgradeError::Refused(reason),
            (GiveError::Wire(_), Some(status)) => UpgradeError::Ended(status),
            (error, _) => error.into(),
        }
    }

    /// How it ended, if it is about to.
    async fn last_word(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut()?;
        let mut look = interval(LOOK);
        let ended = async {
            loop {
                look.tick().await;
                if let Ok(Some(status)) = child.try_wait() {
                    return status;
                }
            }
        };
        timeout(LAST_WORD, ended).await.ok()
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
