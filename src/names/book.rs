//! Every name, its last good answer, and when to ask again. Pure: time and randomness are arguments.
//!
//! A good answer is asked for again when its TTL, within limits, is over. Whatever goes wrong, the last
//! good answer stays: an endpoint that is gone is found by health checks and by requests, and a server
//! of the DNS that is gone must not take endpoints with it. Failures are asked again with growing
//! pauses.
//!
//! Times are durations since the process's epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::answer::{Good, Reading, Reply, Trouble, read, still_good};
use crate::config::{Config, Names};
use crate::model::{Place, Places, Question, limits};

/// Stands for one lookup; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// A lookup to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What to report it as.
    pub ticket: Ticket,
    /// What to ask.
    pub question: Question,
}

/// What an answer was worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The word for metrics: `changed`, `unchanged`, `partial` or what went wrong. Empty: nobody wants
    /// it any more.
    pub result: &'static str,
    /// Whether places have changed.
    pub changed: bool,
    /// What went wrong, the first time or after something else.
    pub news: Option<Trouble>,
    /// Addresses that were left out because none may be there.
    pub refused: Vec<IpAddr>,
}

/// How it stands with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameStatus<'a> {
    /// What is asked.
    pub question: &'a Question,
    /// Where the endpoint is, by the last good answer.
    pub places: &'a [Place],
    /// How old the last good answer is.
    pub age: Option<Duration>,
    /// Whether it is older than it says it is good for.
    pub expired: bool,
    /// Failures in a row up to now.
    pub failures: u32,
    /// The latest failure, if the last lookup was one.
    pub trouble: Option<&'a Trouble>,
}

/// What is known of one name.
#[derive(Clone, Debug, Default)]
struct Entry {
    good: Good,
    places: Arc<[Place]>,
    /// When the last good answer came, and until when it is good.
    answered: Option<(Duration, Duration)>,
    under_way: Option<Ticket>,
    next: Duration,
    failures: u32,
    trouble: Option<Trouble>,
    asked: bool,
}

/// All names.
#[derive(Clone, Debug, Default)]
pub struct Book {
    settings: Names,
    allowed: Vec<IpNet>,
    entries: BTreeMap<Question, Entry>,
    /// Those that are not under way, by when they are to be asked.
    due: BTreeSet<(Duration, Question)>,
    under_way: usize,
    next_ticket: u64,
}

impl Book {
    /// Takes over the names of a configuration at `now`: new ones are due at once, those that are gone
    /// are forgotten. `first` are answers that were had before; they count for names that are new.
    /// True when places of names that stay have changed, because other networks are allowed.
    pub fn adopt(&mut self, config: &Config, first: Option<Self>, now: Duration) -> bool {
        let mut first = first.map(|book| book.entries).unwrap_or_default();
        let mut old = std::mem::take(&mut self.entries);
        let other_servers = self.settings.servers != config.names.servers;
        let other_networks = self.allowed != config.origin_networks;
        self.settings = config.names.clone();
        self.allowed.clone_from(&config.origin_networks);
        let mut changed = false;
        for question in config.questions() {
            let known = old.remove(&question);
            let mut entry = known.or_else(|| first.remove(&question)).unwrap_or_default();
            if other_networks {
                let left = still_good((&mut entry.good, &entry.places), &self.allowed);
                changed |= left.is_some();
                entry.places = left.map_or(entry.places, Into::into);
            }
            if !entry.asked || other_servers || other_networks {
                entry.next = now;
            }
            entry.next = entry.next.min(now.saturating_add(self.settings.max_ttl));
            self.entries.insert(question, entry);
        }
        self.under_way = self.entries.values().filter(|entry| entry.under_way.is_some()).count();
        let idle = self.entries.iter().filter(|(_, entry)| entry.under_way.is_none());
        self.due = idle.map(|(question, entry)| (entry.next, question.clone())).collect();
        changed
    }

