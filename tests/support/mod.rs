//! What the tests are made of: origins, clients and the program itself, all real and all on
//! loopback. Nothing here sleeps: what has to happen is waited for, with a generous deadline.

pub mod client;
pub mod dns;
pub mod edge;
pub mod frames;
pub mod http;
pub mod http2;
pub mod http2_origin;
pub mod load;
pub mod origin;
pub mod origin_process;
pub mod otlp;
pub mod proxy;
pub mod recorder;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

/// After this long a test gives up on whatever it waits for. Nothing is expected to take long;
/// the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until there is an answer.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        // Between two looks the processor is left to what is waited for.
        std::thread::park_timeout(Duration::from_millis(3));
    }
}

/// [`eventually`] for a condition.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    eventually(what, || holds().then_some(()));
}

/// An address of loopback that is taken: connections are refused, and nobody else gets it.
pub struct Taken {
    /// The address.
    pub address: SocketAddr,
    _socket: Socket,
}

impl Taken {
    /// One that refuses for as long as this is there.
    pub fn refusing() -> Self {
        Self::with(|_| Ok(()))
    }

    /// One that a proxy may listen at.
    pub fn to_be_shared() -> Self {
        Self::with(|socket| {
            socket.set_reuse_address(true)?;
            socket.set_reuse_port(true)
        })
    }

    fn with(prepare: impl FnOnce(&Socket) -> io::Result<()>) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        prepare(&socket).unwrap();
        // Bound and never listening.
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self { address, _socket: socket }
    }
}

/// Makes the next close of a socket a reset.
pub fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
}
