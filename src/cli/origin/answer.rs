//! What an origin answers to which path.
//!
//! | path | answer |
//! |---|---|
//! | `/health` | 200 at once |
//! | `/echo` | the body of the request, as it comes |
//! | `/bytes/N` | N bytes |
//! | `/delay/MS` | like any other path, but MS milliseconds later |
//! | `/status/N` | like any other path, with status N |
//! | any other | the region, and the request as it arrived, as JSON |

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

/// Which region answered, for those who do not read bodies.
pub(crate) const X_REGION: HeaderName = HeaderName::from_static("x-region");
/// Longest delay that a path may ask for.
const LONGEST_DELAY_MS: u64 = 600_000;
/// What `/bytes/N` is made of.
static FILLER: [u8; 64 << 10] = [b'.'; 64 << 10];

type AnswerBody = BoxBody<Bytes, hyper::Error>;
type Answer = Response<AnswerBody>;

/// The region that an origin stands for.
#[derive(Debug)]
pub(super) struct Region {
    name: String,
    header: HeaderValue,
    delay: Duration,
    requests: AtomicU64,
}

impl Region {
    pub(super) fn new(name: &str, delay: Duration) -> Self {
        // A name that is no header value is still one in the body.
        let header = HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static("?"));
        Self { name: name.to_owned(), header, delay, requests: AtomicU64::new(0) }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let path = request.uri().path().to_owned();
        let mut answer = match route(&path) {
            Ok(Route::Health) => json_answer(StatusCode::OK, &json!({ "region": self.name })),
            Ok(route) => {
                tokio::time::sleep(self.delay).await;
                self.routed(route, request, peer).await
            }
            Err(reason) => json_answer(
                StatusCode::BAD_REQUEST,
                &json!({ "region": self.name, "error": reason, "path": path }),
            ),
        };
        answer.headers_mut().insert(X_REGION, self.header.clone());
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }

    async fn routed(&self, route: Route, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        match route {
            Route::Echo => echo(request).await,
            Route::Bytes(count) => bytes(count),
            Route::Delay(delay) => {
                tokio::time::sleep(delay).await;
                self.describe(StatusCode::OK, request, peer).await
            }
            Route::Status(status) => self.describe(status, request, peer).await,
            Route::Health | Route::Any => self.describe(StatusCode::OK, request, peer).await,
        }
    }

    /// Reads the whole body, and says what arrived.
    async fn describe(
        &self,
        status: StatusCode,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Answer {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let (parts, mut body) = request.into_parts();
        let mut body_bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            body_bytes += frame.data_ref().map_or(0, Bytes::len);
        }
        json_answer(
            status,
            &json!({
                "region": self.name,
                "request": number,
                "method": parts.method.as_str(),
                "path": parts.uri.to_string(),
                "peer": peer.to_string(),
                "headers": headers(&parts.headers),
                "body_bytes": body_bytes,
            }),
        )
    }
}

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    Health,
    Echo,
    Bytes(u64),
    Delay(Duration),
    Status(StatusCode),
    Any,
}

fn route(path: &str) -> Result<Route, &'static str> {
    let mut segments = path.strip_prefix('/').unwrap_or(path).splitn(2, '/');
    match (segments.next().unwrap_or_default(), segments.next()) {
        ("health", None) => Ok(Route::Health),
        ("echo", None) => Ok(Route::Echo),
        ("bytes", Some(count)) => {
            count.parse().map(Route::Bytes).map_err(|_| "expected /bytes/N, N being a number")
        }
        ("delay", Some(delay)) => match delay.parse() {
            Ok(delay) if delay <= LONGEST_DELAY_MS => {
                Ok(Route::Delay(Duration::from_millis(delay)))
            }
            _ => Err("expected /delay/MS, MS being 600000 or less"),
        },
        ("status", Some(status)) => match status.parse().map(StatusCode::from_u16) {
            // 1xx is no answer, and 600 and above mean nothing.
            Ok(Ok(status)) if (200..600).contains(&status.as_u16()) => Ok(Route::Status(status)),
            _ => Err("expected /status/N, N being 200 to 599"),
        },
        _ => Ok(Route::Any),
    }
}

