//! What the story showed, as text and as JSON, and whether it showed what it promises.

use std::fmt;

use serde::Serialize;

use super::places::PLACES;
use super::tally::{Phase, Tally};

/// The report of one story.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Nothing failed, and everything has happened.
    pub(super) passed: bool,
    /// What did not happen as it should.
    pub(super) problems: Vec<String>,
    pub(super) seconds: f64,
    pub(super) requests: u64,
    pub(super) failed_requests: u64,
    /// The first of them, in words.
    pub(super) failures: Vec<String>,
    pub(super) phases: Vec<PhaseReport>,
    pub(super) failover: Option<Failover>,
    pub(super) recovery: Option<Recovery>,
    pub(super) reload: Option<Reload>,
}

/// One part of the story.
#[derive(Debug, Serialize)]
pub(super) struct PhaseReport {
    pub(super) name: &'static str,
    pub(super) seconds: f64,
    /// Answers by region, in the order of the regions.
    pub(super) answers: Vec<Answers>,
    pub(super) failed_requests: u64,
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
}

/// Answers of one region.
#[derive(Debug, Serialize)]
pub(super) struct Answers {
    pub(super) region: &'static str,
    pub(super) count: u64,
}

/// A region's death, in times since it.
#[derive(Debug, Serialize)]
pub(super) struct Failover {
    pub(super) region: &'static str,
    pub(super) pid: u32,
    pub(super) detected_ms: f64,
    /// When a table without it was first seen in place.
    pub(super) table_ms: Option<f64>,
    /// When an attempt to send it a request was last seen to fail.
    pub(super) last_attempt_ms: Option<f64>,
    /// Attempts that met the dead origin; each request was answered by another region.
    pub(super) attempts: u64,
    pub(super) cause: String,
    pub(super) generation: u64,
}

/// A region's return.
#[derive(Debug, Serialize)]
pub(super) struct Recovery {
    pub(super) region: &'static str,
    pub(super) cooldown_seconds: f64,
    /// From its being taken out to its origin listening again.
    pub(super) revived_after_seconds: f64,
    /// From its being taken out to its being let in again.
    pub(super) back_after_seconds: f64,
    pub(super) generation: u64,
}

/// A reload under traffic.
#[derive(Debug, Serialize)]
pub(super) struct Reload {
    pub(super) change: String,
    /// From the file being put in place to a table with the change being seen.
    pub(super) milliseconds: f64,
    pub(super) generation: u64,
    /// Requests that went elsewhere because of it.
    pub(super) moved_requests: u64,
}

