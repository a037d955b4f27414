//! What Rhumb has to know of gRPC over HTTP/2: what is a call, how long it may take, and how an
//! answer says that it failed. Pure.
//!
//! Not here: messages, which pass through as any body does.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};

use super::error::ErrorReason;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const CONTENT_TYPE: &[u8] = b"application/grpc";
/// Most digits of a timeout.
const TIMEOUT_DIGITS: usize = 8;

/// Whether a request is a call: `application/grpc`, and what may follow (`+proto`, a parameter).
/// gRPC-Web is HTTP like any other.
pub(super) fn is_call(method: &Method, headers: &HeaderMap) -> bool {
    // Most requests are no POST and pay nothing.
    *method == Method::POST
        && headers.get(header::CONTENT_TYPE).is_some_and(|value| is_grpc(value.as_bytes()))
}

fn is_grpc(content_type: &[u8]) -> bool {
    let Some((start, rest)) = content_type.split_at_checked(CONTENT_TYPE.len()) else {
        return false;
    };
    start.eq_ignore_ascii_case(CONTENT_TYPE)
        && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

/// How long the client gives the call. One that cannot be read is the origin's to refuse.
pub(super) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let mut values = headers.get_all(GRPC_TIMEOUT).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    parse_timeout(value.as_bytes())
}

/// Up to eight digits and a unit: hours, minutes, seconds, milli-, micro- or nanoseconds.
fn parse_timeout(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > TIMEOUT_DIGITS || !digits.iter().all(u8::is_ascii_digit)
    {
        return None;
    }
    let number = digits.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(number * 3_600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The code in the head of an answer. If the answer has nothing but a head, nobody has started to
/// answer the call.
pub(super) fn status(headers: &HeaderMap) -> Option<u32> {
    headers.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()
}

/// Whether a code says that the server has failed rather than the call: internal, unavailable, data
/// loss.
pub(super) const fn is_server_error(code: u32) -> bool {
    matches!(code, 13..=15)
}

/// The code that stands for a status of HTTP.
pub(super) const fn code(status: u16) -> u32 {
    match status {
        400 | 414 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        408 | 504 => 4,
        413 | 429 | 431 => 8,
        421 | 500..=599 => 14,
        _ => 2,
    }
}

/// Says in fields why a call failed, for a head or for trailers.
pub(super) fn say(fields: &mut HeaderMap, reason: ErrorReason) {
    fields.insert(GRPC_STATUS, HeaderValue::from(code(reason.status())));
    // Words and titles are of letters that need no percent encoding.
    if let Ok(message) = HeaderValue::try_from(format!("{}: {}", reason.as_str(), reason.title())) {
        fields.insert(GRPC_MESSAGE, message);
    }
}

/// Makes Rhumb's own answer one that a gRPC client understands: trailers only, with what else its
/// head says.
pub(super) fn translate<B: Default>(response: Response<B>, reason: ErrorReason) -> Response<B> {
    let (mut parts, _) = response.into_parts();
    parts.status = http::StatusCode::OK;
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    say(&mut parts.headers, reason);
    Response::from_parts(parts, B::default())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn timeouts_are_digits_and_a_unit() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("10S", Some(Duration::from_secs(10))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("0S", Some(Duration::ZERO)),
            ("00000001S", Some(Duration::from_secs(1))),
            ("000000001S", None),
            ("", None),
            ("S", None),
            ("10", None),
            ("10s", None),
            ("10h", None),
            ("-1S", None),
            ("+1S", None),
            ("1.5S", None),
            (" 1S", None),
            ("1 S", None),
            ("1S ", None),
        ] {
            assert_eq!(parse_timeout(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_timeout_that_comes_twice_is_none() {
        let headers = |values: &[&str]| -> HeaderMap {
            values.iter().map(|value| (GRPC_TIMEOUT, value.parse().unwrap())).collect()
        };
        assert_eq!(timeout(&headers(&[])), None);
        assert_eq!(timeout(&headers(&["1S"])), Some(Duration::from_secs(1)));
        assert_eq!(timeout(&headers(&["1S", "2S"])), None);
    }

    proptest! {
        #[test]
        fn no_timeout_panics(text: Vec<u8>) {
            let _ = parse_timeout(&text);
        }
    }

    #[test]
    fn calls_are_told_by_their_content_type() {
        for (content_type, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc+json", true),
            ("Application/GRPC", true),
            ("application/grpc;charset=x", true),
            ("application/grpc ; a=b", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/grpcx", false),
            ("application/json", false),
            ("", false),
        ] {
            let headers: HeaderMap =
                [(header::CONTENT_TYPE, content_type.parse().unwrap())].into_iter().collect();
            assert_eq!(is_call(&Method::POST, &headers), expected, "{content_type}");
            assert!(!is_call(&Method::GET, &headers), "{content_type}");
        }
        assert!(!is_call(&Method::POST, &HeaderMap::new()));
    }

    #[test]
    fn every_reason_becomes_a_code_and_a_message_that_need_no_escapes() {
        for (status, expected) in [
            (400, 13),
            (401, 16),
            (403, 7),
            (404, 12),
            (408, 4),
            (413, 8),
            (418, 2),
            (429, 8),
            (431, 8),
            (500, 14),
            (501, 14),
            (502, 14),
            (503, 14),
            (504, 4),
        ] {
            assert_eq!(code(status), expected, "{status}");
        }
        for reason in ErrorReason::ALL {
            let answer = translate(reason.response(None, false).map(|_| Bytes::new()), reason);
            assert_eq!(answer.status(), 200);
            assert_eq!(status(answer.headers()), Some(code(reason.status())));
            assert_ne!(code(reason.status()), 2, "{reason:?} has no code");
            assert!(answer.headers().contains_key("proxy-status"));
            let message = answer.headers()[GRPC_MESSAGE].as_bytes();
            assert!(message.iter().all(|byte| (b' '..=b'~').contains(byte) && *byte != b'%'));
        }
    }
}
