//! HTTP/2 clients: connections that many requests share, each a stream of it.

use std::cell::RefCell;
use std::net::IpAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Uri, Version};
use tokio::sync::Mutex;
use tokio::task::spawn_local;

use crate::client::Fault;
use crate::message::{self, REGION_HEADER, ResponseHead};
use crate::regions::Region;
use crate::scenario::HOST;
use crate::way::Way;

/// Flow control windows, large enough never to hold an answer of this benchmark back.
const WINDOW: u32 = 4 << 20;

/// A request as HTTP/2 has it.
pub(crate) struct Prepared {
    head: Request<()>,
    body: Bytes,
}

impl Prepared {
    /// From the bytes of the same request in HTTP/1.1.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let length = message::head_length(bytes)?;
        let (head, body) = bytes.split_at_checked(length)?;
        let line = std::str::from_utf8(head).ok()?.lines().next()?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let uri: Uri = format!("https://{HOST}{target}").parse().ok()?;
        let mut request =
            Request::builder().method(method).uri(uri).version(Version::HTTP_2).body(()).ok()?;
        *request.headers_mut() = fields(head)?;
        Some(Self { head: request, body: Bytes::copy_from_slice(body) })
    }
}

/// All fields but those that HTTP/2 says otherwise.
fn fields(head: &[u8]) -> Option<HeaderMap> {
    let mut fields = HeaderMap::new();
    for (name, value) in message::fields(head) {
        if name != b"host" && name != b"connection" {
            let name = http::HeaderName::from_bytes(name).ok()?;
            fields.append(name, http::HeaderValue::from_bytes(value).ok()?);
        }
    }
    Some(fields)
}

/// One connection that streams share; opened by the first that needs it.
pub(crate) struct Shared {
    source: IpAddr,
    sender: Mutex<Option<SendRequest<Bytes>>>,
    /// Bodies of answers are put together here and given back, one for each stream under way.
    spare: RefCell<Vec<Vec<u8>>>,
}

impl Shared {
    pub(crate) fn new(source: IpAddr) -> Self {
        Self { source, sender: Mutex::new(None), spare: RefCell::default() }
    }

    /// Ends the connection; the next request opens another.
    pub(crate) async fn disconnect(&self) {
        *self.sender.lock().await = None;
    }

    async fn sender(&self, way: &Way) -> Result<SendRequest<Bytes>, Fault> {
        let mut sender = self.sender.lock().await;
        if let Some(sender) = &*sender {
            return Ok(sender.clone());
        }
        let stream = way.connect(self.source).await?;
        let (fresh, connection) = h2::client::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(stream)
            .await
            .map_err(|_| Fault::Refused)?;
        // How it ends is seen by the streams on it.
        spawn_local(async move { connection.await.ok() });
        Ok(sender.insert(fresh).clone())
    }

    /// Sends `request` and takes in the whole answer.
    pub(crate) async fn exchange(
        &self,
        way: &Way,
        request: &Prepared,
    ) -> Result<(ResponseHead, Vec<u8>), Fault> {
        let closed = |_| Fault::Closed;
        let mut sender = self.sender(way).await?.ready().await.map_err(closed)?;
        let ends = request.body.is_empty();
        let (answer, mut upload) =
            sender.send_request(request.head.clone(), ends).map_err(closed)?;
        if !ends {
            upload.send_data(request.body.clone(), true).map_err(closed)?;
        }
        let (head, mut body) = answer.await.map_err(closed)?.into_parts();
        let mut bytes = self.spare.borrow_mut().pop().unwrap_or_default();
        bytes.clear();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.map_err(closed)?;
            body.flow_control().release_capacity(chunk.len()).map_err(closed)?;
            bytes.extend_from_slice(&chunk);
        }
        let region = head.headers.get(REGION_HEADER);
        let head = ResponseHead {
            ok: head.status == http::StatusCode::OK,
            length: bytes.len(),
            region: region.and_then(|region| Region::of_id(region.as_bytes())),
            closes: false,
        };
        Ok((head, bytes))
    }

    /// Gives an answer's bytes back for the next.
    pub(crate) fn done_with(&self, bytes: Vec<u8>) {
        self.spare.borrow_mut().push(bytes);
    }
}
