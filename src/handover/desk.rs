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

use super::elder::{GiveError, Given, Offer, go, offer};
use super::message::Message;
use super::wire::{ReachError, Wire, WireError, is_friend};
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
    /// It says nothing.
    #[error("the process has not answered within {} s; its log says what became of the upgrade", .0.as_secs_f64())]
    Silent(Duration),
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

    /// Tells everybody who asks that it comes to nothing, and why.
    pub async fn refuse(&mut self, why: &str) {
        while let Some(Asked::Upgrade(asker) | Asked::Take(asker)) = self.next().await {
            asker.failed(why.to_owned()).await;
        }
    }

    /// Lets nobody ask any more; who has asked already is told why it comes to nothing.
    pub async fn close(mut self, why: &str) {
        self.task.abort();
        self.asked.close();
        self.refuse(why).await;
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
    /// Passes everything on that is offered, and waits until the other process is ready, for at
    /// most `ready`. Which one it is.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub async fn offer(&mut self, offers: &[Offer<'_>], ready: Duration) -> Result<u32, GiveError> {
        offer(&mut self.0, offers, ready).await
    }

    /// Lets it serve; it is `pid`, and accepts from now on.
    ///
    /// # Errors
    ///
    /// Why it does not serve.
    pub async fn go(&mut self, pid: u32) -> Result<Given, GiveError> {
        go(&mut self.0, pid).await
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

/// Asks the process at `path` to start the binary on disk, and waits until that serves. It may take
/// `ready` for that. Its process.
///
/// # Errors
///
/// Why it does not.
pub async fn ask(path: &Path, ready: Duration) -> Result<u32, AskError> {
    let path = path.to_owned();
    let mut wire = match Wire::to(&path).await {
        Ok(wire) => wire,
        Err(ReachError::Nobody) => return Err(AskError::Nobody(path)),
        Err(ReachError::Stranger(uid)) => return Err(AskError::Stranger { path, uid }),
        Err(ReachError::Io(source)) => return Err(AskError::Io { path, source }),
    };
    // A reload may have to come to its end first, and when it is ready it has to be told so.
    let patience = 2 * (ready + limits::THREAD_ANSWER);
    let asking = async {
        wire.say(&Message::Upgrade, &[]).await?;
        wire.hear().await
    };
    match timeout(patience, asking).await.map_err(|_| AskError::Silent(patience))?? {
        Message::Done { pid } => Ok(pid),
        _ => Err(WireError::OutOfTurn.into()),
    }
}
