//! How slowly a client may take what is written to it: pure. The clock is the caller's.
//!
//! Counted is the time in which nothing but the client is waited for: its socket takes no bytes, or
//! its window of HTTP/2 is shut. It has a stock of that time, which waiting uses up and every byte
//! that it takes fills again. So a client that takes nothing for as long as the stock lasts is too
//! slow, and one that takes a few bytes now and then is, too, a little later. What an origin takes
//! its time for is nobody's wait here.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::model::limits;

/// The whole stock.
const STOCK: Duration = limits::BODY_PROGRESS_TIMEOUT;
/// What a byte brings back, in microseconds.
const MICROS_PER_BYTE: u64 = 1_000_000 / limits::BODY_BYTES_PER_SECOND;

/// What is waited for, and for how long it may be.
#[derive(Debug)]
pub(super) struct Uptake {
    waits: Cell<bool>,
    /// Since when, once somebody has looked at the clock.
    since: Cell<Option<Instant>>,
    left: Cell<Duration>,
    /// Time in which it has waited, in all.
    waited: Cell<Duration>,
    /// The same of what this is a part of, when the present wait began.
    whole_waited: Cell<Duration>,
    exempt: Cell<bool>,
}

impl Uptake {
    pub(super) fn new() -> Self {
        Self {
            waits: Cell::default(),
            since: Cell::default(),
            left: Cell::new(STOCK),
            waited: Cell::default(),
            whole_waited: Cell::default(),
            exempt: Cell::default(),
        }
    }

    /// Whether it may be as slow as it likes, as long as it takes something at all.
    pub(super) fn exempt(&self) -> bool {
        self.exempt.get()
    }

    /// Says whether it may be.
    pub(super) fn set_exempt(&self, exempt: bool) {
        self.exempt.set(exempt);
    }

    /// The client does not take what there is for it.
    pub(super) fn wait(&self) {
        self.waits.set(true);
    }

    /// Whether it is waited for.
    pub(super) fn waits(&self) -> bool {
        self.waits.get()
    }

    /// The client took so many bytes; it is not waited for any more. `whole`: what this is a part
    /// of.
    pub(super) fn take(&self, bytes: u64, whole: Option<&Self>, now: impl FnOnce() -> Instant) {
        self.waits.set(false);
        if let Some(since) = self.since.take() {
            let now = now();
            let waited = now.saturating_duration_since(since);
            self.waited.set(self.waited.get() + waited);
            if !self.exempt.get() {
                let own = waited.saturating_sub(self.excused(whole, now));
                self.left.set(self.left.get().saturating_sub(own));
            }
        }
        if self.left.get() < STOCK {
            let earned = Duration::from_micros(bytes.saturating_mul(MICROS_PER_BYTE));
            self.left.set(STOCK.min(self.left.get().saturating_add(earned)));
        }
    }

    /// It is the client's turn: what it is answered next is judged by itself.
    pub(super) fn refill(&self) {
        if !self.waits.get() {
            self.left.set(STOCK);
        }
    }

    /// When a wait will have been too long, if there is one; a wait begins when this is asked
    /// first.
    pub(super) fn deadline(
        &self,
        whole: Option<&Self>,
        now: impl FnOnce() -> Instant,
    ) -> Option<Instant> {
        if !self.waits.get() {
            return None;
        }
        let since = self.since.get().unwrap_or_else(|| {
            let now = now();
            self.since.set(Some(now));
            self.whole_waited.set(whole.map_or(Duration::ZERO, |whole| whole.waited_at(now)));
            now
        });
        Some(since + self.most())
    }

    /// The same, of a wait that somebody has looked at; begins none.
    pub(super) fn present_deadline(&self) -> Option<Instant> {
        self.since.get().map(|since| since + self.most())
    }

