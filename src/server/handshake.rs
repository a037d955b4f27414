//! The TLS handshake with a client, and what it brings.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use rustls::{CipherSuite, ProtocolVersion, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::goodbye::part;
use super::keeper::{Keeper, Over};
use super::protocol::Protocol;
use super::transport::{Ahead, Socket, Transport};
use crate::config::Alpn;
use crate::model::{Handshake, limits};
use crate::proxy::{ErrorReason, Secure, refusal_bytes};
use crate::tls;

/// What every TLS connection starts with: a record of the handshake (RFC 8446 section 5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// What a handshake brought.
pub(super) struct Agreed<S> {
    pub(super) transport: Transport<S>,
    pub(super) secure: Secure,
    pub(super) protocol: Protocol,
}

/// Shakes hands with a client whose first bytes have been read ahead. A failure has been said to
/// the client when this returns.
pub(super) async fn shake<S: Socket>(
    socket: Ahead<S>,
    config: &Arc<ServerConfig>,
    keeper: &mut Keeper,
) -> Result<Agreed<S>, Handshake> {
    let first = socket.ahead().first().copied();
    if first.is_some_and(|first| first != HANDSHAKE_RECORD && first.is_ascii_uppercase()) {
        // A browser that was sent to the wrong port is told so in words that it understands.
        let refusal = refusal_bytes(ErrorReason::Malformed);
        part(Transport::clear(socket), &refusal).await;
        return Err(Handshake::ClearText);
    }
    keeper.watch.begin(keeper.watch.look(), limits::TLS_HANDSHAKE_TIMEOUT);
    let mut accept = pin!(TlsAcceptor::from(Arc::clone(config)).accept(socket).into_fallible());
    let shaken = keeper.wait(|cx| accept.as_mut().poll(cx)).await;
    match shaken {
        Ok(Ok(stream)) => {
            keeper.watch.begin(keeper.watch.look(), limits::FIRST_BYTE_TIMEOUT);
            Ok(agreed(stream))
        }
        Ok(Err((error, socket))) => {
            tracing::debug!(%error, "TLS handshake failed");
            let result = class(&error);
            if result != Handshake::Closed {
                // Its alert is under way.
                part(Transport::clear(socket), &[]).await;
            }
            Err(result)
        }
        Err(Over::Late) => Err(Handshake::Timeout),
        Err(Over::Draining) => Err(Handshake::Closed),
    }
}

fn agreed<S: Socket>(stream: TlsStream<Ahead<S>>) -> Agreed<S> {
    let (_, session) = stream.get_ref();
    let protocol = match session.alpn_protocol() {
        Some(name) if name == Alpn::H2.as_str().as_bytes() => Protocol::Http2,
        _ => Protocol::Http1,
    };
    let server_name = session.server_name().map(|name| name.to_ascii_lowercase().into());
    let shown = session.peer_certificates().and_then(<[_]>::first);
    let certificate = shown.and_then(|shown| tls::client_certificate_value(shown));
    let version = session.protocol_version().map_or("", version);
    let cipher = session.negotiated_cipher_suite().map_or("", |suite| cipher(suite.suite()));
    let secure = Secure { version, cipher, server_name, certificate, certificates: None };
    Agreed { transport: Transport::tls(stream), secure, protocol }
}

/// A version as logs have it.
fn version(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        other => other.as_str().unwrap_or_default(),
    }
}

/// A cipher suite as it is registered; the library has names of its own for those of TLS 1.3.
fn cipher(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or_default(),
    }
}

/// What an error of a handshake is counted as.
fn class(error: &io::Error) -> Handshake {
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::NoCertificatesPresented | rustls::Error::InvalidCertificate(_)) => {
            Handshake::ClientCertificate
        }
        Some(_) => Handshake::Failed,
        None => Handshake::Closed,
    }
}
