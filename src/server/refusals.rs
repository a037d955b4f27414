//! Connections that are refused: told so, and seen to their end.
//!
//! A socket that is closed while bytes of its client are unread, or still to come, is reset by the
//! kernel, and a reset can make the client lose the answer. So the end is said, and what still comes
//! is thrown away: until the client has gone, or has said all that it will before it has an answer, or
//! for a moment. There are few places for that, and neither a task nor readiness for each: one look
//! every few milliseconds at all of them. Between two looks so many are refused and no more; everybody
//! else waits in the listener's queue. So refusing costs what it costs, however many come.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::net::{Shutdown, TcpStream as Socket};
use std::time::Instant;

use socket2::SockRef;
use tokio::sync::Notify;

use crate::model::limits;

/// Read at once.
const PIECE: usize = 4 << 10;
/// What a record of TLS begins with that belongs to a handshake, and how long that beginning is (RFC
/// 8446 section 5.1).
const HANDSHAKE: (u8, usize) = (22, 5);
/// Requests that have no body.
const BODILESS: [&[u8]; 3] = [b"GET ", b"HEAD ", b"OPTIONS "];

/// The refused connections of one worker.
#[derive(Debug)]
pub(super) struct Refusals {
    /// The one that came first is in front.
    places: RefCell<VecDeque<Leaving>>,
    most: usize,
    /// Connections refused since the last look.
    since: Cell<usize>,
    begun: Notify,
    looked: Notify,
}

/// A connection whose client has been told.
#[derive(Debug)]
struct Leaving {
    socket: Socket,
    since: Instant,
    /// What its client has sent.
    heard: usize,
}

impl Refusals {
    /// Room for so many at once.
    pub(super) fn new(most: usize) -> Self {
        let (begun, looked) = (Notify::new(), Notify::new());
        Self { places: RefCell::default(), most, since: Cell::new(0), begun, looked }
    }

    /// Whether a connection can be refused now, or has to wait for a look.
    pub(super) fn takes(&self, socket: &Socket) -> bool {
        // Whoever waits for the next look needs one.
        self.begun.notify_one();
        let has_turn = self.since.get() < limits::REFUSALS_PER_LOOK;
        has_turn && (self.has_place(Instant::now()) || has_said_all(socket))
    }

    /// Says the last word on a connection that can be refused now.
    pub(super) fn refuse(&self, socket: Socket, word: &[u8]) {
        self.since.set(self.since.get() + 1);
        let said = SockRef::from(&socket).send(word).and_then(|_| socket.shutdown(Shutdown::Write));
        let mut leaving = Leaving { socket, since: Instant::now(), heard: 0 };
        if said.is_ok() && !leaving.has_gone() {
            let mut places = self.places.borrow_mut();
            if places.len() >= self.most {
                places.pop_front();
            }
            places.push_back(leaving);
        }
    }

    /// Whether there is a place, or somebody has had one for long enough.
    fn has_place(&self, now: Instant) -> bool {
        let places = self.places.borrow();
        let is_over =
            |first: &Leaving| now.saturating_duration_since(first.since) >= limits::REFUSALS_LOOK;
        places.len() < self.most || places.front().is_some_and(is_over)
    }

    /// Waits until somebody has looked.
    pub(super) async fn looked(&self) {
        self.looked.notified().await;
    }

    /// Looks after them for ever.
    pub(super) async fn tend(&self) {
        loop {
            while self.places.borrow().is_empty() && self.since.get() == 0 {
                self.begun.notified().await;
            }
            tokio::time::sleep(limits::REFUSALS_LOOK).await;
            self.look(Instant::now());
        }
    }

    fn look(&self, now: Instant) {
        self.since.set(0);
        self.places.borrow_mut().retain_mut(|leaving| {
            let lingered = now.saturating_duration_since(leaving.since);
            lingered < limits::LINGER_TIMEOUT && !leaving.has_gone()
        });
        self.looked.notify_waiters();
    }
}

