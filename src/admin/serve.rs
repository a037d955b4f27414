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
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::answer::{Answer, plain, problem};
use super::doors::{Door, Doors};
use super::source::Admin;
use super::taken::Taken;
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

async fn connection(admin: Admin, stream: TcpStream, door: watch::Receiver<Door>) {
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
    if let Err(error) = speak(stream, service, door).await {
        tracing::debug!(%error, "admin connection ended");
    }
}

/// Speaks HTTP/1.1 until there is nothing more to say.
async fn speak<S>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    service: S,
    mut door: watch::Receiver<Door>,
) -> hyper::Result<()>
where
    S: HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible>,
{
    let mut conn = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::REQUEST_HEAD_TIMEOUT)
            .max_headers(limits::HEADER_FIELDS)
            .serve_connection(Taken::new(TokioIo::new(stream)), service)
    );
    tokio::select! {
        served = conn.as_mut() => served,
        _ = door.changed() => {
            // Whoever asks next is to ask where the door is now.
            conn.as_mut().graceful_shutdown();
            conn.await
        }
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;

    const ANSWER_BYTES: usize = 100_000;

    /// A connection on which something long has been asked for.
    async fn asked() -> (tokio::io::DuplexStream, impl Future<Output = hyper::Result<()>>) {
        let (mut client, stream) = tokio::io::duplex(1_000);
        let service = service_fn(|_| async {
            Ok(Answer::new(Full::from(Bytes::from(vec![b'a'; ANSWER_BYTES]))))
        });
        let request = b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let (doors, door) = Doors::new();
        (client, async move {
            let served = speak(stream, service, door).await;
            drop(doors);
            served
        })
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_nothing_of_an_answer_loses_it() {
        let (_client, served) = asked().await;
        let begin = Instant::now();
        let hour = Duration::from_secs(3_600);
        let error = tokio::time::timeout(hour, served).await.expect("an end").unwrap_err();
        assert!(begin.elapsed() >= limits::ADMIN_WRITE_TIMEOUT, "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_some_of_it_now_and_then_gets_all() {
        let (mut client, served) = asked().await;
        let taking = async {
            let (mut taken, mut piece) = (0, [0; 10_000]);
            while let count @ 1.. = client.read(&mut piece).await.unwrap() {
                taken += count;
                tokio::time::sleep(limits::ADMIN_WRITE_TIMEOUT / 2).await;
            }
            taken
        };
        let (served, taken) = tokio::join!(served, taking);
        served.unwrap();
        assert!(taken > ANSWER_BYTES);
    }
}
