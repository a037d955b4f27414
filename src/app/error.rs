//! Why Rhumb did not start.

use super::load_error::LoadError;
use crate::server::{BindError, StartError};

/// Why Rhumb did not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A file is not valid.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// An address could not be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A worker could not be started.
    #[error(transparent)]
    Worker(#[from] StartError),
    /// The control thread could not be started.
    #[error("cannot start the control thread")]
    Control(#[source] std::io::Error),
    /// The file thread could not be started.
    #[error("cannot start the thread that watches files")]
    Files(#[source] std::io::Error),
    /// The thread that sends traces could not be started.
    #[error("cannot start the thread that sends traces")]
    Traces(#[source] std::io::Error),
    /// The access log could not be started.
    #[error(transparent)]
    AccessLog(#[from] crate::access_log::StartError),
    /// Signals cannot be received.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// A worker ended while starting; the log says why.
    #[error("a worker ended while starting; see the log")]
    WorkerEnded,
}