impl Report {
    /// Takes in what was counted, and judges.
    pub(super) fn conclude(&mut self, tally: &Tally, phases: &[(&'static str, f64)]) {
        self.requests = tally.requests();
        self.failed_requests = tally.failed();
        let words = tally.failures.iter();
        self.failures = words
            .map(|(at, country, failure)| {
                format!("{:.3} s, client in {country}: {failure}", at.as_secs_f64())
            })
            .collect();
        let none = Phase::default();
        for (i, (name, seconds)) in phases.iter().enumerate() {
            let phase = tally.phases.get(i).unwrap_or(&none);
            if phase.requests() == 0 {
                self.problems.push(format!("no requests were made in the phase {name:?}"));
            }
            self.phases.push(PhaseReport::of(name, *seconds, phase));
        }
        if self.failed_requests > 0 {
            self.problems.push(format!("{} requests failed", self.failed_requests));
        }
        self.passed = self.problems.is_empty();
    }
}

impl PhaseReport {
    fn of(name: &'static str, seconds: f64, phase: &Phase) -> Self {
        let answers = PLACES
            .iter()
            .zip(phase.regions)
            .map(|(place, count)| Answers { region: place.id, count })
            .collect();
        let ms = |share| phase.quantile(share).map(|took| millis(took.as_secs_f64() * 1e3));
        Self {
            name,
            seconds: millis(seconds),
            answers,
            failed_requests: phase.failed,
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
        }
    }
}

/// Three decimals are more than was measured.
pub(super) fn millis(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, name: &str, text: &dyn fmt::Display| {
            writeln!(f, "  {name:<20}{text}")
        };
        writeln!(f, "Report")?;
        let (requests, failed) = (self.requests, self.failed_requests);
        let seconds = self.seconds;
        row(f, "requests", &format_args!("{requests} in {seconds:.1} s, {failed} failed"))?;
        for phase in &self.phases {
            row(f, phase.name, phase)?;
        }
        if let Some(failover) = &self.failover {
            let Failover { region, pid, attempts, .. } = failover;
            row(f, "killed", &format_args!("the only origin of {region} (kill -9 {pid})"))?;
            let (detected, cause) = (failover.detected_ms, &failover.cause);
            row(f, "detected", &format_args!("after {detected:.1} ms: {cause}"))?;
            if let Some(table) = failover.table_ms {
                let generation = failover.generation;
                row(f, "new table", &format_args!("after {table:.1} ms: generation {generation}"))?;
            }
            match failover.last_attempt_ms {
                Some(last) => row(
                    f,
                    "last request there",
                    &format_args!(
                        "after {last:.1} ms; {attempts} met the dead origin, and another region answered them"
                    ),
                )?,
                None => row(f, "last request there", &"before its death")?,
            }
        }
        if let Some(recovery) = &self.recovery {
            let Recovery { revived_after_seconds, back_after_seconds, cooldown_seconds, .. } =
                recovery;
            row(
                f,
                "came back",
                &format_args!(
                    "{back_after_seconds:.2} s after it was taken out (origin alive after {revived_after_seconds:.2} s, cooldown {cooldown_seconds} s)"
                ),
            )?;
        }
        if let Some(reload) = &self.reload {
            let Reload { change, milliseconds, generation, moved_requests } = reload;
            row(
                f,
                "reload",
                &format_args!(
                    "{milliseconds:.0} ms from file to table (generation {generation}): {change}; {moved_requests} requests went elsewhere for it"
                ),
            )?;
        }
        for failure in &self.failures {
            row(f, "failed", failure)?;
        }
        for problem in &self.problems {
            row(f, "problem", problem)?;
        }
        let outcome = if self.passed { "passed" } else { "NOT passed" };
        row(f, "outcome", &outcome)
    }
}

impl fmt::Display for PhaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Answers { region, count } in &self.answers {
            write!(f, "{region} {count:>5}   ")?;
        }
        if let (Some(p50), Some(p99)) = (self.p50_ms, self.p99_ms) {
            write!(f, "p50 {p50:.1} ms, p99 {p99:.1} ms   ")?;
        }
        write!(f, "{} failed", self.failed_requests)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::tally::{Done, Failure};
    use super::*;
    use crate::model::Country;

    #[test]
    fn a_failed_request_or_an_empty_phase_does_not_pass() {
        let start = Instant::now();
        let done = |phase, result| Done {
            phase,
            country: Country::new(b"DE").unwrap(),
            at: start,
            took: Duration::from_millis(3),
            result,
        };
        let mut tally = Tally::new(start);
        tally.add(done(0, Ok((1, false))));
        let mut report = Report::default();
        report.conclude(&tally, &[("steady", 1.0)]);
        assert!(report.passed, "{report}");
        let mut report = Report::default();
        report.conclude(&tally, &[("steady", 1.0), ("outage", 1.0)]);
        assert!(!report.passed, "{report}");
        tally.add(done(1, Err(Failure::WrongRegion { got: 0, expected: 1 })));
        let mut report = Report::default();
        report.conclude(&tally, &[("steady", 1.0), ("outage", 1.0)]);
        assert!(!report.passed, "{report}");
        let text = report.to_string();
        assert!(text.contains("answered by us-east-1 instead of eu-west-1"), "{text}");
    }
}
