//! The admin address itself: connections, limits, and which path is answered by what.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::answer::{Answer, plain, problem};
use super::doors::{Door, Doors};
use super::source::Admin;
use super::{api, certificates, log, memory, metrics_page, profile, workers};
use crate::model::limits;

/// The admin address, ready to serve.
#[derive(Debug)]
pub struct AdminServer {
    admin: Admin,
    door: watch::Receiver<Door>,
}

impl Admin {
    /// A server that listens nowhere yet, and what opens its doors.
    pub fn server(self) -> (AdminServer, Doors) {
        let (doors, door) = Doors::new();
        (AdminServer { admin: self, door }, doors)
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
    /// Serves until it is dropped.
    pub async fn serve(mut self) {
        let slots = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS));
        loop {
            let listener = self.door.borrow_and_update().listen();
            let seen = self.door.clone();
            let changed = match listener {
                Some(listener) => tokio::select! {
                    () = accept(&self.admin, &listener, &slots, &seen) => return,
                    changed = self.door.changed() => changed,
                },
                None => self.door.changed().await,
            };
            // Whoever opens doors is gone with the process.
            if changed.is_err() {
                return;
            }
        }
    }
}

async fn accept(
    admin: &Admin,
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    door: &watch::Receiver<Door>,
) {
    loop {
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (admin, door) = (admin.clone(), door.clone());
                tokio::spawn(async move {
                    connection(admin, stream, door).await;
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

async fn connection(admin: Admin, stream: tokio::net::TcpStream, mut door: watch::Receiver<Door>) {
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
    let mut conn = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::REQUEST_HEAD_TIMEOUT)
            .max_headers(limits::HEADER_FIELDS)
            .serve_connection(TokioIo::new(stream), service)
    );
    let served = tokio::select! {
        served = conn.as_mut() => served,
        _ = door.changed() => {
            // Whoever asks next is to ask where the door is now.
            conn.as_mut().graceful_shutdown();
            conn.await
        }
    };
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
