//! What a new process gets from this one: the ports, as they are.

use std::time::Duration;

use super::ports::{Grip, Ports};
use crate::handover::{Asker, GiveError, Given, Program, Successor, UpgradeError};

/// What can be passed on. Nothing changes about the ports while it is.
#[derive(Clone, Debug)]
pub struct Legacy(Ports);

/// A process that serves in this one's place, which has not stopped yet.
#[derive(Debug)]
pub struct Passing {
    /// What it has taken.
    pub given: Given,
    /// The ports do not change any more.
    _grip: Grip,
}

impl Legacy {
    pub(super) fn new(ports: Ports) -> Self {
        Self(ports)
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
        let grip = self.0.hold().await;
        let successor = Successor::start(program)?;
        tracing::info!(program = %program.path.display(), pid = successor.pid(), "upgrade begins");
        let given = successor.give(&grip.offers(), ready).await?;
        Ok(Passing { given, _grip: grip })
    }

    /// Passes everything on to a process that asks for it.
    ///
    /// # Errors
    ///
    /// Why it does not serve; nothing has changed then.
    pub async fn to_asker(&self, asker: &mut Asker, ready: Duration) -> Result<Passing, GiveError> {
        let grip = self.0.hold().await;
        tracing::info!("another process is about to take over");
        let given = asker.give(&grip.offers(), ready).await?;
        Ok(Passing { given, _grip: grip })
    }
}
