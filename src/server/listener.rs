//! Listening sockets: one a worker and address, so that the kernel spreads connections and no
//! worker waits for another.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::model::limits;

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", advice(.source))]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

fn advice(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is taken by another process; stop it or choose another port".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        _ => error.to_string(),
    }
}

/// The sockets of one worker, each with the address that it is configured with.
#[derive(Debug)]
pub struct Listeners(pub Vec<(SocketAddr, TcpListener)>);

impl Listeners {
    /// Opens the sockets of `workers` workers. Port 0 becomes the same free port for all of them.
    /// Also returns the addresses that are listened on.
    ///
    /// # Errors
    ///
    /// The first address that does not work.
    pub fn open(
        addresses: &[SocketAddr],
        workers: usize,
    ) -> Result<(Vec<Self>, Vec<SocketAddr>), BindError> {
        let mut bound = Vec::with_capacity(addresses.len());
        let mut all: Vec<Self> = (0..workers).map(|_| Self(Vec::new())).collect();
        for address in addresses {
            ensure_free(*address)?;
            let mut exact = *address;
            for listeners in &mut all {
                let listener =
                    open(exact).map_err(|source| BindError { address: *address, source })?;
                exact = listener
                    .local_addr()
                    .map_err(|source| BindError { address: *address, source })?;
                listeners.0.push((*address, listener));
            }
            bound.push(exact);
        }
        Ok((all, bound))
    }
}

/// `SO_REUSEPORT` would share the port with another Rhumb of the same user without a word, and
/// half of the requests would go to it; so first see whether the port is free.
fn ensure_free(address: SocketAddr) -> Result<(), BindError> {
    if address.port() == 0 {
        return Ok(());
    }
    socket(address)
        .and_then(|socket| {
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(1)
        })
        .map_err(|source| BindError { address, source })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::LISTEN_BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // An IPv6 listener is for IPv6, so that 0.0.0.0 and [::] can be listened on side by side.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}
