//! Runs requests through one table or two, on as many threads as may be.

use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use super::case::Pace;
use super::desk::{Desk, Names, remembers};
use super::log::Entry;
use super::pieces::{Piece, Pieces};
use super::population::Population;
use super::tally::Tally;
use crate::config::RequestRules;
use crate::geo::Databases;
use crate::routing::Table;

/// Made-up requests that a thread takes at once.
const BATCH: u64 = 8_192;

/// A table, and what its requests are located with.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The table.
    pub table: &'a Table,
    /// Where addresses are.
    pub geo: &'a Databases,
    /// What becomes of odd paths.
    pub requests: RequestRules,
}

/// What is to be run.
#[derive(Debug)]
pub struct Simulation<'a> {
    pub(super) sides: Vec<Side<'a>>,
    pub(super) names: Names,
    pace: Pace,
    seed: u64,
    threads: usize,
}

/// Is told how much more is done: requests made, or bytes read.
pub(super) type Progress<'a> = &'a (dyn Fn(u64) + Sync);

impl<'a> Simulation<'a> {
    /// A simulation of one table, or of two side by side.
    ///
    /// If what becomes of a request depends on those before it, as with a limit of requests in
    /// flight, it runs on one thread whatever `threads` says.
    pub fn new(before: Side<'a>, after: Option<Side<'a>>, pace: Pace, seed: u64) -> Self {
        let sides: Vec<_> = [before].into_iter().chain(after).collect();
        Self { names: Names::of(&sides), sides, pace, seed, threads: 1 }
    }

    /// On so many threads at most.
    #[must_use]
    pub fn on_threads(self, threads: usize) -> Self {
        let remembers = self.sides.iter().any(|side| remembers(&side.table.plan));
        Self { threads: if remembers { 1 } else { threads.max(1) }, ..self }
    }

    /// Runs the first `count` requests of a population.
    pub fn population(&self, population: &Population, count: u64, progress: Progress<'_>) -> Tally {
        let next = AtomicU64::new(0);
        self.on_all(|desk| {
            loop {
                let first = next.fetch_add(BATCH, Ordering::Relaxed);
                if first >= count {
                    return Ok(());
                }
                let end = count.min(first + BATCH);
                for number in first..end {
                    desk.take(&population.case(number, &self.pace));
                }
                progress(end - first);
            }
        })
        .unwrap_or_else(|_: io::Error| self.desk().into_tally())
    }

    /// Runs the requests of a log.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn log(&self, input: impl Read + Send, progress: Progress<'_>) -> io::Result<Tally> {
        let pieces = Mutex::new(Pieces::new(input));
        self.on_all(|desk| {
            let mut entry = Entry::default();
            loop {
                let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(piece) = next? else { return Ok(()) };
                self.piece(&piece, &mut entry, desk);
                progress(piece.read);
            }
        })
    }

    fn piece(&self, piece: &Piece, entry: &mut Entry, desk: &mut Desk<'_>) {
        if piece.too_long {
            desk.tally().bad.add(piece.first, "the line is longer than 1 MiB");
            return;
        }
        // The two sides are to be asked the same.
        let rules = self.sides.first().map_or_else(RequestRules::default, |side| side.requests);
        for (number, line) in (piece.first..).zip(piece.bytes.split(|byte| *byte == b'\n')) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            match entry.read(line, &rules) {
                Ok(()) => desk.take(&entry.case(number - 1, &self.pace)),
                Err(error) => desk.tally().bad.add(number, error),
            }
        }
    }

    /// How much time the requests of a tally span, in microseconds, as far as that is known.
    pub(super) fn span_us(&self, tally: &Tally) -> Option<u64> {
        let span = match self.pace.rate {
            Some(rate) if rate > 0.0 => (tally.requests as f64 * 1e6 / rate) as u64,
            _ => tally.span.map(|(first, last)| last - first)?,
        };
        (span > 0).then_some(span)
    }

    fn desk(&self) -> Desk<'_> {
        Desk::new(&self.sides, &self.names, self.seed)
    }

    /// Has the work done at several desks, and adds up what they count.
    fn on_all(&self, work: impl Fn(&mut Desk<'_>) -> io::Result<()> + Sync) -> io::Result<Tally> {
        let at_a_desk = || {
            let mut desk = self.desk();
            work(&mut desk).map(|()| desk.into_tally())
        };
        let mut whole = self.desk().into_tally();
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..self.threads).map(|_| scope.spawn(at_a_desk)).collect();
            whole.absorb(at_a_desk()?);
            for other in others {
                let tally = other.join().map_err(|_| io::Error::other("a thread has panicked"))?;
                whole.absorb(tally?);
            }
            Ok(whole)
        })
    }
}
