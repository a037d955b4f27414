//! Making one connection to an endpoint, within its time.

use std::io;
use std::time::Duration;

use hyper::body::Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::interim::Counted;
use crate::config::{EndpointUrl, Host};
use crate::model::limits;

/// Why a connection could not be made. No byte of a request was sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It took too long.
    #[error("no connection to {url} within {after:?}")]
    Timeout {
        /// The endpoint.
        url: EndpointUrl,
        /// How long was waited.
        after: Duration,
    },
    /// The system refused.
    #[error("cannot connect to {url}")]
    Io {
        /// The endpoint.
        url: EndpointUrl,
        /// Why.
        source: io::Error,
    },
    /// The HTTP machinery could not start.
    #[error("cannot speak HTTP to {url}")]
    Handshake {
        /// The endpoint.
        url: EndpointUrl,
        /// Why.
        source: hyper::Error,
    },
}

/// The task that moves bytes on a connection; it ends at the latest with this.
///
/// Without it a connection that is in the middle of a request body which nobody will complete
/// would stay for as long as its origin does.
#[derive(Debug)]
pub(super) struct Wire(AbortHandle);

impl Drop for Wire {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Connects, and starts the task that moves bytes on the connection.
pub(super) async fn connect<B>(
    url: &EndpointUrl,
    timeout: Duration,
) -> Result<(SendRequest<B>, Wire), ConnectError>
where
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = tokio::time::timeout(timeout, open(url))
        .await
        .map_err(|_| ConnectError::Timeout { url: url.clone(), after: timeout })?
        .map_err(|source| ConnectError::Io { url: url.clone(), source })?;
    let (sender, connection) = http1::Builder::new()
        .max_header_size(limits::HEADER_BYTES)
        .max_buf_size(limits::CONNECTION_BUFFER_BYTES)
        .handshake(TokioIo::new(Counted::new(stream)))
        .await
        .map_err(|source| ConnectError::Handshake { url: url.clone(), source })?;
    let task = tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            // The request that was on it has been told; nobody else needs to know.
            tracing::trace!(%error, "upstream connection ended");
        }
    });
    Ok((sender, Wire(task.abort_handle())))
}

async fn open(url: &EndpointUrl) -> io::Result<TcpStream> {
    let stream = match &url.host {
        Host::Address(address) => TcpStream::connect((*address, url.port)).await?,
        Host::Name(name) => TcpStream::connect((&**name, url.port)).await?,
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}
