//! Requests that want their connection to become something else: `Upgrade` over HTTP/1.1 (RFC
//! 9110 section 7.8), and WebSocket over one stream of HTTP/2 (RFC 8441). Origins are asked by
//! HTTP/1.1 in both cases.
//!
//! Not here: what follows when an origin has agreed (`tunnel`).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, response};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;

use super::error::ErrorReason;
use crate::model::list::members;

/// What a server adds to a client's key before it takes the digest (RFC 6455 section 1.3).
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const WEBSOCKET: &str = "websocket";

/// What a request wants its connection to become.
#[derive(Debug)]
pub(super) enum Wish {
    /// The connection of an HTTP/1.1 client: that protocol, as the client wrote it.
    Connection(HeaderValue),
    /// One stream of an HTTP/2 client: a WebSocket.
    Stream {
        /// The stream, once the client has its 200.
        client: OnUpgrade,
        /// What the origin has to say to the key that it is given.
        accept: String,
    },
}

/// Turns an extended CONNECT into the GET that it stands for; the stream that it asked on.
///
/// # Errors
///
/// When it is for a protocol that Rhumb does not carry. A plain CONNECT is left as it is.
pub(super) fn extended_connect(parts: &mut Parts) -> Result<Option<OnUpgrade>, ErrorReason> {
    if parts.method != Method::CONNECT {
        return Ok(None);
    }
    let Some(protocol) = parts.extensions.remove::<Protocol>() else { return Ok(None) };
    if !protocol.as_str().eq_ignore_ascii_case(WEBSOCKET) {
        return Err(ErrorReason::NotImplemented);
    }
    parts.method = Method::GET;
    let stream = parts.extensions.remove::<OnUpgrade>();
    stream.map(Some).ok_or(ErrorReason::NotImplemented)
}

/// The one protocol that an HTTP/1.1 request offers to change to. Several at once are an offer
/// that need not be taken up, and so is one with a body.
pub(super) fn offered(parts: &Parts, has_body: bool) -> Option<HeaderValue> {
    if parts.version != Version::HTTP_11 || parts.method != Method::GET || has_body {
        return None;
    }
    let value = the_only(&parts.headers, &UPGRADE)?;
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._/+".contains(byte);
    let is_one = !value.is_empty() && value.as_bytes().iter().all(is_token);
    (is_one && lists_upgrade(&parts.headers)).then(|| value.clone())
}

/// Whether that protocol is among those which may be passed on. `h2c` never is: the origin would
/// speak HTTP/2 with the client, and nobody would look at the requests.
pub(super) fn is_allowed(protocol: &HeaderValue, allowed: &[String]) -> bool {
    let name = protocol.as_bytes().split(|byte| *byte == b'/').next().unwrap_or_default();
    !name.eq_ignore_ascii_case(b"h2c")
        && allowed.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

impl Wish {
    /// Whether it is a WebSocket.
    pub(super) fn is_websocket(&self) -> bool {
        match self {
            Self::Connection(protocol) => {
                protocol.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes())
            }
            Self::Stream { .. } => true,
        }
    }

    /// A WebSocket over a stream of HTTP/2, if those may be passed on. `nonce` is fresh.
    pub(super) fn stream(
        client: OnUpgrade,
        allowed: &[String],
        nonce: [u64; 2],
        headers: &mut HeaderMap,
    ) -> Option<Self> {
        if !is_allowed(&HeaderValue::from_static(WEBSOCKET), allowed) {
            return None;
        }
        let [first, second] = nonce.map(u64::to_le_bytes);
        let key = STANDARD.encode([first, second].as_flattened());
        let accept = accept(key.as_bytes());
        headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::try_from(key).ok()?);
        headers.entry(SEC_WEBSOCKET_VERSION).or_insert(HeaderValue::from_static("13"));
        Some(Self::Stream { client, accept })
    }

    /// Puts the wish into a request whose hop-by-hop fields have been taken off.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        let protocol = match self {
            Self::Connection(protocol) => protocol.clone(),
            Self::Stream { .. } => HeaderValue::from_static(WEBSOCKET),
        };
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, protocol);
    }

    /// Whether a response of 101 agrees to just that.
    pub(super) fn is_granted(&self, headers: &HeaderMap) -> bool {
        let Some(protocol) = the_only(headers, &UPGRADE) else { return false };
        let same = |asked: &[u8]| protocol.as_bytes().eq_ignore_ascii_case(asked);
        lists_upgrade(headers)
            && match self {
                Self::Connection(asked) => same(asked.as_bytes()),
                Self::Stream { accept, .. } => {
                    let said = the_only(headers, &SEC_WEBSOCKET_ACCEPT);
                    same(WEBSOCKET.as_bytes())
                        && said.is_some_and(|said| said.as_bytes() == accept.as_bytes())
                }
            }
    }

    /// Whether an answer that does not agree can be told the client. Over HTTP/2 one of 2xx would
    /// say that the stream is a WebSocket now.
    pub(super) fn may_be_answered(&self, status: StatusCode) -> bool {
        matches!(self, Self::Connection(_)) || !status.is_success()
    }

    /// Makes the head of the origin's 101, without its hop-by-hop fields, the client's.
    pub(super) fn grant(&self, parts: &mut response::Parts) {
        parts.headers.remove(CONTENT_LENGTH);
        match self {
            Self::Connection(_) => self.ask(&mut parts.headers),
            Self::Stream { .. } => {
                parts.status = StatusCode::OK;
                parts.headers.remove(SEC_WEBSOCKET_ACCEPT);
            }
        }
    }
}