/// Answers once the body has begun to arrive: a client that waits for `100 Continue` gets it before
/// the answer, and so sends the body at once.
async fn echo(request: Request<Incoming>) -> Answer {
    let (parts, mut rest) = request.into_parts();
    let first = rest.frame().await;
    let mut answer = Response::new(Echo { first, rest }.boxed());
    if let Some(kind) = parts.headers.get(CONTENT_TYPE) {
        answer.headers_mut().insert(CONTENT_TYPE, kind.clone());
    }
    answer
}

fn bytes(count: u64) -> Answer {
    let mut answer = Response::new(boxed(Filler { left: count }));
    let kind = HeaderValue::from_static("application/octet-stream");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

fn json_answer(status: StatusCode, value: &Value) -> Answer {
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let text = if bodiless { String::new() } else { format!("{value:#}\n") };
    let mut answer = Response::new(boxed(Full::new(Bytes::from(text))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn boxed(body: impl Body<Data = Bytes, Error = Infallible> + Send + Sync + 'static) -> AnswerBody {
    body.map_err(|never| match never {}).boxed()
}

/// Headers as JSON: a value, or a list for one that came in several lines.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    headers
        .keys()
        .map(|name| {
            let lines = headers.get_all(name).iter();
            let mut lines: Vec<Value> =
                lines.map(|line| String::from_utf8_lossy(line.as_bytes()).into()).collect();
            let value = match lines.pop() {
                Some(only) if lines.is_empty() => only,
                last => {
                    lines.extend(last);
                    Value::Array(lines)
                }
            };
            (name.as_str().to_owned(), value)
        })
        .collect()
}

/// A body of which the first frame was read already.
struct Echo {
    first: Option<Result<Frame<Bytes>, hyper::Error>>,
    rest: Incoming,
}

impl Body for Echo {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(|first| first.as_ref().ok()?.data_ref());
        let first = first.map_or(0, |data| data.len() as u64);
        match self.rest.size_hint().exact() {
            Some(rest) => SizeHint::with_exact(first + rest),
            None => SizeHint::default(),
        }
    }
}

/// So many bytes, made as they are sent.
struct Filler {
    left: u64,
}

impl Body for Filler {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = usize::try_from(self.left).map_or(FILLER.len(), |left| left.min(FILLER.len()));
        if chunk == 0 {
            return Poll::Ready(None);
        }
        self.left -= chunk as u64;
        let data = FILLER.get(..chunk).unwrap_or(&FILLER);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(data)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_ask_for_what_the_table_says() {
        let delay = |ms| Ok(Route::Delay(Duration::from_millis(ms)));
        for (path, expected) in [
            ("/", Ok(Route::Any)),
            ("", Ok(Route::Any)),
            ("/v1/orders/7", Ok(Route::Any)),
            ("/health", Ok(Route::Health)),
            ("/health/deep", Ok(Route::Any)),
            ("/echo", Ok(Route::Echo)),
            ("/bytes/0", Ok(Route::Bytes(0))),
            ("/bytes/1073741824", Ok(Route::Bytes(1 << 30))),
            ("/delay/600000", delay(600_000)),
            ("/status/599", StatusCode::from_u16(599).map(Route::Status).map_err(|_| "")),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
        for path in ["/bytes/", "/bytes/x", "/bytes/-1", "/delay/600001", "/status/101"] {
            assert!(route(path).is_err(), "{path}");
        }
    }

    #[tokio::test]
    async fn filler_has_exactly_the_bytes_it_promises() {
        for count in [0, 1, 65_536, 65_537, 200_000] {
            let body = Filler { left: count };
            assert_eq!(body.size_hint().exact(), Some(count));
            let sent = body.collect().await.map(|sent| sent.to_bytes().len() as u64);
            assert_eq!(sent, Ok(count));
        }
    }

    #[test]
    fn repeated_headers_become_lists() {
        let mut map = HeaderMap::new();
        map.append("a", HeaderValue::from_static("1"));
        map.append("b", HeaderValue::from_static("2"));
        map.append("a", HeaderValue::from_static("3"));
        assert_eq!(Value::Object(headers(&map)), json!({ "a": ["1", "3"], "b": "2" }));
    }
}
