//! The Unix socket with a name: here one asks for an upgrade, or for the sockets themselves.
//!
//! Only for processes of the same user, and of root.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::elder::{GiveError, Given, Offer, give};
use super::heir::{is_friend, is_nobody};
use super::message::Message;
use super::wire::{Wire, WireError};
use crate::model::limits;

/// How long accepting pauses when it does not work.
const PAUSE: Duration = Duration::from_millis(500);

/// Why there is no socket to ask at.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Another process listens there.
    #[error("another process listens at {path}; `rhumb run --take-over` takes its place", path = .0.display())]
    Taken(PathBuf),
    /// It cannot be made.
    #[error("cannot listen at {path}", path = .path.display())]
    Bind {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why nothing came of asking.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody is there.
    #[error("nobody listens at {path}; is Rhumb running, with this `upgrade.socket`?", path = .0.display())]
    Nobody(PathBuf),
    /// The process there is somebody else's.
    #[error("the process that listens at {path} belongs to user {uid}", path = .path.display())]
    Stranger {
        /// Where.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// There is something wrong with the socket.
    #[error("cannot ask at {path}", path = .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// They did not understand each other, or it did not work out.
    #[error("no upgrade: {0}")]
    Wire(#[from] WireError),
}

/// Somebody who asks.
#[derive(Debug)]
pub enum Asked {
    /// To start the binary on disk; wants to know what comes of it.
    Upgrade(Asker),
    /// For the sockets.
    Take(Asker),
}

/// The other end.
#[derive(Debug)]
pub struct Asker(Wire);

/// The socket.
#[derive(Debug)]
pub struct Desk {
    asked: mpsc::Receiver<Asked>,
    task: JoinHandle<()>,
    path: PathBuf,
    inode: u64,
}

impl Desk {
    /// Listens at `path`. With `replace`, whoever listens there has given it up.
    ///
    /// # Errors
    ///
    /// When that is not possible.
    pub async fn open(path: &Path, replace: bool) -> Result<Self, DeskError> {
        if !replace && UnixStream::connect(path).await.is_ok() {
            return Err(DeskError::Taken(path.to_owned()));
        }
        let bind = || {
            let mut fresh = path.as_os_str().to_owned();
            fresh.push(".fresh");
            let _ = fs::remove_file(&fresh);
            let listener = UnixListener::bind(&fresh)?;
            // Before it gets its name.
            fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
            let inode = fs::metadata(&fresh)?.ino();
            fs::rename(&fresh, path)?;
            Ok((listener, inode))
        };
        let (listener, inode) =
            bind().map_err(|source| DeskError::Bind { path: path.to_owned(), source })?;
        let (asked_in, asked) = mpsc::channel(limits::HANDOVER_ASKING);
        let task = tokio::spawn(attend(listener, asked_in));
        Ok(Self { asked, task, path: path.to_owned(), inode })
    }

    /// The next one who asks.
    pub async fn next(&mut self) -> Option<Asked> {
        self.asked.recv().await
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.task.abort();
        // Not if it is another process's by now.
        if fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

async fn attend(listener: UnixListener, asked: mpsc::Sender<Asked>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match greet(Wire::new(stream)).await {
                Ok(one) => {
                    if asked.send(one).await.is_err() {
                        return;
                    }
                }
                Err(error) => tracing::warn!(%error, "somebody asked at the upgrade socket"),
            },
            Err(error) => {
                tracing::warn!(%error, "the upgrade socket cannot accept; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn greet(mut wire: Wire) -> Result<Asked, WireError> {
    let uid = wire.peer_uid()?;
    if !is_friend(uid) {
        let reason = format!("user {uid} may not ask");
        wire.say(&Message::Failed { reason: reason.clone() }, &[]).await?;
        return Err(WireError::Failed(reason));
    }
    let heard = timeout(limits::THREAD_ANSWER, wire.hear()).await;
    match heard.unwrap_or(Err(WireError::HungUp))? {
        Message::Upgrade => Ok(Asked::Upgrade(Asker(wire))),
        Message::Take { .. } => Ok(Asked::Take(Asker(wire))),
        _ => Err(WireError::OutOfTurn),
    }
}

impl Asker {
    /// Passes everything on that is offered.
    ///
    /// # Errors
    ///
    /// Why the other process does not serve.
    pub async fn give(
        &mut self,
        offers: &[Offer<'_>],
        ready: Duration,
    ) -> Result<Given, GiveError> {
        give(&mut self.0, offers, ready).await
    }

    /// Says that the new process serves.
    pub async fn done(self, pid: u32) {
        // Whoever asked may have gone.
        let _ = self.0.say(&Message::Done { pid }, &[]).await;
    }

    /// Says why it came to nothing.
    pub async fn failed(self, reason: String) {
        let _ = self.0.say(&Message::Failed { reason }, &[]).await;
    }
}

/// Asks the process at `path` to start the binary on disk, and waits until that serves. Its process.
///
/// # Errors
///
/// Why it does not.
pub async fn ask(path: &Path) -> Result<u32, AskError> {
    let io = |source| AskError::Io { path: path.to_owned(), source };
    let stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => return Err(AskError::Nobody(path.to_owned())),
        Err(error) => return Err(io(error)),
    };
    let mut wire = Wire::new(stream);
    let uid = wire.peer_uid().map_err(io)?;
    if !is_friend(uid) {
        return Err(AskError::Stranger { path: path.to_owned(), uid });
    }
    wire.say(&Message::Upgrade, &[]).await?;
    match wire.hear().await? {
        Message::Done { pid } => Ok(pid),
        _ => Err(WireError::OutOfTurn.into()),
    }
}
