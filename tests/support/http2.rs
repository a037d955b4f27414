//! HTTP/2 as these tests speak it, frame by frame where it matters: a client with one connection, and
//! an origin that does what the path says.

use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::PATIENCE;

/// A runtime on a thread of its own, until it is dropped.
struct Driven {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Driven {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || drop(runtime.block_on(stopped)));
        Self { handle, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client with one connection in clear text, by prior knowledge.
pub struct Client {
    runtime: Driven,
    sender: SendRequest<Bytes>,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Its head.
    pub head: Response<()>,
    /// Its body.
    pub body: Vec<u8>,
    /// What came behind it.
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    /// A field of the trailers, or of a head that is all there is.
    pub fn said(&self, name: &str) -> Option<&str> {
        let fields = self.trailers.as_ref().unwrap_or(self.head.headers());
        fields.get(name)?.to_str().ok()
    }
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        let runtime = Driven::start();
        let sender = runtime.handle.block_on(async {
            let stream = TcpStream::connect(address).await.unwrap();
            let (sender, connection) = h2::client::handshake(stream).await.unwrap();
            tokio::spawn(async move {
                // How it ends is seen by its streams.
                let _ = connection.await;
            });
            sender.ready().await.unwrap()
        });
        Self { runtime, sender }
    }

    /// Waits for whatever it is, as long as a test waits.
    pub fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime
            .handle
            .block_on(async { tokio::time::timeout(PATIENCE, what).await.expect("waited in vain") })
    }

    /// Begins a request.
    pub fn begin(&self, request: Request<()>, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let mut sender = self.wait(self.sender.clone().ready()).unwrap();
        let _entered = self.runtime.handle.enter();
        sender.send_request(request, ends).unwrap()
    }

    /// A request with a body and trailers, to the end of its answer.
    pub fn ask(
        &self,
        request: Request<()>,
        body: &[u8],
        trailers: Option<HeaderMap>,
    ) -> Result<Answer, h2::Error> {
        let ends = body.is_empty() && trailers.is_none();
        let (answer, mut upload) = self.begin(request, ends);
        if !body.is_empty() {
            upload.send_data(Bytes::copy_from_slice(body), trailers.is_none())?;
        }
        if let Some(trailers) = trailers {
            upload.send_trailers(trailers)?;
        }
        self.wait(read(answer))
    }

    /// Waits until Rhumb says that it can do extended CONNECT.
    pub fn until_extended_connect(&self) {
        super::until("SETTINGS_ENABLE_CONNECT_PROTOCOL", || {
            self.sender.is_extended_connect_protocol_enabled()
        });
    }
}

/// Reads an answer to its end.
pub async fn read(answer: ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, mut stream) = answer.await?.into_parts();
    let mut body = Vec::new();
    while let Some(part) = next(&mut stream).await {
        body.extend_from_slice(&part?);
    }
    let trailers = stream.trailers().await?;
    Ok(Answer { head: Response::from_parts(head, ()), body, trailers })
}

/// The next bytes of a stream.
pub async fn next(stream: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let part = stream.data().await?;
    if let Ok(part) = &part {
        let _ = stream.flow_control().release_capacity(part.len());
    }
    Some(part)
}

/// An HTTP/2 origin in clear text. What it does is in the last segment of the path:
/// `echo`: sends back every part as it comes, then trailers; `hang`: says nothing, and tells when
/// it is cancelled; `slow`: sends a head and a part, and no more; `cut`: sends a part and resets
/// the stream as if all were well; `busy`: declines, without having worked on it; `head`: sends the
/// head before it reads.
pub struct Origin {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    cancelled: Receiver<Reason>,
    _runtime: Driven,
}

struct Shared {
    requests: AtomicUsize,
    busy: AtomicBool,
    refusing: AtomicBool,
    cancelled: SyncSender<Reason>,
}

impl Origin {
    /// One that does as it is told.
    pub fn start() -> Self {
        let runtime = Driven::start();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, cancelled) = sync_channel(64);
        let shared = Arc::new(Shared {
            requests: AtomicUsize::new(0),
            busy: AtomicBool::new(false),
            refusing: AtomicBool::new(false),
            cancelled: tell,
        });
        let serving = Arc::clone(&shared);
        runtime.handle.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { address, shared, cancelled, _runtime: runtime }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("h2c://{}", self.address)
    }

    /// Declines everything from now on.
    pub fn decline(&self) {
        self.shared.busy.store(true, SeqCst);
    }

    /// From now on reads all of each request and says then that it has not worked on it.
    pub fn refuse(&self) {
        self.shared.refusing.store(true, SeqCst);
    }

    /// Requests so far.
    pub fn count(&self) -> usize {
        self.shared.requests.load(SeqCst)
    }

    /// Waits until a request that hangs is cancelled.
    pub fn cancelled(&self) -> Reason {
        self.cancelled.recv_timeout(PATIENCE).expect("a request that is cancelled")
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        shared.requests.fetch_add(1, SeqCst);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // Tests look at what the proxy makes of it.
            let _ = answer(request, respond, &shared).await;
        });
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    shared: &Shared,
) -> Result<(), h2::Error> {
    let (parts, mut body) = request.into_parts();
    let mut head = Response::builder().header("content-type", "application/grpc");
    for name in ["te", "grpc-timeout", "x-rhumb"] {
        if let Some(value) = parts.headers.get(name) {
            head = head.header(format!("x-saw-{name}"), value);
        }
    }
    let what = parts.uri.path().rsplit('/').next().unwrap_or_default();
    if what == "busy" || shared.busy.load(SeqCst) {
        let head = head.header("grpc-status", "14").body(()).unwrap();
        respond.send_response(head, true)?;
        return Ok(());
    }
    if what == "hang" {
        let reason = poll_fn(|cx| respond.poll_reset(cx)).await?;
        let _ = shared.cancelled.send(reason);
        return Ok(());
    }
    if shared.refusing.load(SeqCst) {
        while next(&mut body).await.transpose()?.is_some() {}
        respond.send_reset(Reason::REFUSED_STREAM);
        return Ok(());
    }
    let mut stream = respond.send_response(head.body(()).unwrap(), false)?;
    match what {
        "slow" => {
            stream.send_data(Bytes::from_static(b"part"), false)?;
            let reason = poll_fn(|cx| stream.poll_reset(cx)).await?;
            let _ = shared.cancelled.send(reason);
        }
        "cut" => {
            while next(&mut body).await.transpose()?.is_some() {}
            stream.send_data(Bytes::from_static(b"part"), false)?;
            // The part goes out before the reset drops what is queued.
            tokio::task::yield_now().await;
            poll_fn(|cx| {
                cx.waker().wake_by_ref();
                std::task::Poll::Ready(())
            })
            .await;
            stream.send_reset(Reason::NO_ERROR);
        }
        _ => {
            while let Some(part) = next(&mut body).await {
                stream.send_data(part?, false)?;
            }
            let mut trailers = body.trailers().await?.unwrap_or_default();
            trailers.insert("grpc-status", "0".parse().unwrap());
            stream.send_trailers(trailers)?;
        }
    }
    Ok(())
}
