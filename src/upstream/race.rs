//! A connection to a host by one address, or by its other one when that takes long or fails: happy
//! eyeballs (RFC 8305 section 5) for the two addresses that stand for one host.
//!
//! The order of several hosts is not decided here: each is an endpoint of its own.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;

use tokio::net::TcpStream;

use crate::model::limits;

/// A connection to `first`, or to `twin` if that is there earlier. Fails as soon as both have, and
/// tells why `first` did.
pub(super) async fn connect(first: SocketAddr, twin: Option<SocketAddr>) -> io::Result<TcpStream> {
    let stream = match twin {
        None => TcpStream::connect(first).await,
        Some(twin) => race(first, twin).await,
    }?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn race(first: SocketAddr, twin: SocketAddr) -> io::Result<TcpStream> {
    let mut leader = pin!(TcpStream::connect(first));
    tokio::select! {
        biased;
        connected = &mut leader => match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => return after(error, TcpStream::connect(twin)).await,
        },
        () = tokio::time::sleep(limits::TWIN_DELAY) => {}
    }
    let mut follower = pin!(TcpStream::connect(twin));
    tokio::select! {
        biased;
        connected = &mut leader => match connected {
            Ok(stream) => Ok(stream),
            Err(error) => after(error, follower).await,
        },
        connected = &mut follower => match connected {
            Ok(stream) => Ok(stream),
            Err(_) => leader.await,
        },
    }
}

/// What the last attempt says, or else the error of the first.
async fn after(
    error: io::Error,
    last: impl Future<Output = io::Result<TcpStream>>,
) -> io::Result<TcpStream> {
    last.await.map_err(|_| error)
}
