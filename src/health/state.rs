//! The state machines of health, pure: time and randomness are arguments, nothing is waited for.
//!
//! ```text
//! CheckState      one endpoint and one check: when to probe, how many failed or passed in a row
//!   └ EndpointHealth   whether that endpoint may be chosen, for one deployment
//!       └ RegionMachine     healthy -> degraded -> down -> healthy, for one region of a deployment
//! ```
//!
//! Not here: sending probes, and what a transition does to the routing table.
//!
//! Times are durations since the process's epoch.

use std::time::Duration;

use serde::Serialize;

use crate::config::{Failover, HealthCheck};
use crate::model::{RegionState, SignalKind, limits};

/// Stands for one check of one endpoint; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckId(pub u64);

/// Why a probe failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Failure {
    /// No answer in time.
    Timeout {
        /// How long was waited.
        after_ms: u64,
    },
    /// The connection was refused, reset or could not be made.
    Connection {
        /// What the system said.
        detail: String,
    },
    /// An answer with another status.
    Status {
        /// The status that came.
        status: u16,
        /// The status that was expected.
        expected: u16,
    },
    /// An answer that is not HTTP.
    Protocol {
        /// What was wrong with it.
        detail: String,
    },
    /// The probe itself broke; this says nothing of the endpoint, but nothing good either.
    Broken,
}

impl Failure {
    /// The word used in metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "timeout",
            Self::Connection { .. } => "connection",
            Self::Status { .. } => "status",
            Self::Protocol { .. } => "protocol",
            Self::Broken => "broken",
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Timeout { after_ms } => write!(f, "no answer within {after_ms} ms"),
            Self::Connection { detail } => f.write_str(detail),
            Self::Status { status, expected } => {
                write!(f, "status {status} where {expected} was expected")
            }
            Self::Protocol { detail } => write!(f, "not an HTTP answer: {detail}"),
            Self::Broken => f.write_str("the probe itself failed"),
        }
    }
}

/// A probe to make now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbePlan {
    /// How long it may take.
    pub timeout: Duration,
}

/// What is known of one endpoint under one check.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckState {
    /// Failures in a row up to now.
    failures: u32,
    /// Successes in a row up to now.
    successes: u32,
    /// Failures after which there is nothing left to decide quickly.
    settled_at: u32,
    /// Whether it failed since it last reached the healthy threshold.
    recovering: bool,
    /// A request met a failure that no probe has confirmed or refuted yet.
    suspected: bool,
    /// It seems to hang, so a probe need not wait for its full timeout.
    hanging: bool,
    /// Usual duration of a probe: a moving average of the successful ones.
    usual: Option<Duration>,
    in_flight: usize,
    last_start: Option<Duration>,
    next_start: Duration,
    last_failure: Option<Failure>,
}

impl CheckState {
    /// A check that has not run yet; its first probe is due at `now`. `settled_at` is the number
    /// of failures in a row that decides everything for everyone who uses this check.
    pub fn new(now: Duration, settled_at: u32) -> Self {
        Self {
            failures: 0,
            successes: 0,
            settled_at,
            recovering: false,
            suspected: false,
            hanging: false,
            usual: None,
            in_flight: 0,
            last_start: None,
            next_start: now,
            last_failure: None,
        }
    }

    /// Changes the number of failures that decides everything, after a reload.
    pub fn settle_at(&mut self, failures: u32) {
        self.settled_at = failures;
    }

    /// The number of failures that decides everything.
    pub fn settled_at(&self) -> u32 {
        self.settled_at
    }

    /// When the next probe is due; `None` while enough are under way.
    pub fn next_start(&self, check: &HealthCheck) -> Option<Duration> {
        let most = if self.in_doubt(check) { limits::CHECKS_IN_DOUBT } else { 1 };
        (self.in_flight < most).then_some(self.next_start)
    }

    /// Begins a probe if one is due. `entropy` jitters the one after it.
    pub fn begin(&mut self, check: &HealthCheck, now: Duration, entropy: u64) -> Option<ProbePlan> {
        if self.next_start(check)? > now {
            return None;
        }
        self.in_flight += 1;
        self.last_start = Some(now);
        self.next_start = now + self.interval(check, entropy);
        Some(ProbePlan { timeout: self.timeout(check) })
    }

