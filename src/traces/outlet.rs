//! From workers to the exporter: a bounded queue for each worker, which none of them waits for.
//!
//! Nobody is woken by a record: the exporter looks for new ones now and then, so that handing one on
//! is a write into memory that no other worker writes.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::record::RequestSpan;
use crate::model::limits;

/// Where workers and the exporter meet.
#[derive(Debug, Default)]
pub struct Traces {
    queues: Mutex<Vec<Receiver<Box<RequestSpan>>>>,
    changed: Notify,
}

/// One worker's end of it.
#[derive(Debug)]
pub struct Outlet {
    sender: SyncSender<Box<RequestSpan>>,
    traces: Arc<Traces>,
    /// Random, to tell workers apart whose streams of random numbers meet.
    salt: u64,
}

impl Traces {
    /// A queue for one more worker.
    pub fn outlet(self: &Arc<Self>) -> Outlet {
        let (sender, receiver) = sync_channel(limits::TRACE_QUEUE);
        self.queues().push(receiver);
        let salt = RandomState::new().hash_one(0_u8);
        Outlet { sender, traces: Arc::clone(self), salt }
    }

    /// Takes the oldest records of each queue until `take` has had enough, and forgets queues whose
    /// workers have ended. Begins one queue further each time, so that none of them always finds
    /// `take` satisfied.
    pub(super) fn collect(&self, mut take: impl FnMut(&RequestSpan) -> bool) {
        use std::sync::mpsc::TryRecvError;
        let mut enough = false;
        let mut queues = self.queues();
        if !queues.is_empty() {
            queues.rotate_left(1);
        }
        queues.retain(|queue| {
            while !enough {
                match queue.try_recv() {
                    Ok(record) => enough = !take(&record),
                    Err(TryRecvError::Empty) => return true,
                    Err(TryRecvError::Disconnected) => return false,
                }
            }
            true
        });
    }

    /// Waits until the configuration may have changed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn queues(&self) -> MutexGuard<'_, Vec<Receiver<Box<RequestSpan>>>> {
        // Only the exporter and workers that start come here.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outlet {
    /// Hands a record on; gives back how many spans were lost when there is no room for it.
    pub fn send(&self, record: Box<RequestSpan>) -> Result<(), u64> {
        let spans = record.spans();
        self.sender.try_send(record).map_err(|_| spans)
    }

    /// Says that the configuration may have changed.
    pub fn look(&self) {
        self.traces.changed.notify_one();
    }

    /// To be mixed into the ids of traces.
    pub fn salt(&self) -> u64 {
        self.salt
    }
}