/// What a server says to a client's key (RFC 6455 section 4.2.2).
fn accept(key: &[u8]) -> String {
    let text = [key, ACCEPT_SUFFIX].concat();
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &text))
}

fn the_only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    lines.next().is_none().then_some(line)
}

fn lists_upgrade(headers: &HeaderMap) -> bool {
    members(headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes))
        .any(|name| name.eq_ignore_ascii_case(b"upgrade"))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn the_key_of_the_standard_gets_the_answer_of_the_standard() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn one_protocol_is_offered_by_a_get_without_a_body() {
        type Fields = &'static [(&'static str, &'static str)];
        let asks = |method: &str, version: Version, fields: Fields, has_body: bool| {
            let mut request = Request::builder().method(method).version(version);
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            offered(&request.body(()).unwrap().into_parts().0, has_body).is_some()
        };
        let fields: Fields = &[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")];
        assert!(asks("GET", Version::HTTP_11, fields, false));
        assert!(!asks("GET", Version::HTTP_11, fields, true));
        assert!(!asks("POST", Version::HTTP_11, fields, false));
        assert!(!asks("GET", Version::HTTP_10, fields, false));
        assert!(!asks("GET", Version::HTTP_2, fields, false));
        let refused: [Fields; 6] = [
            &[("upgrade", "websocket")],
            &[("connection", "upgrade")],
            &[("connection", "upgrade"), ("upgrade", "")],
            &[("connection", "upgrade"), ("upgrade", "websocket, other")],
            &[("connection", "upgrade"), ("upgrade", "websocket"), ("upgrade", "other")],
            &[("connection", "close"), ("upgrade", "websocket")],
        ];
        for fields in refused {
            assert!(!asks("GET", Version::HTTP_11, fields, false), "{fields:?}");
        }
    }

    #[test]
    fn protocols_are_allowed_by_name() {
        let allowed = |protocol: &str, list: &[&str]| {
            let list: Vec<_> = list.iter().map(|name| (*name).to_owned()).collect();
            is_allowed(&protocol.parse().unwrap(), &list)
        };
        assert!(allowed("websocket", &["websocket"]));
        assert!(allowed("WebSocket", &["websocket"]));
        assert!(allowed("spdy/3.1", &["websocket", "spdy"]));
        assert!(!allowed("spdy", &["websocket"]));
        assert!(!allowed("websocket", &[]));
        assert!(!allowed("h2c", &["h2c"]));
        assert!(!allowed("H2C", &["h2c"]));
    }

    #[test]
    fn only_what_was_asked_for_is_granted() {
        let wish = Wish::Connection(HeaderValue::from_static("websocket"));
        let says = |fields: &[(HeaderName, &str)]| {
            let headers: HeaderMap =
                fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
            wish.is_granted(&headers)
        };
        assert!(says(&[(CONNECTION, "Upgrade"), (UPGRADE, "WebSocket")]));
        assert!(!says(&[(CONNECTION, "Upgrade"), (UPGRADE, "h2c")]));
        assert!(!says(&[(CONNECTION, "Upgrade")]));
        assert!(!says(&[(UPGRADE, "websocket")]));
        assert!(!says(&[(CONNECTION, "Upgrade"), (UPGRADE, "websocket"), (UPGRADE, "x")]));
    }
}
