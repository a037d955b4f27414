//! A request head kept aside so that an attempt can be made again.
//!
//! hyper consumes the head it sends. A list of the fields is cheaper to keep than a second map:
//! names of known headers are copied as numbers, values share their bytes.

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

use super::body::RequestBody;

/// A request without a body, as it is sent to an origin.
#[derive(Debug)]
pub(super) struct SavedRequest {
    method: Method,
    target: Option<PathAndQuery>,
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl SavedRequest {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let headers = request.headers();
        let mut fields = Vec::with_capacity(headers.len());
        fields.extend(headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        Self {
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
            fields,
        }
    }

    pub(super) fn restore(&self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::Empty);
        *request.method_mut() = self.method.clone();
        *request.version_mut() = Version::HTTP_11;
        if let Some(target) = &self.target {
            *request.uri_mut() = Uri::from(target.clone());
        }
        let mut headers = HeaderMap::with_capacity(self.fields.len());
        for (name, value) in &self.fields {
            headers.append(name.clone(), value.clone());
        }
        *request.headers_mut() = headers;
        request
    }
}
