//! A request body that may have to be sent a second time: what has come of it is kept as far as it
//! fits, and the rest still comes from the client.
//!
//! One reader at a time: a second one starts from the beginning, and from then on the first gets
//! nothing more. So a body that is longer than what is kept can be sent again as long as nothing of
//! it has been let go.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::body::{BoxError, BrokenOff, RequestBody, StreamedBody};
use crate::model::limits::REPLAY_BYTES;

/// What makes a body that can be sent again.
#[derive(Clone, Debug)]
pub(super) struct KeptUpload(Rc<RefCell<Upload>>);

/// One sending of it.
#[derive(Debug)]
pub struct KeptBody {
    upload: Rc<RefCell<Upload>>,
    sending: u32,
    /// What of `data` has been sent.
    sent: usize,
    trailers_sent: bool,
}

#[derive(Debug)]
struct Upload {
    source: Box<StreamedBody>,
    /// What has come, copied: frames may be many, and each may hold on to more than its own bytes.
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// Whether something was let go that had come.
    incomplete: bool,
    ended: bool,
    /// The sending that may read.
    sending: u32,
}

impl KeptUpload {
    /// Of a body that has not been read yet.
    pub(super) fn new(source: Box<StreamedBody>) -> Self {
        Self(Rc::new(RefCell::new(Upload {
            source,
            data: Vec::new(),
            trailers: None,
            incomplete: false,
            ended: false,
            sending: 0,
        })))
    }

    /// The body, from the beginning; `None` if the beginning is gone. Whatever read before ends.
    pub(super) fn send(&self, now: Instant) -> Option<RequestBody> {
        let mut upload = self.0.borrow_mut();
        if upload.incomplete {
            return None;
        }
        upload.sending = upload.sending.wrapping_add(1);
        upload.source.progress().restart(now);
        Some(RequestBody::Kept(KeptBody {
            upload: Rc::clone(&self.0),
            sending: upload.sending,
            sent: 0,
            trailers_sent: false,
        }))
    }
}

impl KeptBody {
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let upload = &mut *self.upload.borrow_mut();
        if upload.sending != self.sending {
            return Poll::Ready(Some(Err(BrokenOff::boxed("the request is being sent elsewhere"))));
        }
        let frame = if let Some(rest @ [_, ..]) = upload.data.get(self.sent..) {
            Some(Frame::data(Bytes::copy_from_slice(rest)))
        } else if upload.ended {
            let trailers = upload.trailers.clone().filter(|_| !self.trailers_sent);
            trailers.map(Frame::trailers)
        } else {
            match ready!(upload.source.poll_frame(cx)).transpose() {
                Ok(frame) => frame.inspect(|frame| upload.keep(frame)),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        };
        self.sent = upload.data.len();
        upload.ended |= frame.as_ref().is_none_or(Frame::is_trailers);
        self.trailers_sent |= frame.as_ref().is_some_and(Frame::is_trailers);
        if self.is_at_end(upload) {
            upload.source.progress().finish();
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_at_end(&self, upload: &Upload) -> bool {
        let all = upload.ended || upload.source.is_end_stream();
        all && self.sent >= upload.data.len() && (self.trailers_sent || upload.trailers.is_none())
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.is_at_end(&self.upload.borrow())
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let upload = self.upload.borrow();
        match upload.data.is_empty() {
            true => upload.source.size_hint(),
            false => SizeHint::default(),
        }
    }
}

impl Upload {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            if self.incomplete || data.len() > REPLAY_BYTES.saturating_sub(self.data.len()) {
                self.incomplete = true;
                self.data = Vec::new();
            } else {
                self.data.extend_from_slice(data);
            }
        }
        // hyper bounds them as it bounds a head.
        self.trailers = frame.trailers_ref().cloned();
    }
}
