//! Bytes both ways after an upgrade, until both sides are done or nothing moves any more.
//!
//! A quiet tunnel holds no buffer: what is read lies on the stack, and only what the other side
//! does not take at once is kept. Ends pass through one by one (half-close), an error ends both.
//!
//! When the process is about to end, the client of a WebSocket is told so between two frames, and
//! the tunnel ends when it has said goodbye itself. Other protocols cannot be told.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::body::RequestBody;
use super::frames::{Frames, GOING_AWAY};
use super::metered::Metered;
use super::ticket::{InFlight, Ticket};
use super::under_way::UnderWay;
use crate::model::limits::TUNNEL_BYTES;
use crate::upstream::Lease;

/// The origin's side of a connection that is HTTP no longer, and what counts it.
///
/// It knows the client connection that it was stored in, so somebody has to take it out there.
#[derive(Debug)]
pub struct Tunnel {
    origin: OnUpgrade,
    /// Whether frames go through it.
    websocket: bool,
    idle: Duration,
    /// Counts it as one that is open.
    open: Open,
    _in_flight: InFlight,
    _lease: Lease<RequestBody>,
}

/// Counts a request as a tunnel for as long as it lives.
#[derive(Debug)]
struct Open(Ticket);

impl Open {
    fn new(mut ticket: Ticket) -> Self {
        ticket.become_tunnel();
        ticket.connection().worker.series.tunnels_opened.increment();
        Self(ticket)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connection().worker.series.tunnels_closed.increment();
    }
}

impl Tunnel {
    /// To an origin that has agreed, be it to a WebSocket or something else; ended when nothing moves
    /// for `idle`.
    pub(super) fn new(
        (origin, websocket): (OnUpgrade, bool),
        idle: Duration,
        ticket: Ticket,
        in_flight: InFlight,
        lease: Lease<RequestBody>,
    ) -> Self {
        let open = Open::new(ticket);
        Self { origin, websocket, idle, open, _in_flight: in_flight, _lease: lease }
    }

    /// Moves bytes until it is over. `early` is what the client sent behind its request.
    pub async fn run<C: AsyncRead + AsyncWrite + Unpin>(mut self, client: C, early: Bytes) {
        let origin = match (&mut self.origin).await {
            Ok(origin) => TokioIo::new(origin),
            Err(error) => {
                tracing::debug!(%error, "the origin's connection did not become a tunnel");
                return;
            }
        };
        let client = Metered::new(client, &self.open.0, early.len());
        let worker = Rc::clone(&self.open.0.connection().worker);
        let farewell = self.websocket.then_some(&worker.under_way);
        let ended = relay(client, origin, early, self.idle, farewell).await;
        if let Err(error) = ended {
            tracing::debug!(%error, "a tunnel ended");
        }
    }
}

/// How often a client's side is looked at, once it has ended, to see whether it was in fact reset.
const LOOKS_AFTER_END: u32 = 3;

/// One direction.
#[derive(Debug, Default)]
struct Way {
    /// What was read and not yet taken.
    kept: Vec<u8>,
    sent: usize,
    /// Whether something was written that has not been flushed.
    unflushed: bool,
    end: End,
    /// Where it is between frames, if there are frames.
    frames: Option<Frames>,
    goodbye: Goodbye,
}

/// Whether the writer's side is told that the process is about to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Goodbye {
    #[default]
    No,
    /// As soon as the frame that has begun is complete.
    Wanted,
    /// It has been, and nothing may follow.
    Said,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    /// The reader's side has ended; the writer's does not know yet.
    Seen,
    /// It knows.
    Passed,
}

async fn relay<C, O>(
    mut client: C,
    mut origin: O,
    early: Bytes,
    idle: Duration,
    under_way: Option<&UnderWay>,
) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
    O: AsyncRead + AsyncWrite + Unpin,
{
    // Copied, so that the buffer which the request was read into can go.
    let frames = under_way.map(|_| Frames::default());
    let mut up = Way { kept: early.to_vec(), frames, ..Way::default() };
    if let Some(frames) = &mut up.frames {
        frames.pass(&early);
    }
    drop(early);
    let mut down = Way { frames, ..Way::default() };
    let mut waking = pin!(under_way.map(UnderWay::farewell));
    let mut first = true;
    let mut quiet = Quiet::new(idle);
    let mut looks = 0_u32;
    poll_fn(|cx| {
        let mut moved = false;
        if std::mem::take(&mut first)
            && let Some(waking) = waking.as_mut().as_pin_mut()
        {
            // Once is enough, because it is the same task that is to be woken.
            let _ = waking.poll(cx);
        }
        if under_way.is_some_and(UnderWay::leaving) {
            down.say_goodbye(&up);
        }
        let sent = up.poll(&mut client, &mut origin, cx, &mut moved)?;
        let received = down.poll(&mut origin, &mut client, cx, &mut moved)?;
        if sent.is_ready() && received.is_ready() {
            return Poll::Ready(Ok(()));
        }
        if down.goodbye == Goodbye::Said && up.has_said_goodbye() && down.kept.is_empty() {
            return Pin::new(&mut client).poll_shutdown(cx);
        }
        if up.end != End::Open && looks < LOOKS_AFTER_END {
            // A reset stream of HTTP/2 looks like one that ended, until somebody flushes it: its
            // sending half learns of the reset when all who were woken have had their turn.
            if looks > 0 && Pin::new(&mut client).poll_flush(cx)?.is_ready() {
                down.unflushed = false;
            }
            looks += 1;
            cx.waker().wake_by_ref();
        }
        quiet.poll(cx, moved)
    })
    .await
}

