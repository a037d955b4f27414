//! The floor of the comparison: a relay that copies bytes and understands none of them.
//!
//! One current-thread runtime; every accepted connection gets one connection of its own to the one
//! origin, and bytes go both ways until both ends are done. No routing, no pool, no timeouts:
//! whatever a proxy spends above this, it spends on being a proxy.
//!
//! Usage: `peers_relay LISTEN ORIGIN`, two socket addresses.

use std::error::Error;
use std::net::SocketAddr;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};

/// Of each direction of a connection: as much as HAProxy's, so a request or a response is one read.
const BUFFER_BYTES: usize = 16 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(listen), Some(origin), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: peers_relay LISTEN ORIGIN (two socket addresses)".into());
    };
    let (listen, origin): (SocketAddr, SocketAddr) = (listen.parse()?, origin.parse()?);
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?
        .block_on(serve(listen, origin))
}

async fn serve(listen: SocketAddr, origin: SocketAddr) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        // One that is gone before it was accepted is the client's affair.
        if let Ok((client, _)) = listener.accept().await {
            tokio::spawn(relay(client, origin));
        }
    }
}

/// Connects and copies; an error ends both connections, and the client sees that.
async fn relay(mut client: TcpStream, origin: SocketAddr) {
    let Ok(mut upstream) = TcpStream::connect(origin).await else { return };
    if client.set_nodelay(true).is_err() || upstream.set_nodelay(true).is_err() {
        return;
    }
    let _ =
        copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER_BYTES, BUFFER_BYTES).await;
}
