//! The request target: brought into its normal form once, so that what is routed is what the origin
//! gets. What that form is says `routing`; the host in a target is `host`'s.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri, Version, request::Parts};

use super::error::ErrorReason;
use crate::config::RequestRules;
use crate::routing::normal_path;

/// The path that is routed: that of the target, and `/` for `OPTIONS *`.
pub(super) fn path(uri: &Uri) -> &str {
    match uri.path() {
        "*" | "" => "/",
        path => path,
    }
}

/// Bytes of the target, whichever form it has.
pub(super) fn length(uri: &Uri) -> usize {
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    authority + uri.path_and_query().map_or(0, |target| target.as_str().len())
}

/// Whether the target has a form that goes with its method.
///
/// `*` is for OPTIONS, and a bare authority for CONNECT (RFC 9112 section 3.2): as the target of
/// another method it would be taken for a host here and for a path by others. In HTTP/2 a path is
/// never left out (RFC 9113 section 8.3.1).
pub(super) fn has_form_for_its_method(parts: &Parts) -> bool {
    let uri = &parts.uri;
    let is_bare_authority = uri.scheme().is_none() && uri.authority().is_some();
    let is_asterisk = uri.path() == "*";
    let has_path = || uri.path_and_query().is_some_and(|target| target.as_str().starts_with('/'));
    !is_bare_authority
        && (!is_asterisk || parts.method == Method::OPTIONS)
        && (parts.version != Version::HTTP_2 || is_asterisk || has_path())
}

/// Puts the normal form of the path in its place; the query stays as it is.
///
/// # Errors
///
/// When it could mean something else to an origin.
pub(super) fn normalise(uri: &mut Uri, rules: &RequestRules) -> Result<(), ErrorReason> {
    if uri.path() == "*" {
        return Ok(());
    }
    let normal = match normal_path(path(uri), rules) {
        Ok(Cow::Borrowed(_)) => return Ok(()),
        Ok(Cow::Owned(normal)) => normal,
        Err(error) => {
            tracing::debug!(%error, "a request's path is refused");
            return Err(ErrorReason::Malformed);
        }
    };
    let target = match uri.query() {
        Some(query) => format!("{normal}?{query}"),
        None => normal,
    };
    let mut parts = std::mem::take(uri).into_parts();
    let target = PathAndQuery::from_maybe_shared(Bytes::from(target));
    parts.path_and_query = Some(target.map_err(|_| ErrorReason::Malformed)?);
    *uri = Uri::from_parts(parts).map_err(|_| ErrorReason::Malformed)?;
    Ok(())
}

/// What an origin server is sent: the path and query alone, and the authority as `Host`.
pub(super) fn origin_form(uri: &mut Uri, headers: &mut HeaderMap) {
    let Some(authority) = uri.authority() else { return };
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        headers.insert(HOST, host);
    }
    // Where there was only a fragment, `http` keeps an empty path that says it is `/`.
    let target = uri.path_and_query().cloned().filter(|target| target.as_str() != "/");
    *uri = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_changes() {
        for (given, expected) in [
            ("/a/../b?x=/../%7e//", "/b?x=/../%7e//"),
            ("/%7Ea?", "/~a?"),
            ("/a", "/a"),
            ("http://h:80//a/./b?q", "http://h:80/a/b?q"),
            ("http://h?q", "http://h/?q"),
            ("*", "*"),
        ] {
            let mut uri: Uri = given.parse().unwrap();
            assert_eq!(normalise(&mut uri, &RequestRules::default()), Ok(()), "{given}");
            assert_eq!(uri.to_string(), expected, "{given}");
        }
        let mut uri: Uri = "/a/../..".parse().unwrap();
        assert_eq!(normalise(&mut uri, &RequestRules::default()), Err(ErrorReason::Malformed));
    }
}
