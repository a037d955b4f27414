//! The story: steady traffic, a region is killed, comes back, and the configuration is reloaded.
//! Told line by line as it happens, with a report at the end.

use std::fmt::Display;
use std::io::{Write, stderr, stdout};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::error::DemoError;
use super::interrupt::Interrupted;
use super::places::{PLACES, STRETCHED, VICTIM};
use super::report::{Failover, Recovery, Reload, Report, millis};
use super::stage::{Plan, Stage};
use crate::failover::Event;
use crate::model::RegionState;

/// How the story is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) scale: f64,
    /// The report is JSON on standard output, everything else on standard error.
    pub(super) json: bool,
}

const STEADY: f64 = 5.0;
const OUTAGE: f64 = 4.5;
const RECOVERED: f64 = 3.5;
const RELOADED: f64 = 3.5;
/// Between two lines of numbers.
const PULSE: Duration = Duration::from_secs(2);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// What Rhumb should do takes no longer than this, beside the cooldown.
const PATIENCE: Duration = Duration::from_secs(10);

/// Plays it. True when the report says that it passed.
pub(super) async fn play(
    plan: Plan,
    pace: Pace,
    interrupted: Interrupted,
) -> Result<bool, DemoError> {
    let stage = Stage::set(plan).await?;
    let start = Instant::now();
    let (report, phases) = (Report::default(), vec![("steady", start)]);
    let mut story = Story { stage, plan, pace, interrupted, start, report, phases };
    story.introduce();
    story.say("every client goes to its nearest region");
    story.rest(STEADY).await?;
    if let Some(down) = story.kill().await? {
        story.rest(OUTAGE).await?;
        story.revive(down).await?;
        story.rest(RECOVERED).await?;
    }
    story.reload().await?;
    story.rest(RELOADED).await?;
    Ok(story.finish())
}

struct Story {
    stage: Stage,
    plan: Plan,
    pace: Pace,
    interrupted: Interrupted,
    start: Instant,
    report: Report,
    /// Name and start of each.
    phases: Vec<(&'static str, Instant)>,
}

impl Story {
    fn introduce(&mut self) {
        let clients = self.stage.shared.clients.len();
        let rate = self.plan.rate;
        self.line(format_args!(
            "Rhumb in front of three regions on this machine; {rate} requests a second of {clients} real client addresses"
        ));
        for (i, place) in PLACES.iter().enumerate() {
            let pid = self.stage.pid(i).unwrap_or_default();
            let origin = self.stage.shared.origins.get(i).map(ToString::to_string);
            let origin = origin.unwrap_or_default();
            let (id, location) = (place.id, place.location);
            self.line(format_args!("  {id:<16}{location:<17}http://{origin:<17}process {pid}"));
        }
        let (proxy, admin) = (self.stage.shared.proxy, self.stage.admin());
        self.line(format_args!(
            "  {:<16}{:<17}http://{proxy:<17}admin http://{admin}",
            "Rhumb", "in front"
        ));
        self.line("");
    }

    /// Kills the victim, and waits until Rhumb has taken it out. Returns when that was.
    async fn kill(&mut self) -> Result<Option<Instant>, DemoError> {
        let region = PLACES.get(VICTIM).map_or("", |place| place.id);
        let before = self.stage.notes.read().regions.get(VICTIM).copied().unwrap_or_default();
        self.phase("outage");
        let Some(death) = self.stage.kill(VICTIM)? else {
            self.problem(format!("the origin of {region} was dead before it was killed"));
            return Ok(None);
        };
        let pid = death.pid;
        self.say(format_args!("kill -9 {pid}: the only origin of {region}"));
        let Some((at, event)) = self.event(RegionState::Down, death.at, PATIENCE).await? else {
            self.problem(format!("{region} was not taken out after its death"));
            return Ok(None);
        };
        let since =
            |at: Instant| millis(at.saturating_duration_since(death.at).as_secs_f64() * 1e3);
        self.say(format_args!(
            "Rhumb took {region} out {:.1} ms after its death: {}",
            since(at),
            event.cause
        ));
        // Attempts that began before that may still be failing.
        self.wait(Duration::from_millis(300), |_| false).await?;
        let seen = self.stage.notes.read().regions.get(VICTIM).copied().unwrap_or_default();
        let after = |at: Option<Instant>| at.filter(|at| *at >= death.at).map(since);
        self.report.failover = Some(Failover {
            region,
            pid,
            detected_ms: since(at),
            table_ms: after(seen.closed),
            last_attempt_ms: after(seen.last_attempt),
            attempts: seen.failed_attempts.saturating_sub(before.failed_attempts),
            cause: event.cause.to_string(),
            generation: event.generation,
        });
        Ok(Some(at))
    }

