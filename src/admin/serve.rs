//! The admin address itself: connections, limits, and which path is answered by what.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use super::readiness::Readiness;
use super::{api, metrics_page};
use crate::failover::Handle;
use crate::metrics::Registry;
use crate::model::limits;
use crate::snapshot::Live;

/// What the admin address shows.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The controller.
    pub handle: Handle,
    /// The current snapshot.
    pub live: Arc<Live>,
    /// Everything that is counted.
    pub registry: Arc<Registry>,
    /// Whether the process wants traffic.
    pub readiness: Readiness,
    /// When the process started, in Unix time.
    pub started_unix_seconds: f64,
}

/// The admin address, ready to serve.
#[derive(Debug)]
pub struct AdminServer {
    admin: Admin,
    listener: TcpListener,
}

/// An answer of the admin address.
pub(super) type Answer = Response<Full<Bytes>>;

impl Admin {
    /// Serves on that socket, which must not block.
    pub fn on(self, listener: TcpListener) -> AdminServer {
        AdminServer { admin: self, listener }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let known: &[Method] = match &*path {
            "/metrics"
            | "/livez"
            | "/readyz"
            | "/api/v1/regions"
            | "/api/v1/deployments"
            | "/api/v1/events" => &[Method::GET, Method::HEAD],
            "/api/v1/route" => &[Method::POST],
            _ => return problem(StatusCode::NOT_FOUND, "no_such_path", "nothing is at this path"),
        };
        if !known.contains(&parts.method) {
            return not_allowed(known);
        }
        match &*path {
            "/metrics" => metrics_page::answer(self).await,
            "/livez" => plain(StatusCode::OK, "alive\n"),
            "/readyz" if self.readiness.get() => plain(StatusCode::OK, "ready\n"),
            "/readyz" => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            "/api/v1/regions" => api::regions(self).await,
            "/api/v1/deployments" => api::deployments(self).await,
            "/api/v1/events" => api::events(self).await,
            _ => match read(body).await {
                Ok(bytes) => api::route(self, &bytes),
                Err(answer) => answer,
            },
        }
    }
}

impl AdminServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Serves until it is dropped.
    pub async fn serve(self) {
        let Self { admin, listener } = self;
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "the admin address does not work");
                return;
            }
        };
        let slots = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let admin = admin.clone();
                    tokio::spawn(async move {
                        connection(admin, stream).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin address cannot accept; trying again");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

async fn connection(admin: Admin, stream: tokio::net::TcpStream) {
    let service = service_fn(move |request: Request<Incoming>| {
        let admin = admin.clone();
        async move {
            let head = request.method() == Method::HEAD;
            let mut answer = admin.answer(request).await;
            answer
                .headers_mut()
                .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            if head {
                answer = answer.map(|_| Full::default());
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::REQUEST_HEAD_TIMEOUT)
        .max_headers(limits::HEADER_FIELDS)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "admin connection ended");
    }
}

async fn read(body: Incoming) -> Result<Bytes, Answer> {
    let limited = Limited::new(body, limits::ADMIN_BODY_BYTES).collect();
    match tokio::time::timeout(limits::BODY_PROGRESS_TIMEOUT, limited).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(problem(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is too large"))
        }
        Ok(Err(_)) => {
            Err(problem(StatusCode::BAD_REQUEST, "malformed_request", "the body is malformed"))
        }
        Err(_) => {
            Err(problem(StatusCode::REQUEST_TIMEOUT, "request_timeout", "the body took too long"))
        }
    }
}

fn not_allowed(known: &[Method]) -> Answer {
    let mut answer = problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path answers other methods",
    );
    let allow = known.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    if let Ok(value) = allow.parse() {
        answer.headers_mut().insert(header::ALLOW, value);
    }
    answer
}

/// A plain text answer.
pub(super) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    typed(status, "text/plain; charset=utf-8", text)
}

/// An answer of any type.
pub(super) fn typed(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// A JSON answer.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Answer {
    match serde_json::to_vec_pretty(value) {
        Ok(mut body) => {
            body.push(b'\n');
            typed(StatusCode::OK, "application/json", body)
        }
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON; this is a bug");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong here")
        }
    }
}

/// A problem details answer (RFC 9457).
pub(super) fn problem(status: StatusCode, reason: &str, detail: &str) -> Answer {
    let body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "reason": reason,
        "detail": detail,
    });
    typed(status, "application/problem+json", format!("{body}\n"))
}
