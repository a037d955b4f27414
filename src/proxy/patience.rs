//! How long a request may take until the head of its response has come: pure.
//!
//! Calls of gRPC and deployments that stream are not bound by the request timeout, but by their
//! silence; a call that names a deadline is bound by that. What follows the head is `answer`.

use std::time::{Duration, Instant};

use super::error::ErrorReason;
use crate::config::Deployment;
use crate::model::limits;

/// The bounds of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From an attempt, or the end of its upload, to the head of its response.
    answer: Duration,
    /// After so long an endpoint is to blame that it has not answered.
    blame: Duration,
    /// Without a byte of the upload moving.
    upload: Duration,
    /// Whether an upload may be slow, as long as it moves.
    exempt: bool,
    /// For a request without a body, all attempts.
    request: Option<Instant>,
    /// For the request and its response.
    deadline: Option<Instant>,
}

/// How far an upload has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upload {
    pub(super) last: Instant,
    pub(super) finished: bool,
    /// Since when it waits for the client, if it does.
    pub(super) starved: Option<Instant>,
    /// How long it has waited for the client before that, in all.
    pub(super) waited: Duration,
    /// Bytes that have come.
    pub(super) bytes: u64,
}

impl Upload {
    /// Until when the client has to send more for its upload not to be too slow.
    fn due(&self) -> Option<Instant> {
        let earned = Duration::from_secs(self.bytes / limits::BODY_BYTES_PER_SECOND);
        let left = (limits::BODY_PROGRESS_TIMEOUT + earned).saturating_sub(self.waited);
        self.starved?.checked_add(left)
    }
}

impl Patience {
    /// Of a request that came at `started`; `call` is one of gRPC, with the time that it is given.
    pub(super) fn of(
        settings: Option<&Deployment>,
        call: Option<Option<Duration>>,
        started: Instant,
    ) -> Self {
        let timeouts = settings.map(|settings| &settings.timeouts);
        let first_byte = timeouts.map_or(limits::RESPONSE_HEAD_TIMEOUT, |t| t.first_byte);
        let request = timeouts.map_or(limits::REQUEST_TIMEOUT, |t| t.request);
        let streams = settings.is_some_and(|settings| settings.streams.exempt);
        let idle = settings.map_or(limits::STREAM_IDLE_TIMEOUT, |s| s.streams.idle);
        let exempt = streams || call.is_some();
        let given = call.flatten().map(|given| if streams { given } else { given.min(request) });
        Self {
            answer: if exempt { idle } else { first_byte },
            blame: first_byte,
            upload: if exempt { idle } else { limits::BODY_PROGRESS_TIMEOUT },
            exempt,
            request: (!exempt).then(|| started + request),
            // A client may say more hours than the clock has.
            deadline: given.and_then(|given| started.checked_add(given)),
        }
    }

    /// When all of it must be over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the endpoint is to blame for an attempt that took too long, or a client that gave
    /// its call little time.
    pub(super) fn blames(&self, started: Instant, now: Instant) -> bool {
        let ended_early = self.deadline.is_some_and(|deadline| deadline <= now);
        !ended_early || now.saturating_duration_since(started) >= self.blame
    }

