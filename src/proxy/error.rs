//! The answers that Rhumb itself gives, in one table: reason, status, title, proxy-status.
//!
//! Bodies are `application/problem+json` (RFC 9457), and a `Proxy-Status` header (RFC 9209) says
//! which kind of failure it was. Nothing of the inside (addresses, names of files) is in them.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::routing::RefusalReason;

/// Why Rhumb answered itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorReason {
    /// The request cannot be understood, or in more than one way.
    Malformed,
    /// More than one `Host`, none, or one that is no host.
    BadHost,
    /// The connection was made for another host, with another certificate.
    Misdirected,
    /// The request target is too long.
    UriTooLong,
    /// The head is too large.
    HeadersTooLarge,
    /// A transfer coding that Rhumb does not speak, or CONNECT.
    NotImplemented,
    /// The client took too long to send its request.
    RequestTimeout,
    /// The body is larger than the deployment takes.
    BodyTooLarge,
    /// No deployment answers this host and path.
    NoDeployment,
    /// No region is healthy, and the deployment says to refuse then.
    NoHealthyRegion,
    /// No region of the deployment may see the request.
    ResidencyUnavailable,
    /// The deployment serves only requests that a residency policy applies to, and none does.
    ResidencyRequired,
    /// Only one region will do, and it cannot be used.
    RegionUnavailable,
    /// The tenant may go nowhere but to its home, and that cannot be used.
    HomeUnavailable,
    /// The region that takes writes is down, and the deployment does not send them elsewhere.
    ReadOnly,
    /// Every region that could answer is full.
    Overloaded,
    /// The request has been here before, or has passed too many Rhumbs.
    LoopDetected,
    /// An origin asked for a replay where none may be made.
    ReplayRefused,
    /// The origin that a request was replayed at asked for a replay as well.
    ReplayLoop,
    /// An origin asked for a replay of a request whose body is gone.
    ReplayTooLarge,
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
    pub const ALL: [Self; 24] = [
        Self::Malformed,
        Self::BadHost,
        Self::Misdirected,
        Self::UriTooLong,
        Self::HeadersTooLarge,
        Self::NotImplemented,
        Self::RequestTimeout,
        Self::BodyTooLarge,
        Self::NoDeployment,
        Self::NoHealthyRegion,
        Self::ResidencyUnavailable,
        Self::ResidencyRequired,
        Self::RegionUnavailable,
        Self::HomeUnavailable,
        Self::ReadOnly,
        Self::Overloaded,
        Self::LoopDetected,
        Self::ReplayRefused,
        Self::ReplayLoop,
        Self::ReplayTooLarge,
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
            Self::Misdirected => (
                "misdirected_request",
                421,
                "This connection is for another host",
                "http_request_error",
            ),
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
            Self::BodyTooLarge => {
                ("body_too_large", 413, "The request body is too large", "http_request_error")
            }
            Self::NoDeployment => (
                "no_deployment",
                404,
                "Nothing is served at this host and path",
                "destination_not_found",
            ),
            Self::NoHealthyRegion => {
                ("no_healthy_region", 503, "No region can answer now", "destination_unavailable")
            }
            Self::ResidencyUnavailable => (
                "residency_unavailable",
                503,
                "No region may see this request",
                "http_request_denied",
            ),
            Self::ResidencyRequired => (
                "residency_required",
                503,
                "No residency policy covers this request",
                "http_request_denied",
            ),
            Self::RegionUnavailable => (
                "region_unavailable",
                503,
                "The region that was asked for cannot answer",
                "destination_unavailable",
            ),
            Self::HomeUnavailable => (
                "home_unavailable",
                503,
                "The home region of this tenant cannot answer",
                "destination_unavailable",
            ),
            Self::ReadOnly => ("read_only", 503, "Writes are not taken now", "http_request_denied"),
            Self::Overloaded => {
                ("overloaded", 503, "There is too much to do now", "connection_limit_reached")
            }
            Self::LoopDetected => {
                ("loop_detected", 508, "The request goes round in circles", "proxy_loop_detected")
            }
            Self::ReplayRefused => (
                "replay_refused",
                502,
                "The origin asked for a replay that is not allowed",
                "http_protocol_error",
            ),
            Self::ReplayLoop => (
                "replay_loop",
                502,
                "The origins hand the request back and forth",
                "proxy_loop_detected",
            ),
            Self::ReplayTooLarge => (
                "replay_too_large",
                502,
                "The request is too large to be replayed",
                "http_protocol_error",
            ),
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
    /// The Rhumbs that a request has passed, where it goes round in circles.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub hops: &'a [String],
}

impl From<RefusalReason> for ErrorReason {
    fn from(why: RefusalReason) -> Self {
        match why {
            RefusalReason::NoDeployment => Self::NoDeployment,
            RefusalReason::ResidencyUnavailable => Self::ResidencyUnavailable,
            RefusalReason::ResidencyRequired => Self::ResidencyRequired,
            RefusalReason::RegionUnavailable => Self::RegionUnavailable,
            RefusalReason::HomeUnavailable => Self::HomeUnavailable,
            RefusalReason::ReadOnly => Self::ReadOnly,
            RefusalReason::Overloaded => Self::Overloaded,
            RefusalReason::NoHealthyRegion => Self::NoHealthyRegion,
        }
    }
}

impl ErrorReason {
    /// The body.
    pub fn body(self, request_id: Option<&str>, hops: &[String]) -> Bytes {
        let problem = Problem {
            r#type: "about:blank",
            title: self.title(),
            status: self.status(),
            reason: self.as_str(),
            request_id,
            hops,
        };
        serde_json::to_vec(&problem).map_or_else(|_| Bytes::new(), Bytes::from)
    }

    /// The whole response; `close` ends the connection after it.
    pub fn response(self, request_id: Option<&str>, close: bool) -> Response<Bytes> {
        self.response_to(request_id, &[], close)
    }

    /// The same to a request that has come a known way.
    pub(super) fn response_to(
        self,
        request_id: Option<&str>,
        hops: &[String],
        close: bool,
    ) -> Response<Bytes> {
        let mut response = Response::new(self.body(request_id, hops));
        *response.status_mut() =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Ok(value) = format!("rhumb; error={}", self.proxy_status()).parse() {
            headers.insert("proxy-status", value);
        }
        if matches!(self, Self::NoHealthyRegion | Self::Overloaded) {
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
                serde_json::from_slice(&reason.body(Some("a\"b"), &[])).unwrap();
            assert!(body.get("hops").is_none());
            assert_eq!(body["reason"], reason.as_str());
            assert_eq!(body["request_id"], "a\"b");
        }
    }

    #[test]
    fn every_refusal_of_a_decision_has_the_same_word_and_status_here() {
        for why in RefusalReason::ALL {
            let reason = ErrorReason::from(why);
            assert_eq!(reason.as_str(), why.as_str());
            assert_eq!(reason.status(), why.status().as_u16());
        }
    }

    #[test]
    fn a_loop_says_which_way_it_went_and_who_may_come_back_is_told_when() {
        let way = ["a".to_owned(), "b".to_owned(), "a".to_owned()];
        let response = ErrorReason::LoopDetected.response_to(None, &way, false);
        assert_eq!(response.status(), 508);
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["hops"], serde_json::json!(way));
        for reason in ErrorReason::ALL {
            let waits = reason.response(None, false).headers().contains_key(header::RETRY_AFTER);
            let expected = matches!(reason.as_str(), "overloaded" | "no_healthy_region");
            assert_eq!(waits, expected, "{reason:?}");
        }
    }
}
