//! A request body on its way to an HTTP/2 origin, which can be stopped from outside.
//!
//! HTTP/1.1 needs none of this: there the connection ends with the request that is given up. A
//! stream whose response is over would go on sending for as long as its client does.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http_body::{Body, Frame, SizeHint};

/// A body and the way to stop it.
#[derive(Debug)]
pub(super) struct Carried<B> {
    body: B,
    /// `None`: it is at its end already.
    brake: Option<Rc<Brake>>,
}

/// Stops a body.
#[derive(Debug, Default)]
pub(super) struct Brake {
    pulled: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Brake {
    /// Nothing more of the body is sent; its stream is reset with `CANCEL`.
    pub(super) fn pull(&self) {
        self.pulled.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl<B: Body> Carried<B> {
    pub(super) fn new(body: B) -> Self {
        let brake = (!body.is_end_stream()).then(Rc::default);
        Self { body, brake }
    }

    pub(super) fn brake(&self) -> Option<Rc<Brake>> {
        self.brake.clone()
    }

    pub(super) fn into_body(self) -> B {
        self.body
    }
}

impl<B> Body for Carried<B>
where
    B: Body + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = B::Data;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let this = self.get_mut();
        if let Some(brake) = &this.brake {
            if brake.pulled.get() {
                // hyper resets the stream with the reason it finds in the error.
                return Poll::Ready(Some(Err(h2::Error::from(h2::Reason::CANCEL).into())));
            }
            let mut waker = brake.waker.borrow_mut();
            if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
        }
        Pin::new(&mut this.body).poll_frame(cx).map(|frame| frame.map(|f| f.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
