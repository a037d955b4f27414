//! A future that is made when it is first asked for, in the place of what it is made from.
//!
//! An `async` block has room for what it is given and for all that it becomes, side by side: for a
//! request's head twice, on every connection and every stream.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    /// See the module.
    #[project = LaterProjected]
    pub(super) enum Later<M, F> {
        /// Nobody has asked. `None` only while it is being made.
        Unasked { make: Option<M> },
        Begun { #[pin] future: F },
    }
}

impl<M: FnOnce() -> F, F: Future> Later<M, F> {
    pub(super) fn new(make: M) -> Self {
        Self::Unasked { make: Some(make) }
    }
}

impl<M: FnOnce() -> F, F: Future> Future for Later<M, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        loop {
            match self.as_mut().project() {
                LaterProjected::Begun { future } => return future.poll(cx),
                LaterProjected::Unasked { make } => {
                    // A panic in there leaves nothing to go on with.
                    let Some(make) = make.take() else { return Poll::Pending };
                    let future = make();
                    self.set(Self::Begun { future });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::task::Waker;

    use super::*;

    #[test]
    fn it_is_made_when_asked_and_once() {
        let made = Cell::new(0);
        let asked = Cell::new(0);
        let later = Later::new(|| {
            made.set(made.get() + 1);
            std::future::poll_fn(|_| {
                asked.set(asked.get() + 1);
                if asked.get() < 3 { Poll::Pending } else { Poll::Ready("done") }
            })
        });
        let mut later = pin!(later);
        assert_eq!((made.get(), asked.get()), (0, 0));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(later.as_mut().poll(&mut cx), Poll::Pending);
        assert_eq!(later.as_mut().poll(&mut cx), Poll::Pending);
        assert_eq!(later.as_mut().poll(&mut cx), Poll::Ready("done"));
        assert_eq!((made.get(), asked.get()), (1, 3));
    }

    #[test]
    fn it_has_room_for_what_it_is_made_from_or_for_what_it_becomes() {
        let given = [0_u8; 256];
        let later = Later::new(move || {
            let first = given[0];
            async move { first }
        });
        assert!(size_of_val(&later) <= 256 + 16);
    }
}
