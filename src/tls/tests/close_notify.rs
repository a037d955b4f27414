//! A peer that says goodbye while there is data of it that nobody has read, or data for it that it does
//! not take: whoever drives the connection is to be left alone until something happens.
//!
//! What is counted is how often a connection is polled, by an executor that polls only who was woken, on a
//! wire that wakes only when it changes. A connection that spins never comes to rest here, however fast
//! the machine is.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::{ClientConnection, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::fixture::{Fixture, listening, load, server, settings};

/// More polls than any of these connections needs, and far fewer than one that spins takes.
const POLLS: usize = 200;
/// What a wire takes before its other end reads.
const WIRE_BYTES: usize = 64 << 10;

/// One end of a connection in memory, as the kernel would have it.
#[derive(Default)]
struct Wire {
    inbound: VecDeque<u8>,
    /// The peer sends no more.
    finished: bool,
    outbound: Vec<u8>,
    room: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone)]
struct WireIo(Rc<RefCell<Wire>>);

impl AsyncRead for WireIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut wire = self.0.borrow_mut();
        if wire.inbound.is_empty() && !wire.finished {
            wire.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = wire.inbound.len().min(buf.remaining());
        let bytes: Vec<u8> = wire.inbound.drain(..count).collect();
        buf.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WireIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut wire = self.0.borrow_mut();
        if wire.room == 0 {
            wire.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = wire.room.min(buf.len());
        wire.room -= count;
        wire.outbound.extend_from_slice(&buf[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Notes who asks to be polled.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A task that is polled when it was woken, and never otherwise.
struct Task<T> {
    future: Pin<Box<dyn Future<Output = T>>>,
    woken: Arc<Woken>,
    polls: usize,
    done: Option<T>,
}

impl<T> Task<T> {
    fn new(future: impl Future<Output = T> + 'static) -> Self {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        Self { future: Box::pin(future), woken, polls: 0, done: None }
    }

    /// Polls until the task waits for something to happen. One that does not is polled too often.
    fn rest(&mut self, when: &str) {
        let waker = Waker::from(Arc::clone(&self.woken));
        let before = self.polls;
        while self.done.is_none() && self.woken.0.swap(false, Ordering::Relaxed) {
            self.polls += 1;
            assert!(self.polls - before < POLLS, "it spins: {when}");
            if let Poll::Ready(done) = self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.done = Some(done);
            }
        }
    }
}

/// A client by hand, on the other end of the wire.
struct Peer {
    client: ClientConnection,
    wire: Rc<RefCell<Wire>>,
    /// Bytes that the server has said.
    came: usize,
}

impl Peer {
    fn new(f: &Fixture, protocol: &str) -> (Self, WireIo) {
        let wire = Rc::new(RefCell::new(Wire { room: WIRE_BYTES, ..Wire::default() }));
        let mut config = f.client();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let name = ServerName::try_from("a.test").unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        (Self { client, wire: Rc::clone(&wire), came: 0 }, WireIo(wire))
    }

    /// Sends what the client has to say.
    fn send(&mut self) {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        let mut wire = self.wire.borrow_mut();
        wire.inbound.extend(bytes);
        wire.reader.take().into_iter().for_each(Waker::wake);
    }

    fn say(&mut self, bytes: &[u8]) {
        self.client.writer().write_all(bytes).unwrap();
        self.send();
    }

    /// Says goodbye, and sends no more, as a client that closes its socket for writing does.
    fn leave(&mut self, with_fin: bool) {
        self.client.send_close_notify();
        self.send();
        let mut wire = self.wire.borrow_mut();
        wire.finished = with_fin;
        wire.reader.take().into_iter().for_each(Waker::wake);
    }

    /// Takes what has come, which makes room for more.
    fn take(&mut self) {
        let bytes = {
            let mut wire = self.wire.borrow_mut();
            wire.room = WIRE_BYTES;
            wire.writer.take().into_iter().for_each(Waker::wake);
            std::mem::take(&mut wire.outbound)
        };
        let (mut rest, mut said) = (bytes.as_slice(), Vec::new());
        while !rest.is_empty() {
            self.client.read_tls(&mut rest).unwrap();
            self.client.process_new_packets().unwrap();
            // Nothing more, for now or for good.
            let _ = self.client.reader().read_to_end(&mut said);
        }
        self.came += said.len();
    }

    fn shake<T>(&mut self, task: &mut Task<T>) {
        for _ in 0..4 {
            self.send();
            task.rest("the handshake");
            self.take();
        }
        assert!(!self.client.is_handshaking());
        self.send();
        task.rest("the end of the handshake");
    }
}

fn listener(f: &Fixture) -> Arc<ServerConfig> {
    server(&load(&listening(settings(vec![f.files("a", &["a.test"])]))))
}

async fn accept(server: Arc<ServerConfig>, io: WireIo) -> TlsStream<WireIo> {
    TlsAcceptor::from(server).accept(io).await.unwrap()
}

#[test]
#[should_panic(expected = "it spins")]
fn who_wakes_himself_for_ever_is_found_out() {
    let spinning = std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    Task::new(spinning).rest("nothing happens");
}

/// The stream by itself: what was sent before the goodbye is read to its last byte, then comes the end,
/// and then the end again, without a wait and without a wake-up.
#[test]
fn what_came_before_the_goodbye_is_read_and_then_the_end() {
    for with_fin in [false, true] {
        let f = Fixture::new();
        let (mut peer, io) = Peer::new(&f, "http/1.1");
        let server = listener(&f);
        let mut task = Task::new(async move {
            let mut stream = accept(server, io).await;
            let mut first = [0; 1];
            stream.read_exact(&mut first).await.unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            for _ in 0..10 {
                assert_eq!(stream.read(&mut first).await.unwrap(), 0);
            }
            rest.len()
        });
        peer.shake(&mut task);
        peer.say(&[7; 40_000]);
        peer.leave(with_fin);
        task.rest("data and a goodbye");
        assert_eq!(task.done, Some(39_999));
    }
}

/// Writing to who has said goodbye and takes nothing: it waits until there is room, however long.
#[test]
fn writing_to_a_peer_that_said_goodbye_waits_for_room() {
    for with_fin in [false, true] {
        let f = Fixture::new();
        let (mut peer, io) = Peer::new(&f, "http/1.1");
        let server = listener(&f);
        let mut task = Task::new(async move {
            let (mut reader, mut writer) = tokio::io::split(accept(server, io).await);
            let reading = async {
                let mut all = Vec::new();
                reader.read_to_end(&mut all).await.unwrap();
                all.len()
            };
            let writing = async {
                writer.write_all(&[1; 300_000]).await.unwrap();
                writer.shutdown().await.unwrap();
            };
            tokio::join!(reading, writing).0
        });
        peer.shake(&mut task);
        peer.say(b"hello");
        peer.leave(with_fin);
        task.rest("a full wire");
        assert_eq!(task.done, None);
        while task.done.is_none() {
            let polls = task.polls;
            peer.take();
            task.rest("some more room");
            assert!(task.polls - polls < 10, "{}", task.polls - polls);
        }
        peer.take();
        assert_eq!((peer.came, task.done), (300_000, Some(5)));
    }
}

/// A response of `left` pieces.
struct Pieces {
    left: usize,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 8 << 10])))))
    }
}

