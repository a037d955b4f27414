//! The end of a connection: what was written last reaches the client, and nothing waits for ever.
//!
//! A socket that is closed while bytes of the client are unread is reset by the kernel, and a
//! reset makes the client lose an answer that it has not read yet. So the end is said first, and
//! what the client still sends is thrown away for a while. It is read from the socket itself:
//! nobody unpacks TLS that nobody will read, and the state of a session that is closed on one
//! side, with data on the other, cannot keep anybody busy.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use super::transport::{Socket, Transport};
use crate::model::limits;

/// Writes `last`, says that this was it, and waits a little for the client to go.
pub(super) async fn part<S: Socket>(transport: Transport<S>, last: &[u8]) {
    // Boxed, so that connections that go on have no room for it.
    Box::pin(leave(transport, last)).await;
}

/// Ends a connection whose client does not take what was written to it: nobody keeps that for it.
pub(super) fn abandon<S: Socket>(transport: Transport<S>) {
    transport.into_socket().forget();
}

async fn leave<S: Socket>(mut transport: Transport<S>, last: &[u8]) {
    let saying = async {
        transport.write_all(last).await?;
        transport.shutdown().await
    };
    // A client that takes nothing has itself to blame.
    if let Ok(Ok(())) = timeout(limits::LINGER_TIMEOUT, saying).await {
        linger(transport.into_socket()).await;
    }
}

/// Throws away what still comes, as long as the limits allow.
async fn linger<S: Socket>(mut socket: S) {
    let mut rest = limits::LINGER_BYTES;
    let all = poll_fn(|cx| {
        let mut space = [MaybeUninit::uninit(); 4096];
        loop {
            let mut buf = ReadBuf::uninit(&mut space);
            match Pin::new(&mut socket).poll_read(cx, &mut buf) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => {
                    let count = buf.filled().len();
                    rest = rest.saturating_sub(count);
                    if count == 0 || rest == 0 {
                        return Poll::Ready(());
                    }
                }
            }
        }
    });
    // Time is over: the client has had its chance.
    let _ = timeout(limits::LINGER_TIMEOUT, all).await;
}
