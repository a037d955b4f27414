//! HTTP/2 with one client: hyper and h2 do the protocol, the driver here its time and its limits.

mod answer;
mod credit;
mod flood;
mod frames;
mod heads;
mod line;
mod pace;
mod streams;
mod windows;
mod wire;

use std::cell::RefCell;
use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use self::answer::Answering;
use self::flood::Account;
use self::streams::{Executor, Streams};
use self::windows::Windows;
use self::wire::Wire;
use super::door::Terms;
use super::goodbye::{abandon, cut, part};
use super::intake::Place;
use super::keeper::{Keeper, Timer};
use super::protocol::PREFACE;
use super::transport::{Socket, Transport};
use crate::config::ClientLimits;
use crate::model::{Flood, limits};
use crate::proxy::{self, Connection, Phase, Watch};

/// Why hyper's part came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// All has been said, by hyper.
    Said,
    /// The client does too much of this, and has been told by h2.
    Told(Flood),
    /// The same, and nobody has told it yet.
    Flood(Flood),
    /// The client takes nothing, or too little.
    Stalled,
    /// It sent nothing, or does not go.
    Silent,
    /// Its socket is broken.
    Broken,
}

/// Serves one client until either side ends it. Boxed: it is much, and most connections speak
/// HTTP/1.1.
pub(super) async fn converse<S: Socket>(
    transport: Transport<S>,
    connection: &Rc<Connection>,
    keeper: &mut Keeper,
    terms: &Terms,
    place: Place,
) {
    let windows = Rc::new(RefCell::new(Windows::new()));
    let wire = {
        let account = Account::new(PREFACE.len(), keeper.watch.look(), Rc::clone(&windows));
        Wire::new(transport, Rc::clone(&keeper.watch), account)
    };
    let end =
        Box::pin(serve(wire.clone(), windows, connection, keeper, &terms.limits, place)).await;
    let series = &connection.worker.series;
    match end {
        End::Told(kind) | End::Flood(kind) => series.flooded(kind),
        End::Stalled => series.flooded(Flood::Stalled),
        End::Said | End::Silent | End::Broken => {}
    }
    let gone = wire.ended();
    let calm = matches!(end, End::Flood(_));
    let Some((transport, rest)) = wire.into_parts(calm) else { return };
    match end {
        End::Stalled => abandon(transport),
        End::Broken => {}
        _ if gone => {}
        End::Told(_) | End::Flood(_) => cut(transport, &rest).await,
        End::Said | End::Silent => part(transport, &rest).await,
    }
}

