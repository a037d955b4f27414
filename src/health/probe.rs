//! One HTTP check over the network, on a connection of its own.
//!
//! A check uses no pooled connection, because a connection that still works says nothing about
//! whether a new one can be made.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::config::{EndpointUrl, HealthCheck, Host};
use crate::model::limits;

use super::state::Failure;

const USER_AGENT: &str = concat!("rhumb/", env!("CARGO_PKG_VERSION"), " (health check)");

/// A check that was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// How long all of it took.
    pub took: Duration,
    /// How long making the connection took, with the name lookup if there was one.
    pub connect: Duration,
}

/// Makes one check.
///
/// # Errors
///
/// Why it failed; a timeout covers everything from the name lookup to the end of the body.
pub async fn http(
    url: &EndpointUrl,
    check: &HealthCheck,
    timeout: Duration,
) -> Result<Passed, Failure> {
    let start = Instant::now();
    match tokio::time::timeout(timeout, ask(url, check)).await {
        Ok(Ok(connected)) => {
            let connect = connected.saturating_duration_since(start);
            Ok(Passed { took: start.elapsed(), connect })
        }
        Ok(Err(failure)) => Err(failure),
        Err(_) => Err(Failure::Timeout { after_ms: timeout.as_millis() as u64 }),
    }
}

/// Asks, and says when the connection was made.
async fn ask(url: &EndpointUrl, check: &HealthCheck) -> Result<Instant, Failure> {
    let stream = match &url.host {
        Host::Address(address) => TcpStream::connect((*address, url.port)).await,
        Host::Name(name) => TcpStream::connect((&**name, url.port)).await,
    }
    .map_err(|error| Failure::Connection { detail: describe(&error) })?;
    let connected = Instant::now();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| protocol(&error))?;
    let mut connection = pin!(connection);
    let mut exchange = pin!(async {
        let response = sender.send_request(request(url, check)?).await;
        read(response.map_err(|error| protocol(&error))?, check).await
    });
    let mut open = true;
    poll_fn(|cx| {
        // The connection goes first: it is what moves the exchange on.
        if open && connection.as_mut().poll(cx).is_ready() {
            open = false;
        }
        match exchange.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(result.map(|()| connected)),
            Poll::Pending if open => Poll::Pending,
            Poll::Pending => Poll::Ready(Err(Failure::Connection {
                detail: "the connection was closed before the answer was complete".to_owned(),
            })),
        }
    })
    .await
}

fn request(url: &EndpointUrl, check: &HealthCheck) -> Result<Request<Empty<Bytes>>, Failure> {
    let authority = url.authority();
    let host = check.host.as_deref().unwrap_or(&authority);
    Request::get(check.path.as_str())
        .header(header::HOST, host)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, HeaderValue::from_static("close"))
        .body(Empty::new())
        .map_err(|_| Failure::Broken)
}

async fn read(response: http::Response<Incoming>, check: &HealthCheck) -> Result<(), Failure> {
    let status = response.status().as_u16();
    if status != check.expected_status {
        return Err(Failure::Status { status, expected: check.expected_status });
    }
    let mut body = response.into_body();
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| protocol(&error))?;
        seen += frame.data_ref().map_or(0, Bytes::len);
        if seen > limits::CHECK_BODY_BYTES {
            break;
        }
    }
    Ok(())
}

fn protocol(error: &hyper::Error) -> Failure {
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<std::io::Error>()) {
        Some(io) => Failure::Connection { detail: describe(io) },
        None if error.is_incomplete_message() => {
            Failure::Connection { detail: "the connection was closed without an answer".to_owned() }
        }
        None => Failure::Protocol { detail: error.to_string() },
    }
}

/// The system's words without its error number, which means nothing at 3 a.m.
fn describe(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        _ => error.to_string(),
    }
}
