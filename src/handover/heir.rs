//! The new process's side: gets the sockets, says when all is ready, and serves when it is told to.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use rustix::net::AddressFamily;
use tokio::time::timeout;

use super::message::{Message, Passed as Line, Role};
use super::wire::{ReachError, Wire, WireError};
use crate::model::limits;

/// Tells a process that its standard input is the socket of the old one.
pub(super) const VARIABLE: &str = "RHUMB_HANDOVER";
pub(super) const STDIN: &str = "stdin";

/// A process that is about to take the place of another one.
#[derive(Debug)]
pub struct Heir {
    wire: Wire,
    /// The other process waits at standard input.
    is_child: bool,
}

/// A listening socket that somebody else has bound.
#[derive(Debug)]
pub struct Passed {
    /// What it is for.
    pub role: Role,
    /// The address in the configuration that it was bound for.
    pub configured: SocketAddr,
    /// Whoever bound it has it for good: systemd.
    pub kept: bool,
    /// The socket.
    pub socket: TcpListener,
}

/// Every listening socket that somebody else has bound.
pub type Inherited = Vec<Passed>;

/// Why a process cannot take the place of another one.
#[derive(Debug, thiserror::Error)]
pub enum HeirError {
    /// The old process is somebody else's.
    #[error("the process that hands over belongs to user {0}, and not to this one or to root")]
    Stranger(u32),
    /// It says nothing.
    #[error("the process that hands over does not answer within {} s", .0.as_secs_f64())]
    Silent(Duration),
    /// There is something wrong with the socket.
    #[error("cannot take over")]
    Io(#[from] io::Error),
    /// They did not understand each other, or the old one gave up.
    #[error("cannot take over: {0}")]
    Wire(#[from] WireError),
}

impl Heir {
    /// When this process was started to take the place of the one that started it.
    ///
    /// # Errors
    ///
    /// When that process does not hand over.
    pub async fn of_parent() -> Result<Option<(Self, Inherited)>, HeirError> {
        if std::env::var_os(VARIABLE).as_deref() != Some(OsStr::new(STDIN)) {
            return Ok(None);
        }
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        // A program that this one starts may have the variable, but not the socket.
        if rustix::net::sockopt::socket_domain(&socket) != Ok(AddressFamily::UNIX) {
            return Ok(None);
        }
        let heir = Self { wire: Wire::of(socket)?, is_child: true };
        heir.receive(limits::THREAD_ANSWER).await.map(Some)
    }

    /// Asks the process that listens at `socket`, which may be busy with a reload for `ready`;
    /// `None` when there is none.
    ///
    /// # Errors
    ///
    /// When it does not hand over.
    pub async fn of_socket(
        socket: &Path,
        ready: Duration,
    ) -> Result<Option<(Self, Inherited)>, HeirError> {
        let wire = match Wire::to(socket).await {
            Ok(wire) => wire,
            Err(ReachError::Nobody) => return Ok(None),
            Err(ReachError::Stranger(uid)) => return Err(HeirError::Stranger(uid)),
            Err(ReachError::Io(error)) => return Err(error.into()),
        };
        wire.say(&Message::Take { pid: std::process::id() }, &[]).await?;
        let heir = Self { wire, is_child: false };
        heir.receive(ready + limits::THREAD_ANSWER).await.map(Some)
    }

    async fn receive(mut self, mut patience: Duration) -> Result<(Self, Inherited), HeirError> {
        let mut inherited = Vec::new();
        loop {
            let heard = timeout(patience, self.wire.hear()).await;
            let heard = heard.map_err(|_| HeirError::Silent(patience))??;
            let Message::Sockets { sockets, last } = heard else {
                return Err(WireError::OutOfTurn.into());
            };
            // It has begun.
            patience = limits::THREAD_ANSWER;
            let descriptors = self.wire.take(sockets.len())?;
            inherited.extend(sockets.into_iter().zip(descriptors).map(|(passed, descriptor)| {
                let socket = TcpListener::from(descriptor);
                let Line { role, configured, kept } = passed;
                Passed { role, configured, kept, socket }
            }));
            if last {
                return Ok((self, inherited));
            }
        }
    }

    /// Says that everything that can fail has been done, and waits until the old process agrees.
    ///
    /// # Errors
    ///
    /// When it has changed its mind.
    pub async fn ready(&mut self) -> Result<(), HeirError> {
        self.wire.say(&Message::Ready { pid: std::process::id() }, &[]).await?;
        match timeout(limits::THREAD_ANSWER, self.wire.hear()).await {
            Ok(Ok(Message::Go)) => Ok(()),
            Ok(Ok(_)) => Err(WireError::OutOfTurn.into()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(HeirError::Silent(limits::THREAD_ANSWER)),
        }
    }

    /// Says that connections are accepted, and where not; the other process is done with.
    pub async fn serving(self, left: Vec<SocketAddr>) {
        if let Err(error) = self.wire.say(&Message::Serving { left }, &[]).await {
            // It serves, whatever the other one does now.
            tracing::warn!(%error, "the old process does not hear that this one serves");
        }
        self.part();
    }

    /// Says why it comes to nothing.
    pub async fn failed(self, reason: String) {
        // The other process sees this one end in any case.
        let _ = self.wire.say(&Message::Failed { reason }, &[]).await;
        self.part();
    }

    /// Nobody is at standard input any more.
    fn part(self) {
        if self.is_child {
            let done = File::open("/dev/null").map(rustix::stdio::dup2_stdin);
            if let Err(error) = done.and_then(|done| Ok(done?)) {
                tracing::debug!(%error, "standard input stays what it is");
            }
        }
    }
}