    /// A probe ended.
    pub fn finish(
        &mut self,
        check: &HealthCheck,
        now: Duration,
        result: Result<Duration, Failure>,
    ) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.suspected = false;
        match result {
            Ok(took) => {
                self.usual = Some(self.usual.map_or(took, |usual| (usual * 7 + took) / 8));
                self.failures = 0;
                self.hanging = false;
                self.successes = self.successes.saturating_add(1);
                if self.successes >= check.healthy_threshold {
                    self.recovering = false;
                }
            }
            Err(failure) => {
                self.hanging = matches!(failure, Failure::Timeout { .. });
                self.last_failure = Some(failure);
                self.successes = 0;
                self.failures = self.failures.saturating_add(1);
                self.recovering = true;
            }
        }
        if self.in_doubt(check) {
            self.hasten(check, now);
        }
    }

    /// A request met a failure at this endpoint: look at once.
    pub fn suspect(
        &mut self,
        check: &HealthCheck,
        now: Duration,
        kind: SignalKind,
        consecutive: u32,
    ) {
        if self.failures >= self.settled_at {
            return;
        }
        let timed_out = matches!(kind, SignalKind::FirstByteTimeout | SignalKind::ConnectTimeout);
        if timed_out && consecutive >= limits::HANG_SIGNALS {
            self.hanging = true;
        }
        self.suspected = true;
        self.hasten(check, now);
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Successes in a row.
    pub fn successes(&self) -> u32 {
        self.successes
    }

    /// The latest failure, however long ago.
    pub fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref()
    }

    /// The usual duration of a successful probe.
    pub fn usual_duration(&self) -> Option<Duration> {
        self.usual
    }

    /// Whether the next few probes decide something.
    fn in_doubt(&self, check: &HealthCheck) -> bool {
        let falling = self.failures > 0 && self.failures < self.settled_at;
        let rising = self.recovering && self.successes > 0;
        self.suspected || falling || (rising && self.successes < check.healthy_threshold)
    }

    /// Moves the next probe forward, but never closer to the last one than the fast interval.
    fn hasten(&mut self, check: &HealthCheck, now: Duration) {
        let soonest = self.last_start.map_or(now, |last| now.max(last + check.fast_interval));
        self.next_start = self.next_start.min(soonest);
    }

    /// The fast interval in doubt, else the interval ± 10 %, so that checks do not march in step.
    fn interval(&self, check: &HealthCheck, entropy: u64) -> Duration {
        if self.in_doubt(check) {
            return check.fast_interval.min(check.interval);
        }
        let share = (entropy >> 11) as f64 / (1_u64 << 53) as f64;
        check.interval.mul_f64(0.9 + 0.2 * share)
    }

    fn timeout(&self, check: &HealthCheck) -> Duration {
        match self.usual {
            Some(usual) if self.hanging && self.failures < self.settled_at => {
                let enough = usual.saturating_mul(limits::CHECK_HANG_FACTOR);
                check.timeout.min(enough.max(limits::CHECK_HANG_TIMEOUT_MIN))
            }
            _ => check.timeout,
        }
    }
}

/// Whether one endpoint may be chosen, with hysteresis between the two thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointHealth {
    /// Whether it may be chosen.
    pub up: bool,
}

impl EndpointHealth {
    /// Up until checks say otherwise.
    pub const fn new() -> Self {
        Self { up: true }
    }

    /// Takes in the counts of its check; true when `up` changed.
    pub fn observe(&mut self, state: &CheckState, check: &HealthCheck) -> bool {
        let before = self.up;
        if state.failures() >= check.unhealthy_threshold {
            self.up = false;
        } else if state.successes() >= check.healthy_threshold {
            self.up = true;
        }
        before != self.up
    }
}

impl Default for EndpointHealth {
    fn default() -> Self {
        Self::new()
    }
}

/// What the checks of all endpoints of a region say together: it is as healthy as its best one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Failures in a row that every endpoint has at least.
    pub failures: u32,
    /// Successes in a row of the best endpoint.
    pub successes: u32,
}

impl Evidence {
    /// Sums up a region's endpoints; `None` when it has no checks.
    pub fn of<'a>(checks: impl IntoIterator<Item = &'a CheckState>) -> Option<Self> {
        checks.into_iter().map(|c| Self { failures: c.failures, successes: c.successes }).reduce(
            |a, b| Self {
                failures: a.failures.min(b.failures),
                successes: a.successes.max(b.successes),
            },
        )
    }
}

/// A change of a region's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Before.
    pub from: RegionState,
    /// After.
    pub to: RegionState,
    /// How long it was in the state before.
    pub after: Duration,
}

