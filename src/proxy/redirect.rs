//! Sending clients that came in clear text to HTTPS.
//!
//! The address is made of the host and the target as they were screened, and of nothing else that
//! a client says: so it leads to that host or nowhere.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Response, StatusCode, Uri, header};

use super::error::ErrorReason;
use crate::config::HttpsRedirect;

/// The port that `https` means.
const HTTPS: u16 = 443;

/// The answer; `close` ends the connection after it.
///
/// # Errors
///
/// When the request names no host, so that there is nowhere to go.
pub(super) fn answer(
    redirect: HttpsRedirect,
    host: &str,
    uri: &Uri,
    close: bool,
) -> Result<Response<Bytes>, ErrorReason> {
    if host.is_empty() {
        return Err(ErrorReason::BadHost);
    }
    let target = match uri.path_and_query().map_or("/", PathAndQuery::as_str) {
        // For the server as a whole, which has no address of its own.
        "" | "*" => "/",
        target => target,
    };
    let slash = if target.starts_with('/') { "" } else { "/" };
    let location = match redirect.port {
        HTTPS => format!("https://{host}{slash}{target}"),
        port => format!("https://{host}:{port}{slash}{target}"),
    };
    let location = HeaderValue::try_from(location).map_err(|_| ErrorReason::Malformed)?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() =
        StatusCode::from_u16(redirect.status).unwrap_or(StatusCode::PERMANENT_REDIRECT);
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    if close {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_target_by_https() {
        for (port, host, target, expected) in [
            (443, "a.test", "/", "https://a.test/"),
            (443, "a.test", "/x/y?q=%0d%0aset-cookie:x", "https://a.test/x/y?q=%0d%0aset-cookie:x"),
            (8443, "a.test", "/x", "https://a.test:8443/x"),
            (8443, "[::1]", "/", "https://[::1]:8443/"),
            (443, "a.test", "//evil.test/", "https://a.test//evil.test/"),
            (443, "a.test", "http://b.test/x?y", "https://a.test/x?y"),
            (443, "a.test", "http://b.test?y", "https://a.test/?y"),
            (443, "a.test", "*", "https://a.test/"),
        ] {
            let redirect = HttpsRedirect { port, status: 308 };
            let answer = answer(redirect, host, &target.parse().unwrap(), false).unwrap();
            assert_eq!(answer.status(), 308);
            assert_eq!(answer.headers()[header::LOCATION], expected, "{target}");
            assert!(!answer.headers().contains_key(header::CONNECTION));
        }
        let nowhere =
            answer(HttpsRedirect { port: 443, status: 301 }, "", &"/".parse().unwrap(), true);
        assert_eq!(nowhere.unwrap_err(), ErrorReason::BadHost);
    }
}
