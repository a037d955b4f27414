//! A body on its way through an encoder: in bounded steps, and never holding back what a client
//! waits for.
//!
//! Frames of the origin go in; frames of at most [`limits::COMPRESSED_FRAME_BYTES`] come out. When
//! the origin pauses, all that it has sent is flushed. Its error ends the body in an error, before
//! the end that a decoder looks for: what was cut never looks whole. After
//! [`limits::COMPRESSION_STEP_BYTES`] the task gives way to others of its worker.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Frame;

use super::codec::{CodecError, Order};
use super::fields::forget_bytes;
use super::stock::{Loan, Tools};
use crate::model::{Coding, limits};

/// What a frame costs, in bytes of a step, however small it is.
const FRAME_COST: usize = 256;
/// Room that an encoder needs to say that it has flushed.
const MARK_BYTES: usize = 64;

/// A body that is being compressed.
pub struct Stream {
    coding: Coding,
    /// Gone with the end of the body, while a client may still be taking what came of it.
    work: Option<Box<Work>>,
    trailers: Option<HeaderMap>,
    over: bool,
}

/// What it takes to compress.
struct Work {
    encoder: Loan,
    stage: Stage,
    /// What the origin sent and the encoder has not taken.
    input: Bytes,
    /// Bytes of what came of it.
    filled: usize,
    /// What was done since others had their turn, in bytes.
    step: usize,
    /// Something was taken since the last flush.
    unflushed: bool,
    /// The origin had nothing, and others had their turn since.
    waited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There may be more.
    Open,
    /// The origin pauses.
    Flushing,
    /// The origin has ended.
    Finishing,
}

/// What an encoder has come to.
enum Progress {
    /// A frame for the client, maybe the last one.
    Frame { bytes: Bytes, last: bool },
    /// It has taken all there was.
    Hungry,
    /// It has done enough for now.
    Enough,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = self.work.as_ref().map(|work| work.stage);
        f.debug_struct("Stream")
            .field("coding", &self.coding)
            .field("stage", &stage)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// A body that begins.
    pub fn new(encoder: Loan) -> Self {
        let coding = encoder.coding();
        let work = Work {
            encoder,
            stage: Stage::Open,
            input: Bytes::new(),
            filled: 0,
            step: 0,
            unflushed: false,
            waited: false,
        };
        Self { coding, work: Some(Box::new(work)), trailers: None, over: false }
    }

    /// What it is compressed with.
    pub fn coding(&self) -> Coding {
        self.coding
    }

    /// Whether nothing more comes.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The next frame for the client. `source` polls the origin's body, and is not asked again
    /// after its end.
    ///
    /// # Errors
    ///
    /// The origin's, and the encoder's. Nothing comes behind one.
    pub fn poll_frame<E: From<CodecError>>(
        &mut self,
        cx: &mut Context<'_>,
        mut source: impl FnMut(&mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, E>>>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        loop {
            let Some(work) = &mut self.work else {
                self.over = true;
                return Poll::Ready(self.trailers.take().map(|fields| Ok(Frame::trailers(fields))));
            };
            match work.advance() {
                Ok(Progress::Hungry) => {}
                Ok(Progress::Enough) => {
                    give_way(cx);
                    return Poll::Pending;
                }
                Ok(Progress::Frame { bytes, last }) => {
                    if last {
                        self.work = None;
                        self.over = self.trailers.is_none();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Err(error) => return self.fail(error.into()),
            }
            match source(cx) {
                Poll::Pending if work.wait(cx) => return Poll::Pending,
                Poll::Pending => {}
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => work.feed(bytes),
                    Err(frame) => {
                        work.stage = Stage::Finishing;
                        self.trailers = frame.into_trailers().ok().map(|mut fields| {
                            forget_bytes(&mut fields);
                            fields
                        });
                    }
                },
                Poll::Ready(Some(Err(error))) => return self.fail(error),
                Poll::Ready(None) => work.stage = Stage::Finishing,
            }
        }
    }

    fn fail<E>(&mut self, error: E) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        (self.work, self.trailers, self.over) = (None, None, true);
        Poll::Ready(Some(Err(error)))
    }
}

impl Work {
    fn feed(&mut self, bytes: Bytes) {
        self.input = bytes;
        self.step += FRAME_COST;
        self.waited = false;
    }

    /// The origin has nothing for now. Whether to wait for it; if not, it pauses, and what it has
    /// sent is to be flushed. What has just arrived is often on its way here from another task, so
    /// others have their turn before that.
    fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        self.step = 0;
        if !self.unflushed {
            return true;
        }
        if std::mem::replace(&mut self.waited, true) {
            self.stage = Stage::Flushing;
            return false;
        }
        give_way(cx);
        true
    }

    /// Works until there is something to say.
    fn advance(&mut self) -> Result<Progress, CodecError> {
        loop {
            let order = match self.stage {
                Stage::Open if self.step >= limits::COMPRESSION_STEP_BYTES => {
                    self.step = 0;
                    return Ok(Progress::Enough);
                }
                Stage::Open if self.input.is_empty() => return Ok(Progress::Hungry),
                Stage::Open => Order::Take,
                Stage::Flushing => Order::Flush,
                Stage::Finishing => Order::Finish,
            };
            if limits::COMPRESSED_FRAME_BYTES - self.filled < MARK_BYTES {
                return self.frame(false);
            }
            if let Some(progress) = self.work(order)? {
                return Ok(progress);
            }
        }
    }

    /// One call of the encoder.
    fn work(&mut self, order: Order) -> Result<Option<Progress>, CodecError> {
        let most = self.input.len().min(limits::COMPRESSION_STEP_BYTES.saturating_sub(self.step));
        let input = self.input.get(..most).unwrap_or_default();
        let Tools { codec, output } = self.encoder.tools()?;
        let output = output.get_mut(self.filled..).unwrap_or_default();
        let step = codec.step(order, input, output)?;
        self.filled += step.given;
        self.input.advance(step.taken);
        self.step += step.taken;
        match order {
            Order::Take => self.unflushed = true,
            Order::Finish if step.done => return self.frame(true).map(Some),
            Order::Flush if step.done => {
                self.stage = Stage::Open;
                (self.unflushed, self.waited) = (false, false);
                return (self.filled > 0).then(|| self.frame(false)).transpose();
            }
            Order::Flush | Order::Finish => {}
        }
        if step.taken + step.given == 0 {
            return Err(CodecError::new(self.encoder.coding(), "the encoder does nothing"));
        }
        Ok(None)
    }

    /// What has gathered, to the byte: the buffer stays here.
    fn frame(&mut self, last: bool) -> Result<Progress, CodecError> {
        let filled = std::mem::take(&mut self.filled);
        let output = &self.encoder.tools()?.output;
        let bytes = Bytes::copy_from_slice(output.get(..filled).unwrap_or_default());
        Ok(Progress::Frame { bytes, last })
    }
}

/// Wakes the task when others have had their turn, and the sockets have been looked at: a task that
/// wakes itself would run dozens of times before that.
fn give_way(cx: &mut Context<'_>) {
    // Asked once, it has noted whom to wake, and is of no more use.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}
