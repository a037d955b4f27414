//! What the clients counted: requests, failures and durations, by region, country and phase.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::places::{COUNT, Each, PLACES};
use crate::model::Country;

/// Latest requests that durations are taken from.
const WINDOW: Duration = Duration::from_secs(5);
/// Requests in that window at most.
const WINDOW_REQUESTS: usize = 50_000;
/// Durations that a phase keeps at most.
const PHASE_DURATIONS: usize = 1_000_000;
/// Failures that are kept in words.
const FAILURES_KEPT: usize = 20;
/// One step of the history.
const STEP: Duration = Duration::from_millis(500);
/// Steps that a rate is taken from.
const RATE_STEPS: usize = 2;
/// Steps of the history.
const STEPS: usize = 240;

/// How a request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// No connection to Rhumb.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// No whole answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// A status other than 200.
    #[error("status {0}")]
    Status(u16),
    /// An answer that no origin of the demo gives.
    #[error("not an answer of an origin: {0}")]
    Foreign(String),
    /// The wrong region.
    #[error("answered by {} instead of {}", id(*.got), id(*.expected))]
    WrongRegion {
        /// The one that answered.
        got: usize,
        /// The one that should have.
        expected: usize,
    },
}

fn id(region: usize) -> &'static str {
    PLACES.get(region).map_or("an unknown region", |place| place.id)
}

/// One request that has ended.
#[derive(Clone, Debug)]
pub(super) struct Done {
    /// In which phase it was sent.
    pub(super) phase: usize,
    /// Whose it was.
    pub(super) country: Country,
    /// When it ended.
    pub(super) at: Instant,
    /// How long it took.
    pub(super) took: Duration,
    /// Which region answered, and whether because of the latest reload; or how it failed.
    pub(super) result: Result<(usize, bool), Failure>,
}

/// Counts of one phase.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase {
    pub(super) regions: Each<u64>,
    pub(super) failed: u64,
    /// Answers from a region that was not the nearest before the latest reload.
    pub(super) moved: u64,
    micros: Vec<u32>,
}

/// Counts of one country.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CountryTally {
    pub(super) requests: u64,
    /// The region that answered last.
    pub(super) latest: Option<usize>,
}

/// Everything that was counted.
#[derive(Debug)]
pub(super) struct Tally {
    start: Instant,
    pub(super) phases: Vec<Phase>,
    pub(super) countries: BTreeMap<Country, CountryTally>,
    /// Time since the start, client's country and failure.
    pub(super) failures: VecDeque<(Duration, Country, Failure)>,
    recent: VecDeque<(Instant, usize, u32)>,
    history: VecDeque<Each<u64>>,
    /// The step that the last entry of the history is.
    step: u128,
}

/// Rates and durations of the latest seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    pub(super) per_second: f64,
    pub(super) p50: Option<Duration>,
    pub(super) p99: Option<Duration>,
}

