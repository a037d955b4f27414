//! Which protocol a client speaks: agreed on in the TLS handshake, or seen by its first bytes.

use super::client::more;
use super::keeper::Keeper;
use super::transport::{Ahead, Socket};

/// What an HTTP/2 client says first (RFC 9113 section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// RFC 9112.
    Http1,
    /// RFC 9113.
    Http2,
}

/// The protocol that these first bytes are of; `None`: there are too few of them. HTTP/1.1 is
/// known by the first byte that differs, so that no request of it waits for this.
fn seen(bytes: &[u8]) -> Option<Protocol> {
    if bytes.starts_with(PREFACE) {
        Some(Protocol::Http2)
    } else if PREFACE.starts_with(bytes) {
        None
    } else {
        Some(Protocol::Http1)
    }
}

/// Looks at the first bytes of a connection in clear text; `None`: too few came.
pub(super) async fn recognise<S: Socket>(
    socket: &mut Ahead<S>,
    keeper: &mut Keeper,
) -> Option<Protocol> {
    loop {
        if let protocol @ Some(_) = seen(socket.ahead()) {
            return protocol;
        }
        more(socket, keeper).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_2_is_known_by_its_whole_preface_and_http_1_by_the_first_byte_that_differs() {
        for length in 0..PREFACE.len() {
            let (start, rest) = PREFACE.split_at(length);
            assert_eq!(seen(start), None);
            let other = [start, &[rest[0] ^ 1]].concat();
            assert_eq!(seen(&other), Some(Protocol::Http1), "{other:?}");
        }
        assert_eq!(seen(PREFACE), Some(Protocol::Http2));
        assert_eq!(seen(&[&PREFACE[..], b"more"].concat()), Some(Protocol::Http2));
        assert_eq!(seen(b"GET / HTTP/1.1\r\n"), Some(Protocol::Http1));
    }
}