/// State of a region in a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionMachine {
    state: RegionState,
    since: Duration,
}

impl RegionMachine {
    /// Healthy since `now`: a region is trusted until its checks say otherwise.
    pub const fn new(now: Duration) -> Self {
        Self { state: RegionState::Healthy, since: now }
    }

    /// The state.
    pub const fn state(&self) -> RegionState {
        self.state
    }

    /// Since when it is in it.
    pub const fn since(&self) -> Duration {
        self.since
    }

    /// Takes in what the checks say at `now`.
    pub fn observe(
        &mut self,
        now: Duration,
        evidence: Evidence,
        check: &HealthCheck,
        failover: &Failover,
    ) -> Option<Transition> {
        let to = self.next(now, evidence, check, failover);
        (to != self.state).then(|| {
            let after = now.saturating_sub(self.since);
            let from = std::mem::replace(&mut self.state, to);
            self.since = now;
            Transition { from, to, after }
        })
    }

    fn next(
        &self,
        now: Duration,
        evidence: Evidence,
        check: &HealthCheck,
        failover: &Failover,
    ) -> RegionState {
        let passed = evidence.successes >= check.healthy_threshold;
        match self.state {
            RegionState::Down => {
                let cooled = now >= self.since + failover.cooldown;
                if cooled && passed { RegionState::Healthy } else { RegionState::Down }
            }
            _ if failover.auto_failover_enabled && evidence.failures >= failover.threshold => {
                RegionState::Down
            }
            _ if evidence.failures >= check.unhealthy_threshold => RegionState::Degraded,
            RegionState::Degraded if !passed => RegionState::Degraded,
            _ => RegionState::Healthy,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn check() -> HealthCheck {
        HealthCheck {
            path: "/health".into(),
            host: None,
            expected_status: 200,
            interval: 1_000 * MS,
            timeout: 1_000 * MS,
            fast_interval: 25 * MS,
            healthy_threshold: 2,
            unhealthy_threshold: 3,
        }
    }

    fn failover() -> Failover {
        Failover { auto_failover_enabled: true, threshold: 3, cooldown: 5_000 * MS }
    }

    fn refused() -> Failure {
        Failure::Connection { detail: "connection refused".into() }
    }

    /// A world of one endpoint that answers each probe after `answer(now)`, or never.
    struct World {
        now: Duration,
        state: CheckState,
        machine: RegionMachine,
        under_way: Vec<(Duration, Result<Duration, Failure>)>,
    }

    impl World {
        fn new() -> Self {
            Self {
                now: Duration::ZERO,
                state: CheckState::new(Duration::ZERO, 3),
                machine: RegionMachine::new(Duration::ZERO),
                under_way: Vec::new(),
            }
        }

        fn step(&mut self, answer: impl Fn() -> Option<Result<Duration, Failure>>) {
            if let Some(plan) = self.state.begin(&check(), self.now, 1 << 63) {
                let result = match answer() {
                    Some(Ok(took)) if took <= plan.timeout => (self.now + took, Ok(took)),
                    Some(Err(failure)) => (self.now + MS, Err(failure)),
                    _ => {
                        let after_ms = plan.timeout.as_millis() as u64;
                        (self.now + plan.timeout, Err(Failure::Timeout { after_ms }))
                    }
                };
                self.under_way.push(result);
            }
            self.now += MS;
            let now = self.now;
            let (done, rest) = self.under_way.drain(..).partition(|(at, _)| *at <= now);
            self.under_way = rest;
            let done: Vec<(Duration, Result<Duration, Failure>)> = done;
            for (_, result) in done {
                self.state.finish(&check(), now, result);
                let evidence = Evidence::of([&self.state]).unwrap();
                self.machine.observe(now, evidence, &check(), &failover());
            }
        }

        fn run_until(
            &mut self,
            most: Duration,
            state: RegionState,
            answer: impl Fn() -> Option<Result<Duration, Failure>>,
        ) -> Duration {
            let start = self.now;
            while self.machine.state() != state {
                assert!(self.now - start < most, "still {:?}", self.machine.state());
                self.step(&answer);
            }
            self.now - start
        }
    }

    #[test]
    fn a_refusing_endpoint_is_down_within_three_fast_intervals_of_a_signal() {
        let mut world = World::new();
        for _ in 0..2_500 {
            world.step(|| Some(Ok(2 * MS)));
        }
        world.state.suspect(&check(), world.now, SignalKind::Reset, 1);
        let took = world.run_until(200 * MS, RegionState::Down, || Some(Err(refused())));
        assert!(took <= 80 * MS, "{took:?}");
    }

    #[test]
    fn a_hanging_endpoint_is_down_soon_after_requests_time_out() {
        let mut world = World::new();
        for _ in 0..2_500 {
            world.step(|| Some(Ok(2 * MS)));
        }
        // It hangs, and a second later three requests in a row run into their timeout.
        for _ in 0..1_000 {
            world.step(|| None);
        }
        for consecutive in 1..=3 {
            world.state.suspect(&check(), world.now, SignalKind::FirstByteTimeout, consecutive);
        }
        let took = world.run_until(400 * MS, RegionState::Down, || None);
        assert!(took <= 200 * MS, "{took:?}");
    }

    #[test]
    fn a_hanging_endpoint_without_traffic_is_down_soon_after_its_check_times_out() {
        let mut world = World::new();
        for _ in 0..2_500 {
            world.step(|| Some(Ok(2 * MS)));
        }
        let took = world.run_until(3_000 * MS, RegionState::Down, || None);
        assert!(took <= (1_100 + 1_000 + 200) * MS, "{took:?}");
    }

    #[test]
    fn one_reset_of_a_healthy_endpoint_changes_nothing() {
        let mut world = World::new();
        for round in 0..5_000 {
            if round % 10 == 0 {
                world.state.suspect(&check(), world.now, SignalKind::Reset, 1);
            }
            world.step(|| Some(Ok(2 * MS)));
            assert_eq!(world.machine.state(), RegionState::Healthy);
        }
    }

    #[test]
    fn a_pause_that_answers_within_the_timeout_is_no_failure() {
        let mut world = World::new();
        for _ in 0..2_500 {
            world.step(|| Some(Ok(2 * MS)));
        }
        world.state.suspect(&check(), world.now, SignalKind::Reset, 1);
        for _ in 0..2_000 {
            world.step(|| Some(Ok(400 * MS)));
            assert_eq!(world.machine.state(), RegionState::Healthy);
        }
    }

    #[test]
    fn a_region_comes_back_after_the_cooldown_and_not_before() {
        let mut world = World::new();
        world.run_until(10_000 * MS, RegionState::Down, || Some(Err(refused())));
        let took = world.run_until(10_000 * MS, RegionState::Healthy, || Some(Ok(MS)));
        assert!((5_000 * MS..=6_200 * MS).contains(&took), "{took:?}");
    }

    #[test]
    fn a_region_without_automatic_failover_is_degraded_at_most() {
        let never = Failover { auto_failover_enabled: false, ..failover() };
        let mut machine = RegionMachine::new(Duration::ZERO);
        let evidence = Evidence { failures: 1_000, successes: 0 };
        let change = machine.observe(MS, evidence, &check(), &never).unwrap();
        assert_eq!(change.to, RegionState::Degraded);
        assert_eq!(machine.observe(MS, evidence, &check(), &never), None);
    }

    #[test]
    fn a_region_is_as_healthy_as_its_best_endpoint() {
        let mut dead = CheckState::new(Duration::ZERO, 3);
        let mut alive = dead.clone();
        for _ in 0..5 {
            dead.finish(&check(), MS, Err(refused()));
            alive.finish(&check(), MS, Ok(MS));
        }
        let evidence = Evidence::of([&dead, &alive]).unwrap();
        assert_eq!(evidence, Evidence { failures: 0, successes: 5 });
        assert_eq!(Evidence::of([]), None);
    }

    proptest! {
        #[test]
        fn probes_are_never_closer_than_the_fast_interval_nor_too_many(
            outcomes in prop::collection::vec(0_u8..4, 1..400),
        ) {
            let mut world = World::new();
            let mut last: Option<Duration> = None;
            for outcome in outcomes {
                if outcome == 3 {
                    world.state.suspect(&check(), world.now, SignalKind::FirstByteTimeout, 3);
                }
                let before = world.state.last_start;
                world.step(|| match outcome {
                    0 => Some(Ok(3 * MS)),
                    1 => Some(Err(refused())),
                    _ => None,
                });
                if world.state.last_start != before {
                    let start = world.state.last_start.unwrap();
                    if let Some(last) = last {
                        prop_assert!(start - last >= check().fast_interval);
                    }
                    last = Some(start);
                }
                prop_assert!(world.state.in_flight <= limits::CHECKS_IN_DOUBT);
                prop_assert!(world.state.failures == 0 || world.state.successes == 0);
            }
        }
    }
}
