//! Answers of the admin address: plain text, JSON, problem details.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

/// An answer of the admin address.
pub(super) type Answer = Response<Full<Bytes>>;

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
