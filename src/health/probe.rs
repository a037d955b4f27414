//! One HTTP check over the network, on a connection of its own, which is made as those of requests
//! are and on which is spoken what they speak.
//!
//! A check uses no pooled connection, because a connection that still works says nothing about
//! whether a new one can be made.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, Version, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::config::{EndpointUrl, HealthCheck, Scheme};
use crate::model::limits;
use crate::upstream::{DialError, Protocol, Route};

use super::state::Failure;

const USER_AGENT: &str = concat!("rhumb/", env!("CARGO_PKG_VERSION"), " (health check)");

/// A check that was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// How long all of it took.
    pub took: Duration,
    /// How long making the connection took.
    pub connect: Duration,
}

/// Makes one check.
///
/// # Errors
///
/// Why it failed; a timeout covers everything from the connection to the end of the body. As long as
/// there is no descriptor for it, it has not begun.
pub async fn http(
    route: &Route,
    check: &HealthCheck,
    timeout: Duration,
) -> Result<Passed, Failure> {
    loop {
        let start = Instant::now();
        match tokio::time::timeout(timeout, ask(route, check, timeout)).await {
            Ok(Ok(connected)) => {
                let connect = connected.saturating_duration_since(start);
                return Ok(Passed { took: start.elapsed(), connect });
            }
            Ok(Err(Miss::Failed(failure))) => return Err(failure),
            Ok(Err(Miss::Shortage)) => tokio::time::sleep(limits::SHORTAGE_PAUSE).await,
            Err(_) => return Err(Failure::Timeout { after_ms: timeout.as_millis() as u64 }),
        }
    }
}

/// Why nothing was passed.
enum Miss {
    Failed(Failure),
    /// This side has no descriptor, which says nothing about the other one: it is asked again.
    Shortage,
}

impl From<Failure> for Miss {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Asks, and says when the connection was made.
async fn ask(route: &Route, check: &HealthCheck, within: Duration) -> Result<Instant, Miss> {
    let (stream, spoken) = match route.dial(None, within).await {
        Ok(dialled) => dialled,
        Err(error) if error.is_own_shortage() => return Err(Miss::Shortage),
        Err(error) => return Err(unreached(&error).into()),
    };
    let connected = Instant::now();
    let request = request(&route.url, check, spoken)?;
    let io = TokioIo::new(stream);
    match spoken {
        Protocol::Http1 => {
            let handshake =
                http1::Builder::new().max_header_size(limits::HEADER_BYTES).handshake(io);
            let (mut sender, connection) = handshake.await.map_err(|error| protocol(&error))?;
            beside(connection, async {
                read(sender.send_request(request).await.map_err(|error| protocol(&error))?, check)
                    .await
            })
            .await
        }
        Protocol::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.max_header_list_size(limits::HEADER_BYTES as u32);
            let (mut sender, connection) =
                builder.handshake(io).await.map_err(|error| protocol(&error))?;
            beside(connection, async {
                read(sender.send_request(request).await.map_err(|error| protocol(&error))?, check)
                    .await
            })
            .await
        }
    }?;
    Ok(connected)
}

/// Moves an exchange on by moving its connection, until the one or the other has ended.
async fn beside<E>(
    connection: impl Future<Output = Result<(), E>>,
    exchange: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    let mut open = true;
    poll_fn(|cx| {
        // The connection goes first: it is what moves the exchange on.
        if open && connection.as_mut().poll(cx).is_ready() {
            open = false;
        }
        match exchange.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending if open => Poll::Pending,
            Poll::Pending => Poll::Ready(Err(Failure::Connection {
                detail: "the connection was closed before the answer was complete".to_owned(),
            })),
        }
    })
    .await
}

fn request(
    url: &EndpointUrl,
    check: &HealthCheck,
    spoken: Protocol,
) -> Result<Request<Empty<Bytes>>, Failure> {
    let authority = url.authority();
    let host = check.host.as_deref().unwrap_or(&authority);
    let request = Request::get(check.path.as_str())
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*");
    let request = match spoken {
        Protocol::Http1 => request
            .header(header::HOST, host)
            .header(header::CONNECTION, HeaderValue::from_static("close")),
        Protocol::Http2 => {
            let scheme = if url.scheme == Scheme::Https { "https" } else { "http" };
            let uri = Uri::builder().scheme(scheme).authority(host);
            let uri = uri.path_and_query(check.path.as_str()).build();
            request.uri(uri.map_err(|_| Failure::Broken)?).version(Version::HTTP_2)
        }
    };
    request.body(Empty::new()).map_err(|_| Failure::Broken)
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

/// Why there is no connection.
fn unreached(error: &DialError) -> Failure {
    let detail = match error {
        DialError::Timeout(within) => {
            return Failure::Timeout { after_ms: within.as_millis() as u64 };
        }
        DialError::Connect(error) => describe(error),
        DialError::Unresolved => "its name has no address".to_owned(),
        _ => error.detail(),
    };
    Failure::Connection { detail }
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
