//! The end of a connection: what was written last reaches the client, and nothing waits for ever.
//!
//! A socket that is closed while bytes of the client are unread is reset by the kernel, and a
//! reset makes the client lose an answer that it has not read yet. So the end is said first, and
//! what the client still sends is thrown away for a while. It is read from the socket itself:
//! nobody unpacks TLS that nobody will read, and the state of a session that is closed on one
//! side, with data on the other, cannot keep anybody busy.

use std::future::{pending, poll_fn};
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
    Box::pin(leave(transport, last, Rest::ThrownAway)).await;
}

/// The same for a client that floods: hardly anything of what it still sends is taken. Its own window
/// holds it up then; who closed at once would have it back at once.
pub(super) async fn cut<S: Socket>(transport: Transport<S>, last: &[u8]) {
    Box::pin(leave(transport, last, Rest::Unread)).await;
}

/// What becomes of what a client still sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// It is thrown away, up to a limit that ends the connection.
    ThrownAway,
    /// A little of it is thrown away, and what follows waits in the kernel until time is over.
    Unread,
}

/// Ends a connection whose client does not take what was written to it: nobody keeps that for it.
pub(super) fn abandon<S: Socket>(transport: Transport<S>) {
    transport.into_socket().forget();
}

async fn leave<S: Socket>(mut transport: Transport<S>, last: &[u8], rest: Rest) {
    let saying = async {
        transport.write_all(last).await?;
        transport.shutdown().await
    };
    // A client that takes nothing has itself to blame.
    if let Ok(Ok(())) = timeout(limits::LINGER_TIMEOUT, saying).await {
        // Time is over: the client has had its chance.
        let _ = timeout(limits::LINGER_TIMEOUT, linger(transport.into_socket(), rest)).await;
    }
}

/// Throws away what still comes, as long as there may be more of it.
async fn linger<S: Socket>(socket: S, rest: Rest) {
    let most = match rest {
        Rest::ThrownAway => limits::LINGER_BYTES,
        Rest::Unread => limits::FLOOD_LINGER_BYTES,
    };
    let more = throw_away(socket, most).await;
    if more.is_some() && rest == Rest::Unread {
        pending::<()>().await;
    }
}

/// The socket, if there is more on it than so many bytes; `None`: the client is gone.
async fn throw_away<S: Socket>(mut socket: S, mut most: usize) -> Option<S> {
    let more = poll_fn(|cx| {
        let mut space = [MaybeUninit::uninit(); 4096];
        loop {
            let mut buf = ReadBuf::uninit(&mut space);
            match Pin::new(&mut socket).poll_read(cx, &mut buf) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Ready(Ok(())) => {
                    let count = buf.filled().len();
                    most = most.saturating_sub(count);
                    if count == 0 || most == 0 {
                        return Poll::Ready(count > 0);
                    }
                }
            }
        }
    })
    .await;
    more.then_some(socket)
}
