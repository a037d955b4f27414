//! An origin: a real server on a free loopback port that remembers every byte of every request
//! head, and answers as the test says. Health checks (`GET /health`) are kept apart.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use super::http::{Body, Framing, Head, Pattern, stream};
use super::{PATIENCE, reset_on_close};

/// A server that is there until it is dropped.
pub struct Origin {
    /// What it says it is, in `x-region`.
    pub name: String,
    /// Where it listens, or listened.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Which connection it came on, counted from 1.
    pub connection: u64,
    /// Its head.
    pub head: Head,
    /// Its body, once it has been read to its end.
    pub body: Option<Body>,
}

struct Shared {
    stopping: AtomicBool,
    healthy: AtomicBool,
    connections: AtomicU64,
    checks: AtomicU64,
    open: Mutex<HashMap<u64, TcpStream>>,
    requests: Mutex<Vec<Received>>,
    answer: Box<Answer>,
}

type Answer = dyn Fn(&mut Exchange) -> io::Result<()> + Send + Sync;

/// One request at an origin, to be answered.
pub struct Exchange {
    /// The request's head.
    pub head: Head,
    /// The origin's name.
    pub name: String,
    /// How many requests came before it on this connection.
    pub before: usize,
    /// Cleared to close the connection after this exchange.
    pub keep: bool,
    reader: BufReader<TcpStream>,
    shared: Arc<Shared>,
    index: usize,
}

impl Origin {
    /// Reads the body and answers 200 with its own name.
    pub fn named(name: &str) -> Self {
        Self::with(name, |exchange| {
            exchange.read_body()?;
            exchange.answer_own_name()
        })
    }

    /// Answers `/at-once` with its own name at once, and everything else when what is returned is let
    /// go of.
    pub fn gated(name: &str) -> (Self, SyncSender<()>) {
        let (open, gate) = sync_channel::<()>(1);
        let gate = Mutex::new(gate);
        let origin = Self::with(name, move |exchange| {
            if exchange.head.word(1) != "/at-once" {
                let _ = gate.lock().unwrap().recv();
            }
            exchange.answer_own_name()
        });
        (origin, open)
    }

    /// Answers as the function says. An error closes the connection.
    pub fn with(
        name: &str,
        answer: impl Fn(&mut Exchange) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), name, answer)
    }

    /// The same on a socket that listens already.
    pub fn on(
        listener: TcpListener,
        name: &str,
        answer: impl Fn(&mut Exchange) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            stopping: AtomicBool::new(false),
            healthy: AtomicBool::new(true),
            connections: AtomicU64::new(0),
            checks: AtomicU64::new(0),
            open: Mutex::default(),
            requests: Mutex::default(),
            answer: Box::new(answer),
        });
        let accepting = {
            let (shared, name) = (Arc::clone(&shared), name.to_owned());
            std::thread::spawn(move || accept(&listener, &shared, &name))
        };
        Self { name: name.to_owned(), address, shared, accepting: Some(accepting) }
    }

    /// Requests so far, health checks not among them.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.requests().clone()
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.shared.requests().len()
    }

    /// The only request.
    pub fn only(&self) -> Received {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "requests at {}: {requests:#?}", self.name);
        requests.into_iter().next().unwrap()
    }

    /// The latest request.
    pub fn last(&self) -> Received {
        self.shared.requests().last().cloned().expect("a request")
    }

    /// Health checks so far.
    pub fn checks(&self) -> u64 {
        self.shared.checks.load(SeqCst)
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(SeqCst)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.shared.open().len()
    }

    /// Whether health checks pass.
    pub fn set_healthy(&self, healthy: bool) {
        self.shared.healthy.store(healthy, SeqCst);
    }

    /// Closes every connection, cleanly.
    pub fn close_connections(&self) {
        for (_, stream) in self.shared.open().drain() {
            // One that is closed already is as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Stops listening and closes every connection: from now on connections are refused.
    pub fn stop(&mut self) {
        self.shared.stopping.store(true, SeqCst);
        if let Some(accepting) = self.accepting.take() {
            // Wakes the accepting thread, which then sees that it is over.
            let _ = TcpStream::connect(self.address);
            let _ = accepting.join();
        }
        self.close_connections();
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, HashMap<u64, TcpStream>> {
        self.open.lock().unwrap()
    }

    fn requests(&self) -> MutexGuard<'_, Vec<Received>> {
        self.requests.lock().unwrap()
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, name: &str) {
    loop {
        let accepted = listener.accept();
        if shared.stopping.load(SeqCst) {
            return;
        }
        let Ok((stream, _)) = accepted else { continue };
        let number = shared.connections.fetch_add(1, SeqCst) + 1;
        let (shared, name) = (Arc::clone(shared), name.to_owned());
        std::thread::spawn(move || {
            if let Ok(copy) = stream.try_clone() {
                shared.open().insert(number, copy);
                // Tests look at what the proxy makes of it, so the error is told nobody.
                let _ = serve(stream, number, &shared, &name);
                shared.open().remove(&number);
            }
        });
    }
}

fn serve(stream: TcpStream, number: u64, shared: &Arc<Shared>, name: &str) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(2 * PATIENCE))?;
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let mut before = 0;
    while let Some(head) = Head::read(&mut reader)? {
        if head.start == "GET /health HTTP/1.1" {
            // Before it counts: a check that was counted is answered as the origin was then.
            let status = if shared.healthy.load(SeqCst) { "200 OK" } else { "500 Sick" };
            shared.checks.fetch_add(1, SeqCst);
            write!(reader.get_mut(), "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")?;
            continue;
        }
        let index = {
            let mut requests = shared.requests();
            requests.push(Received { connection: number, head: head.clone(), body: None });
            requests.len() - 1
        };
        let shared = Arc::clone(shared);
        let keep = !head.lists("connection", "close");
        let name = name.to_owned();
        let mut exchange = Exchange { head, name, before, keep, reader, shared, index };
        let answer = Arc::clone(&exchange.shared);
        (answer.answer)(&mut exchange)?;
        if !exchange.keep {
            return Ok(());
        }
        reader = exchange.reader;
        before += 1;
    }
    Ok(())
}

