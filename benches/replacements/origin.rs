//! The origin behind every proxy: small answers, streamed ones, and WebSockets that say everything
//! twice.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use base64::Engine as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

/// Between two pieces of a stream.
const PIECE: Duration = Duration::from_millis(100);

/// Serves on a thread of its own until the program ends; its port.
pub(crate) fn start() -> io::Result<u16> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || runtime.block_on(serve(listener)));
    Ok(port)
}

async fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream));
    }
}

async fn connection(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(buffer.get(..end).unwrap_or_default()).into_owned();
        buffer.drain(..end);
        let path = head.split(' ').nth(1).unwrap_or("/");
        if let Some(millis) = path.strip_prefix("/stream/") {
            piecemeal(&mut stream, Duration::from_millis(millis.parse().unwrap_or(0))).await?;
        } else if path == "/socket" {
            return echo(stream, &head).await;
        } else {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n").await?;
        }
    }
}

async fn piecemeal(stream: &mut TcpStream, lasts: Duration) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
    let until = Instant::now() + lasts;
    while Instant::now() < until {
        stream.write_all(b"5\r\npiece\r\n").await?;
        sleep(PIECE).await;
    }
    stream.write_all(b"0\r\n\r\n").await
}

/// Frames as the clients here send them: masked with zeros, so what comes is what goes back.
async fn echo(mut stream: TcpStream, head: &str) -> io::Result<()> {
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    let text = format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key.unwrap_or_default());
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let accept = base64::engine::general_purpose::STANDARD.encode(digest);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    loop {
        let mut frame = [0; 10];
        stream.read_exact(&mut frame).await?;
        stream.write_all(&[0x81, 4]).await?;
        stream.write_all(frame.get(6..).unwrap_or_default()).await?;
    }
}
