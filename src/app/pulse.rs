//! Whether the program lives, for whoever restarts it if it does not.

use crate::failover::Handle;
use crate::model::limits;
use crate::server::Orders;

/// Whether the threads answer.
#[derive(Clone, Debug)]
pub struct Pulse {
    pub(super) handle: Handle,
    pub(super) orders: Orders,
}

impl Pulse {
    /// Asks them all.
    pub async fn is_there(&self) -> bool {
        let control = tokio::time::timeout(limits::THREAD_ANSWER, self.handle.is_there());
        control.await.unwrap_or(false) && self.orders.all_answer().await
    }
}
