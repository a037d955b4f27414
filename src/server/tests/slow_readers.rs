//! Clients that take their answers a few bytes at a time: they are let go soon, unless they are only
//! slow. Streams of HTTP/2 are in `http2`.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsConnector;

use super::fixture::{Client, REQUEST, World, run};

const TLS: &str = "tls: { certificates: [{ certificate: edge.pem, key: edge.key }] }";
/// Who is not let go by then never is.
const LONG: Duration = Duration::from_secs(600);
/// Bytes every so many seconds, and whether that is enough.
const PACES: [(usize, u64, bool); 5] =
    [(32, 5, false), (1, 1, false), (1_000, 3, false), (2_000, 3, true), (700, 1, true)];

type Pace = Rc<Cell<Option<(usize, Duration)>>>;

/// Reads so many bytes every so often, once it is told to.
struct Drip {
    stream: DuplexStream,
    pace: Pace,
    sleep: Pin<Box<Sleep>>,
}

impl Drip {
    fn new(stream: DuplexStream) -> (Self, Pace) {
        let (pace, sleep) = (Pace::default(), Box::pin(sleep(Duration::ZERO)));
        (Self { stream, pace: Rc::clone(&pace), sleep }, pace)
    }
}

impl AsyncRead for Drip {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some((bytes, every)) = self.pace.get() else {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        };
        ready!(self.sleep.as_mut().poll(cx));
        let mut space = vec![0; bytes.min(buf.remaining())];
        let mut part = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        buf.put_slice(part.filled());
        self.sleep.as_mut().reset(Instant::now() + every);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Drip {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Asks for more than there is room for on the way, and reads for as long as it is let.
async fn ask_and_read(stream: impl AsyncRead + AsyncWrite) {
    let (mut reading, mut writing) = tokio::io::split(stream);
    let ask = async {
        while writing.write_all(REQUEST.as_bytes()).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let read = async {
        let mut space = [0; 4_096];
        while matches!(reading.read(&mut space).await, Ok(1..)) {}
        std::future::pending::<()>().await;
    };
    tokio::join!(ask, read);
}

#[test]
fn a_client_that_drips_is_let_go_and_one_that_is_slow_is_not() {
    for (fields, (bytes, every, enough)) in
        ["", TLS].into_iter().flat_map(|fields| PACES.map(|pace| (fields, pace)))
    {
        run(async {
            let world = World::new(fields, "");
            let Client { stream, task, since } = world.connect();
            let (stream, pace) = Drip::new(stream);
            let drip = Some((bytes, Duration::from_secs(every)));
            let reading = async {
                if fields.is_empty() {
                    pace.set(drip);
                    return ask_and_read(stream).await;
                }
                let name = ServerName::try_from("edge.test").unwrap();
                let connector = TlsConnector::from(world.tls(&["http/1.1"]));
                let stream = connector.connect(name, stream).await.unwrap();
                pace.set(drip);
                ask_and_read(stream).await;
            };
            let ended = tokio::select! {
                ended = timeout(LONG, task) => ended.is_ok(),
                () = reading => unreachable!(),
            };
            let (case, seconds) = (format!("{bytes} every {every} s, {fields}"), since.elapsed());
            assert_eq!(ended, !enough, "{case}: {seconds:?}");
            assert!(enough || (30..300).contains(&seconds.as_secs()), "{case}: {seconds:?}");
        });
    }
}
