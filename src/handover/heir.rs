//! The new process's side: gets the sockets, says when all is ready, and serves when it is told to.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::path::Path;

use tokio::net::UnixStream;
use tokio::time::timeout;

use super::message::{Message, Role};
use super::wire::{Wire, WireError};
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
    #[error("the process that hands over does not answer within {} s", limits::THREAD_ANSWER.as_secs())]
    Silent,
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
        let heir = Self { wire: Wire::of(socket)?, is_child: true };
        // A program that this one starts may have the variable, but not the socket.
        match heir.wire.peer_uid() {
            Ok(_) => heir.receive().await.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Asks the process that listens at `socket`; `None` when there is none.
    ///
    /// # Errors
    ///
    /// When it does not hand over.
    pub async fn of_socket(socket: &Path) -> Result<Option<(Self, Inherited)>, HeirError> {
        let stream = match UnixStream::connect(socket).await {
            Ok(stream) => stream,
            Err(error) if is_nobody(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let heir = Self { wire: Wire::new(stream), is_child: false };
        let uid = heir.wire.peer_uid()?;
        if !is_friend(uid) {
            return Err(HeirError::Stranger(uid));
        }
        heir.wire.say(&Message::Take { pid: std::process::id() }, &[]).await?;
        heir.receive().await.map(Some)
    }

    async fn receive(mut self) -> Result<(Self, Inherited), HeirError> {
        let mut inherited = Vec::new();
        loop {
            let heard = timeout(limits::THREAD_ANSWER, self.wire.hear()).await;
            let Message::Sockets { sockets, last } = heard.map_err(|_| HeirError::Silent)?? else {
                return Err(WireError::OutOfTurn.into());
            };
            let descriptors = self.wire.take(sockets.len())?;
            inherited.extend(sockets.into_iter().zip(descriptors).map(|(passed, descriptor)| {
                let socket = TcpListener::from(descriptor);
                Passed { role: passed.role, configured: passed.configured, socket }
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
            Err(_) => Err(HeirError::Silent),
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

/// Whether a process of that user may hand over to this one, and the other way round.
pub(super) fn is_friend(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// Whether nobody listens there.
pub(super) fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}
