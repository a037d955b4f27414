//! What workers are told while they run.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::model::limits;

/// What a worker is told.
#[derive(Debug)]
pub(super) enum Order {
    /// Accept from these as well.
    Listen(Share),
    /// Accept what is in the queues of the sockets that listen there, and close them.
    Close(SocketAddr),
    /// Say that you are there.
    Ping(oneshot::Sender<()>),
    /// Finish what you have, and end.
    Drain(Drain),
}

/// A worker's sockets of one listener.
#[derive(Debug)]
pub(super) struct Share {
    /// As it is in the configuration.
    pub(super) configured: SocketAddr,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// Where connections go, if that is the same for all of them.
    pub(super) destination: Option<SocketAddr>,
    pub(super) sockets: Vec<TcpListener>,
    /// Hears when they are accepted from, or why not.
    pub(super) done: SyncSender<io::Result<()>>,
}

/// How workers come to their end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long what is under way may take.
    pub timeout: Duration,
    /// Where another process accepts by now.
    pub passed_on: BTreeSet<SocketAddr>,
}

impl Default for Drain {
    fn default() -> Self {
        Self { timeout: limits::DRAIN_TIMEOUT, passed_on: BTreeSet::new() }
    }
}
