//! Ends of connections: what was said last arrives, and nobody is kept busy by who does not go.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsConnector;

use super::fixture::{World, run};
use crate::server::transport::Socket;

const TLS: &str = "tls: { certificates: [{ certificate: edge.pem, key: edge.key }] }";

/// Counts what is done to a stream.
struct Counting<S> {
    stream: S,
    polls: Rc<Cell<usize>>,
}

impl<S> Counting<S> {
    fn count(&self) {
        self.polls.set(self.polls.get() + 1);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.count();
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.count();
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.count();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.count();
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: Socket> Socket for Counting<S> {
    fn forget(&self) {
        self.stream.forget();
    }
}

/// A client that says goodbye in TLS with requests and more before it, and then neither reads nor
/// closes its socket: the trap is a connection that wakes itself for data that nobody will read.
#[test]
fn a_goodbye_behind_data_that_nobody_reads_keeps_nobody_busy() {
    for alpn in ["http/1.1", "h2"] {
        run(async {
            let world = World::new(TLS, "");
            let polls = Rc::new(Cell::new(0));
            let counted = Rc::clone(&polls);
            let client =
                world.connect_through("192.0.2.9:1", |stream| Counting { stream, polls: counted });
            let name = ServerName::try_from("edge.test").unwrap();
            let connector = TlsConnector::from(world.tls(&[alpn]));
            let mut stream = connector.connect(name, client.stream).await.unwrap();
            let refused = "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 99999\r\n\r\n";
            stream.write_all(refused.as_bytes()).await.unwrap();
            stream.write_all(&[b'x'; 40_000]).await.unwrap();
            // The end of what is said in TLS, and not of the socket.
            stream.get_mut().1.send_close_notify();
            let _ = tokio::time::timeout(Duration::from_secs(1), stream.flush()).await;
            let (socket, _session) = stream.into_inner();
            let before = polls.get();
            client.task.await.unwrap();
            assert!(client.since.elapsed() < Duration::from_secs(20), "it is over in time");
            assert!(polls.get() - before < 100, "{} polls with {alpn}", polls.get() - before);
            drop(socket);
        });
    }
}

/// What a client still sends must not make the kernel forget what it was told.
#[test]
fn what_still_comes_after_the_last_word_is_taken_for_a_while_and_not_for_ever() {
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client
            .send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 9999999\r\n\r\n")
            .await;
        assert!(client.answer().await.starts_with("HTTP/1.1 400"));
        let mut end = Vec::new();
        client.stream.read_to_end(&mut end).await.unwrap();
        assert!(end.is_empty());
        client.send([b'x'; 1000]).await;
        assert!(!client.task.is_finished(), "it listens for a moment");
        let mut sent = 0;
        while client.stream.write_all(&[b'x'; 1000]).await.is_ok() {
            sent += 1000;
            assert!(sent < 10 << 20, "ten megabytes were taken");
        }
        client.task.await.unwrap();
    });
    run(async {
        let world = World::new("", "");
        let mut client = world.connect();
        client.send("nonsense\r\n\r\n").await;
        assert!(client.rest().await.starts_with(b"HTTP/1.1 400"));
        client.task.await.unwrap();
        assert_eq!(client.since.elapsed().as_secs(), 1, "who does not go is left");
    });
}
