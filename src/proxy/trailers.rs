//! What may stand behind a body (RFC 9110 section 6.5.1): nothing that frames, routes or
//! authenticates a message, and nothing that only Rhumb may say. Whoever merges trailers into the
//! head would believe it.

use http::{HeaderMap, HeaderName};

use super::screen::is_said_by_rhumb;
use crate::config::{Config, Underscores};

/// Takes off a client's trailers what is not for trailers, or not for clients, to say.
pub(super) fn clean_request(trailers: &mut HeaderMap, config: &Config) {
    let keeps_underscores = config.requests.underscores == Underscores::Keep;
    retain(trailers, |name| {
        is_for_trailers(name)
            && (keeps_underscores || !name.contains('_'))
            && !is_said_by_rhumb(name, config)
    });
}

/// The same for those of an origin.
pub(super) fn clean_response(trailers: &mut HeaderMap) {
    retain(trailers, |name| {
        is_for_trailers(name) && !name.starts_with("rhumb-") && name != "x-rhumb-decision"
    });
}

fn retain(trailers: &mut HeaderMap, keep: impl Fn(&str) -> bool) {
    let others: Vec<HeaderName> =
        trailers.keys().filter(|name| !keep(name.as_str())).cloned().collect();
    for name in others {
        trailers.remove(name);
    }
}

fn is_for_trailers(name: &str) -> bool {
    !name.starts_with("proxy-")
        && !name.starts_with("if-")
        && !matches!(
            name,
            "authorization"
                | "cache-control"
                | "connection"
                | "content-encoding"
                | "content-length"
                | "content-range"
                | "content-type"
                | "cookie"
                | "expect"
                | "host"
                | "keep-alive"
                | "max-forwards"
                | "pragma"
                | "range"
                | "set-cookie"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
                | "via"
                | "www-authenticate"
        )
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn trailers(names: &[&'static str]) -> HeaderMap {
        let fields =
            names.iter().map(|n| (HeaderName::from_static(n), HeaderValue::from_static("1")));
        fields.collect()
    }

    #[test]
    fn responses_say_nothing_that_belongs_in_a_head() {
        let mut all = trailers(&[
            "grpc-status",
            "grpc-message",
            "server-timing",
            "x-any_thing",
            "content-length",
            "transfer-encoding",
            "connection",
            "set-cookie",
            "proxy-authenticate",
            "rhumb-replay",
            "x-rhumb-decision",
        ]);
        clean_response(&mut all);
        let mut names: Vec<_> = all.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["grpc-message", "grpc-status", "server-timing", "x-any_thing"]);
    }
}
