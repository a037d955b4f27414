//! Origins behind the proxy: HTTP/1.1 with WebSocket, and gRPC over clear-text HTTP/2. They count how
//! many requests of each attacking connection they have in hand at once.
//!
//! Here: answers. Not here: anything about who asks, beyond the number in the path.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// How long a request of an attacker is in hand, unless the proxy gives it up.
const HOLD: Duration = Duration::from_secs(1);
/// An answer that fills every buffer on its way.
const LARGE: usize = 64 << 20;
/// Bytes of a request's head.
const HEAD: usize = 64 << 10;

/// Requests in hand by attacking connection, and the most there were.
#[derive(Clone, Default)]
pub(crate) struct InHand(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    now: HashMap<u64, u64>,
    most: u64,
    all: u64,
}

impl InHand {
    fn enter(&self, id: u64) -> Inside {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = counts.now.entry(id).or_default();
        *now += 1;
        let now = *now;
        counts.most = counts.most.max(now);
        counts.all += 1;
        Inside { id, counts: self.clone() }
    }

    /// The greatest number for one connection and the number of all requests, since the last time.
    pub(crate) fn take(&self) -> (u64, u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut counts.most), std::mem::take(&mut counts.all))
    }
}

/// One request in hand.
struct Inside {
    id: u64,
    counts: InHand,
}

impl Drop for Inside {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = counts.now.get_mut(&self.id) {
            *now -= 1;
            if *now == 0 {
                counts.now.remove(&self.id);
            }
        }
    }
}

/// Listens on loopback.
pub(crate) fn listen(port: u16) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves HTTP/1.1 for ever.
pub(crate) async fn web(listener: std::net::TcpListener, in_hand: InHand) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(web_connection(stream, in_hand.clone()));
    }
}

/// Serves one connection; errors end it and are of no interest.
async fn web_connection(mut stream: TcpStream, in_hand: InHand) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(end) = head(&mut stream, &mut buffer).await? else { return Ok(()) };
        let text = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end);
        let mut words = text.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').split('/');
        let (word, id) = (words.next().unwrap_or(""), words.next().unwrap_or("0"));
        let id = id.parse().unwrap_or(0);
        // What has a body is answered without reading it; the connection ends with the answer.
        let last = text.starts_with("POST");
        match word {
            "hold" => {
                let inside = in_hand.enter(id);
                let left = tokio::select! {
                    () = sleep(HOLD) => false,
                    left = gone(&mut stream, &mut buffer, last) => left,
                };
                if left {
                    return Ok(());
                }
                drop(inside);
                answer(&mut stream, last).await?;
            }
            "large" => {
                let _inside = in_hand.enter(id);
                large(&mut stream).await?;
            }
            "socket" => return echo(stream, buffer, &text).await,
            _ => answer(&mut stream, last).await?,
        }
        if last {
            return Ok(());
        }
    }
}

/// Reads until a head is whole; its length. `None`: the connection ended.
async fn head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(end + 4));
        }
        if buffer.len() > HEAD || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// Waits until the proxy hangs up; what it sends meanwhile is a next request, or body to be dropped.
async fn gone(stream: &mut TcpStream, buffer: &mut Vec<u8>, body: bool) -> bool {
    loop {
        if body {
            buffer.clear();
        }
        if buffer.len() > HEAD {
            return true;
        }
        match stream.read_buf(buffer).await {
            Ok(0) | Err(_) => return true,
            Ok(_) => {}
        }
    }
}

async fn answer(stream: &mut TcpStream, last: bool) -> io::Result<()> {
    let connection = if last { "Connection: close\r\n" } else { "" };
    let text = format!("HTTP/1.1 200 OK\r\n{connection}Content-Length: 6\r\n\r\nhello\n");
    stream.write_all(text.as_bytes()).await
}

async fn large(stream: &mut TcpStream) -> io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let piece = vec![b'x'; 64 << 10];
    for _ in 0..LARGE / piece.len() {
        stream.write_all(&piece).await?;
    }
    Ok(())
}

/// Accepts a WebSocket and sends back every small text (RFC 6455).
async fn echo(mut stream: TcpStream, mut buffer: Vec<u8>, head: &str) -> io::Result<()> {
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
    });
    let accept = websocket_accept(&key.unwrap_or_default());
    let text = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).await?;
    loop {
        // Only what our own victims send: one frame, final, masked, shorter than 126 bytes.
        while let Some(length) = buffer.get(1).map(|byte| usize::from(byte & 0x7f)) {
            let Some(frame) = buffer.get(..6 + length) else { break };
            let (mask, text) = (&frame[2..6], &frame[6..]);
            let plain = text.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
            let back: Vec<u8> = [frame[0], frame[1] & 0x7f].into_iter().chain(plain).collect();
            stream.write_all(&back).await?;
            buffer.drain(..6 + length);
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// The answer to a `Sec-WebSocket-Key`.
fn websocket_accept(key: &str) -> String {
    use base64::Engine as _;
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(digest)
}

/// Serves gRPC calls, each of which gets its own message back, for ever.
pub(crate) async fn grpc(listener: std::net::TcpListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(stream).await?;
            while let Some(call) = connection.accept().await {
                let (request, respond) = call?;
                tokio::spawn(grpc_call(request.into_body(), respond));
            }
            Ok::<(), h2::Error>(())
        });
    }
}

async fn grpc_call(
    mut body: h2::RecvStream,
    mut respond: h2::server::SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let mut message = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        message.extend_from_slice(&piece);
    }
    let mut head = Response::new(());
    let grpc = HeaderValue::from_static("application/grpc");
    head.headers_mut().insert(http::header::CONTENT_TYPE, grpc);
    let mut stream = respond.send_response(head, false)?;
    stream.send_data(message.into(), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_standard_gets_its_answer() {
        let accept = websocket_accept("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn the_most_in_hand_is_kept_until_it_is_taken() {
        let in_hand = InHand::default();
        let (first, second) = (in_hand.enter(1), in_hand.enter(1));
        let other = in_hand.enter(2);
        drop((first, second, other));
        assert_eq!(in_hand.take(), (2, 3));
        assert_eq!(in_hand.take(), (0, 0));
    }
}
