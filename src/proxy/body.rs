//! Request bodies on their way through: never collected, one frame at a time, each side at the pace
//! of the other. Responses are `answer`.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::error::ErrorReason;
use super::expect::Gate;
use super::kept::{KeptBody, KeptUpload};
use super::trailers::clean_request;
use super::view::View;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request body on its way to an origin.
#[derive(Debug, Default)]
pub enum RequestBody {
    /// There is none.
    #[default]
    Empty,
    /// It comes from the client. Boxed, because requests are moved often and most have none.
    Stream(Box<StreamedBody>),
    /// The same, kept as far as it fits, because it may have to be sent again.
    Kept(KeptBody),
}

/// A request body that is still arriving.
#[derive(Debug)]
pub struct StreamedBody {
    incoming: Incoming,
    /// A frame that was read before the origin was chosen.
    first: Option<Frame<Bytes>>,
    gate: Option<Gate>,
    progress: Rc<Progress>,
    /// Whose configuration says what trailers may say.
    view: Rc<View>,
    /// Whether it comes over HTTP/2.
    http2: bool,
    /// Bytes that may still come; `None`: any number.
    room: Option<u64>,
}

/// A request body that came to no good end. Over HTTP/2 the origin sees a reset for that reason.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(super) struct BrokenOff {
    what: &'static str,
    source: h2::Error,
}

impl BrokenOff {
    pub(super) fn boxed(what: &'static str) -> BoxError {
        Self { what, source: h2::Reason::CANCEL.into() }.into()
    }
}

/// How far a request body has come; the task that sends it writes, the request's own task reads.
#[derive(Debug)]
pub(super) struct Progress {
    last: Cell<Instant>,
    finished: Cell<bool>,
    failure: Cell<Option<ErrorReason>>,
    starved: Cell<Option<Instant>>,
    waited: Cell<Duration>,
    bytes: Cell<u64>,
}

impl Progress {
    fn new(now: Instant) -> Self {
        Self {
            last: Cell::new(now),
            finished: Cell::default(),
            failure: Cell::default(),
            starved: Cell::default(),
            waited: Cell::default(),
            bytes: Cell::default(),
        }
    }

    /// When the last frame moved, or the body ended.
    pub(super) fn last(&self) -> Instant {
        self.last.get()
    }

    /// Whether it was sent to its end.
    pub(super) fn finished(&self) -> bool {
        self.finished.get()
    }

    /// Why it came to no good end: the client broke it off, framed it wrongly or sent too much.
    pub(super) fn failure(&self) -> Option<ErrorReason> {
        self.failure.get()
    }

    /// Since when it waits for the client, rather than for the origin to take more.
    pub(super) fn starved(&self) -> Option<Instant> {
        self.starved.get()
    }

    /// How long it has waited for the client before that.
    pub(super) fn waited(&self) -> Duration {
        self.waited.get()
    }

    /// Bytes that have come.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// The client has nothing more for now.
    fn starves(&self) {
        if self.starved.get().is_none() {
            self.starved.set(Some(Instant::now()));
        }
    }

    /// Something came from the client.
    fn feeds(&self, now: Instant) {
        if let Some(since) = self.starved.take() {
            self.waited.set(self.waited.get() + now.saturating_duration_since(since));
        }
        self.last.set(now);
    }

    /// It is sent from its beginning again.
    pub(super) fn restart(&self, now: Instant) {
        self.last.set(now);
        self.finished.set(false);
        self.starved.set(None);
    }

    /// It has been sent to its end.
    pub(super) fn finish(&self) {
        self.finished.set(true);
    }
}

impl RequestBody {
    /// The body of a request of that version.
    pub(super) fn stream(
        incoming: Incoming,
        version: Version,
        view: &Rc<View>,
        now: Instant,
    ) -> Box<StreamedBody> {
        let view = Rc::clone(view);
        let progress = Rc::new(Progress::new(now));
        let http2 = version == Version::HTTP_2;
        Box::new(StreamedBody {
            incoming,
            first: None,
            gate: None,
            progress,
            view,
            http2,
            room: None,
        })
    }

