//! The three origins: raw HTTP/1.1 over kept-alive connections, answers built beforehand.
//!
//! They share a core with the load generator, so they do as little as they can: find the end of the
//! request, check a posted body, write bytes that were ready. `/health` is for health checks and
//! `/echo` answers with the head of the request, for checking what a proxy made of it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::error::BenchError;
use crate::message;
use crate::regions::Region;
use crate::scenario::{self, Documents};

/// More than any request of this benchmark.
const REQUEST_BYTES: usize = 32 * 1024;

/// The answers of one region, whole.
struct Answers {
    region: Region,
    health: Vec<u8>,
    small: Vec<u8>,
    large: Vec<u8>,
    refused: Vec<u8>,
    posted: Vec<u8>,
}

/// Starts the origin of `region` on a free port of loopback. Runs in a `LocalSet`.
pub(crate) async fn start(region: Region) -> Result<SocketAddr, BenchError> {
    let failed = |source| BenchError::Io { doing: "open an origin's port", source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let documents = Documents::of(region);
    let answers = Rc::new(Answers {
        region,
        health: response(region, "200 OK", b"ok"),
        small: response(region, "200 OK", &documents.small),
        large: response(region, "200 OK", &documents.large),
        refused: response(region, "400 Bad Request", b"not what the client sent"),
        posted: scenario::posted().into_bytes(),
    });
    spawn_local(async move {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                let answers = Rc::clone(&answers);
                // A connection that breaks is seen by the client behind it.
                spawn_local(async move { serve(stream, &answers).await.ok() });
            }
        }
    });
    Ok(address)
}

/// A response with eight header fields, as APIs send them.
fn response(region: Region, status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\n\
         Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
         Content-Type: application/json\r\n\
         Content-Length: {}\r\n\
         Cache-Control: private, max-age=0\r\n\
         ETag: \"5d41402abc4b2a76b9719d911017c592\"\r\n\
         Vary: Accept-Encoding\r\n\
         X-Content-Type-Options: nosniff\r\n\
         {}: {}\r\n\r\n",
        body.len(),
        message::REGION_HEADER,
        region.id(),
    );
    [head.as_bytes(), body].concat()
}

/// Answers request after request until the peer is done.
async fn serve(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(REQUEST_BYTES);
    loop {
        while let Some(length) = request_length(&buffer) {
            let Some(request) = buffer.get(..length) else { break };
            if request.starts_with(b"GET /echo") {
                let echo = response(answers.region, "200 OK", request);
                stream.write_all(&echo).await?;
            } else {
                stream.write_all(answers.answer(request)).await?;
            }
            buffer.drain(..length);
        }
        if buffer.len() >= REQUEST_BYTES || stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Length of the first request including its body, once its head is complete.
fn request_length(buffer: &[u8]) -> Option<usize> {
    let head = message::head_length(buffer)?;
    if !buffer.starts_with(b"POST ") {
        return Some(head);
    }
    // Without a length there is no body to wait for; it will be refused.
    Some(head + message::content_length(buffer.get(..head)?).unwrap_or(0))
}

impl Answers {
    fn answer(&self, request: &[u8]) -> &[u8] {
        if request.starts_with(b"GET /v1/orders") {
            &self.small
        } else if request.starts_with(b"GET /v1/export") {
            &self.large
        } else if request.starts_with(b"POST /v1/orders ") && request.ends_with(&self.posted) {
            &self.small
        } else if request.starts_with(b"GET /health") {
            &self.health
        } else {
            &self.refused
        }
    }
}
