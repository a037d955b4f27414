//! Requests that are refused because there is too much load: when, and with what words.
//!
//! Under pressure of memory, requests give way by their class before all new ones do. Which regions are
//! full for a class is the decision's business; connections are turned away by `server`.

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue};

use super::context::WorkerContext;
use crate::config::{Deployment, Priorities};
use crate::model::limits;
use crate::overload::Level;

/// A class that may fill a region to this percentage gives way to none.
const WHOLE: u8 = 100;

/// Whether every new request is refused now.
#[inline]
pub(super) fn refuses_all(worker: &WorkerContext) -> bool {
    worker.pressure().memory >= Level::Critical
}

/// Whether a request of this class gives way to others now.
#[inline]
pub(super) fn gives_way(worker: &WorkerContext, deployment: &Deployment, class: Option<&[u8]>) -> bool {
    let priorities = deployment.priorities.as_ref();
    priorities.is_some_and(|priorities| {
        worker.pressure().memory >= Level::High && is_low(priorities, class)
    })
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

/// Puts in when a client may come again, where that is configured.
pub(super) fn say_when(headers: &mut HeaderMap, seconds: u32) {
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
        assert_eq!(["batch", "bulk", "user", "other"].map(|c| low(100, c)), [true, true, false, false]);
        assert_eq!(["user", "other"].map(|class| low(80, class)), [false, true]);
        assert!(is_low(&priorities(80), None) && !is_low(&priorities(100), None));
    }
}