impl Exchange {
    /// Reads the body to its end.
    pub fn read_body(&mut self) -> io::Result<Body> {
        let framing = self.head.framing()?;
        let body = Body::read(&mut self.reader, framing)?;
        if let Some(request) = self.shared.requests().get_mut(self.index) {
            request.body = Some(body.clone());
        }
        Ok(body)
    }

    /// Reads a body without keeping it; fails unless it is the pattern. Returns its length.
    pub fn check_body(&mut self) -> io::Result<usize> {
        let mut pattern = Pattern::new();
        let framing = self.head.framing()?;
        stream(&mut self.reader, framing, |part| pattern.check(part))?;
        Ok(pattern.position())
    }

    /// Reads some bytes of the body as they are on the wire.
    pub fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut self.reader, buffer)
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())
    }

    /// Sends an answer of a fixed length; `head` has more fields, each with its CRLF.
    pub fn answer(&mut self, status: &str, head: &str, body: &[u8]) -> io::Result<()> {
        let name = &self.name;
        let mut text = format!("HTTP/1.1 {status}\r\nx-region: {name}\r\n{head}");
        let _ = write!(text, "content-length: {}\r\n\r\n", body.len());
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body);
        self.send(bytes)
    }

    /// 200, and its name as the body.
    pub fn answer_own_name(&mut self) -> io::Result<()> {
        let name = self.name.clone();
        let body = if self.head.word(0) == "HEAD" { "" } else { &name };
        self.answer("200 OK", "content-type: text/plain\r\n", body.as_bytes())
    }

    /// Breaks the connection with a reset.
    pub fn reset(&mut self) -> io::Result<()> {
        self.keep = false;
        self.shared
            .open()
            .retain(|_, stream| stream.peer_addr().ok() != self.reader.get_ref().peer_addr().ok());
        reset_on_close(self.reader.get_ref())
    }

    /// Waits until the other side closes the connection; whether it did so without sending more.
    pub fn closed_by_peer(&mut self) -> bool {
        self.keep = false;
        matches!(self.read_some(&mut [0]), Ok(0) | Err(_))
    }

    /// How the request's body is framed.
    pub fn framing(&self) -> Framing {
        self.head.framing().unwrap_or(Framing::Unsaid)
    }
}
