//! What the controller can be asked from other threads, and how it is reached. What it does then is
//! in `controller`.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::config::Config;
use crate::geo::Databases;
use crate::model::EndpointSignal;
use crate::names::Book;
use crate::routing::Tables;
use crate::shadow::Candidate;
use crate::tls::Tls;
use crate::tokens::Keys;

use super::status::Status;

/// What the controller is asked to do.
#[derive(Debug)]
pub enum Command {
    /// Files were read anew and are all valid.
    Adopt {
        /// The configuration.
        config: Arc<Config>,
        /// The tables that belong to it; those that were not read anew are the same as before.
        tables: Tables,
        /// The databases that belong to it, when they were read anew.
        geo: Option<Arc<Databases>>,
        /// The keys that belong to it; the same as before if they were not read anew.
        keys: Arc<Keys>,
        /// What handshakes need; the same as before if no file of it was read anew.
        tls: Arc<Tls>,
        /// First answers of names that are new.
        names: Book,
    },
    /// Files were read anew and are not valid; the last good ones stay.
    Reject {
        /// `config`, `latency`, `tenants`, `keys`, `tls` or `geoip`.
        file: &'static str,
        /// What is wrong, for people.
        report: String,
    },
    /// Other databases than before are too old to be asked.
    Age(Arc<Databases>),
    /// A candidate to try beside the live configuration was read or refused, or there is to be none.
    Shadow(Option<Result<Arc<Candidate>, String>>),
    /// Somebody wants to know whether it gets to what it is sent.
    Ping(oneshot::Sender<()>),
    /// Somebody wants to know how things are.
    Status(oneshot::Sender<Status>),
}

/// How to reach the controller from other threads.
#[derive(Clone, Debug)]
pub struct Handle {
    /// Commands from files and operators.
    pub commands: mpsc::Sender<Command>,
    /// What requests met. Senders drop rather than wait when it is full.
    pub signals: mpsc::Sender<EndpointSignal>,
}

impl Handle {
    /// Asks for the status; `None` when the controller is gone.
    pub async fn status(&self) -> Option<Status> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Status(reply)).await.ok()?;
        answer.await.ok()
    }

    /// Waits until the controller has done what it was sent; false when it is gone.
    pub async fn is_there(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Ping(reply)).await.is_ok() && answer.await.is_ok()
    }
}
