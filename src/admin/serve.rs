//! The admin address itself: connections, limits, and which path is answered by what.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use super::answer::{Answer, plain, problem};
use super::source::Admin;
use super::{api, certificates, log, memory, metrics_page, profile, workers};
use crate::model::limits;

/// The admin address, ready to serve.
#[derive(Debug)]
pub struct AdminServer {
    admin: Admin,
    listener: TcpListener,
}

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
            | "/api/v1/events"
            | "/api/v1/certificates"
            | "/api/v1/shadow"
            | "/api/v1/connections"
            | "/api/v1/tasks"
            | "/debug/memory" => &[Method::GET, Method::HEAD],
            "/api/v1/log-level" => &[Method::GET, Method::HEAD, Method::PUT],
            "/debug/pprof/profile" => &[Method::GET],
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
            "/api/v1/shadow" => api::shadow(self),
            "/api/v1/certificates" => certificates::answer(self),
            "/api/v1/connections" => workers::connections(self, parts.uri.query()).await,
            "/api/v1/tasks" => workers::tasks(self).await,
            "/api/v1/log-level" if parts.method != Method::PUT => log::answer(),
            "/api/v1/log-level" => match read(body).await {
                Ok(bytes) => log::change(&bytes),
                Err(answer) => answer,
            },
            "/debug/memory" => memory::answer(self).await,
            "/debug/pprof/profile" => profile::answer(self, parts.uri.query()).await,
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
