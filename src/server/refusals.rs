//! Connections that are refused: told so, and seen to their end.
//!
//! A socket that is closed while bytes of its client are unread, or still to come, is reset by the
//! kernel, and a reset can make the client lose the answer. So the end is said, and what still comes
//! is thrown away until the client has gone, or for a moment. There are few places for that, no task
//! and no readiness for each: one look every few milliseconds for all of them. Who finds no place
//! waits for one, and everybody else in the listener's queue; so refusing costs so much and no more,
//! however many come.

use std::cell::RefCell;
use std::io::{ErrorKind, Read};
use std::net::{Shutdown, TcpStream as Socket};
use std::time::Instant;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::model::limits;

/// Read at once.
const PIECE: usize = 4 << 10;

/// The refused connections of one worker.
#[derive(Debug)]
pub(super) struct Refusals {
    places: RefCell<Vec<Leaving>>,
    most: usize,
    begun: Notify,
    looked: Notify,
}

/// A connection whose client has been told.
#[derive(Debug)]
struct Leaving {
    socket: Socket,
    until: Instant,
    /// What its client may still send.
    rest: usize,
}

impl Refusals {
    /// Room for so many at once.
    pub(super) fn new(most: usize) -> Self {
        let (begun, looked) = (Notify::new(), Notify::new());
        Self { places: RefCell::default(), most, begun, looked }
    }

    /// Says the last word on a connection. Gives it back when there is no place for it now.
    pub(super) fn refuse(&self, stream: TcpStream, word: &[u8]) -> Result<(), TcpStream> {
        let mut places = self.places.borrow_mut();
        if places.len() >= self.most {
            return Err(stream);
        }
        // Without a descriptor in the reactor it costs no wake-up.
        let Ok(socket) = stream.into_std() else { return Ok(()) };
        let said = SockRef::from(&socket).send(word).and_then(|_| socket.shutdown(Shutdown::Write));
        if said.is_err() {
            return Ok(());
        }
        let until = Instant::now() + limits::LINGER_TIMEOUT;
        let mut leaving = Leaving { socket, until, rest: limits::REFUSAL_BYTES };
        if !leaving.has_gone() {
            places.push(leaving);
            self.begun.notify_one();
        }
        Ok(())
    }

    /// Waits until somebody has looked whether there is a place.
    pub(super) async fn looked(&self) {
        self.looked.notified().await;
    }

    /// Looks after them for ever.
    pub(super) async fn tend(&self) {
        loop {
            while self.places.borrow().is_empty() {
                self.begun.notified().await;
            }
            tokio::time::sleep(limits::REFUSALS_LOOK).await;
            let now = Instant::now();
            self.places
                .borrow_mut()
                .retain_mut(|leaving| now < leaving.until && !leaving.has_gone());
            self.looked.notify_waiters();
        }
    }
}

impl Leaving {
    /// Throws away what has come; whether the client has gone, or has said too much.
    fn has_gone(&mut self) -> bool {
        let mut space = [0; PIECE];
        loop {
            match (&self.socket).read(&mut space) {
                Ok(0) => return true,
                Ok(count) if count >= self.rest => return true,
                Ok(count) => self.rest -= count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::rc::Rc;

    use tokio::net::TcpListener;
    use tokio::task::LocalSet;

    use super::*;

    const WORD: &[u8] = b"no";

    /// A client and the worker's end of its connection.
    async fn pair(listener: &TcpListener) -> (Socket, TcpStream) {
        let client = Socket::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    fn run(test: impl AsyncFnOnce(TcpListener)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            test(TcpListener::bind("127.0.0.1:0").await.unwrap()).await;
        });
    }

    #[test]
    fn a_client_reads_the_word_whatever_it_has_sent_and_sends() {
        run(async |listener| {
            let refusals = Rc::new(Refusals::new(8));
            for (before, after) in [(0, 0), (100, 0), (0, 100), (30 << 10, 20 << 10)] {
                let (mut client, stream) = pair(&listener).await;
                client.write_all(&vec![b'x'; before]).unwrap();
                refusals.refuse(stream, WORD).unwrap();
                client.write_all(&vec![b'y'; after]).unwrap();
                let mut read = Vec::new();
                client.read_to_end(&mut read).unwrap();
                assert_eq!(read, WORD);
            }
        });
    }

    #[test]
    fn who_finds_no_place_gets_the_next_one_that_is_free() {
        run(async |listener| {
            let refusals = Rc::new(Refusals::new(1));
            let tending = Rc::clone(&refusals);
            tokio::task::spawn_local(async move { tending.tend().await });
            let (first, stream) = pair(&listener).await;
            refusals.refuse(stream, WORD).unwrap();
            let (mut second, stream) = pair(&listener).await;
            let mut stream = refusals.refuse(stream, WORD).unwrap_err();
            drop(first);
            while let Err(again) = refusals.refuse(stream, WORD) {
                stream = again;
                refusals.looked().await;
            }
            let mut read = Vec::new();
            second.read_to_end(&mut read).unwrap();
            assert_eq!(read, WORD);
        });
    }

    #[test]
    fn who_does_not_stop_is_let_go() {
        run(async |listener| {
            let refusals = Refusals::new(1);
            let (mut client, stream) = pair(&listener).await;
            refusals.refuse(stream, WORD).unwrap();
            let mut sent = 0;
            // Its own buffer takes some more before it notices.
            while client.write_all(&[0; 1 << 10]).is_ok() {
                sent += 1 << 10;
                assert!(sent < 8 << 20, "it sends for ever");
                refusals.places.borrow_mut().retain_mut(|leaving| !leaving.has_gone());
            }
            assert!(refusals.places.borrow().is_empty());
        });
    }
}
