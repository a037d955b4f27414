//! An HTTP/2 origin that shows what comes and answers when it is told to.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, watch};

/// What an origin has seen and is told.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    seen: Rc<Seen>,
    requests: Mutex<mpsc::Receiver<Exchange>>,
    goodbye: watch::Sender<u32>,
}

#[derive(Default)]
pub(super) struct Seen {
    connections: Cell<usize>,
    open: Cell<usize>,
    changed: tokio::sync::Notify,
}

/// A request that has come.
pub(super) struct Exchange {
    pub(super) request: Request<RecvStream>,
    pub(super) respond: SendResponse<Bytes>,
    /// Which connection it came on, from 1.
    pub(super) connection: usize,
}

impl Exchange {
    pub(super) fn answer(mut self) {
        let response = Response::builder().status(200).body(()).unwrap();
        let mut body = self.respond.send_response(response, false).unwrap();
        body.send_data(Bytes::from_static(b"ok"), true).unwrap();
    }

    pub(super) fn refuse(mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }

    /// Waits for the client to give it up.
    pub(super) async fn given_up(mut self) -> Reason {
        std::future::poll_fn(|cx| self.respond.poll_reset(cx)).await.unwrap()
    }
}

impl Origin {
    /// One that allows so many streams a connection, or does not say.
    pub(super) async fn allowing(streams: Option<u32>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel(1_000);
        let (goodbye, farewells) = watch::channel(0);
        let seen = Rc::<Seen>::default();
        let told = Rc::clone(&seen);
        tokio::task::spawn_local(async move {
            while let Ok((socket, _)) = listener.accept().await {
                told.connections.set(told.connections.get() + 1);
                told.open.set(told.open.get() + 1);
                let connection = told.connections.get();
                let (told, sender) = (Rc::clone(&told), sender.clone());
                let mut farewells = farewells.clone();
                farewells.mark_unchanged();
                tokio::task::spawn_local(async move {
                    let mut builder = Builder::new();
                    if let Some(streams) = streams {
                        builder.max_concurrent_streams(streams);
                    }
                    let Ok(mut http) = builder.handshake(socket).await else { return };
                    loop {
                        tokio::select! {
                            accepted = http.accept() => match accepted {
                                Some(Ok((request, respond))) => {
                                    let exchange = Exchange { request, respond, connection };
                                    let _ = sender.send(exchange).await;
                                }
                                _ => break,
                            },
                            Ok(()) = farewells.changed() => http.graceful_shutdown(),
                        }
                    }
                    told.open.set(told.open.get() - 1);
                    told.changed.notify_waiters();
                });
            }
        });
        Self { address, seen, requests: Mutex::new(requests), goodbye }
    }

    pub(super) async fn next(&self) -> Exchange {
        self.requests.lock().await.recv().await.unwrap()
    }

    /// Connections that were ever made.
    pub(super) fn connections(&self) -> usize {
        self.seen.connections.get()
    }

    /// Waits until so few connections are open.
    pub(super) async fn until_open(&self, few: usize) {
        loop {
            let changed = self.seen.changed.notified();
            if self.seen.open.get() <= few {
                return;
            }
            changed.await;
        }
    }

    /// Tells all clients that nothing new is taken on their connections.
    pub(super) fn say_goodbye(&self) {
        self.goodbye.send_modify(|times| *times += 1);
    }
}
