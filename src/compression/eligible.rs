//! Whether a response is one to compress, by its head alone. The client has no say in this: what is
//! found here is the same for all of them, so that `Vary` is.

use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::config::CompressionSettings;
use crate::model::list::members;

/// A signature of the message (RFC 9421) may cover what compression changes.
const SIGNATURE: HeaderName = HeaderName::from_static("signature");
/// Calls have a compression of their own, message by message.
const GRPC: &[u8] = b"application/grpc";

/// Whether a response with this head is one to compress.
pub(super) fn is_eligible(
    settings: &CompressionSettings,
    status: StatusCode,
    headers: &HeaderMap,
) -> bool {
    has_whole_body(status)
        && !headers.contains_key(CONTENT_ENCODING)
        && headers.get(CONTENT_TYPE).is_some_and(|value| is_listed(settings, value))
        && !is_small(settings, headers)
        && !forbids_transformation(headers)
        && !headers.contains_key(CONTENT_RANGE)
        && !headers.contains_key(SIGNATURE)
}

/// Whether `Cache-Control` has `no-transform` (RFC 9111 section 5.2.2.6).
pub(super) fn forbids_transformation(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(CACHE_CONTROL).iter().map(HeaderValue::as_bytes);
    members(lines).any(|directive| directive.eq_ignore_ascii_case(b"no-transform"))
}

/// Whether such a response has a body, and all of it.
fn has_whole_body(status: StatusCode) -> bool {
    !status.is_informational()
        && !matches!(
            status,
            StatusCode::NO_CONTENT
                | StatusCode::RESET_CONTENT
                | StatusCode::PARTIAL_CONTENT
                | StatusCode::NOT_MODIFIED
        )
}

fn is_listed(settings: &CompressionSettings, value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
    let media = value.get(..end).unwrap_or_default().trim_ascii();
    let grpc = media.get(..GRPC.len()).is_some_and(|start| start.eq_ignore_ascii_case(GRPC));
    !grpc && settings.types.iter().any(|range| range.matches(media))
}

/// Whether the head says that there is nothing to gain. A body of unknown length is compressed: its
/// head has to go before its end is seen.
fn is_small(settings: &CompressionSettings, headers: &HeaderMap) -> bool {
    let Some(length) = headers.get(CONTENT_LENGTH) else { return false };
    let length = length.to_str().ok().and_then(|text| text.parse::<u64>().ok());
    length.is_none_or(|length| length < settings.min_bytes.max(1))
}

#[cfg(test)]
mod tests {
    use super::super::headers;
    use super::*;

    fn eligible(status: u16, fields: &[(&'static str, &str)]) -> bool {
        let status = StatusCode::from_u16(status).unwrap();
        is_eligible(&CompressionSettings::default(), status, &headers(fields))
    }

    #[test]
    fn by_status() {
        let json = [("content-type", "application/json")];
        for status in [200, 201, 203, 226, 300, 302, 400, 401, 404, 422, 500, 503, 599] {
            assert!(eligible(status, &json), "{status}");
        }
        for status in [100, 103, 204, 205, 206, 304] {
            assert!(!eligible(status, &json), "{status}");
        }
    }

    #[test]
    fn by_type() {
        for (value, expected) in [
            ("text/html", true),
            ("text/html; charset=utf-8", true),
            ("TEXT/HTML ;charset=utf-8", true),
            ("application/json", true),
            ("application/problem+json", true),
            ("application/vnd.api+json;v=1", true),
            ("image/svg+xml", true),
            ("application/javascript", true),
            ("application/wasm", true),
            ("text/event-stream", false),
            ("text/event-stream; charset=utf-8", false),
            ("application/grpc", false),
            ("application/grpc+json", false),
            ("application/grpc-web+json", false),
            ("image/png", false),
            ("application/octet-stream", false),
            ("application/zip", false),
            ("multipart/byteranges; boundary=x", false),
            ("text", false),
            ("", false),
            ("/", false),
            ("text/", false),
            ("application/jsonp", false),
        ] {
            assert_eq!(eligible(200, &[("content-type", value)]), expected, "{value:?}");
        }
        assert!(!eligible(200, &[]), "of no type at all");
    }

    #[test]
    fn by_everything_else() {
        let json = ("content-type", "application/json");
        for (fields, expected) in [
            (&[("content-length", "1024")][..], true),
            (&[("content-length", "1023")], false),
            (&[("content-length", "0")], false),
            (&[("content-length", "x")], false),
            (&[("content-length", "18446744073709551616")], false),
            (&[("transfer-encoding", "chunked")], true),
            (&[("content-encoding", "gzip")], false),
            (&[("content-encoding", "identity")], false),
            (&[("content-encoding", "")], false),
            (&[("cache-control", "no-transform")], false),
            (&[("cache-control", "public"), ("cache-control", "max-age=1, No-Transform ")], false),
            (&[("cache-control", "max-age=1, no-transformers")], true),
            (&[("content-range", "bytes 0-1/2")], false),
            (&[("signature", "sig1=:AA==:")], false),
            (&[("vary", "*"), ("etag", "\"x\""), ("set-cookie", "a=b")], true),
        ] {
            let fields: Vec<_> = fields.iter().copied().chain([json]).collect();
            assert_eq!(eligible(200, &fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn even_without_a_limit_an_empty_body_stays_empty() {
        let settings = CompressionSettings { min_bytes: 0, ..CompressionSettings::default() };
        let of = |length| headers(&[("content-type", "text/plain"), ("content-length", length)]);
        assert!(!is_eligible(&settings, StatusCode::OK, &of("0")));
        assert!(is_eligible(&settings, StatusCode::OK, &of("1")));
    }
}
