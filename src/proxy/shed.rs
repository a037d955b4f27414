//! Requests that are refused because there is too much load: when, and with what words.
//!
//! Under pressure of memory, requests give way by their class before all new ones do. Which regions are
//! full for a class is the decision's business; connections are turned away by `server`.

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Response};

use super::answer::ResponseBody;
use super::context::WorkerContext;
use super::error::ErrorReason;
use super::headers::RequestId;
use super::identify::Identity;
use super::respond;
use super::ticket::Ticket;
use crate::config::{Deployment, Priorities};
use crate::model::{Shed, limits};
use crate::overload::Level;

/// A class that may fill a region to this percentage gives way to none.
const WHOLE: u8 = 100;

/// Whether every new request is refused now.
#[inline]
pub(super) fn refuses_all(worker: &WorkerContext) -> bool {
    worker.pressure().memory >= Level::Critical
}

/// Whether a request gives way to others now, by its class.
#[inline]
pub(super) fn gives_way(worker: &WorkerContext, deployment: &Deployment, who: &Identity) -> bool {
    let Some(priorities) = &deployment.priorities else { return false };
    worker.pressure().memory >= Level::High && is_low(priorities, who.class())
}

fn is_low(priorities: &Priorities, class: Option<&[u8]>) -> bool {
    let percent = class.and_then(|class| priorities.percent(class));
    percent.unwrap_or(priorities.default_percent) < WHOLE
}

/// Whether bodies are kept now, so that they can be sent a second time.
#[inline]
pub(super) fn keeps_bodies(worker: &WorkerContext) -> bool {
    worker.pressure().memory < Level::High
}

/// Counts and refuses a request; `close` ends an HTTP/1.1 connection after it.
pub(super) fn refuse(
    ticket: Ticket,
    why: Shed,
    id: Option<&RequestId>,
    close: bool,
) -> Response<ResponseBody> {
    ticket.connection().worker.series.shed(why);
    respond::refuse(ticket, ErrorReason::Overloaded, id, close)
}

/// Puts in when a client may come again, where that is configured.
pub(super) fn say_when(headers: &mut HeaderMap, worker: &WorkerContext) {
    let seconds = worker.view().snapshot.config.overload.retry_after;
    if seconds != limits::RETRY_AFTER_SECONDS {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn classes_that_may_not_fill_a_region_give_way() {
        let priorities = |default_percent| Priorities {
            header: HeaderName::from_static("x-priority"),
            from_anyone: true,
            classes: vec![("batch".into(), 50), ("bulk".into(), 99), ("user".into(), 100)],
            default_percent,
        };
        let low = |default, class: &str| is_low(&priorities(default), Some(class.as_bytes()));
        assert_eq!(
            ["batch", "bulk", "user", "other"].map(|c| low(100, c)),
            [true, true, false, false]
        );
        assert_eq!(["user", "other"].map(|class| low(80, class)), [false, true]);
        assert!(is_low(&priorities(80), None) && !is_low(&priorities(100), None));
    }
}