impl Tally {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            phases: vec![Phase::default()],
            countries: BTreeMap::new(),
            failures: VecDeque::new(),
            recent: VecDeque::new(),
            history: VecDeque::from([[0; COUNT]]),
            step: 0,
        }
    }

    /// Takes in a request that has ended.
    pub(super) fn add(&mut self, done: Done) {
        self.advance(done.at);
        if self.phases.len() <= done.phase {
            self.phases.resize_with(done.phase + 1, Phase::default);
        }
        let country = self.countries.entry(done.country).or_default();
        country.requests += 1;
        let Some(phase) = self.phases.get_mut(done.phase) else { return };
        match done.result {
            Ok((region, moved)) => {
                country.latest = Some(region);
                phase.moved += u64::from(moved);
                let micros = u32::try_from(done.took.as_micros()).unwrap_or(u32::MAX);
                if phase.micros.len() < PHASE_DURATIONS {
                    phase.micros.push(micros);
                }
                self.recent.push_back((done.at, region, micros));
                let latest = self.history.back_mut();
                for count in
                    [phase.regions.get_mut(region), latest.and_then(|step| step.get_mut(region))]
                {
                    *count.unwrap_or(&mut 0) += 1;
                }
            }
            Err(failure) => {
                phase.failed += 1;
                if self.failures.len() < FAILURES_KEPT {
                    let at = done.at.saturating_duration_since(self.start);
                    self.failures.push_back((at, done.country, failure));
                }
            }
        }
    }

    /// Forgets what is no longer recent at `now`.
    pub(super) fn advance(&mut self, now: Instant) {
        let old = |(at, ..): &(Instant, usize, u32)| now.saturating_duration_since(*at) > WINDOW;
        while self.recent.front().is_some_and(old) || self.recent.len() > WINDOW_REQUESTS {
            self.recent.pop_front();
        }
        let step = now.saturating_duration_since(self.start).as_millis() / STEP.as_millis();
        while self.step < step {
            self.step += 1;
            self.history.push_back([0; COUNT]);
            if self.history.len() > STEPS {
                self.history.pop_front();
            }
        }
    }

    /// Requests that have ended, however they did.
    pub(super) fn requests(&self) -> u64 {
        self.phases.iter().map(|phase| phase.regions.iter().sum::<u64>() + phase.failed).sum()
    }

    /// Requests that failed.
    pub(super) fn failed(&self) -> u64 {
        self.phases.iter().map(|phase| phase.failed).sum()
    }

    /// Requests that a region answered.
    pub(super) fn answered(&self, region: usize) -> u64 {
        self.phases.iter().filter_map(|phase| phase.regions.get(region)).sum()
    }

    /// How it goes lately: one region, or all.
    pub(super) fn pace(&self, region: Option<usize>) -> Pace {
        let mine = |got: usize| region.is_none_or(|wanted| wanted == got);
        let mut micros: Vec<u32> =
            self.recent.iter().filter(|(_, got, _)| mine(*got)).map(|recent| recent.2).collect();
        let per_second = match region {
            Some(region) => self.latest_rate(region),
            None => (0..COUNT).map(|region| self.latest_rate(region)).sum(),
        };
        micros.sort_unstable();
        Pace { per_second, p50: quantile(&micros, 0.5), p99: quantile(&micros, 0.99) }
    }

    /// Requests a second that a region answered in the latest steps that are over.
    pub(super) fn latest_rate(&self, region: usize) -> f64 {
        let latest = self.history(region, RATE_STEPS);
        let seconds = STEP.as_secs_f64() * latest.len().max(1) as f64;
        latest.iter().sum::<u64>() as f64 / seconds
    }

    /// Requests of a region in each of the latest steps that are over, the latest last.
    pub(super) fn history(&self, region: usize, steps: usize) -> Vec<u64> {
        let counts = self.history.iter().filter_map(|step| step.get(region)).copied();
        // The step under way is not full yet.
        let over = self.history.len().saturating_sub(1);
        counts.take(over).skip(over.saturating_sub(steps)).collect()
    }
}

impl Phase {
    pub(super) fn requests(&self) -> u64 {
        self.regions.iter().sum::<u64>() + self.failed
    }

    /// A quantile of the durations.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        let mut micros = self.micros.clone();
        micros.sort_unstable();
        quantile(&micros, share)
    }
}

/// The smallest value that at least this share does not exceed.
fn quantile(sorted: &[u32], share: f64) -> Option<Duration> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    let micros = sorted.get(rank.saturating_sub(1))?;
    Some(Duration::from_micros(u64::from(*micros)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(start: Instant, at_ms: u64, result: Result<(usize, bool), Failure>) -> Done {
        let country = Country::new(b"DE").unwrap();
        let at = start + Duration::from_millis(at_ms);
        Done { phase: 0, country, at, took: Duration::from_millis(at_ms), result }
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        let ms = |ms| Some(Duration::from_micros(ms));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7], 0.0), ms(7));
        assert_eq!(quantile(&[7], 0.99), ms(7));
        let many: Vec<u32> = (1..=100).collect();
        assert_eq!(quantile(&many, 0.5), ms(50));
        assert_eq!(quantile(&many, 0.99), ms(99));
        assert_eq!(quantile(&many, 1.0), ms(100));
    }

    #[test]
    fn everything_is_counted_once() {
        let start = Instant::now();
        let mut tally = Tally::new(start);
        tally.add(done(start, 10, Ok((1, false))));
        tally.add(done(start, 20, Ok((1, true))));
        tally.add(done(start, 700, Ok((2, false))));
        tally.add(Done { phase: 2, ..done(start, 1_200, Err(Failure::Status(503))) });
        assert_eq!((tally.requests(), tally.failed()), (4, 1));
        assert_eq!((tally.answered(0), tally.answered(1), tally.answered(2)), (0, 2, 1));
        assert_eq!(tally.phases.len(), 3);
        assert_eq!((tally.phases[0].moved, tally.phases[2].failed), (1, 1));
        assert_eq!((tally.history(1, 10), tally.history(2, 10)), (vec![2, 0], vec![0, 1]));
        assert_eq!(tally.history(1, 1), [0]);
        assert_eq!(tally.failures.len(), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let start = Instant::now();
        let mut tally = Tally::new(start);
        tally.add(done(start, 1, Ok((0, false))));
        tally.advance(start + Duration::from_secs(100_000));
        assert!(tally.recent.is_empty());
        assert_eq!(tally.history.len(), STEPS);
        for _ in 0..100 {
            tally.add(done(start, 2, Err(Failure::Timeout)));
        }
        assert_eq!(tally.failures.len(), FAILURES_KEPT);
        assert_eq!(tally.failed(), 100);
    }
}