/// What h2 is given to go by.
fn builder(streams: &Rc<Streams>, terms: &ClientLimits) -> http2::Builder<Executor> {
    let mut builder = http2::Builder::new(Executor(Rc::clone(streams)));
    builder
        .max_concurrent_streams(terms.streams_per_connection)
        .max_header_list_size(u32::try_from(terms.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .max_frame_size(limits::FRAME_BYTES)
        .header_table_size(limits::HEADER_TABLE_BYTES)
        .max_send_buf_size(limits::STREAM_SEND_BYTES)
        .max_pending_accept_reset_streams(limits::RESET_STREAMS_PENDING)
        .max_local_error_reset_streams(limits::RESET_STREAMS_LOCAL)
        .enable_connect_protocol();
    builder
}

async fn serve<S: Socket>(
    wire: Wire<S>,
    windows: Rc<RefCell<Windows>>,
    connection: &Rc<Connection>,
    keeper: &mut Keeper,
    terms: &ClientLimits,
    place: Place,
) -> End {
    let watch = Rc::clone(&keeper.watch);
    let streams = Rc::new(Streams::new(Rc::clone(connection), terms.streams_per_connection));
    let service = service_fn(|request| {
        wire.accepted();
        let stream = streams.begin();
        let watch = Rc::clone(&stream.watch);
        // Boxed, because hyper and the executor hand it on a few times before it begins.
        let answer = Box::write(Box::new_uninit(), proxy::handle(stream, request));
        Answering::new(Box::into_pin(answer), &streams, watch, Rc::clone(&windows))
    });
    let io = TokioIo::new(wire.clone());
    let mut conn = pin!(builder(&streams, terms).serve_connection(io, service));
    let (wire, streams, windows) = (&wire, &streams, &*windows);
    let mut driver = Driver { watch, wire, streams, windows, leaving: false, head: None };
    let end = poll_fn(|cx| {
        driver.watch.remember(cx.waker());
        ready!(place.poll_turn(cx));
        let worked = loop {
            if driver.must_leave() {
                conn.as_mut().graceful_shutdown();
            }
            if let Poll::Ready(result) = conn.as_mut().poll(cx) {
                break Poll::Ready(result.err().map_or(End::Said, |error| end_of(&error, wire)));
            }
            match driver.poll_rest(cx, &mut keeper.timer) {
                Poll::Ready(Some(end)) => break Poll::Ready(end),
                Poll::Ready(None) => {}
                Poll::Pending => break Poll::Pending,
            }
        };
        let mut portion = streams.let_begin(wire.pace());
        if wire.end_turn() {
            // There was as much else to do as a portion may be, and nobody else calls for the rest.
            portion = limits::STREAMS_PER_PORTION;
            cx.waker().wake_by_ref();
        }
        place.done(portion);
        worked
    })
    .await;
    streams.end();
    end
}

/// What is done beside hyper.
struct Driver<'a, S> {
    watch: Rc<Watch>,
    wire: &'a Wire<S>,
    streams: &'a Rc<Streams>,
    windows: &'a RefCell<Windows>,
    /// The client has been told to open no more streams.
    leaving: bool,
    /// The newest stream, and until when the head that the client has begun has to be complete.
    head: Option<(u32, Instant)>,
}

impl<S: Socket> Driver<'_, S> {
    /// Whether it is time to tell the client to open no more streams; says so once.
    fn must_leave(&mut self) -> bool {
        let leaves = !self.leaving && self.watch.draining();
        self.leaving |= leaves;
        leaves
    }

    /// After hyper has worked: `Ready(None)` when it has to be asked again.
    fn poll_rest(&mut self, cx: &mut Context<'_>, timer: &mut Timer) -> Poll<Option<End>> {
        if let Some(flood) = self.wire.flood() {
            return Poll::Ready(Some(End::Flood(flood)));
        }
        match self.wire.poll_leave(cx) {
            Poll::Ready(Ok(true)) => return Poll::Ready(None),
            Poll::Ready(Ok(false)) | Poll::Pending => {}
            Poll::Ready(Err(_)) => return Poll::Ready(Some(End::Broken)),
        }
        self.note_idle();
        self.note_head();
        self.watch.set_exempt(self.streams.any_exempt());
        let head_by = self.head.map(|(_, by)| by);
        let others = self.streams.soonest().into_iter().chain(head_by);
        let Some(deadline) = others.chain(self.watch.next_deadline()).min() else {
            return Poll::Pending;
        };
        match timer.poll(cx, deadline) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(now) => Poll::Ready(self.passed(now)),
        }
    }

    /// A connection without a stream has a deadline, from the end of its preface on.
    fn note_idle(&self) {
        if self.streams.is_empty() {
            self.wire.rest();
            self.windows.borrow_mut().rest();
            if self.watch.phase() == Phase::Fresh && self.wire.begun() {
                self.watch.idle_until(self.watch.look() + limits::KEEP_ALIVE_IDLE_TIMEOUT);
            }
        }
    }

    /// A head that has begun has a deadline: no stream has one before there is a request.
    fn note_head(&mut self) {
        self.head = self.wire.mid_head().map(|stream| match self.head {
            Some((same, by)) if same == stream => (stream, by),
            _ => (stream, self.watch.look() + limits::REQUEST_HEAD_TIMEOUT),
        });
    }

    /// A deadline has passed.
    fn passed(&mut self, now: Instant) -> Option<End> {
        if self.head.is_some_and(|(_, by)| by <= now) {
            return Some(End::Silent);
        }
        self.streams.look(now);
        if !self.watch.fired(now) {
            return None;
        }
        if self.watch.stuck(now) {
            return Some(End::Stalled);
        }
        match self.watch.phase() {
            Phase::Fresh => Some(End::Silent),
            // The end of what was answered is on its way still.
            Phase::Idle if self.watch.is_write_blocked() => {
                self.watch.idle_until(now + limits::GOAWAY_TIMEOUT);
                None
            }
            // It was idle; it gets a while to finish what it may be about to send.
            Phase::Idle if !self.leaving => {
                self.watch.idle_until(now + limits::GOAWAY_TIMEOUT);
                self.watch.drain();
                None
            }
            Phase::Idle => Some(End::Silent),
            _ => Some(End::Stalled),
        }
    }
}

/// What h2 tells clients that it cuts, and what it cuts them for. Its error does not say.
const CUTS: [(&[u8], Flood); 4] = [
    (b"too_many_internal_resets", Flood::LocalReset),
    (b"too_many_resets", Flood::RapidReset),
    (b"too_many_continuations", Flood::Continuation),
    (b"too_many_data_frames", Flood::EmptyData),
];

/// What an error of hyper means.
fn end_of<S: Socket>(error: &hyper::Error, wire: &Wire<S>) -> End {
    tracing::trace!(%error, "client connection ended");
    let Some(error) = error.source().and_then(|error| error.downcast_ref::<h2::Error>()) else {
        return End::Said;
    };
    if error.is_io() {
        return End::Broken;
    }
    if !error.is_library() || error.reason() != Some(h2::Reason::ENHANCE_YOUR_CALM) {
        return End::Said;
    }
    let cut = CUTS.into_iter().find(|(words, _)| wire.is_about_to_say(words));
    End::Told(cut.map_or(Flood::HeaderList, |(_, flood)| flood))
}
