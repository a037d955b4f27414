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
use std::net::TcpStream;
use std::time::{Duration, Instant};

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

/// Makes the next close of a socket a reset.
pub fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
}
