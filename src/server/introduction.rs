//! The PROXY protocol header at the start of a connection: who may send one, and what becomes of
//! the connection. What headers look like is `proxy_protocol`.

use std::net::{IpAddr, SocketAddr};

use super::client::more;
use super::keeper::Keeper;
use super::transport::{Ahead, Socket};
use crate::config::ProxyProtocolFrom;
use crate::proxy_protocol::{Header, Looks, ProxyProtocolError, starts_like};

/// A connection that does not begin as it has to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unintroduced {
    /// A peer that is not believed sent a header.
    #[error("a PROXY protocol header came from a peer that is not in `proxy_protocol.trusted`")]
    Untrusted,
    /// What came is no header.
    #[error("the connection does not start with a PROXY protocol header")]
    Unreadable(#[from] ProxyProtocolError),
    /// It ended, or time was over, before the header did.
    #[error("the PROXY protocol header did not come to its end")]
    Unfinished,
}

/// The client's own address and the one that it connected to, if the peer at `address` says so.
/// Some bytes have been read ahead; the header's are taken off.
pub(super) async fn read<S: Socket>(
    socket: &mut Ahead<S>,
    keeper: &mut Keeper,
    from: &ProxyProtocolFrom,
    address: IpAddr,
) -> Result<Option<(SocketAddr, SocketAddr)>, Unintroduced> {
    let address = address.to_canonical();
    let trusted = from.trusted.iter().any(|network| network.contains(&address));
    loop {
        let required = trusted && from.required;
        match starts_like(socket.ahead()) {
            Looks::No if !required => return Ok(None),
            Looks::Yes if !trusted => return Err(Unintroduced::Untrusted),
            Looks::Maybe if !trusted => {}
            _ => {
                if let Some((header, length)) = Header::read(socket.ahead())? {
                    socket.take(length);
                    return Ok(header.source.zip(header.destination));
                }
            }
        }
        more(socket, keeper).await.ok_or(Unintroduced::Unfinished)?;
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::proxy::Watch;
    use crate::server::tests::fixture::run;

    const CLIENT: &str = "192.0.2.7:7777";
    const FRONT: &str = "192.0.2.1:443";

    fn from(required: bool) -> ProxyProtocolFrom {
        ProxyProtocolFrom { trusted: vec!["10.0.0.0/8".parse().unwrap()], required }
    }

    fn header() -> Vec<u8> {
        b"PROXY TCP4 192.0.2.7 192.0.2.1 7777 443\r\n".to_vec()
    }

    /// Sends these pieces and tells what is made of them, and what is left.
    async fn hear(
        peer: &str,
        required: bool,
        pieces: &[&[u8]],
    ) -> (Result<Option<(SocketAddr, SocketAddr)>, Unintroduced>, Vec<u8>) {
        let (mut far, near) = duplex(1 << 16);
        let watch = Rc::new(Watch::new(tokio::time::Instant::now().into_std()));
        let mut keeper = Keeper::new(watch);
        let mut socket = Ahead::new(near);
        let sending = async {
            for piece in pieces {
                far.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let from = from(required);
        let reading = async {
            more(&mut socket, &mut keeper).await;
            read(&mut socket, &mut keeper, &from, peer.parse().unwrap()).await
        };
        let (heard, ()) = tokio::join!(reading, sending);
        drop(far);
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.unwrap();
        (heard, rest)
    }

    #[test]
    fn a_header_of_a_trusted_peer_is_believed_however_it_is_cut() {
        run(async {
            let told = Some((CLIENT.parse().unwrap(), FRONT.parse().unwrap()));
            let whole = [header(), b"GET /".to_vec()].concat();
            for cut in 0..whole.len() {
                for required in [true, false] {
                    let (first, second) = whole.split_at(cut);
                    let (heard, rest) = hear("10.1.2.3", required, &[first, second]).await;
                    assert_eq!(heard.unwrap(), told, "cut at {cut}");
                    assert_eq!(rest, b"GET /");
                }
            }
            let (heard, _) = hear("::ffff:10.1.2.3", true, &[&whole]).await;
            assert_eq!(heard.unwrap(), told, "a trusted address in another notation");
        });
    }

    #[test]
    fn a_connection_without_a_header() {
        run(async {
            let (heard, rest) = hear("10.1.2.3", false, &[b"P", b"OST / HTTP/1.1\r\n"]).await;
            assert_eq!((heard.unwrap(), &rest[..]), (None, &b"POST / HTTP/1.1\r\n"[..]));
            let (heard, _) = hear("10.1.2.3", true, &[b"GET / HTTP/1.1\r\n"]).await;
            assert!(matches!(heard, Err(Unintroduced::Unreadable(_))));
            let (heard, rest) = hear("192.0.2.9", true, &[b"GET /"]).await;
            assert_eq!(
                (heard.unwrap(), &rest[..]),
                (None, &b"GET /"[..]),
                "nobody asks it for one"
            );
        });
    }

    #[test]
    fn nobody_else_may_send_one() {
        run(async {
            for required in [true, false] {
                let (heard, _) = hear("192.0.2.9", required, &[b"PRO", b"XY TCP4"]).await;
                assert!(matches!(heard, Err(Unintroduced::Untrusted)));
            }
        });
    }

    #[test]
    fn half_a_header_is_waited_for_ten_seconds_in_all() {
        run(async {
            let started = tokio::time::Instant::now();
            let (heard, _) = hear("10.1.2.3", true, &[b"PROXY TCP4 192.0.2.7"]).await;
            assert!(matches!(heard, Err(Unintroduced::Unfinished)));
            assert_eq!(started.elapsed().as_secs(), 10);
        });
    }
}