impl Leaving {
    /// Throws away what has come; whether its client has gone, or will say no more, or has said too
    /// much.
    fn has_gone(&mut self) -> bool {
        let mut space = [0; PIECE];
        loop {
            match (&self.socket).read(&mut space) {
                Ok(0) => return true,
                Ok(count) => {
                    let is_all = self.heard == 0 && is_all(space.get(..count).unwrap_or_default());
                    self.heard = self.heard.saturating_add(count);
                    if is_all || self.heard > limits::REFUSAL_BYTES {
                        return true;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }
}

/// Whether a client that nobody has listened to yet has gone, or waits for an answer.
fn has_said_all(socket: &Socket) -> bool {
    let mut space = [0; PIECE];
    match socket.peek(&mut space) {
        Ok(0) => true,
        Ok(count) => is_all(space.get(..count).unwrap_or_default()),
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// Whether a client that begins like this waits for an answer now.
fn is_all(said: &[u8]) -> bool {
    let (kind, header) = HANDSHAKE;
    match said {
        [first, _, _, high, low, ..] if *first == kind => {
            said.len() == header + usize::from(u16::from_be_bytes([*high, *low]))
        }
        _ => said.ends_with(b"\r\n\r\n") && BODILESS.iter().any(|method| said.starts_with(method)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    const WORD: &[u8] = b"no";
    const PATIENCE: Duration = Duration::from_secs(30);

    /// A client and the worker's end of its connection.
    async fn pair(listener: &TcpListener) -> (Socket, Socket) {
        let client = Socket::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.set_write_timeout(Some(PATIENCE)).unwrap();
        (client, listener.accept().await.unwrap().0.into_std().unwrap())
    }

    fn until(mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < PATIENCE, "it does not come to that");
        }
    }

    fn refuse(refusals: &Refusals, socket: Socket) {
        assert!(refusals.takes(&socket));
        refusals.refuse(socket, WORD);
    }

    fn run(test: impl AsyncFnOnce(TcpListener)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            test(TcpListener::bind("127.0.0.1:0").await.unwrap()).await;
        });
    }

    #[test]
    fn a_client_reads_the_word_whatever_it_has_sent_and_sends() {
        run(async |listener| {
            let refusals = Refusals::new(8);
            for (before, after) in [(0, 0), (100, 0), (0, 100), (30 << 10, 20 << 10)] {
                let (mut client, socket) = pair(&listener).await;
                client.write_all(&vec![b'x'; before]).unwrap();
                refuse(&refusals, socket);
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
            let refusals = Refusals::new(1);
            let (first, socket) = pair(&listener).await;
            refuse(&refusals, socket);
            let (mut second, socket) = pair(&listener).await;
            assert!(!refusals.takes(&socket));
            let (third, asking) = pair(&listener).await;
            (&third).write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            until(|| has_said_all(&asking));
            refuse(&refusals, asking);
            drop(first);
            until(|| {
                refusals.look(Instant::now());
                refusals.places.borrow().is_empty()
            });
            refuse(&refusals, socket);
            let mut read = Vec::new();
            second.read_to_end(&mut read).unwrap();
            assert_eq!(read, WORD);
        });
    }

    #[test]
    fn a_place_is_not_kept_from_others_for_long() {
        run(async |listener| {
            let refusals = Refusals::new(1);
            let (_first, socket) = pair(&listener).await;
            refuse(&refusals, socket);
            let later = Instant::now() + limits::REFUSALS_LOOK;
            assert!(refusals.has_place(later));
            refusals.look(later);
            assert_eq!(refusals.places.borrow().len(), 1, "nobody else wants it");
            refusals.look(Instant::now() + limits::LINGER_TIMEOUT);
            assert!(refusals.places.borrow().is_empty());
        });
    }

    #[test]
    fn so_many_are_refused_between_two_looks_and_no_more() {
        run(async |listener| {
            let refusals = Refusals::new(usize::MAX);
            for _ in 0..limits::REFUSALS_PER_LOOK {
                let (_, socket) = pair(&listener).await;
                refuse(&refusals, socket);
            }
            let (_client, socket) = pair(&listener).await;
            assert!(!refusals.takes(&socket));
            refusals.look(Instant::now());
            refuse(&refusals, socket);
        });
    }

    #[test]
    fn who_waits_for_an_answer_is_known() {
        let hello = [&[22, 3, 1, 0, 2][..], b"ab"].concat();
        for (said, waits) in [
            (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], true),
            (b"HEAD / HTTP/1.1\r\n\r\n", true),
            (b"GET / HTTP/1.1\r\nHost: a\r\n", false),
            (b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", false),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false),
            (&hello, true),
            (&hello[..6], false),
            (b"", false),
        ] {
            assert_eq!(is_all(said), waits, "{}", String::from_utf8_lossy(said));
        }
    }

    #[test]
    fn who_does_not_stop_is_let_go() {
        run(async |listener| {
            let refusals = Refusals::new(1);
            let (mut client, socket) = pair(&listener).await;
            refuse(&refusals, socket);
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
