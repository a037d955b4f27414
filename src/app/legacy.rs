//! What a new process gets from this one: the ports, as they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::ports::{Grip, Ports};
use crate::handover::{Asker, GiveError, Given, Program, Successor, UpgradeError};

/// What can be passed on, once. Nothing changes about the ports while it is.
#[derive(Clone, Debug)]
pub struct Legacy {
    ports: Ports,
    gone: Arc<AtomicBool>,
}

/// A process that serves in this one's place, which has not stopped yet.
#[derive(Debug)]
pub struct Passing {
    /// What it has taken.
    pub given: Given,
    /// The ports do not change any more.
    pub(super) grip: Grip,
}

impl Legacy {
    pub(super) fn new(ports: Ports) -> Self {
        Self { ports, gone: Arc::default() }
    }

    /// Whether the new process was told to serve: it may accept connections by now, and whoever
    /// gives up on it cuts them.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Starts the program, and passes everything on to it.
    ///
    /// # Errors
    ///
    /// Why it does not serve; nothing has changed then.
    pub async fn to_program(
        &self,
        program: &Program,
        ready: Duration,
    ) -> Result<Passing, UpgradeError> {
        let mut grip = self.grip(ready).await?;
        let mut successor = Successor::start(program)?;
        tracing::info!(program = %program.path.display(), pid = successor.pid(), "upgrade begins");
        let pid = successor.offer(&grip.offers(), ready).await?;
        self.leave_it(&mut grip);
        let given = successor.go(pid).await?;
        Ok(Passing { given, grip })
    }

    /// Passes everything on to a process that asks for it.
    ///
    /// # Errors
    ///
    /// Why it does not serve; nothing has changed then.
    pub async fn to_asker(&self, asker: &mut Asker, ready: Duration) -> Result<Passing, GiveError> {
        let mut grip = self.grip(ready).await?;
        tracing::info!("another process is about to take over");
        let pid = asker.offer(&grip.offers(), ready).await?;
        self.leave_it(&mut grip);
        let given = asker.go(pid).await?;
        Ok(Passing { given, grip })
    }

    /// Waits for a reload that is under way.
    async fn grip(&self, ready: Duration) -> Result<Grip, GiveError> {
        timeout(ready, self.ports.hold()).await.map_err(|_| GiveError::Busy(ready))
    }

    fn leave_it(&self, grip: &mut Grip) {
        grip.offer();
        self.gone.store(true, Ordering::Relaxed);
    }
}