    /// The same body, which can be sent again as far as what has come of it fits.
    pub(super) fn keep(self, now: Instant) -> (Self, Option<KeptUpload>) {
        let Self::Stream(source) = self else { return (self, None) };
        let kept = KeptUpload::new(source);
        // Nothing has been let go yet, so there is always a first sending.
        let first = kept.send(now).unwrap_or(Self::Empty);
        (first, Some(kept))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Stream(body) => body.poll_frame(cx),
            Self::Kept(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(body) => body.is_end_stream(),
            Self::Kept(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(body) => body.size_hint(),
            Self::Kept(body) => body.size_hint(),
        }
    }
}

impl StreamedBody {
    pub(super) fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.incoming.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self.first {
            Some(_) => SizeHint::default(),
            None => self.incoming.size_hint(),
        }
    }

    pub(super) fn progress(&self) -> &Rc<Progress> {
        &self.progress
    }

    /// Whether it comes over HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.http2
    }

    /// Holds it back until the origin asks for it.
    pub(super) fn wait_for(&mut self, gate: Gate) {
        self.gate = Some(gate);
    }

    /// Lets no more than so many bytes come.
    pub(super) fn limit(&mut self, most: Option<u64>) {
        self.room = most;
    }

    /// The first frame, ahead of everything else, and kept. Ready with false if there is none.
    pub(super) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ErrorReason>> {
        match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            None if self.is_cut() => Poll::Ready(Err(ErrorReason::Malformed)),
            None => Poll::Ready(Ok(false)),
            Some(Ok(frame)) => {
                self.first = Some(frame);
                Poll::Ready(Ok(true))
            }
            Some(Err(_)) => Poll::Ready(Err(ErrorReason::Malformed)),
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(self.pass(first)));
        }
        if let Some(gate) = &self.gate {
            ready!(gate.poll_open(cx));
        }
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        let Poll::Ready(frame) = polled else {
            self.progress.starves();
            return Poll::Pending;
        };
        self.progress.feeds(Instant::now());
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(self.pass(frame)),
            Some(Err(error)) => {
                tracing::debug!(%error, "the client broke off its body");
                Some(Err(self.fail(ErrorReason::Malformed)))
            }
            None if self.is_cut() => Some(Err(self.fail(ErrorReason::Malformed))),
            None => {
                self.progress.finished.set(true);
                None
            }
        })
    }

    fn pass(&mut self, mut frame: Frame<Bytes>) -> Result<Frame<Bytes>, BoxError> {
        let come = frame.data_ref().map_or(0, Bytes::len);
        self.progress.bytes.set(self.progress.bytes.get().saturating_add(come as u64));
        if let (Some(room), Some(data)) = (&mut self.room, frame.data_ref()) {
            match room.checked_sub(data.len() as u64) {
                Some(left) => *room = left,
                None => return Err(self.fail(ErrorReason::BodyTooLarge)),
            }
        }
        if let Some(trailers) = frame.trailers_mut() {
            clean_request(trailers, &self.view.snapshot.config);
        }
        // Nothing comes behind trailers, and nobody asks once more.
        self.progress.finished.set(frame.is_trailers() || self.incoming.is_end_stream());
        Ok(frame)
    }

    fn fail(&self, reason: ErrorReason) -> BoxError {
        self.progress.failure.set(Some(reason));
        BrokenOff::boxed(reason.title())
    }

    /// Whether a body that gives nothing more is not whole: hyper takes a stream that was reset
    /// without an error for one that has ended.
    fn is_cut(&self) -> bool {
        self.http2 && !self.incoming.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_the_client_adds_up_over_all_its_silences() {
        let start = Instant::now();
        let progress = Progress::new(start);
        for silences in 1..=3 {
            progress.starves();
            let since = progress.starved().unwrap();
            // Asked again while it waits, it waits since then.
            progress.starves();
            assert_eq!(progress.starved(), Some(since));
            progress.feeds(since + Duration::from_secs(5));
            assert_eq!(progress.starved(), None);
            assert_eq!(progress.waited(), Duration::from_secs(5) * silences);
        }
        // What the origin takes its time for is not the client's.
        progress.feeds(start + Duration::from_secs(600));
        assert_eq!(progress.waited(), Duration::from_secs(15));
    }
}
