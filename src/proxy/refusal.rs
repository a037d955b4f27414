//! Problem details for requests that never became one: hyper answers an unreadable head by itself
//! and with an empty body, and a head that is too slow is not answered at all.

use bytes::Bytes;
use http::header::{RETRY_AFTER, STRICT_TRANSPORT_SECURITY};
use http::{HeaderValue, Response};

use super::error::ErrorReason;
use super::peer::Peer;

/// The bytes of a whole HTTP/1.1 response that ends the connection.
pub fn refusal_bytes(reason: ErrorReason) -> Vec<u8> {
    bytes_of(reason, &reason.response(None, true))
}

/// The same to a client that there is no room for, which may come again after so many seconds.
pub fn overloaded_bytes(retry_after: u32) -> Vec<u8> {
    let reason = ErrorReason::Overloaded;
    let mut response = reason.response(None, true);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after));
    bytes_of(reason, &response)
}

/// A refusal, with what every answer to that client says.
pub fn refusal_bytes_to(peer: &Peer, reason: ErrorReason) -> Vec<u8> {
    let mut response = reason.response(None, true);
    if let Some(hsts) = peer.own_hsts() {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
    bytes_of(reason, &response)
}

fn bytes_of(reason: ErrorReason, response: &Response<Bytes>) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {} {}\r\n",
        reason.status(),
        response.status().canonical_reason().unwrap_or("Error")
    )
    .into_bytes();
    for (name, value) in response.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
        .extend_from_slice(format!("content-length: {}\r\n\r\n", response.body().len()).as_bytes());
    bytes.extend_from_slice(response.body());
    bytes
}
