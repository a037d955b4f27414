//! The controller's side of names: has them looked up, tells people and metrics how it stands with them,
//! and says when there is a table to make of it.
//!
//! What an answer is worth is the business of `names`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;

use crate::config::Config;
use crate::metrics::{NameGauge, Registry};
use crate::model::{Places, Question, limits};
use crate::names::{Answered, Asker, Book, NameReport, NameStatus, Verdict};

/// The names of the configuration in use.
#[derive(Debug)]
pub(super) struct Naming {
    book: Book,
    asker: Asker,
    registry: Arc<Registry>,
    /// Whether the table does not know yet what the book knows.
    moved: bool,
    /// When a table was made of it last.
    told: Option<Duration>,
}

impl Naming {
    /// Over a book that the first table was made with. Lookups end in `answers`.
    pub(super) fn new(
        book: Book,
        answers: mpsc::Sender<Answered>,
        registry: Arc<Registry>,
    ) -> Self {
        let mut asker = Asker::new(answers);
        asker.adopt(book.settings());
        let naming = Self { book, asker, registry, moved: false, told: None };
        for status in naming.book.status(Duration::ZERO) {
            naming.count(&status);
        }
        naming
    }

    /// Takes over the names of a configuration; the places that a table of it is to be made with.
    pub(super) fn adopt(&mut self, config: &Config, first: Book, now: Duration) -> Places {
        self.moved |= self.book.adopt(config, Some(first), now);
        self.asker.adopt(&config.names);
        let known: HashSet<_> = self.book.status(now).map(|it| it.question.to_string()).collect();
        self.registry.control.retain_names(|name| known.contains(name));
        for status in self.book.status(now) {
            self.count(&status);
        }
        self.book.places()
    }

    /// Starts the lookups that are due.
    pub(super) fn ask(&mut self, now: Duration) {
        for order in self.book.orders(now) {
            self.asker.start(order);
        }
    }

    /// When there is something to do next.
    pub(super) fn next_wake(&self) -> Option<Duration> {
        let table = self.moved.then(|| self.table_at());
        self.book.next_wake().into_iter().chain(table).min()
    }

    fn table_at(&self) -> Duration {
        self.told.map_or(Duration::ZERO, |at| at + limits::NAME_TABLE_INTERVAL)
    }

    /// The places to make a table of, if there are new ones and the last table is not too recent.
    pub(super) fn take_places(&mut self, now: Duration) -> Option<Places> {
        if !self.moved || now < self.table_at() {
            return None;
        }
        self.moved = false;
        self.told = Some(now);
        Some(self.book.places())
    }

    /// A lookup has ended.
    pub(super) fn answered(&mut self, answered: Answered, now: Duration, entropy: u64) {
        let Answered { order, reply } = answered;
        let verdict = self.book.answered(&order, reply, now, entropy);
        if verdict.result.is_empty() {
            return;
        }
        self.registry.control.lookup(verdict.result, verdict.refused.len());
        self.moved |= verdict.changed;
        if let Some(status) = self.book.status_of(&order.question, now) {
            self.count(&status);
            tell(&order.question, &verdict, &status);
        }
    }

    fn count(&self, status: &NameStatus<'_>) {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |at| at.as_secs_f64());
        let gauge = NameGauge {
            addresses: status.places.len(),
            failures: status.failures,
            answered: status.age.map(|age| unix - age.as_secs_f64()),
        };
        self.registry.control.name(status.question.to_string(), gauge);
    }

    /// How it stands with all names.
    pub(super) fn report(&self, now: Duration) -> Vec<NameReport> {
        self.book.status(now).map(NameReport::from).collect()
    }
}

/// Tells the log what is new.
fn tell(question: &Question, verdict: &Verdict, status: &NameStatus<'_>) {
    if verdict.changed {
        let addresses: Vec<_> = status.places.iter().map(|place| place.address).collect();
        tracing::info!(name = %question, ?addresses, "name of endpoints has other addresses");
    }
    if let Some(trouble) = &verdict.news {
        let keeps = status.places.len();
        tracing::warn!(
            name = %question,
            %trouble,
            refused = ?verdict.refused,
            "name of endpoints has no complete good answer; the last one stays, with {keeps} addresses"
        );
    }
}
