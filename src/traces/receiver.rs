//! The connection to a receiver of OTLP: HTTP/1.1, kept open, in clear text or TLS.
//!
//! What is sent on it, and how often it is tried, is the OpenTelemetry exporter's business.

use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::{Host, Otlp, Scheme};
use crate::model::limits;
use crate::tls;

/// Why something could not be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiverError {
    /// No connection.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// Its certificate is not to be believed, or there is no common ground.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// There is nothing to shake hands with.
    #[error("its name cannot be verified")]
    Name(#[source] tls::TlsError),
    /// The files of TLS are not there any more.
    #[error("nothing is known of TLS there")]
    Unprepared,
    /// It did not answer as HTTP/1.1 asks.
    #[error("the exchange broke")]
    Http(#[source] hyper::Error),
    /// It answered too much.
    #[error("its answer cannot be read")]
    Answer(#[source] Box<dyn Error + Send + Sync>),
    /// It answered no in time.
    #[error("no answer within {0:?}")]
    Timeout(std::time::Duration),
}

/// What is known of a receiver beside what the exporter is told.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Spans that it did not want of batches that it took.
    rejected: AtomicU64,
    /// What went wrong last.
    last: Mutex<Option<String>>,
}

impl Said {
    /// Spans that it did not want, since this was asked last.
    pub(super) fn take_rejected(&self) -> u64 {
        self.rejected.swap(0, Ordering::Relaxed)
    }

    /// What went wrong last, if anything has since this was asked last.
    pub(super) fn take_failure(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn failed(&self, what: String) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    }
}

/// A receiver.
#[derive(Debug)]
pub(super) struct Receiver {
    otlp: Arc<Otlp>,
    tls: Option<Arc<ClientConfig>>,
    kept: tokio::sync::Mutex<Option<SendRequest<Full<Bytes>>>>,
    said: Arc<Said>,
}

impl Receiver {
    /// `tls`: for handshakes, where the receiver speaks it.
    pub(super) fn new(otlp: Arc<Otlp>, tls: Option<Arc<ClientConfig>>, said: Arc<Said>) -> Self {
        Self { otlp, tls, kept: tokio::sync::Mutex::default(), said }
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ReceiverError> {
        let mut kept = self.kept.lock().await;
        let mut sender = match kept.take() {
            Some(mut sender) => match sender.ready().await {
                Ok(()) => sender,
                Err(_closed) => self.connect().await?,
            },
            None => self.connect().await?,
        };
        let (mut parts, body) = request.into_parts();
        parts.uri = Uri::try_from(&self.otlp.path).unwrap_or_default();
        if let Ok(host) = HeaderValue::try_from(self.otlp.url.authority()) {
            parts.headers.insert(header::HOST, host);
        }
        let request = Request::from_parts(parts, Full::new(body));
        let response = sender.send_request(request).await.map_err(ReceiverError::Http)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, limits::OTLP_ANSWER_BYTES).collect().await;
        let body = body.map_err(ReceiverError::Answer)?.to_bytes();
        *kept = Some(sender);
        Ok(Response::from_parts(parts, body))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ReceiverError> {
        let url = &self.otlp.url;
        let stream = match &url.host {
            Host::Address(address) => TcpStream::connect((*address, url.port)).await,
            Host::Name(name) => TcpStream::connect((&**name, url.port)).await,
        };
        let stream = stream.map_err(ReceiverError::Connect)?;
        stream.set_nodelay(true).map_err(ReceiverError::Connect)?;
        if url.scheme != Scheme::Https {
            return speak(stream).await;
        }
        let name = tls::server_name(url, &self.otlp.tls).map_err(ReceiverError::Name)?;
        let config = self.tls.as_ref().ok_or(ReceiverError::Unprepared)?;
        let connector = TlsConnector::from(Arc::clone(config));
        speak(connector.connect(name, stream).await.map_err(ReceiverError::Tls)?).await
    }

    /// Notes what it did not want.
    fn heard(&self, response: &Response<Bytes>) {
        if !response.status().is_success() {
            self.said.failed(format!("it answered {}", response.status()));
            return;
        }
        let answer = ExportTraceServiceResponse::decode(&**response.body()).unwrap_or_default();
        if let Some(partial) = answer.partial_success.filter(|it| it.rejected_spans > 0) {
            self.said.rejected.fetch_add(partial.rejected_spans.unsigned_abs(), Ordering::Relaxed);
            self.said.failed(format!("it rejected spans: {}", partial.error_message));
        }
    }
}

async fn speak<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, ReceiverError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(ReceiverError::Http)?;
    // Ends with the sender; what goes wrong on it, the exchange is told.
    tokio::spawn(async { drop(connection.await) });
    Ok(sender)
}

#[async_trait::async_trait]
impl HttpClient for Receiver {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let most = self.otlp.timeout;
        let exchange = tokio::time::timeout(most, self.exchange(request)).await;
        match exchange.unwrap_or(Err(ReceiverError::Timeout(most))) {
            Ok(response) => {
                self.heard(&response);
                Ok(response)
            }
            Err(error) => {
                self.said.failed(detail(&error));
                Err(error.into())
            }
        }
    }
}

/// An error and its causes in one line.
fn detail(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
