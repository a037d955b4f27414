//! One client: sends a request, reads the answer, checks that it is the right one. In HTTP/1.1 it
//! has a connection of its own, in HTTP/2 a stream at a time of one that others use too (`streams`).
//!
//! Not here: how many there are and when they send (`load`).

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::message::{self, ResponseHead};
use crate::regions::Region;
use crate::streams::{Prepared, Shared};
use crate::way::{Stream, Way};

/// More than any response of this benchmark.
const RESPONSE_BYTES: usize = 128 * 1024;

/// What was wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// No connection to the proxy.
    Refused,
    /// The connection ended before the answer did.
    Closed,
    /// No HTTP/1.1 response with a `Content-Length`.
    Malformed,
    /// Not status 200.
    Status,
    /// Not as long as it should be.
    Length,
    /// From another region than the client's country goes to.
    Region,
    /// Not the bytes that the region's origin sent.
    Body,
    /// No answer within the time that a window leaves for the last ones.
    Unanswered,
}

/// A request in the form of each protocol.
pub(crate) struct Request {
    bytes: Vec<u8>,
    prepared: Prepared,
}

impl Request {
    /// From the bytes of HTTP/1.1; `None` if they are none.
    pub(crate) fn of(bytes: Vec<u8>) -> Option<Self> {
        Some(Self { prepared: Prepared::of(&bytes)?, bytes })
    }
}

/// A client of the proxy, with a connection that is opened when it is first needed.
pub(crate) struct Client {
    way: Way,
    /// An address of its own, so that connecting anew for each request cannot run out of ports.
    source: IpAddr,
    stream: Option<Stream>,
    shared: Option<Rc<Shared>>,
    buffer: Vec<u8>,
}

/// A complete response.
pub(crate) struct Response<'a> {
    pub(crate) head: ResponseHead,
    pub(crate) body: &'a [u8],
}

impl Client {
    /// The `slot`th client of the proxy.
    pub(crate) fn new(way: &Way, slot: usize) -> Self {
        let source = source(slot);
        let shared = way.protocol.is_http2().then(|| Rc::new(Shared::new(source)));
        Self::on(way, source, shared)
    }

    /// `count` clients on one connection of HTTP/2, or as many connections.
    pub(crate) fn group(way: &Way, slot: usize, count: usize) -> Vec<Self> {
        let source = source(slot);
        let shared = way.protocol.is_http2().then(|| Rc::new(Shared::new(source)));
        (0..count).map(|_| Self::on(way, source, shared.clone())).collect()
    }

    fn on(way: &Way, source: IpAddr, shared: Option<Rc<Shared>>) -> Self {
        let buffer = Vec::with_capacity(RESPONSE_BYTES);
        Self { way: way.clone(), source, stream: None, shared, buffer }
    }

    /// The address that it connects from.
    pub(crate) const fn source(&self) -> IpAddr {
        self.source
    }

    /// Gives the memory for answers back, for who only stays.
    pub(crate) fn forget_buffer(&mut self) {
        self.buffer = Vec::new();
    }

    /// Ends the connection; the next request opens another.
    pub(crate) async fn disconnect(&mut self) {
        self.stream = None;
        if let Some(shared) = &self.shared {
            shared.disconnect().await;
        }
    }

    /// Sends `request` and reads the whole answer. A fault ends the connection.
    pub(crate) async fn exchange(&mut self, request: &Request) -> Result<Response<'_>, Fault> {
        if let Some(shared) = self.shared.clone() {
            let (head, bytes) = shared.exchange(&self.way, &request.prepared).await?;
            let before = std::mem::replace(&mut self.buffer, bytes);
            shared.done_with(before);
            return Ok(Response { head, body: &self.buffer });
        }
        let outcome = self.receive(&request.bytes).await;
        if !matches!(&outcome, Ok((head, _)) if !head.closes) {
            self.stream = None;
        }
        let (head, start) = outcome?;
        let body = self.buffer.get(start..).ok_or(Fault::Malformed)?;
        Ok(Response { head, body })
    }

    /// The head of the answer, and where in the buffer its body starts.
    async fn receive(&mut self, request: &[u8]) -> Result<(ResponseHead, usize), Fault> {
        if self.stream.is_none() {
            self.stream = Some(self.way.connect(self.source).await?);
        }
        let stream = self.stream.as_mut().ok_or(Fault::Refused)?;
        stream.write_all(request).await.map_err(|_| Fault::Closed)?;
        self.buffer.clear();
        let (head, start) = loop {
            read_more(stream, &mut self.buffer).await?;
            if let Some(length) = message::head_length(&self.buffer) {
                let bytes = self.buffer.get(..length).ok_or(Fault::Malformed)?;
                break (ResponseHead::parse(bytes).ok_or(Fault::Malformed)?, length);
            }
        };
        while self.buffer.len() < start + head.length {
            read_more(stream, &mut self.buffer).await?;
        }
        if self.buffer.len() > start + head.length {
            return Err(Fault::Length);
        }
        Ok((head, start))
    }
}

impl Response<'_> {
    /// Whether it is what an origin of `region` answers; `None`: any region will do.
    pub(crate) fn verify(&self, region: Option<Region>, expected: &[u8]) -> Result<(), Fault> {
        if !self.head.ok {
            Err(Fault::Status)
        } else if self.head.region.is_none() || region.is_some_and(|r| Some(r) != self.head.region)
        {
            Err(Fault::Region)
        } else if self.body.len() != expected.len() {
            Err(Fault::Length)
        } else if region.is_some() && self.body != expected {
            Err(Fault::Body)
        } else {
            Ok(())
        }
    }
}

fn source(slot: usize) -> IpAddr {
    let [.., high, low] = slot.to_be_bytes();
    Ipv4Addr::new(127, 1, high, low.saturating_add(1)).into()
}

async fn read_more(stream: &mut Stream, buffer: &mut Vec<u8>) -> Result<(), Fault> {
    if buffer.len() >= RESPONSE_BYTES {
        return Err(Fault::Length);
    }
    match stream.read_buf(buffer).await {
        Ok(read) if read > 0 => Ok(()),
        _ => Err(Fault::Closed),
    }
}
