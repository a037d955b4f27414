//! An origin that speaks HTTP/2, in clear text or in TLS, or HTTP/1.1 in TLS: what `origin` is for
//! HTTP/1.1. It remembers requests, holds them back when told to, and says goodbye when told to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio_rustls::TlsAcceptor;

/// How an origin behaves.
#[derive(Clone, Default)]
pub struct Manners {
    /// Streams that it allows on a connection; absent: it does not say.
    pub streams: Option<u32>,
    /// After so many requests on a connection it takes no more there.
    pub goodbye_after: Option<usize>,
    /// What it shows; absent: clear text, with HTTP/2.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Whether requests wait until they are let go.
    pub holding: bool,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub method: String,
    pub uri: String,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
    /// Whether the client showed a certificate.
    pub certified: bool,
}

/// A server that is there until it is dropped.
pub struct Http2Origin {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    name: String,
    manners: Manners,
    connections: AtomicUsize,
    checks: AtomicUsize,
    waiting: AtomicUsize,
    most_streams: AtomicUsize,
    arrived: Mutex<Vec<Arrived>>,
    gate: Semaphore,
}

/// One connection.
#[derive(Default)]
struct Line {
    certified: bool,
    requests: AtomicUsize,
    open: AtomicUsize,
    farewell: Notify,
    gone: AtomicBool,
}

impl Http2Origin {
    pub fn start(name: &str, manners: Manners) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            gate: Semaphore::new(if manners.holding { 0 } else { Semaphore::MAX_PERMITS / 2 }),
            manners,
            connections: AtomicUsize::default(),
            checks: AtomicUsize::default(),
            waiting: AtomicUsize::default(),
            most_streams: AtomicUsize::default(),
            arrived: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(&listener, &serving) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Requests so far, health checks not among them.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.shared.arrived.lock().unwrap().clone()
    }

    /// The only one.
    pub fn only(&self) -> Arrived {
        let arrived = self.arrived();
        assert_eq!(arrived.len(), 1, "{arrived:?}");
        arrived.into_iter().next().unwrap()
    }

    /// Requests that are held back now.
    pub fn held(&self) -> usize {
        self.shared.waiting.load(SeqCst)
    }

    /// Lets so many of them go.
    pub fn release(&self, requests: usize) {
        self.shared.gate.add_permits(requests);
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }

    pub fn checks(&self) -> usize {
        self.shared.checks.load(SeqCst)
    }

    /// The most requests that were under way at once on one connection.
    pub fn most_streams(&self) -> usize {
        self.shared.most_streams.load(SeqCst)
    }
}

impl Drop for Http2Origin {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(shared);
        shared.connections.fetch_add(1, SeqCst);
        tokio::spawn(async move {
            let Some(tls) = &shared.manners.tls else {
                let line = Arc::new(Line::default());
                return serve(socket, true, line, &shared).await;
            };
            let Ok(stream) = TlsAcceptor::from(Arc::clone(tls)).accept(socket).await else {
                return;
            };
            let session = stream.get_ref().1;
            let http2 = session.alpn_protocol() == Some(b"h2");
            let certified = session.peer_certificates().is_some();
            let line = Arc::new(Line { certified, ..Line::default() });
            serve(stream, http2, line, &shared).await;
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    http2: bool,
    line: Arc<Line>,
    shared: &Arc<Shared>,
) {
    let service = {
        let (line, shared) = (Arc::clone(&line), Arc::clone(shared));
        service_fn(move |request| answer(request, Arc::clone(&line), Arc::clone(&shared)))
    };
    let io = TokioIo::new(stream);
    if !http2 {
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        return;
    }
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(shared.manners.streams);
    let mut connection = pin!(builder.serve_connection(io, service));
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = line.farewell.notified(), if !line.gone.load(SeqCst) => {
                line.gone.store(true, SeqCst);
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

type Answer = http_body_util::combinators::BoxBody<Bytes, Infallible>;

async fn answer(
    request: Request<Incoming>,
    line: Arc<Line>,
    shared: Arc<Shared>,
) -> Result<Response<Answer>, hyper::Error> {
    if request.uri().path() == "/health" {
        shared.checks.fetch_add(1, SeqCst);
        return Ok(Response::new(Full::default().boxed()));
    }
    let streams = line.open.fetch_add(1, SeqCst) + 1;
    shared.most_streams.fetch_max(streams, SeqCst);
    let (head, body) = request.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned();
    let body = body.to_bytes();
    shared.arrived.lock().unwrap().push(Arrived {
        method: head.method.to_string(),
        uri: head.uri.to_string(),
        version: head.version,
        headers: head.headers,
        body: body.clone(),
        trailers,
        certified: line.certified,
    });
    if shared.manners.goodbye_after == Some(line.requests.fetch_add(1, SeqCst) + 1) {
        line.farewell.notify_one();
    }
    shared.waiting.fetch_add(1, SeqCst);
    if let Ok(permit) = shared.gate.acquire().await {
        permit.forget();
    }
    shared.waiting.fetch_sub(1, SeqCst);
    line.open.fetch_sub(1, SeqCst);
    let body = if body.is_empty() { Bytes::from(shared.name.clone()) } else { body };
    let mut trailers = HeaderMap::new();
    trailers.insert("x-length", HeaderValue::from(body.len()));
    let body = Full::new(body).with_trailers(std::future::ready(Some(Ok(trailers))));
    // Without a length: with one, an HTTP/1.1 client cannot be sent trailers.
    let mut response = Response::new(body.map_frame(|frame| frame).boxed());
    response.headers_mut().insert("trailer", HeaderValue::from_static("x-length"));
    if let Ok(region) = HeaderValue::from_str(&shared.name) {
        response.headers_mut().insert("x-region", region);
    }
    Ok(response)
}