    /// Revives the victim, and waits until Rhumb lets it in again.
    async fn revive(&mut self, down: Instant) -> Result<(), DemoError> {
        let region = PLACES.get(VICTIM).map_or("", |place| place.id);
        self.stage.revive(VICTIM)?;
        let revived = down.elapsed();
        let pid = self.stage.pid(VICTIM).unwrap_or_default();
        let cooldown = self.plan.cooldown.as_secs_f64();
        self.say(format_args!(
            "started {region} again (process {pid}); it stays out until {cooldown:.1} s have passed since {:.1} s",
            down.saturating_duration_since(self.start).as_secs_f64()
        ));
        let patience = self.plan.cooldown + PATIENCE;
        let Some((at, event)) = self.event(RegionState::Healthy, down, patience).await? else {
            self.problem(format!("{region} did not come back"));
            return Ok(());
        };
        self.phase("recovered");
        let back = at.saturating_duration_since(down).as_secs_f64();
        self.say(format_args!("Rhumb let {region} in again: {}", event.cause));
        let counted = self.stage.shared.tally().answered(VICTIM);
        self.wait(PATIENCE, |story| story.stage.shared.tally().answered(VICTIM) > counted).await?;
        let answers = self.stage.shared.tally().answered(VICTIM) - counted;
        if answers == 0 {
            self.problem(format!("{region} came back but got no requests"));
        }
        if back < cooldown {
            self.problem(format!("{region} came back before its cooldown had passed"));
        }
        self.report.recovery = Some(Recovery {
            region,
            cooldown_seconds: cooldown,
            revived_after_seconds: millis(revived.as_secs_f64()),
            back_after_seconds: millis(back),
            generation: event.generation,
        });
        Ok(())
    }

    /// Changes the configuration, and waits until a table has the change.
    async fn reload(&mut self) -> Result<(), DemoError> {
        let region = PLACES.get(STRETCHED).map_or("", |place| place.id);
        let Some(rewrite) = self.stage.rewrite()? else { return Ok(()) };
        let change = format!("bias of {region} from {} to {}", rewrite.from, rewrite.to);
        self.say(format_args!("the configuration file changes: {change}"));
        let reloaded = |story: &Self| {
            // A table that has the change, not just any other.
            let waiting = story.stage.shared.world().reloading();
            let seen = story.stage.notes.read().reloaded;
            seen.filter(|(at, _)| !waiting && *at >= rewrite.at)
        };
        self.wait(PATIENCE, |story| reloaded(story).is_some()).await?;
        let Some((at, generation)) = reloaded(self) else {
            self.problem("the changed configuration was not taken up".to_owned());
            return Ok(());
        };
        self.phase("reloaded");
        let took = at.saturating_duration_since(rewrite.at).as_secs_f64() * 1e3;
        self.say(format_args!("Rhumb took it up after {took:.0} ms: {region} reaches further"));
        self.report.reload =
            Some(Reload { change, milliseconds: millis(took), generation, moved_requests: 0 });
        Ok(())
    }

