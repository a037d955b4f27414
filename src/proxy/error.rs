//! The answers that Rhumb itself gives, in one table: reason, status, title, proxy-status.
//!
//! Bodies are `application/problem+json` (RFC 9457), and a `Proxy-Status` header (RFC 9209) says
//! which kind of failure it was. Nothing of the inside (addresses, names of files) is in them.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

/// Why Rhumb answered itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorReason {
    /// The request cannot be understood, or in more than one way.
    Malformed,
    /// More than one `Host`, none, or one that is no host.
    BadHost,
    /// The request target is too long.
    UriTooLong,
    /// The head is too large.
    HeadersTooLarge,
    /// A transfer coding that Rhumb does not speak, or CONNECT.
    NotImplemented,
    /// The client took too long to send its request.
    RequestTimeout,
    /// No deployment answers this host and path.
    NoDeployment,
    /// No region is healthy, and the deployment says to refuse then.
    NoHealthyRegion,
    /// No endpoint accepted a connection.
    Unreachable,
    /// The connection broke before a response came, and the request must not be repeated.
    UpstreamReset,
    /// The response cannot be understood.
    UpstreamProtocol,
    /// No response in time.
    UpstreamTimeout,
}

impl ErrorReason {
    /// Every reason, for documentation and tests.
    pub const ALL: [Self; 12] = [
        Self::Malformed,
        Self::BadHost,
        Self::UriTooLong,
        Self::HeadersTooLarge,
        Self::NotImplemented,
        Self::RequestTimeout,
        Self::NoDeployment,
        Self::NoHealthyRegion,
        Self::Unreachable,
        Self::UpstreamReset,
        Self::UpstreamProtocol,
        Self::UpstreamTimeout,
    ];

    /// The word in `reason`, status, title, and error type of RFC 9209 section 2.3.
    const fn row(self) -> (&'static str, u16, &'static str, &'static str) {
        match self {
            Self::Malformed => {
                ("malformed_request", 400, "The request is malformed", "http_request_error")
            }
            Self::BadHost => {
                ("bad_host", 400, "The host is missing or unusable", "http_request_error")
            }
            Self::UriTooLong => {
                ("uri_too_long", 414, "The request target is too long", "http_request_error")
            }
            Self::HeadersTooLarge => {
                ("headers_too_large", 431, "The request head is too large", "http_request_error")
            }
            Self::NotImplemented => (
                "not_implemented",
                501,
                "The request uses something not supported",
                "http_request_error",
            ),
            Self::RequestTimeout => (
                "request_timeout",
                408,
                "The request took too long to arrive",
                "http_request_error",
            ),
            Self::NoDeployment => (
                "no_deployment",
                404,
                "Nothing is served at this host and path",
                "destination_not_found",
            ),
            Self::NoHealthyRegion => {
                ("no_healthy_region", 503, "No region can answer now", "destination_unavailable")
            }
            Self::Unreachable => {
                ("upstream_unreachable", 502, "No origin could be reached", "connection_refused")
            }
            Self::UpstreamReset => {
                ("upstream_reset", 502, "The origin broke the connection", "connection_terminated")
            }
            Self::UpstreamProtocol => (
                "upstream_protocol",
                502,
                "The origin's answer is malformed",
                "http_protocol_error",
            ),
            Self::UpstreamTimeout => (
                "upstream_timeout",
                504,
                "The origin did not answer in time",
                "http_response_timeout",
            ),
        }
    }

    /// The word used in bodies, metrics and documentation.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The status code.
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// One sentence for people.
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// The `Proxy-Status` header's value.
    pub const fn proxy_status(self) -> &'static str {
        self.row().3
    }
}

/// A problem details object (RFC 9457 section 3).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Problem<'a> {
    /// Identifies the kind of problem; a relative reference to the documentation.
    pub r#type: &'a str,
    /// One sentence for people.
    pub title: &'a str,
    /// The status code.
    pub status: u16,
    /// The reason's word.
    pub reason: &'a str,
    /// The id under which logs know this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
}

impl ErrorReason {
    /// The body.
    pub fn body(self, request_id: Option<&str>) -> Bytes {
        let problem = Problem {
            r#type: "about:blank",
            title: self.title(),
            status: self.status(),
            reason: self.as_str(),
            request_id,
        };
        serde_json::to_vec(&problem).map_or_else(|_| Bytes::new(), Bytes::from)
    }

    /// The whole response; `close` ends the connection after it.
    pub fn response(self, request_id: Option<&str>, close: bool) -> Response<Bytes> {
        let mut response = Response::new(self.body(request_id));
        *response.status_mut() =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Ok(value) = format!("rhumb; error={}", self.proxy_status()).parse() {
            headers.insert("proxy-status", value);
        }
        if self == Self::NoHealthyRegion {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_distinct_words_with_error_statuses() {
        let words: std::collections::BTreeSet<_> =
            ErrorReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), ErrorReason::ALL.len());
        for reason in ErrorReason::ALL {
            assert!((400..600).contains(&reason.status()), "{reason:?}");
            let body: serde_json::Value =
                serde_json::from_slice(&reason.body(Some("a\"b"))).unwrap();
            assert_eq!(body["reason"], reason.as_str());
            assert_eq!(body["request_id"], "a\"b");
        }
    }
}