    /// The lookups to make at `now`: those that are due, as many as may be under way.
    pub fn orders(&mut self, now: Duration) -> Vec<Order> {
        let mut orders = Vec::new();
        while self.under_way < limits::NAMES_IN_FLIGHT
            && self.due.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, question)) = self.due.pop_first()
        {
            let Some(entry) = self.entries.get_mut(&question) else { continue };
            self.next_ticket += 1;
            let ticket = Ticket(self.next_ticket);
            entry.under_way = Some(ticket);
            self.under_way += 1;
            orders.push(Order { ticket, question });
        }
        orders
    }

    /// When [`Self::orders`] is wanted next; `None` while as many as may be are under way, or there is
    /// nothing to ask.
    pub fn next_wake(&self) -> Option<Duration> {
        let room = self.under_way < limits::NAMES_IN_FLIGHT;
        self.due.first().map(|(at, _)| *at).filter(|_| room)
    }

    /// A lookup has ended. `entropy` spreads what is tried again.
    pub fn answered(
        &mut self,
        order: &Order,
        reply: Result<Reply, Trouble>,
        now: Duration,
        entropy: u64,
    ) -> Verdict {
        let Some(entry) = self.entries.get_mut(&order.question) else { return Verdict::default() };
        if entry.under_way != Some(order.ticket) {
            return Verdict::default();
        }
        entry.under_way = None;
        entry.asked = true;
        self.under_way = self.under_way.saturating_sub(1);
        let read = reply.and_then(|reply| read(&reply, &entry.good, &self.allowed));
        let verdict = match read {
            Ok(reading) => entry.learn(reading, &self.settings, now, entropy),
            Err(trouble) => entry.fail(trouble, &self.settings, now, entropy),
        };
        self.due.insert((entry.next, order.question.clone()));
        verdict
    }

    /// Whether every name has been asked for once, whatever came of it.
    pub fn is_settled(&self) -> bool {
        self.entries.values().all(|entry| entry.asked)
    }

    /// Nobody waits for the lookups under way any more; they have failed.
    pub fn give_up(&mut self, now: Duration, entropy: u64) {
        let pending = self.entries.iter().filter_map(|(question, entry)| {
            Some(Order { ticket: entry.under_way?, question: question.clone() })
        });
        for order in pending.collect::<Vec<_>>() {
            self.answered(&order, Err(Trouble::Timeout), now, entropy);
        }
    }

    /// Forgets these names.
    pub fn leave_out(&mut self, questions: &BTreeSet<Question>) {
        self.entries.retain(|question, _| !questions.contains(question));
        self.due.retain(|(_, question)| !questions.contains(question));
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How names are looked up.
    pub fn settings(&self) -> &Names {
        &self.settings
    }

    /// The places of all names.
    pub fn places(&self) -> Places {
        let known = self.entries.iter().filter(|(_, entry)| !entry.places.is_empty());
        known.map(|(question, entry)| (question.clone(), Arc::clone(&entry.places))).collect()
    }

    /// How it stands with one name.
    pub fn status_of(&self, question: &Question, now: Duration) -> Option<NameStatus<'_>> {
        let (question, entry) = self.entries.get_key_value(question)?;
        Some(entry.status(question, now))
    }

    /// How it stands with all names.
    pub fn status(&self, now: Duration) -> impl Iterator<Item = NameStatus<'_>> {
        self.entries.iter().map(move |(question, entry)| entry.status(question, now))
    }
}

impl Entry {
    fn learn(&mut self, reading: Reading, pace: &Names, now: Duration, entropy: u64) -> Verdict {
        let Reading { good, places, ttl, missing, refused } = reading;
        let ttl = ttl.clamp(pace.min_ttl, pace.max_ttl);
        let until = now.saturating_add(ttl);
        self.good = good;
        self.answered = Some((now, until));
        let changed = *self.places != *places;
        if changed {
            self.places = places.into();
        }
        self.next = until;
        let mut news = None;
        let result = match (changed, &missing) {
            (true, _) => "changed",
            (false, Some(_)) => "partial",
            (false, None) => "unchanged",
        };
        match missing {
            None => (self.failures, self.trouble) = (0, None),
            // What is missing is asked for again before the rest is.
            Some(trouble) => {
                news = self.stumble(trouble, pace, now, entropy);
                self.next = self.next.min(until);
            }
        }
        Verdict { result, changed, news, refused }
    }

    fn fail(&mut self, trouble: Trouble, pace: &Names, now: Duration, entropy: u64) -> Verdict {
        let result = trouble.as_str();
        let refused = match &trouble {
            Trouble::Refused(address) => vec![*address],
            _ => Vec::new(),
        };
        let news = self.stumble(trouble, pace, now, entropy);
        Verdict { result, changed: false, news, refused }
    }

    /// Notes what went wrong, and when to try again. Returns it if it did not go wrong before.
    fn stumble(
        &mut self,
        trouble: Trouble,
        pace: &Names,
        now: Duration,
        entropy: u64,
    ) -> Option<Trouble> {
        self.next = now.saturating_add(pause(self.failures, pace, entropy));
        self.failures = self.failures.saturating_add(1);
        let fresh = self.trouble.as_ref() != Some(&trouble);
        self.trouble = Some(trouble.clone());
        fresh.then_some(trouble)
    }

    fn status<'a>(&'a self, question: &'a Question, now: Duration) -> NameStatus<'a> {
        NameStatus {
            question,
            places: &self.places,
            age: self.answered.map(|(at, _)| now.saturating_sub(at)),
            expired: self.answered.is_some_and(|(_, until)| now > until),
            failures: self.failures,
            trouble: self.trouble.as_ref(),
        }
    }
}

/// How long to wait after so many failures in a row and one more: doubled each time, and ±25 %, so
/// that names that failed together do not come back together.
fn pause(failures: u32, pace: &Names, entropy: u64) -> Duration {
    let first = limits::NAME_RETRY.min(pace.min_ttl);
    let doubled = first.saturating_mul(1 << failures.min(16));
    let share = (entropy >> 11) as f64 / (1_u64 << 53) as f64;
    doubled.min(limits::NAME_RETRY_MAX).min(pace.max_ttl).mul_f64(0.75 + 0.5 * share)
}
