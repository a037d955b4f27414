//! A request head kept aside so that an attempt can be made again.
//!
//! hyper consumes the head it sends. Almost no request is ever sent twice, so keeping it has to
//! cost next to nothing and restoring it may cost something: the fields are copied as text into
//! one buffer, instead of being counted reference by reference.

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

use super::body::RequestBody;

/// A request without a body, as it is sent to an origin.
#[derive(Debug)]
pub(super) struct SavedRequest {
    method: Method,
    target: Option<PathAndQuery>,
    /// For each field the lengths of name and value, and both.
    fields: Vec<u8>,
}

const LENGTHS: usize = 8;

impl SavedRequest {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let mut fields = Vec::with_capacity(1024);
        for (name, value) in request.headers() {
            let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
            // A head is a few kilobytes: lengths fit.
            let lengths = name.len() as u64 | (value.len() as u64) << 32;
            fields.extend_from_slice(&lengths.to_le_bytes());
            fields.extend_from_slice(name);
            fields.extend_from_slice(value);
        }
        let target = request.uri().path_and_query().cloned();
        Self { method: request.method().clone(), target, fields }
    }

    /// The request, with that body.
    pub(super) fn restore(&self, body: RequestBody) -> Request<RequestBody> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.version_mut() = Version::HTTP_11;
        if let Some(target) = &self.target {
            *request.uri_mut() = Uri::from(target.clone());
        }
        let mut headers = HeaderMap::new();
        let mut rest = &self.fields[..];
        while let Some((name, value, after)) = next_field(rest) {
            headers.append(name, value);
            rest = after;
        }
        *request.headers_mut() = headers;
        request
    }
}

fn next_field(bytes: &[u8]) -> Option<(HeaderName, HeaderValue, &[u8])> {
    let (lengths, rest) = bytes.split_at_checked(LENGTHS)?;
    let (name, value) = lengths.split_at_checked(LENGTHS / 2)?;
    let name_length = u32::from_le_bytes(name.try_into().ok()?) as usize;
    let value_length = u32::from_le_bytes(value.try_into().ok()?) as usize;
    let (name, rest) = rest.split_at_checked(name_length)?;
    let (value, rest) = rest.split_at_checked(value_length)?;
    Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_restored_is_what_was_saved() {
        let request = Request::builder()
            .method("DELETE")
            .uri("/a/b?c=d")
            .header("host", "example.com")
            .header("x-empty", "")
            .header("cookie", "a=b")
            .header("cookie", "c=d")
            .header("x-latin", HeaderValue::from_bytes(b"caf\xe9").unwrap())
            .body(())
            .unwrap();
        let restored = SavedRequest::of(&request).restore(RequestBody::Empty);
        assert_eq!(restored.method(), request.method());
        assert_eq!(restored.uri(), request.uri());
        assert_eq!(restored.headers(), request.headers());
        assert_eq!(restored.version(), Version::HTTP_11);
    }
}
