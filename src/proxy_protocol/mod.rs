//! The PROXY protocol, versions 1 and 2: what a peer says, before the first byte of a connection,
//! about the client that it connects for.
//!
//! Bytes in, addresses out, and the other way round, as HAProxy's `proxy-protocol.txt` (section 2)
//! has it. Not here: sockets, waiting for bytes, and who is believed (`server`, `upstream`).
//!
//! Where that text leaves a choice, the strict one is taken, because whoever reads the same bytes in
//! two ways can be lied to. What else version 2 carries (names, TLS, identifiers) has to be well
//! formed, and is otherwise not looked at: nothing here believes it.

use std::net::SocketAddr;

mod binary;
mod error;
mod text;
mod tlv;
mod write;

#[cfg(test)]
mod tests;

pub use error::{Part, ProxyProtocolError};
pub use write::write;

/// What version 1 starts with.
const TEXT: &[u8] = b"PROXY ";
/// What version 2 starts with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What a peer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The client that the peer connects for; `None`: the peer does not know, or speaks for itself.
    /// An IPv4 address is never written as IPv6 here (`::ffff:192.0.2.1`), however it was sent.
    pub source: Option<SocketAddr>,
    /// Where that client connected to; there if and only if `source` is.
    pub destination: Option<SocketAddr>,
    /// The peer speaks for itself, as in a health check (command `LOCAL` of version 2).
    pub local: bool,
}

impl Header {
    /// Nothing is known of a client.
    const UNKNOWN: Self = Self { source: None, destination: None, local: false };

    fn between(source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            source: Some(canonical(source)),
            destination: Some(canonical(destination)),
            local: false,
        }
    }

    /// Reads the header that a connection starts with. `bytes` is all that has come so far, from
    /// the first byte on; with the header comes how many of them it takes. `None`: it is not all
    /// here yet.
    ///
    /// What no header starts with is an error at once, and no header is longer than
    /// [`PROXY_HEADER_BYTES`](crate::model::limits::PROXY_HEADER_BYTES): `None` is never answered to
    /// so many.
    ///
    /// # Errors
    ///
    /// The bytes are not, and will not become, a header. The connection has to be closed.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProxyProtocolError> {
        if begins(bytes, SIGNATURE) == Looks::Yes {
            return binary::read(bytes);
        }
        match starts_like(bytes) {
            Looks::Yes => text::read(bytes),
            Looks::Maybe => Ok(None),
            Looks::No => Err(ProxyProtocolError::NotAHeader),
        }
    }
}

/// Whether a connection starts with a header, judged by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// It does not.
    No,
    /// There are too few bytes to tell.
    Maybe,
    /// It does, or it is nothing at all: no HTTP and no TLS starts like this.
    Yes,
}

/// Whether these first bytes of a connection are those of a header, of either version. They are
/// told at the 12th byte at the latest. For listeners where a header is optional.
pub fn starts_like(bytes: &[u8]) -> Looks {
    match (begins(bytes, TEXT), begins(bytes, SIGNATURE)) {
        (Looks::No, version_2) => version_2,
        (version_1, _) => version_1,
    }
}

fn begins(bytes: &[u8], with: &[u8]) -> Looks {
    if bytes.starts_with(with) {
        Looks::Yes
    } else if with.starts_with(bytes) {
        Looks::Maybe
    } else {
        Looks::No
    }
}

/// The same address, with IPv4 written as IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