    /// Whether a wait has been too long at `now`. Time in which the whole was waited for does not
    /// count: it moves the beginning of the wait.
    pub(super) fn is_over(&self, whole: Option<&Self>, now: Instant) -> bool {
        let Some(since) = self.since.get() else { return false };
        let most = self.most();
        if since + most > now {
            return false;
        }
        let since = since + self.excused(whole, now);
        self.since.set(Some(since));
        self.whole_waited.set(whole.map_or(Duration::ZERO, |whole| whole.waited_at(now)));
        since + most <= now
    }

    /// How long a wait may be.
    fn most(&self) -> Duration {
        if self.exempt.get() { STOCK } else { self.left.get() }
    }

    /// How much of a wait was one for the whole.
    fn excused(&self, whole: Option<&Self>, now: Instant) -> Duration {
        let waited = whole.map_or(Duration::ZERO, |whole| whole.waited_at(now));
        waited.saturating_sub(self.whole_waited.get())
    }

    fn waited_at(&self, now: Instant) -> Duration {
        let since = self.since.get().map(|since| now.saturating_duration_since(since));
        self.waited.get() + since.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A client that takes so many bytes every so many seconds; when it is found too slow.
    fn drip(uptake: &Uptake, start: Instant, bytes: u64, every: u32, until: u32) -> Option<u32> {
        let mut now = start;
        for second in 0..=until {
            now = start + SECOND * second;
            uptake.deadline(None, || now);
            if uptake.is_over(None, now) {
                return Some(second);
            }
            if second > 0 && second % every == 0 {
                uptake.take(bytes, None, || now);
                uptake.wait();
                uptake.deadline(None, || now);
            }
        }
        uptake.take(0, None, || now);
        None
    }

    #[test]
    fn a_client_that_drips_is_too_slow_soon_and_a_slow_one_never_is() {
        let start = Instant::now();
        for (bytes, every, exempt, over) in [
            (0, 1_000, false, Some(30)),
            (32, 5, false, Some(31)),
            (1, 1, false, Some(31)),
            (400, 1, false, Some(146)),
            (500, 1, false, None),
            (15_000, 29, false, None),
            (1 << 40, 29, false, None),
            (1 << 40, 31, false, Some(30)),
            (32, 5, true, None),
            (32, 31, true, Some(30)),
        ] {
            let uptake = Uptake::new();
            uptake.set_exempt(exempt);
            uptake.wait();
            let found = drip(&uptake, start, bytes, every, 1_000);
            assert_eq!(found, over, "{bytes} bytes every {every} s, {exempt}");
        }
    }

    #[test]
    fn time_in_which_it_is_not_waited_for_does_not_count() {
        let (start, uptake) = (Instant::now(), Uptake::new());
        for round in 0..100 {
            let now = start + SECOND * 100 * round;
            uptake.wait();
            assert_eq!(uptake.deadline(None, || now), Some(now + SECOND * 30));
            // It takes what there is within ten seconds, and the origin has no more for a while.
            uptake.take(5_000, None, || now + SECOND * 10);
            assert_eq!(uptake.deadline(None, || now), None);
            assert!(!uptake.is_over(None, now + SECOND * 99));
        }
    }

    #[test]
    fn a_part_does_not_wait_while_the_whole_does() {
        let start = Instant::now();
        let (whole, part) = (Uptake::new(), Uptake::new());
        let at = |seconds: u32| start + SECOND * seconds;
        part.wait();
        part.deadline(Some(&whole), || at(0));
        // The whole waits from 10 to 35 and takes enough then.
        whole.wait();
        whole.deadline(None, || at(10));
        assert!(!part.is_over(Some(&whole), at(30)));
        assert_eq!(part.deadline(Some(&whole), || at(30)), Some(at(50)));
        whole.take(1 << 20, None, || at(35));
        assert!(!part.is_over(Some(&whole), at(50)));
        assert_eq!(part.deadline(Some(&whole), || at(50)), Some(at(55)));
        assert!(part.is_over(Some(&whole), at(55)));
        // What it waited by itself is used up.
        part.take(0, Some(&whole), || at(55));
        part.wait();
        assert_eq!(part.deadline(Some(&whole), || at(56)), Some(at(56)));
    }
}