impl Way {
    /// Lets the reader's side come to an end between two frames, unless it is at its end already.
    fn say_goodbye(&mut self, back: &Self) {
        let closed = |way: &Self| way.frames.is_none_or(|frames| frames.closed());
        if self.goodbye == Goodbye::No && !closed(self) && !closed(back) {
            self.goodbye = Goodbye::Wanted;
        }
        self.tell();
    }

    /// Says that it is over, if that is to be said and this is between two frames.
    fn tell(&mut self) {
        if self.goodbye == Goodbye::Wanted && self.frames.is_some_and(|frames| frames.between()) {
            self.kept.extend_from_slice(&GOING_AWAY);
            self.goodbye = Goodbye::Said;
        }
    }

    /// How many of the bytes that were read are passed on.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let Some(frames) = &mut self.frames else { return bytes.len() };
        match self.goodbye {
            Goodbye::No => {
                frames.pass(bytes);
                bytes.len()
            }
            Goodbye::Wanted => frames.pass_one(bytes),
            Goodbye::Said => 0,
        }
    }

    /// Whether this side has said that it closes, and the other side has it.
    fn has_said_goodbye(&self) -> bool {
        self.kept.is_empty() && self.frames.is_some_and(|frames| frames.closed())
    }

    /// Ready when the end has been passed on.
    fn poll<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        from: &mut R,
        to: &mut W,
        cx: &mut Context<'_>,
        moved: &mut bool,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_kept(to, cx, moved))?;
            match self.end {
                End::Passed => return Poll::Ready(Ok(())),
                End::Seen => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.end = End::Passed;
                    *moved = true;
                    continue;
                }
                End::Open => {}
            }
            let mut space = [MaybeUninit::uninit(); TUNNEL_BYTES];
            let mut buffer = ReadBuf::uninit(&mut space);
            if Pin::new(&mut *from).poll_read(cx, &mut buffer)?.is_pending() {
                if self.unflushed {
                    ready!(Pin::new(&mut *to).poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
            match buffer.filled() {
                [] => self.end = End::Seen,
                bytes => {
                    *moved = true;
                    let passed = self.pass(bytes);
                    let bytes = bytes.get(..passed).unwrap_or_default();
                    let taken = self.write(to, cx, bytes)?;
                    self.kept = bytes.get(taken..).unwrap_or_default().to_vec();
                    self.tell();
                }
            }
        }
    }

    /// Ready when nothing is kept any more.
    fn poll_kept<W: AsyncWrite + Unpin>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
        moved: &mut bool,
    ) -> Poll<io::Result<()>> {
        if self.kept.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let kept = std::mem::take(&mut self.kept);
        let rest = kept.get(self.sent..).unwrap_or_default();
        let taken = self.write(to, cx, rest)?;
        *moved |= taken > 0;
        if taken == rest.len() {
            self.sent = 0;
            return Poll::Ready(Ok(()));
        }
        self.sent += taken;
        self.kept = kept;
        Poll::Pending
    }

    /// Writes as much as is taken now; if that is not all, the task is woken when more can be.
    fn write<W: AsyncWrite + Unpin>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> io::Result<usize> {
        let mut taken = 0;
        while let Some(rest @ [_, ..]) = bytes.get(taken..) {
            match Pin::new(&mut *to).poll_write(cx, rest)? {
                Poll::Pending => break,
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => taken += count,
            }
            self.unflushed = true;
        }
        Ok(taken)
    }
}

