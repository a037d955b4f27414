//! What a worker has under way, for the moment when the process is about to end: how much there is
//! to finish, and how tunnels are told that this is it.

use std::cell::Cell;

use tokio::sync::Notify;

/// What a request is, as far as its end is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A request over HTTP/1.1.
    Request,
    /// A request over a stream of HTTP/2.
    Stream,
    /// What has become of either: bytes both ways.
    Tunnel,
}

/// How many there are of each kind of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkCounts {
    /// Requests over HTTP/1.1.
    pub requests: u64,
    /// Requests over HTTP/2.
    pub streams: u64,
    /// Tunnels.
    pub tunnels: u64,
}

impl WorkCounts {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            streams: self.streams + other.streams,
            tunnels: self.tunnels + other.tunnels,
        }
    }

    /// What there is now and was not then.
    #[must_use]
    pub fn since(self, then: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(then.requests),
            streams: self.streams.saturating_sub(then.streams),
            tunnels: self.tunnels.saturating_sub(then.tunnels),
        }
    }

    /// Whether there is nothing.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    fn of(self, work: Work) -> u64 {
        match work {
            Work::Request => self.requests,
            Work::Stream => self.streams,
            Work::Tunnel => self.tunnels,
        }
    }

    fn set(&mut self, work: Work, count: u64) {
        match work {
            Work::Request => self.requests = count,
            Work::Stream => self.streams = count,
            Work::Tunnel => self.tunnels = count,
        }
    }
}

/// What one worker has under way.
#[derive(Debug, Default)]
pub struct UnderWay {
    now: Cell<WorkCounts>,
    ended: Cell<WorkCounts>,
    leaving: Cell<bool>,
    farewell: Notify,
}

impl UnderWay {
    /// What is under way.
    pub fn now(&self) -> WorkCounts {
        self.now.get()
    }

    /// What has ended since the worker began.
    pub fn ended(&self) -> WorkCounts {
        self.ended.get()
    }

    /// Lets every tunnel know that it has to come to its end.
    pub fn say_farewell(&self) {
        self.leaving.set(true);
        self.farewell.notify_waiters();
    }

    /// Whether tunnels have to come to their end.
    pub(super) fn leaving(&self) -> bool {
        self.leaving.get()
    }

    /// Is woken when they have to.
    pub(super) fn farewell(&self) -> tokio::sync::futures::Notified<'_> {
        self.farewell.notified()
    }

    pub(super) fn begin(&self, work: Work) {
        add(&self.now, work, 1);
    }

    pub(super) fn end(&self, work: Work) {
        add(&self.now, work, -1);
        add(&self.ended, work, 1);
    }

    /// One kind becomes another.
    pub(super) fn change(&self, from: Work, to: Work) {
        add(&self.now, from, -1);
        add(&self.now, to, 1);
    }
}

fn add(cell: &Cell<WorkCounts>, work: Work, change: i64) {
    let mut counts = cell.get();
    counts.set(work, counts.of(work).saturating_add_signed(change));
    cell.set(counts);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_becomes_a_tunnel_ends_as_one() {
        let under_way = UnderWay::default();
        under_way.begin(Work::Request);
        under_way.begin(Work::Stream);
        let then = under_way.ended();
        under_way.change(Work::Request, Work::Tunnel);
        let now = under_way.now();
        assert_eq!((now.requests, now.streams, now.tunnels), (0, 1, 1));
        under_way.end(Work::Tunnel);
        under_way.end(Work::Stream);
        assert!(under_way.now().is_none());
        let ended = under_way.ended().since(then);
        assert_eq!((ended.requests, ended.streams, ended.tunnels), (0, 1, 1));
    }
}
