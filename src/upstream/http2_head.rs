//! A request head as HTTP/2 wants it (RFC 9113 section 8.3.1).

use http::uri::{Authority, Parts, Scheme};
use http::{Request, Uri, Version, header};

use crate::config::{self, EndpointUrl};

/// Makes the pseudo-header fields from target and `Host`. Hyper takes off what belongs to a
/// connection of HTTP/1.1, and what `Connection` names.
///
/// Returns whether the request has a form in HTTP/2: not if its `Host` is no authority.
pub(super) fn prepare<B>(request: &mut Request<B>, url: &EndpointUrl) -> bool {
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
    parts.scheme = Some(match url.scheme {
        config::Scheme::Https => Scheme::HTTPS,
        config::Scheme::Http | config::Scheme::H2c => Scheme::HTTP,
    });
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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::config::Host;

    fn at(scheme: config::Scheme) -> EndpointUrl {
        EndpointUrl { scheme, host: Host::Name("origin".into()), port: 81 }
    }

    fn request(target: &str, host: Option<&[u8]>) -> Request<()> {
        let mut request = Request::get(target).body(()).unwrap();
        if let Some(host) = host {
            request.headers_mut().insert(header::HOST, HeaderValue::from_bytes(host).unwrap());
        }
        request
    }

    #[test]
    fn host_becomes_the_authority_and_comes_back_when_nothing_was_sent() {
        for (scheme, target, host, expected) in [
            (config::Scheme::H2c, "/a?b=%2F", Some("x.example"), "http://x.example/a?b=%2F"),
            (config::Scheme::Https, "/", Some("x.example:444"), "https://x.example:444/"),
            (config::Scheme::Https, "/", Some("[::1]:444"), "https://[::1]:444/"),
            (config::Scheme::Https, "*", Some("x"), "https://x/*"),
            (config::Scheme::H2c, "/", None, "http://origin:81/"),
        ] {
            let mut request = request(target, host.map(str::as_bytes));
            assert!(prepare(&mut request, &at(scheme)), "{expected}");
            assert_eq!(request.version(), Version::HTTP_2);
            assert!(!request.headers().contains_key(header::HOST));
            if target != "*" {
                assert_eq!(request.uri().to_string(), expected);
            }
            assert_eq!(request.uri().path_and_query().unwrap(), target);
            restore(&mut request);
            assert_eq!(request.uri(), target);
            assert_eq!(request.headers()[header::HOST], host.unwrap_or("origin:81"));
            assert_eq!(request.version(), Version::HTTP_11);
        }
    }

    #[test]
    fn what_is_no_authority_is_left_as_it_was() {
        for host in [&b"a b"[..], b"", b"a/b", b"\xff", b"a\t"] {
            let mut request = request("/a", Some(host));
            if prepare(&mut request, &at(config::Scheme::H2c)) {
                panic!("{host:?}: {}", request.uri());
            }
            assert_eq!(request.headers()[header::HOST].as_bytes(), host);
            assert_eq!(request.uri(), "/a");
        }
    }
}
