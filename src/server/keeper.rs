//! Keeps one connection's time: lets it work, and ends it when its watch says that it waited for
//! too long. What is waited for is written into the watch by whoever waits.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::task::coop::has_budget_remaining;
use tokio::time::Sleep;

use crate::proxy::Watch;

/// The watch of a connection and the one timer that it has.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) watch: Rc<Watch>,
    pub(super) timer: Timer,
}

/// Why a wait came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// It took too long.
    Late,
    /// The process is about to end.
    Draining,
}

impl Keeper {
    pub(super) fn new(watch: Rc<Watch>) -> Self {
        Self { watch, timer: Timer::default() }
    }

    /// Waits for something outside of a request.
    pub(super) async fn wait<T>(
        &mut self,
        mut work: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Over> {
        let Self { watch, timer } = self;
        poll_fn(|cx| {
            watch.remember(cx.waker());
            loop {
                if let Poll::Ready(done) = work(cx) {
                    return Poll::Ready(Ok(done));
                }
                if watch.must_leave() {
                    return Poll::Ready(Err(Over::Draining));
                }
                let deadlines = watch.next_deadline().into_iter().chain(watch.may_wait_until());
                let Some(deadline) = deadlines.min() else { return Poll::Pending };
                match timer.poll(cx, deadline) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(now) if watch.fired(now) => return Poll::Ready(Err(Over::Late)),
                    Poll::Ready(_) => {}
                }
            }
        })
        .await
    }
}

/// A timer that is moved as seldom as possible.
#[derive(Debug, Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    registered: bool,
}

impl Timer {
    /// Ready with the time when `deadline` has passed. A timer that is set too early is left
    /// alone until it fires; only one that is set too late is moved.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<Instant> {
        let sleep =
            self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        if deadline < sleep.deadline().into_std() {
            sleep.as_mut().reset(deadline.into());
            self.registered = false;
        }
        if self.registered && !sleep.is_elapsed() {
            // It knows whom to wake already: a task keeps its waker.
            return Poll::Pending;
        }
        loop {
            // A task that has done enough for now is put off, and nobody is told whom to wake.
            self.registered = has_budget_remaining();
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = tokio::time::Instant::now().into_std();
            if now >= deadline {
                return Poll::Ready(now);
            }
            sleep.as_mut().reset(deadline.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use tokio::task::coop::consume_budget;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_was_put_off_fires_all_the_same() {
        let deadline = Instant::now() + Duration::from_secs(1);
        for had_one in [false, true] {
            let mut timer = Timer::default();
            if had_one {
                let before = deadline - Duration::from_millis(500);
                poll_fn(|cx| timer.poll(cx, before)).await;
            }
            let mut tired = false;
            let fires = poll_fn(|cx| {
                while !tired && has_budget_remaining() {
                    let _ = pin!(consume_budget()).poll(cx);
                }
                tired = true;
                timer.poll(cx, deadline)
            });
            timeout(Duration::from_secs(60), fires).await.unwrap();
        }
    }
}
