//! The old process's side: passes its sockets on, and waits until they are accepted from.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use tokio::time::timeout;

use super::message::{Message, Passed, Role};
use super::wire::{Wire, WireError};
use crate::model::limits;

/// The sockets of one address that can be had.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// What they are for.
    pub role: Role,
    /// The address as it is in the configuration.
    pub configured: SocketAddr,
    /// Whoever bound them has them for good.
    pub kept: bool,
    /// The sockets.
    pub sockets: &'a [TcpListener],
}

/// The new process serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Its process.
    pub pid: u32,
    /// Where sockets listen that it does not accept from.
    pub left: Vec<SocketAddr>,
}

/// Why the new process does not serve.
#[derive(Debug, thiserror::Error)]
pub enum GiveError {
    /// It cannot begin.
    #[error("a reload is under way, and takes longer than {} s", .0.as_secs_f64())]
    Busy(Duration),
    /// It takes too long.
    #[error("it was not ready within {} s", .0.as_secs_f64())]
    Slow(Duration),
    /// It was ready and then did nothing.
    #[error("it was ready, but did not serve within {} s", limits::THREAD_ANSWER.as_secs())]
    Stuck,
    /// They did not understand each other.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// Passes everything on that is offered, and waits until the new process is ready, for at most
/// `ready`. Its process.
pub(super) async fn offer(
    wire: &mut Wire,
    offers: &[Offer<'_>],
    ready: Duration,
) -> Result<u32, GiveError> {
    let preparing = async {
        pass(wire, offers).await?;
        match wire.hear().await? {
            Message::Ready { pid } => Ok(pid),
            _ => Err(WireError::OutOfTurn),
        }
    };
    Ok(timeout(ready, preparing).await.map_err(|_| GiveError::Slow(ready))??)
}

/// Lets the process that is ready serve. From here on it may accept connections, whatever becomes
/// of this.
pub(super) async fn go(wire: &mut Wire, pid: u32) -> Result<Given, GiveError> {
    let serving = async {
        wire.say(&Message::Go, &[]).await?;
        match wire.hear().await? {
            Message::Serving { left } => Ok(left),
            _ => Err(WireError::OutOfTurn),
        }
    };
    let left = timeout(limits::THREAD_ANSWER, serving).await.map_err(|_| GiveError::Stuck)??;
    Ok(Given { pid, left })
}

async fn pass(wire: &Wire, offers: &[Offer<'_>]) -> Result<(), WireError> {
    let all: Vec<(Passed, BorrowedFd<'_>)> = offers
        .iter()
        .flat_map(|Offer { role, configured, kept, sockets }| {
            let passed = Passed { role: *role, configured: *configured, kept: *kept };
            sockets.iter().map(move |socket| (passed, socket.as_fd()))
        })
        .collect();
    let mut parts = all.chunks(limits::HANDOVER_SOCKETS).peekable();
    if parts.peek().is_none() {
        wire.say(&Message::Sockets { sockets: Vec::new(), last: true }, &[]).await?;
    }
    while let Some(part) = parts.next() {
        let (sockets, descriptors): (Vec<_>, Vec<_>) = part.iter().copied().unzip();
        let last = parts.peek().is_none();
        wire.say(&Message::Sockets { sockets, last }, &descriptors).await?;
    }
    Ok(())
}