/// What a service does with the request of a client that leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Service {
    /// Neither reads the request nor answers it.
    Waits,
    /// Reads the request to its end and does not answer.
    Reads,
    /// Answers with more than the wire takes.
    Answers,
}

async fn serve(
    service: Service,
    request: Request<Incoming>,
) -> Result<Response<Pieces>, hyper::Error> {
    match service {
        Service::Waits => std::future::pending::<()>().await,
        Service::Reads => {
            request.into_body().collect().await?;
            std::future::pending::<()>().await;
        }
        Service::Answers => {}
    }
    Ok(Response::new(Pieces { left: 64 }))
}

const SERVICES: [Service; 3] = [Service::Waits, Service::Reads, Service::Answers];

/// hyper on the stream, as `server` has it: a client that sends a request, or half of one, and leaves.
#[test]
fn http1_connections_of_clients_that_leave_come_to_rest() {
    let heads = [
        "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 500000\r\n\r\nhello",
        "GET / HTTP/1.1\r\nhost: a.test\r\n\r\nGET /pipelined HTTP/1.1\r\nhost: a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nho",
    ];
    for (service, half_close, with_fin) in
        SERVICES.into_iter().flat_map(|service| [(service, false), (service, true)]).flat_map(
            |(service, half_close)| [(service, half_close, false), (service, half_close, true)],
        )
    {
        for head in heads {
            let f = Fixture::new();
            let (mut peer, io) = Peer::new(&f, "http/1.1");
            let server = listener(&f);
            let mut task = Task::new(async move {
                let stream = TokioIo::new(accept(server, io).await);
                let service = service_fn(move |request| serve(service, request));
                let mut builder = hyper::server::conn::http1::Builder::new();
                let serving = builder.half_close(half_close).serve_connection(stream, service);
                // How it ends is not what this is about.
                let _ = serving.await;
            });
            peer.shake(&mut task);
            peer.say(head.as_bytes());
            task.rest(head);
            peer.say(&[b'b'; 30_000]);
            peer.leave(with_fin);
            let case = format!("{service:?} {half_close} {with_fin} {head}");
            task.rest(&case);
            for _ in 0..20 {
                let polls = task.polls;
                peer.take();
                task.rest(&case);
                assert!(task.polls - polls < 20, "{case}: {}", task.polls - polls);
            }
        }
    }
}

/// The frames of an HTTP/2 client: preface, settings, and a request whose body does not end.
fn http2_request() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    // :method POST, :scheme https, :path /, :authority a
    let block = [0x83, 0x87, 0x84, 0x41, 1, b'a'];
    bytes.extend([0, 0, block.len() as u8, 1, 4, 0, 0, 0, 1]);
    bytes.extend(block);
    bytes.extend([0, 0x10, 0, 0, 0, 0, 0, 0, 1]);
    bytes.extend([b'd'; 4096]);
    bytes
}

#[test]
fn http2_connections_of_clients_that_leave_come_to_rest() {
    #[derive(Clone)]
    struct Never;
    impl<F> hyper::rt::Executor<F> for Never {
        // Requests that nobody works on: they wait for ever, with their bodies unread.
        fn execute(&self, future: F) {
            std::mem::forget(future);
        }
    }
    for with_fin in [false, true] {
        let f = Fixture::new();
        let (mut peer, io) = Peer::new(&f, "h2");
        let server = listener(&f);
        let mut task = Task::new(async move {
            let stream = TokioIo::new(accept(server, io).await);
            let service = service_fn(move |request| serve(Service::Waits, request));
            let builder = hyper::server::conn::http2::Builder::new(Never);
            // How it ends is not what this is about.
            let _ = builder.serve_connection(stream, service).await;
        });
        peer.shake(&mut task);
        peer.say(&http2_request());
        task.rest("a request");
        peer.leave(with_fin);
        task.rest("a goodbye with a body that nobody has read");
        for _ in 0..20 {
            let polls = task.polls;
            peer.take();
            task.rest("room");
            assert!(task.polls - polls < 20, "{}", task.polls - polls);
        }
    }
}
