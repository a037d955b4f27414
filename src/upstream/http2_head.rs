//! A request head as HTTP/2 wants it (RFC 9113 section 8.3.1).

use http::uri::{Authority, Parts, Scheme};
use http::{Request, Uri, Version, header};

use crate::config::EndpointUrl;

/// Makes the pseudo-header fields from target and `Host`. Hyper takes off what belongs to a
/// connection of HTTP/1.1, and what `Connection` names.
///
/// Returns whether the request has a form in HTTP/2: not if its `Host` is no authority.
pub(super) fn prepare<B>(request: &mut Request<B>, url: &EndpointUrl, secure: bool) -> bool {
    let host = request.headers_mut().remove(header::HOST);
    let authority = match &host {
        Some(host) => Authority::try_from(host.as_bytes()),
        None => Authority::try_from(url.authority()),
    };
    let Ok(authority) = authority else {
        // As it was, for whoever looks at it next.
        request.headers_mut().extend(host.map(|host| (header::HOST, host)));
        return false;
    };
    let mut parts = Parts::default();
    parts.scheme = Some(if secure { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(authority);
    parts.path_and_query = std::mem::take(request.uri_mut()).into_parts().path_and_query;
    let Ok(uri) = Uri::from_parts(parts) else { return false };
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    true
}

/// Undoes it: the request was not sent, and goes elsewhere.
pub(super) fn restore<B>(request: &mut Request<B>) {
    let uri = std::mem::take(request.uri_mut()).into_parts();
    if let Some(host) = uri.authority.as_ref().and_then(|a| a.as_str().parse().ok()) {
        request.headers_mut().insert(header::HOST, host);
    }
    if let Some(target) = uri.path_and_query {
        *request.uri_mut() = Uri::from(target);
    }
    *request.version_mut() = Version::HTTP_11;
}
