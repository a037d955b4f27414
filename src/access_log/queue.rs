//! What lies between workers and the thread that writes: so many batches, and no more.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use crate::config::AccessLog;

/// Lines on their way.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) settings: Arc<AccessLog>,
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
    /// Where its room goes back to.
    pub(super) home: SyncSender<Vec<u8>>,
}

impl Batch {
    /// Gives its room back to the worker that it is from, unless that has enough: memory that another
    /// thread frees has to be fetched anew, page by page.
    pub(super) fn give_back(self) {
        let mut bytes = self.bytes;
        bytes.clear();
        // The worker may have ended.
        let _ = self.home.try_send(bytes);
    }
}

/// What the thread that writes is told.
#[derive(Debug)]
pub(super) enum Message {
    Batch(Batch),
    /// Look at what is wanted.
    Look,
}

/// Where workers put lines.
#[derive(Clone, Debug)]
pub struct Lines(pub(super) SyncSender<Message>);

impl Lines {
    /// To nobody: all of them are dropped.
    pub fn nowhere() -> Self {
        Self(sync_channel(1).0)
    }

    /// Hands lines on, or back.
    pub(super) fn send(&self, batch: Batch) -> Result<(), Batch> {
        match self.0.try_send(Message::Batch(batch)) {
            Err(TrySendError::Full(Message::Batch(batch)))
            | Err(TrySendError::Disconnected(Message::Batch(batch))) => Err(batch),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