/// Notices when nothing has moved for some time. The timer is moved only when it fires.
#[derive(Debug)]
struct Quiet {
    idle: Duration,
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Quiet {
    fn new(idle: Duration) -> Self {
        let last = Instant::now();
        Self { idle, last, timer: Box::pin(tokio::time::sleep_until((last + idle).into())) }
    }

    /// Ready, with an error, when it has been quiet for too long.
    fn poll(&mut self, cx: &mut Context<'_>, moved: bool) -> Poll<io::Result<()>> {
        if moved {
            self.last = Instant::now();
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let until = self.last + self.idle;
            if Instant::now() >= until {
                let idle = self.idle;
                let why = format!("nothing moved for {idle:?}");
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
            }
            self.timer.as_mut().reset(until.into());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const IDLE: Duration = Duration::from_secs(300);

    /// The far ends of a client and an origin with so much room on their ways, and the relay
    /// between them.
    fn between(
        room: usize,
        early: &'static [u8],
    ) -> (DuplexStream, DuplexStream, tokio::task::JoinHandle<io::Result<()>>) {
        let (client, near) = duplex(room);
        let (origin, far) = duplex(room);
        let relay =
            tokio::task::spawn_local(relay(near, far, Bytes::from_static(early), IDLE, None));
        (client, origin, relay)
    }

    #[tokio::test(flavor = "local")]
    async fn early_bytes_come_first_and_ends_pass_one_by_one() {
        let (mut client, mut origin, relay) = between(7, b"early, ");
        client.write_all(b"late").await.unwrap();
        client.shutdown().await.unwrap();
        let mut text = String::new();
        origin.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "early, late");
        // The other direction is open still.
        origin.write_all(b"longer than the room").await.unwrap();
        drop(origin);
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "longer than the room");
        relay.await.unwrap().unwrap();
    }

    #[tokio::test(flavor = "local")]
    async fn every_byte_arrives_whatever_the_room() {
        for room in [1, 100, TUNNEL_BYTES, TUNNEL_BYTES + 1] {
            let (client, origin, relay) = between(room, b"");
            let bytes: Vec<u8> = (0..100_000_u32).map(|i| ((i * 31) >> 3) as u8).collect();
            let (mut client_in, mut client_out) = tokio::io::split(client);
            let (mut origin_in, mut origin_out) = tokio::io::split(origin);
            let sent = bytes.clone();
            let sending = tokio::spawn(async move {
                client_out.write_all(&sent).await.unwrap();
                client_out.shutdown().await.unwrap();
            });
            let echoing = tokio::spawn(async move {
                tokio::io::copy(&mut origin_in, &mut origin_out).await.unwrap();
                origin_out.shutdown().await.unwrap();
            });
            let mut echoed = Vec::new();
            client_in.read_to_end(&mut echoed).await.unwrap();
            assert!(echoed == bytes, "room {room}");
            sending.await.unwrap();
            echoing.await.unwrap();
            relay.await.unwrap().unwrap();
        }
    }

    #[tokio::test(flavor = "local")]
    async fn it_ends_when_nothing_moves_either_way() {
        let idle = Duration::from_millis(50);
        let (mut client, near) = duplex(64);
        let (mut origin, far) = duplex(64);
        let started = Instant::now();
        let relay = tokio::task::spawn_local(relay(near, far, Bytes::new(), idle, None));
        client.write_all(b"x").await.unwrap();
        origin.read_u8().await.unwrap();
        let ended = relay.await.unwrap().unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() >= idle);
        assert_eq!(origin.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }

    /// A WebSocket between a client and an origin, and what tells it to end.
    async fn websocket(test: impl AsyncFn(DuplexStream, DuplexStream, Rc<UnderWay>)) {
        let (client, near) = duplex(4096);
        let (origin, far) = duplex(4096);
        let under_way = Rc::new(UnderWay::default());
        let relay = relay(near, far, Bytes::new(), IDLE, Some(&under_way));
        let (ended, ()) = tokio::join!(relay, test(client, origin, Rc::clone(&under_way)));
        ended.unwrap();
    }

    #[tokio::test(flavor = "local")]
    async fn a_websocket_is_told_between_frames_and_ends_when_its_client_agrees() {
        websocket(async |mut client, mut origin, under_way| {
            // Half a frame, and a whole one that comes too late.
            origin.write_all(b"\x82\x06abc").await.unwrap();
            let mut seen = [0; 5];
            client.read_exact(&mut seen).await.unwrap();
            under_way.say_farewell();
            tokio::task::yield_now().await;
            origin.write_all(b"def\x82\x01g").await.unwrap();
            let mut seen = [0; 7];
            client.read_exact(&mut seen).await.unwrap();
            assert_eq!(&seen, b"def\x88\x02\x03\xe9");
            client.write_all(b"\x88\x82\x00\x00\x00\x00\x03\xe9").await.unwrap();
            let mut answer = Vec::new();
            origin.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, b"\x88\x82\x00\x00\x00\x00\x03\xe9");
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        })
        .await;
    }

    #[tokio::test(flavor = "local")]
    async fn who_is_closing_already_is_told_nothing() {
        for by_client in [true, false] {
            websocket(async |mut client, mut origin, under_way| {
                let (from, to) = match by_client {
                    true => (&mut client, &mut origin),
                    false => (&mut origin, &mut client),
                };
                from.write_all(b"\x88\x00").await.unwrap();
                let mut close = [0; 2];
                to.read_exact(&mut close).await.unwrap();
                under_way.say_farewell();
                to.write_all(b"\x88\x00").await.unwrap();
                to.shutdown().await.unwrap();
                from.shutdown().await.unwrap();
                let mut rest = Vec::new();
                client.read_to_end(&mut rest).await.unwrap();
                assert_eq!(rest.len(), if by_client { 2 } else { 0 });
            })
            .await;
        }
    }
}