    /// The end: nothing is counted any more, and what was counted is judged. True when it passed.
    fn finish(mut self) -> bool {
        if !self.stage.quiet() {
            self.problem("the clients of the demo broke".to_owned());
        }
        let end = Instant::now();
        self.report.seconds = millis(end.saturating_duration_since(self.start).as_secs_f64());
        let ends = self.phases.iter().skip(1).map(|(_, start)| *start).chain([end]);
        let seconds =
            |start: Instant, end: Instant| end.saturating_duration_since(start).as_secs_f64();
        let phases: Vec<_> = self
            .phases
            .iter()
            .zip(ends)
            .map(|((name, start), end)| (*name, seconds(*start, end)))
            .collect();
        let shared = std::sync::Arc::clone(&self.stage.shared);
        let tally = shared.tally();
        let moved = tally.phases.iter().map(|phase| phase.moved).sum();
        match &mut self.report.reload {
            Some(reload) if moved > 0 => reload.moved_requests = moved,
            Some(_) => self.problem("no request went elsewhere after the reload".to_owned()),
            None => {}
        }
        self.report.conclude(&tally, &phases);
        let mut out = stdout().lock();
        // A closed pipe leaves nobody to tell; the exit code still does.
        let _ = match self.pace.json {
            true => writeln!(out, "{}", serde_json::json!(self.report)),
            false => writeln!(out, "\n{}", self.report),
        };
        self.report.passed
    }

    /// Waits for the victim's first event with that state after `since`; and when it was.
    async fn event(
        &mut self,
        to: RegionState,
        since: Instant,
        patience: Duration,
    ) -> Result<Option<(Instant, Event)>, DemoError> {
        let region = PLACES.get(VICTIM).map_or("", |place| place.id);
        let notes = self.stage.notes.clone();
        let changed = move || {
            let sight = notes.read().regions.get(VICTIM).copied().unwrap_or_default();
            let at = if to == RegionState::Down { sight.closed } else { sight.opened };
            at.is_some_and(|at| at >= since)
        };
        if !self.wait(patience, |_| changed()).await? {
            return Ok(None);
        }
        // The event follows the table at once, but the table may be seen in between.
        self.wait(LOOK, |_| false).await?;
        let (epoch, status) = self.stage.status().await?;
        let events = status.events.into_iter().map(|event| (epoch + event.at, event));
        Ok(events
            .filter(|(at, _)| *at >= since)
            .find(|(_, event)| event.region.as_str() == region && event.to == to))
    }

    /// Waits until `done`, telling numbers now and then. False when it took too long.
    async fn wait(
        &mut self,
        patience: Duration,
        done: impl Fn(&Self) -> bool,
    ) -> Result<bool, DemoError> {
        let start = Instant::now();
        let mut pulse = start + PULSE;
        loop {
            if done(self) {
                return Ok(true);
            }
            if start.elapsed() >= patience {
                return Ok(false);
            }
            if Instant::now() >= pulse {
                pulse += PULSE;
                self.numbers();
            }
            let next = LOOK.min(patience.saturating_sub(start.elapsed()));
            tokio::select! {
                () = tokio::time::sleep(next) => {}
                _ = self.interrupted.changed() => return Err(DemoError::Interrupted),
            }
        }
    }

    /// Lets it run for a while.
    async fn rest(&mut self, seconds: f64) -> Result<(), DemoError> {
        self.wait(Duration::from_secs_f64(seconds * self.pace.scale), |_| false).await.map(drop)
    }

    fn phase(&mut self, name: &'static str) {
        self.phases.push((name, Instant::now()));
        self.stage.shared.phase.store(self.phases.len() - 1, Ordering::Relaxed);
    }

    fn problem(&mut self, words: String) {
        self.say(format_args!("problem: {words}"));
        self.report.problems.push(words);
    }

    fn numbers(&self) {
        let mut tally = self.stage.shared.tally();
        tally.advance(Instant::now());
        let mut line = String::from("  requests/s:");
        for (i, place) in PLACES.iter().enumerate() {
            let rate = tally.latest_rate(i);
            line.push_str(&format!("  {} {rate:>3.0}", place.id));
        }
        line.push_str(&format!("   failed so far: {}", tally.failed()));
        drop(tally);
        self.say(line);
    }

    fn say(&self, what: impl Display) {
        let seconds = self.start.elapsed().as_secs_f64();
        self.line(format_args!("{seconds:5.1} s  {what}"));
    }

    fn line(&self, what: impl Display) {
        // A closed pipe leaves nobody to tell.
        let _ = match self.pace.json {
            true => writeln!(stderr(), "{what}"),
            false => writeln!(stdout(), "{what}"),
        };
    }
}