    /// Until when an attempt waits, and why it does not wait longer.
    pub(super) fn until(&self, started: Instant, upload: Option<Upload>) -> (Instant, ErrorReason) {
        let (until, reason) = match upload {
            Some(upload) if !upload.finished => {
                let silent = upload.last.max(started) + self.upload;
                match upload.starved {
                    None => (silent, ErrorReason::UpstreamTimeout),
                    Some(_) => {
                        let due = upload.due().filter(|_| !self.exempt);
                        let until = due.map_or(silent, |due| due.min(silent));
                        (until, ErrorReason::RequestTimeout)
                    }
                }
            }
            Some(upload) => (upload.last + self.answer, ErrorReason::UpstreamTimeout),
            None => {
                let until = started + self.answer;
                let until = self.request.map_or(until, |request| request.min(until));
                (until, ErrorReason::UpstreamTimeout)
            }
        };
        match self.deadline {
            Some(deadline) if deadline <= until => (deadline, ErrorReason::UpstreamTimeout),
            _ => (until, reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn settings(more: &str) -> Deployment {
        let text = format!(
            r#"
            listeners: [{{ address: "127.0.0.1:0" }}]
            regions:
              - {{ id: eu, latitude: 0, longitude: 0, country: US, endpoints: ["http://1.1.1.1:1"] }}
            deployments:
              - {{ name: api, primary_region: eu, timeouts: {{ first_byte_seconds: 5, request_seconds: 9 }}{more} }}
        "#
        );
        let loaded = crate::config::parse(&text, "test.yaml", "".as_ref(), &|_| None).unwrap();
        Deployment::clone(&loaded.config.deployments[0])
    }

    #[test]
    fn what_streams_is_bound_by_its_silence_and_by_its_deadline() {
        use ErrorReason::{RequestTimeout as Client, UpstreamTimeout as Origin};
        let start = Instant::now();
        let (plain, mut streams) = (settings(""), settings(""));
        streams.streams.exempt = true;
        let upload = |last: u32, finished: bool, starved: bool| {
            let last = start + SECOND * last;
            let starved = starved.then_some(last);
            Some(Upload { last, finished, starved, waited: Duration::ZERO, bytes: 0 })
        };
        let call = |seconds: u32| Some(Some(SECOND * seconds));
        for (case, settings, call, attempt, upload, expected) in [
            ("first byte", &plain, None, 0, None, (5, Origin)),
            ("request", &plain, None, 6, None, (9, Origin)),
            ("slow client", &plain, None, 0, upload(2, false, true), (32, Client)),
            ("slow origin", &plain, None, 0, upload(2, false, false), (32, Origin)),
            ("after the upload", &plain, None, 0, upload(20, true, false), (25, Origin)),
            ("long poll", &streams, None, 0, None, (300, Origin)),
            ("stream", &streams, None, 0, upload(7, false, true), (307, Client)),
            ("call", &plain, Some(None), 0, upload(7, true, false), (307, Origin)),
            ("short call", &plain, call(3), 0, upload(1, false, true), (3, Origin)),
            ("long call", &plain, call(100), 0, upload(1, true, true), (9, Origin)),
            ("long stream", &streams, call(100), 0, upload(1, true, true), (100, Origin)),
        ] {
            let patience = Patience::of(Some(settings), call, start);
            let (until, reason) = patience.until(start + SECOND * attempt, upload);
            assert_eq!((until - start, reason), (SECOND * expected.0, expected.1), "{case}");
        }
    }

    #[test]
    fn an_upload_that_drips_is_too_slow_and_one_that_the_origin_holds_up_is_not() {
        let start = Instant::now();
        let (plain, mut streams) = (settings(""), settings(""));
        streams.streams.exempt = true;
        // Seconds that it has waited before, bytes that came, how long it may still be silent.
        for (settings, waited, bytes, left) in [
            (&plain, 0, 0, 30),
            (&plain, 29, 0, 1),
            (&plain, 29, 499, 1),
            (&plain, 29, 5_000, 11),
            (&plain, 29, 1 << 30, 30),
            (&plain, 90, 20, 0),
            (&streams, 90, 20, 300),
        ] {
            let last = start + SECOND * 100;
            let waited = SECOND * waited;
            let upload = Upload { last, finished: false, starved: Some(last), waited, bytes };
            let patience = Patience::of(Some(settings), None, start);
            let (until, reason) = patience.until(start, Some(upload));
            assert_eq!((until - last, reason), (SECOND * left, ErrorReason::RequestTimeout));
        }
    }

    #[test]
    fn more_hours_than_there_are_do_not_panic() {
        let most = Some(Some(Duration::from_secs(99_999_999 * 3_600)));
        let mut streams = settings("");
        streams.streams.exempt = true;
        let start = Instant::now();
        let patience = Patience::of(Some(&streams), most, start);
        assert!(patience.until(start, None).0 >= start);
    }
}
